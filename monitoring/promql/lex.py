"""The text of a query cut into tokens, and what numbers, durations and strings in it stand for."""

from __future__ import annotations

import re
from typing import NamedTuple

from monitoring.errors import BadQuery

MAX_BYTES = 8 * 1024
MAX_DURATION_S = 2**63 / 1e9
"""About 292 years, as in Prometheus."""

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_DURATION = re.compile("".join(rf"(?:(\d+){unit})?" for unit in ("y", "w", "d", "h", "m(?!s)", "s", "ms")), re.ASCII)
_PLACES_MS = tuple(_UNITS_MS[unit] for unit in ("y", "w", "d", "h", "m", "s", "ms"))


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
          (?P<space>(?:[ \t\r\n]+|\#[^\n]*)+)
        | (?P<word>{word})
        | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_.]))
        | (?P<number>(?:0[xX][0-9A-Fa-f_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?
                     |\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.]))
        | (?P<odd>[0-9][A-Za-z0-9_.]*)
        | (?P<text>"(?:\\[^\n]|[^"\\\n])*"|'(?:\\[^\n]|[^'\\\n])*'|`[^`]*`)
        | (?P<quote>["'`])
        | (?P<sign>[=!]~|[=!<>]=|</|>/|[-+*/%^<>=@(){{}}\[\],:])
        """,
        re.VERBOSE,
    )


_OUTSIDE = _pattern("[A-Za-z_:][A-Za-z0-9_:]*")
_IN_BRACKETS = _pattern("[A-Za-z_][A-Za-z0-9_]*")
"""Between `[` and `]` a colon stands between range and step."""

_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)")
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}


class Token(NamedTuple):
    """`kind` is "word", "number", "duration", "text" (quoted), "end", or the sign itself."""

    kind: str
    text: str
    place: int
    """Characters before it."""


def fault(query: str, place: int, message: str) -> BadQuery:
    """The error of a query that cannot be read, with line and column as Prometheus gives them."""
    before = query[:place]
    column = place - before.rfind("\n")
    return BadQuery(f"{before.count(chr(10)) + 1}:{column}: parse error: {message}")


def tokens(query: str) -> list[Token]:
    """All tokens of `query`, an "end" last; space and comments are left out. Raises BadQuery."""
    try:
        size = len(query.encode())
    except UnicodeEncodeError:
        raise BadQuery("query is not UTF-8") from None
    if size > MAX_BYTES:
        raise BadQuery(f"query is longer than {MAX_BYTES} bytes")
    found = []
    place, pattern = 0, _OUTSIDE
    while place < len(query):
        hit = pattern.match(query, place)
        if hit is None:
            raise fault(query, place, f"unexpected character: {query[place]!r}")
        kind, text = str(hit.lastgroup), hit.group()
        if kind in ("odd", "quote"):
            what = "unterminated quoted string" if kind == "quote" else f'bad number or duration syntax: "{text}"'
            raise fault(query, place, what)
        if kind == "sign":
            kind = text
            pattern = _IN_BRACKETS if text == "[" else _OUTSIDE if text == "]" else pattern
        if kind != "space":
            found.append(Token(kind, text, place))
        place = hit.end()
    found.append(Token("end", "", len(query)))
    return found


def number(text: str) -> float | None:
    """The value of a number: whole ones in any base of Go's, others decimal. None where it is none.

    >>> number("0x1F"), number("1_000"), number("010"), number("09"), number("1.5e3"), number("Inf")
    (31.0, 1000.0, 8.0, 9.0, 1500.0, inf)
    """
    try:
        return float(int(text, 8) if re.fullmatch("0[0-7_]+", text) else int(text, 0))
    except (ValueError, OverflowError):
        pass
    try:
        return float(text)
    except ValueError:
        return None


def duration_ms(text: str) -> int | None:
    """Milliseconds of a duration, its units from large to small and each once. None where it is none.

    >>> duration_ms("1h30m"), duration_ms("5m1ms"), duration_ms("30m1h")
    (5400000, 300001, None)
    """
    hit = _DURATION.fullmatch(text)
    if hit is None:
        return None
    return sum(int(count) * unit for count, unit in zip(hit.groups(), _PLACES_MS, strict=True) if count)


def unquoted(text: str) -> str | None:
    r"""What a quoted string says, with Go's escapes. None where one is unknown or the bytes are not UTF-8.

    >>> unquoted(r'"a\tb\x41\u00e9"'), unquoted(r"`a\tb`"), unquoted(r'"\xff"')
    ('a\tbAé', 'a\\tb', None)
    """
    mark, inside = text[0], text[1:-1]
    if mark == "`" or "\\" not in inside:
        return inside
    out, place = bytearray(), 0
    for hit in _ESCAPE.finditer(inside):
        escaped = _escaped(hit, mark)
        if escaped is None:
            return None
        out += inside[place : hit.start()].encode(errors="replace") + escaped
        place = hit.end()
    out += inside[place:].encode(errors="replace")
    try:
        return out.decode()
    except UnicodeDecodeError:
        return None


def _escaped(hit: re.Match[str], mark: str) -> bytes | None:
    letter, octal, byte, short, long = hit.groups()
    if letter is not None:
        known = letter not in "'\"" or letter == mark
        return bytes([_LETTERS.get(letter, ord(letter))]) if known else None
    if octal is not None or byte is not None:
        value = int(octal, 8) if octal is not None else int(byte, 16)
        return bytes([value]) if value < 256 else None
    if short is None and long is None:
        return None
    point = int(short or long, 16)
    return chr(point).encode() if point < 0x110000 and not 0xD800 <= point < 0xE000 else None
