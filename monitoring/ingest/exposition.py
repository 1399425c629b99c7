"""Pages of exporters: the Prometheus text format 0.0.4 and OpenMetrics 1.0, read into columns.

Sources: prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics 1.0 specification. Series are cached by
the raw text before the value, so a page that is read again costs one dictionary look-up a line; one of which only the
values changed costs less than half of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from monitoring.errors import BadSample
from monitoring.ingest.page_shape import Shape
from monitoring.model import Labels

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LABEL = re.compile(rf"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|{_QUOTED})[ \t]*=[ \t]*{_QUOTED}[ \t]*(,|$)")
_PLAIN = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)"(?:,|$)')
"""A label as nearly all exporters write it: no space, no escape."""
_QUOTED_NAME = re.compile(rf"[ \t]*{_QUOTED}[ \t]*(,|$)")
_SERIES = re.compile(r'[ \t]*([^\s{"#]*)[ \t]*(?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]*')
_ESCAPE = re.compile(r'\\([\\n"])')
_FLOAT = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII)
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a page says about a metric family."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Samples in columns: `labels[k]`, `values[k]`, `times_ms[k]`; where `timed[k]` the page itself gave the time."""

    labels: list[Labels]
    values: NDArray[np.float64]
    times_ms: NDArray[np.int64]
    timed: NDArray[np.bool_]
    metadata: Mapping[str, Metadata]
    scraped: int
    """Samples on the page; those that relabelling dropped are not in the columns."""
    kept: NDArray[np.int64] | None = None
    """Their places on the page; None where all were kept."""


class SeriesCache(dict[str, Labels | None]):
    """The labels for a line's text before its value; text that is new is read, and passed through `finish`.

    None where `finish` drops the series.
    """

    def __init__(self, finish: Callable[[dict[str, str]], Labels | None] = lambda labels: labels) -> None:
        super().__init__()
        self._finish = finish
        self._last: tuple[Shape, Page] | None = None

    def keep(self, body: bytes, page: Page) -> None:
        """Remembers a page that had nothing but plain lines."""
        shape = Shape.of(body)
        self._last = None if shape is None else (shape, page)

    def again(self, body: bytes, now_ms: int) -> Page | None:
        """The page, where only its values differ from the last one's; its `labels` is the same list then."""
        if self._last is None:
            return None
        shape, last = self._last
        values = shape.values(body)
        if values is None:
            return None
        kept = values if last.kept is None else values[last.kept]
        return replace(last, values=kept, times_ms=np.full(len(kept), now_ms, dtype=np.int64))

    def clear(self) -> None:
        """Forgets all."""
        super().clear()
        self._last = None

    def __missing__(self, text: str) -> Labels | None:
        labels = self[text] = self._finish(_labels(text))
        return labels


def parse(body: bytes, content_type: str, now_ms: int, cache: SeriesCache | None = None) -> Page:
    """The samples of a page; those without a time of their own get `now_ms`. Exemplars are left out.

    Raises BadSample, naming the line by number and text.

    >>> page = parse(b'# TYPE up gauge\\nup{job="a\\\\"b"} 1 5000\\nload1 +Inf', "text/plain", 7)
    >>> page.labels, page.values.tolist(), page.times_ms.tolist()
    ([{'__name__': 'up', 'job': 'a"b'}, {'__name__': 'load1'}], [1.0, inf], [5000, 7])
    """
    cache = SeriesCache() if cache is None else cache
    if (page := cache.again(body, now_ms)) is not None:
        return page
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise BadSample(f"line {line}: byte {error.start} is not UTF-8") from None
    reader = _Reader(cache, "openmetrics" in content_type.lower(), now_ms)
    page = reader.read(text)
    if reader.plain:
        cache.keep(body, page)
    return page


class _Reader:
    """One page being read, line by line."""

    def __init__(self, cache: SeriesCache, open_metrics: bool, now_ms: int) -> None:
        self._cache = cache
        self._open_metrics = open_metrics
        self._now_ms = now_ms
        self.plain = True
        """True while every line was read the common way."""
        self._labels: list[Labels | None] = []
        self._values: list[float] = []
        self._own_times: dict[int, int] = {}
        self._metadata: dict[str, dict[str, str]] = {}
        self._ended = False

    def read(self, text: str) -> Page:
        number, line = 0, ""
        try:
            for number, line in enumerate(text.split("\n"), 1):  # noqa: B007 - both are named in the error
                if not line or line[0] == "#":
                    self._comment(line)
                else:
                    self._sample(line)
            if self._open_metrics and not self._ended:
                _fail("the page does not end with '# EOF': it was cut off")
        except BadSample as error:
            shown = line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
            raise BadSample(f"line {number}: {error}: {shown!r}") from None
        return self._page()

    def _page(self) -> Page:
        times = np.full(len(self._values), self._now_ms, dtype=np.int64)
        timed = np.zeros(len(self._values), dtype=np.bool_)
        for k, own in self._own_times.items():
            times[k], timed[k] = own, True
        metadata = {name: Metadata(**fields) for name, fields in self._metadata.items()}
        values = np.array(self._values, dtype=np.float64)
        scraped, labels = len(values), [one for one in self._labels if one is not None]
        if len(labels) == scraped:
            return Page(labels, values, times, timed, metadata, scraped)
        kept = np.flatnonzero([one is not None for one in self._labels])
        return Page(labels, values[kept], times[kept], timed[kept], metadata, scraped, kept)

    def _sample(self, line: str) -> None:
        """The common line by plain string cuts; whatever does not fit them goes to `_slowly`."""
        if self._ended:
            _fail("there is text after '# EOF'")
        cut = line.rfind("} ") + 1 or line.find(" ")
        try:
            if cut <= 0 or "_" in (rest := line[cut:]):
                raise ValueError
            value = float(rest)
            if not rest.isascii():
                raise ValueError
            labels = self._cache[line[:cut]]
        except (ValueError, BadSample):
            self._slowly(line)
            return
        self._labels.append(labels)
        self._values.append(value)

    def _slowly(self, line: str) -> None:
        self.plain = False
        found = _SERIES.match(line)
        assert found is not None  # every part of it is optional
        end = found.end()
        fields = line[end:].partition("#")[0].split()
        text = line[:end].rstrip()
        if not text and line.lstrip()[:1] in ("", "#"):
            return
        if len(fields) not in (1, 2) or (found[2] is None and not line[len(text)].isspace()):
            _fail("'name{label=\"value\",…} value [timestamp]' is expected")
        value = _number(fields[0])
        labels = self._cache[text]
        if len(fields) == 2:
            self._own_times[len(self._values)] = self._time_ms(fields[1])
        self._labels.append(labels)
        self._values.append(value)

    def _time_ms(self, text: str) -> int:
        try:
            number = float(text) * 1000 if self._open_metrics else int(text)
            if "_" in text or not -(2**62) < number < 2**62:
                raise ValueError
        except ValueError:
            _fail(f"'{text}' is not a timestamp")
        return round(number)

    def _comment(self, line: str) -> None:
        if line == "# EOF" and self._open_metrics:
            self._ended = True
            return
        if not line or line[:2] != "# ":
            return
        _, keyword, *rest = line.split(" ", 3)
        if keyword not in ("HELP", "TYPE", "UNIT") or not rest:
            return
        value = rest[1] if len(rest) > 1 else ""
        text = value.strip() if keyword != "HELP" else _ESCAPE.sub(_unescaped, value)
        self._metadata.setdefault(rest[0].strip('"'), {})[keyword.lower()] = text


def _labels(text: str) -> dict[str, str]:
    """The labels in `name{a="b"}`, or in `{"a name", a="b"}` for names that need quotes; empty values are dropped."""
    name, brace, inside = text.partition("{")
    name = name.strip()
    labels = {"__name__": name} if name else {}
    if name and not _NAME.fullmatch(name):
        _fail(f"'{name}' is not a metric name")
    if brace:
        _read_pairs(inside.rstrip(), labels)
    if not labels.get("__name__"):
        _fail("the metric has no name")
    return labels


def _read_pairs(text: str, labels: dict[str, str]) -> None:
    """Adds the labels of `a="b",…}`."""
    if not text.endswith("}"):
        _fail("the labels do not end with '}'")
    plain = _PLAIN.findall(text[:-1])
    used = sum([len(name) + len(value) + 4 for name, value in plain]) - (text[-2:-1] != ",")
    names = {name for name, _ in plain}
    if used == len(text) - 1 and len(names) == len(plain) and names.isdisjoint(labels):  # nothing stands between them
        labels.update([pair for pair in plain if pair[1]])
        return
    seen = set(labels)
    position, end = 0, len(text[:-1].rstrip())
    while position < end:
        found = _LABEL.match(text, position, end)
        if found is not None:
            name, value = found[1] or _ESCAPE.sub(_unescaped, found[2] or ""), found[3]
        elif (found := _QUOTED_NAME.match(text, position, end)) is not None:
            name, value = "__name__", found[1]
        else:
            _fail(f"a label is expected at '{text[position : position + 30]}'")
        if name in seen or not name:
            _fail(f"the label '{name}' is empty or given twice")
        seen.add(name)
        if value:
            labels[name] = _ESCAPE.sub(_unescaped, value) if "\\" in value else value
        position = found.end()


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _number(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        _fail(f"'{text}' is not a number")
    return float(text)


def _fail(problem: str) -> NoReturn:
    raise BadSample(problem)
