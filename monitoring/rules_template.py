"""The part of Prometheus' templates that labels and annotations of rules use: values, pipes, formats; no loops.

`{{ $labels.NAME }}`, `{{ $value }}`, `{{ .Labels.NAME }}`, `{{ .Value }}`, texts in quotes, and the functions of
`FUNCTIONS`, either before their argument or after a `|`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from monitoring.windows import rfc3339

_HOLE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|\||[^\s|]+')
_NAME = re.compile(r"\$labels\.(\w+)|\.Labels\.(\w+)")
_INDEX = re.compile(r"(?:index\s+)?(?:\$labels|\.Labels)\s+")
_VERB = re.compile(r"%([-+ 0#]*)(\d*)(?:\.(\d+))?([vsdfegq%])")
Value = str | float


class Given(NamedTuple):
    """What a template may speak of."""

    labels: Mapping[str, str]
    value: float


class Template:
    """A text with holes. Raises ValueError, which names the hole, where one asks for what there is not.

    >>> Template('{{ $labels.server }} at {{ printf "%.1f" $value }} %').fill({"server": "db-01"}, 93.456)
    'db-01 at 93.5 %'
    >>> Template("{{ $value | humanizePercentage }} on {{ .Labels.mount }}").fill({}, 0.25)
    '25% on '
    """

    def __init__(self, text: str) -> None:
        self._parts: list[str | list[list[str]]] = []
        end = 0
        for hole in _HOLE.finditer(text):
            self._parts += [text[end : hole.start()], _pipeline(hole[1])]
            end = hole.end()
        rest = text[end:]
        if "{{" in rest:
            raise ValueError(f"template: '{rest[rest.index('{{') :][:40]}' is not closed by }}}}")
        self._parts.append(rest)

    def fill(self, labels: Mapping[str, str], value: float) -> str:
        """The text for one alert."""
        given = Given(labels, value)
        return "".join(part if isinstance(part, str) else _shown(_run(part, given)) for part in self._parts)


def _pipeline(text: str) -> list[list[str]]:
    """The stages of a hole, each a list of words. Raises ValueError."""
    stages: list[list[str]] = [[]]
    for word in _WORD.findall(_INDEX.sub("index:", text)):
        if word == "|":
            stages.append([])
        else:
            stages[-1].append(word)
    for number, words in enumerate(stages):
        if not words:
            raise ValueError(f"template: '{text}' has an empty part")
        named = words[0] in FUNCTIONS or words[0] == "printf"
        values = words[1:] if named else words
        if not all(_is_value(word) for word in values) or (not named and (number > 0 or len(words) > 1)):
            strange = next((w for w in values if not _is_value(w)), words[0])
            known = ", ".join(sorted((*FUNCTIONS, "printf")))
            raise ValueError(
                f"template: '{strange}' in '{text}' is not understood; there are $labels.NAME, $value, {known}"
            )
    return stages


def _is_value(word: str) -> bool:
    return (
        word[0] in '"`'
        or word in ("$value", ".Value")
        or _NAME.fullmatch(word) is not None
        or word.startswith('index:"')
        or re.fullmatch(r"-?\d+(\.\d+)?", word) is not None
    )


def _run(stages: list[list[str]], given: Given) -> Value:
    piped: list[Value] = []
    for words in stages:
        named = words[0] in FUNCTIONS or words[0] == "printf"
        arguments = [_value(word, given) for word in (words[1:] if named else words)] + piped
        if not named:
            piped = arguments
        elif words[0] == "printf":
            piped = [_printf(str(arguments[0]), arguments[1:])] if arguments else [""]
        else:
            piped = [FUNCTIONS[words[0]](arguments[-1])] if arguments else [""]
    return piped[-1]


def _value(word: str, given: Given) -> Value:
    if word in ("$value", ".Value"):
        return given.value
    if found := _NAME.fullmatch(word):
        return given.labels.get(found[1] or found[2], "")
    if word.startswith("index:"):
        return given.labels.get(word[7:-1], "")
    if word[0] in '"`':
        return word[1:-1].replace('\\"', '"').replace("\\n", "\n") if word[0] == '"' else word[1:-1]
    return float(word)


def _shown(value: Value) -> str:
    """A value as Go prints it."""
    return value if isinstance(value, str) else f"{value:g}" if abs(value) < 1e6 else repr(value)


def _number(value: Value) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _printf(form: str, values: list[Value]) -> str:
    left = list(values)

    def one(verb: re.Match[str]) -> str:
        flags, width, digits, kind = verb.groups()
        if kind == "%":
            return "%"
        if not left:
            return f"%!{kind}(MISSING)"
        value = left.pop(0)
        if kind in "vsq":
            text = _shown(value)
            return f'"{text}"' if kind == "q" else f"%{flags.replace('0', '')}{width}s" % text
        precision = "" if digits is None else f".{digits}"
        spec = f"%{flags}{width}{precision}{kind}"
        number = _number(value)
        if not math.isfinite(number):
            return str(number)
        return spec % (round(number) if kind == "d" else number)

    return _VERB.sub(one, form)


def _scaled(value: Value, base: float, above: str, below: str) -> str:
    """Four significant digits and a prefix."""
    number = _number(value)
    if number == 0 or not math.isfinite(number):
        return f"{number:.4g}"
    prefix = ""
    if abs(number) >= 1:
        for prefix_ in above:
            if abs(number) < base:
                break
            number, prefix = number / base, prefix_
    else:
        for prefix_ in below:
            if abs(number) >= 1:
                break
            number, prefix = number * base, prefix_
    return f"{number:.4g}{prefix}"


def _duration(value: Value) -> str:
    number = _number(value)
    if not math.isfinite(number):
        return f"{number:.4g}"
    if abs(number) < 1:
        return f"{_scaled(number, 1000, '', 'mµnpf')}s" if number else "0s"
    sign, whole = "-" * (number < 0), int(abs(number))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {left}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {left}s"
    if minutes:
        return f"{sign}{minutes}m {left}s"
    return f"{abs(number):.4g}s" if not sign else f"-{abs(number):.4g}s"


FUNCTIONS: dict[str, Callable[[Value], str]] = {
    "humanize": lambda value: _scaled(value, 1000, "kMGTPEZY", "mµnpfazy"),
    "humanize1024": lambda value: _scaled(value, 1024, "", "") if abs(_number(value)) < 1024 else _binary(value),
    "humanizeDuration": _duration,
    "humanizePercentage": lambda value: f"{_number(value) * 100:.4g}%",
    "humanizeTimestamp": lambda value: rfc3339(_number(value)) if math.isfinite(_number(value)) else _shown(value),
    "toUpper": lambda value: _shown(value).upper(),
    "toLower": lambda value: _shown(value).lower(),
    "title": lambda value: _shown(value).title(),
}


def _binary(value: Value) -> str:
    number, prefix = _number(value), ""
    for prefix_ in ("ki", "Mi", "Gi", "Ti", "Pi", "Ei"):
        if abs(number) < 1024:
            break
        number, prefix = number / 1024, prefix_
    return f"{number:.4g}{prefix}"
