"""The tokens of a query and a place among them, the limits of its size, and errors that say where."""

from __future__ import annotations

from typing import NoReturn

from monitoring.errors import BadQuery
from monitoring.promql.lex import Token, duration_ms, fault, number, tokens, unquoted
from monitoring.promql.signatures import AGGREGATIONS
from monitoring.promql.tree import Steps

MAX_OPERATORS = 1_000
MAX_DEPTH = 200

STRENGTH = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">=", "</", ">/"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
"""How strongly operators bind. `^` leans right, all others left; a sign binds like `*`."""

NO_METRIC = frozenset(("bool", "on", "ignoring", "group_left", "group_right", "atan2"))
"""Keywords that cannot be the name of a metric."""

_KEYWORDS = frozenset((*NO_METRIC, "and", "or", "unless", "by", "without", "offset"))
_SIGNS = frozenset((*STRENGTH, "=~", "!~", "=", "@"))


class Words:
    """What all parts of the grammar read with: `next` is the first token that is not yet taken."""

    def __init__(self, query: str, steps: Steps) -> None:
        self.query, self.steps = query, steps
        self._tokens = tokens(query)
        self._next = 0
        self._depth = self._operators = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._next]

    @property
    def keyword(self) -> str:
        """The next token if it is a word, in small letters, else its kind."""
        token = self._tokens[self._next]
        return token.text.lower() if token.kind == "word" else token.kind

    @property
    def after(self) -> Token:
        """The token after the next one."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    @property
    def at_number(self) -> bool:
        return self.next.kind in ("number", "duration") or self.keyword in ("inf", "nan")

    def take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def takes(self, kind: str) -> bool:
        """Whether the next token is a `kind`, which is then taken."""
        found = self._tokens[self._next].kind == kind
        self._next += found
        return found

    def need(self, kind: str, context: str, expected: str) -> Token:
        if self.next.kind != kind:
            self.unexpected(context, expected)
        return self.take()

    def operator(self) -> Token:
        """Takes the next token, and counts it: a query may have so many."""
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise BadQuery(f"query has more than {MAX_OPERATORS} operators")
        return self.take()

    def deeper(self, by: int) -> None:
        self._depth += by
        if self._depth > MAX_DEPTH:
            raise BadQuery(f"query is nested more than {MAX_DEPTH} levels deep")

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        message = f"unexpected {_shown(self.next)}" + (f" in {context}" if context else "")
        self.fail(self.next.place, message + (f", expected {expected}" if expected else ""))

    def fail(self, place: int, message: str) -> NoReturn:
        raise fault(self.query, place, message)

    def value(self) -> float:
        """Takes a number or a duration: seconds."""
        token = self.take()
        if token.kind == "duration":
            found = duration_ms(token.text)
            if found is None:
                self.fail(token.place, f'not a valid duration string: "{token.text}"')
            return found / 1000
        value = number(token.text)
        if value is None:
            self.fail(token.place, f'error parsing number: "{token.text}"')
        return value

    def string(self) -> str:
        """Takes a quoted string."""
        token = self.take()
        text = unquoted(token.text)
        if text is None:
            self.fail(token.place, f"invalid syntax or invalid UTF-8 in the string {token.text}")
        return text


def _shown(token: Token) -> str:
    text = token.text
    if token.kind == "end":
        return "end of input"
    if token.kind == "text":
        return f"string {text}"
    if token.kind == "word":
        low = text.lower()
        if low in _KEYWORDS:
            return f"<op:{low}>" if low in STRENGTH else f"<{low}>"
        return f"<aggr:{low}>" if low in AGGREGATIONS else f'identifier "{text}"'
    if token.kind in ("number", "duration"):
        return f'{token.kind} "{text}"'
    return f"<op:{text}>" if text in _SIGNS else f'"{text}"'
