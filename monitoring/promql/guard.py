"""What a query must keep to before the parser sees it: deep nesting would overflow its stack and end the process."""

from __future__ import annotations

import re

from monitoring.errors import BadQuery

MAX_BYTES = 8 * 1024
MAX_OPERATORS = 1_000
MAX_DEPTH = 200

_TOKEN = re.compile(
    r"""
      (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    | (?P<comment>\#[^\n]*)
    | (?P<space>\s+)
    | (?P<operand>[0-9][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?|\.[0-9]+|[A-Za-z_:][A-Za-z0-9_:.]*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<operator>[=!]~|[=!<>]=|[-+*/%^<>=@])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset(("and", "or", "unless", "atan2"))
_RAW_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\(?:x[89a-fA-F]|[23][0-7]{2})")


def guard(query: str) -> None:
    """Return when the parser can take `query`. Raises BadQuery for what is too long, too deep or silently misread."""
    if len(query.encode(errors="replace")) > MAX_BYTES:
        raise BadQuery(f"query is longer than {MAX_BYTES} bytes")
    operators = depth = powers = run = 0
    before = ""
    for token in _TOKEN.finditer(query):
        kind, text = str(token.lastgroup), token.group()
        if kind in ("space", "comment"):
            continue
        if kind == "text" and text[0] != "`" and _RAW_BYTE.search(text):
            raise BadQuery("invalid UTF-8 in a string: write the character itself, or \\u")
        if before == "@" and text == "-":
            raise BadQuery("negative times are not allowed after '@'")
        is_operator = kind == "operator" or text.lower() in _WORDS
        operators += is_operator
        powers += text == "^"
        depth += (kind == "open") - (kind == "close")
        run = run + 1 if is_operator else 0
        if max(depth + run, powers) > MAX_DEPTH:
            raise BadQuery(f"query is nested more than {MAX_DEPTH} levels deep")
        if operators > MAX_OPERATORS:
            raise BadQuery(f"query has more than {MAX_OPERATORS} operators")
        before = text
