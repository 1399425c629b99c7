"""What may follow a selector: `[range]`, `[range:step]`, `offset`, `@`, `anchored`, `smoothed`; and durations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from monitoring.promql.format import duration_text, plain
from monitoring.promql.lex import MAX_DURATION_S
from monitoring.promql.signatures import SHOWN
from monitoring.promql.tree import Edges, Node, Selector, Spelled, Subquery, kind_of
from monitoring.promql.words import STRENGTH, Words

SUBQUERY_STEP_MS = 60_000
"""Step of a subquery that names none (Prometheus' default evaluation interval)."""

_END_OF_TIME_S = 253_402_300_799
"""The year 9999."""

_EDGES: dict[str, Edges] = {"anchored": "anchored", "smoothed": "smoothed"}
_ARITHMETIC = frozenset(("+", "-", "*", "/", "%", "^"))
_WITHIN = "duration expression"
_PRECEDED = "must be preceded by an instant vector selector or range vector selector or a subquery"


class Duration(NamedTuple):
    """What an expression of durations comes to, and how Prometheus writes it."""

    seconds: float
    text: str
    literal: bool = False
    """Just a number or a duration, whose sign may be turned."""

    @property
    def ms(self) -> int:
        return round(self.seconds * 1000)

    @property
    def spelled(self) -> str:
        """As it stands in a range or an offset, where a plain number is a duration too."""
        if not self.literal:
            return self.text
        return ("-" if self.ms < 0 else "") + duration_text(abs(self.ms))


def postfixed(words: Words, node: Node, place: int) -> Node:
    """`node` with all modifiers that follow it. Selectors in parentheses take none but the brackets of a subquery."""
    while True:
        keyword = words.keyword
        target = node if isinstance(node, Selector | Subquery) else None
        if keyword == "[":
            node = _bracketed(words, node, place)
        elif keyword == "offset":
            node = _offset(words, target)
        elif keyword == "@":
            node = _at(words, target)
        elif keyword in _EDGES:
            node = _edges(words, target, _EDGES[keyword])
        else:
            return node


def _bracketed(words: Words, node: Node, place: int) -> Node:
    opening = words.take()
    width = _positive(words)
    if words.takes(":"):
        step = None if words.next.kind == "]" else _positive(words)
        words.need("]", "subquery selector", '"]"')
        kind = kind_of(node)
        if kind != "vector":
            words.fail(place, f"subquery is only allowed on instant vector, got {SHOWN[kind]} instead")
        spelled = Spelled(range=width.spelled, step=step.spelled if step else "")
        return Subquery(node, width.ms, step.ms if step else SUBQUERY_STEP_MS, spelled=spelled)
    words.need("]", "subquery or range", '":" or "]"')
    if not isinstance(node, Selector) or node.range_ms is not None:
        words.fail(opening.place, "ranges only allowed for vector selectors")
    if node.offset_ms:
        words.fail(opening.place, "no offset modifiers allowed before range")
    if node.at_ms is not None:
        words.fail(opening.place, "no @ modifiers allowed before range")
    return replace(node, range_ms=width.ms, spelled=node.spelled._replace(range=width.spelled))


def _offset(words: Words, target: Selector | Subquery | None) -> Node:
    token = words.take()
    if target is None:
        words.fail(token.place, f"offset modifier {_PRECEDED}")
    if target.offset_ms:
        words.fail(token.place, "offset may not be set multiple times")
    offset = _bounded(words, _offset_duration)
    return replace(target, offset_ms=offset.ms, spelled=target.spelled._replace(offset=offset.spelled))


def _offset_duration(words: Words) -> Duration:
    """Ends after one signed term, so that `x offset 5m + 1` adds to x; only what begins with `(` may go on."""
    sign = words.next.kind
    if sign in ("+", "-") and words.after.kind not in ("+", "-"):
        words.take()
        return _signed(_term(words), sign)
    return duration(words) if sign in ("(", "+", "-") else _term(words)


def _at(words: Words, target: Selector | Subquery | None) -> Node:
    token = words.take()
    if target is None:
        words.fail(token.place, f"@ modifier {_PRECEDED}")
    if target.at_ms is not None:
        words.fail(token.place, "@ <timestamp> may not be set multiple times")
    keyword, place = words.keyword, words.next.place
    if keyword in ("start", "end"):
        words.take()
        _empty_parentheses(words, "@")
        at_s, text = words.steps.seconds(keyword), f"{keyword}()"
    else:
        sign = -1 if words.takes("-") else 1
        if sign > 0:
            words.takes("+")
        if not words.at_number:
            words.unexpected("@", "timestamp")
        at_s = sign * words.value()
        if not abs(at_s) <= _END_OF_TIME_S:
            words.fail(place, f"timestamp out of bounds for @ modifier: {at_s:f}")
        text = f"{at_s:.3f}"
    return replace(target, at_ms=round(at_s * 1000), spelled=target.spelled._replace(at=text))


def _edges(words: Words, target: Selector | Subquery | None, edges: Edges) -> Node:
    token = words.take()
    if isinstance(target, Subquery):
        words.fail(token.place, f"{edges} modifier is not supported for subqueries")
    if target is None:
        words.fail(token.place, f"{edges} modifier must be preceded by a selector")
    if target.edges not in (None, edges):
        words.fail(token.place, "anchored and smoothed modifiers cannot be used together")
    return replace(target, edges=edges)


def _positive(words: Words) -> Duration:
    place = words.next.place
    found = _bounded(words, duration)
    if found.ms <= 0:
        words.fail(place, "duration must be greater than 0")
    return found


def _bounded(words: Words, read: Callable[[Words], Duration]) -> Duration:
    place = words.next.place
    found = read(words)
    if not abs(found.seconds) <= MAX_DURATION_S:
        words.fail(place, "duration out of range")
    return found


def duration(words: Words, least: int = STRENGTH["+"]) -> Duration:
    """Takes an expression of durations."""
    words.deeper(1)
    if words.next.kind in ("+", "-"):
        sign = words.operator().kind
        value = _signed(duration(words, STRENGTH["^"]), sign)
    else:
        value = _term(words)
    while words.next.kind in _ARITHMETIC and (strength := STRENGTH[words.next.kind]) >= least:
        operator = words.operator()
        right = duration(words, strength + (operator.kind != "^"))
        seconds = _computed(words, operator.kind, value.seconds, right.seconds, operator.place)
        value = Duration(seconds, f"{value.text} {operator.kind} {right.text}")
    words.deeper(-1)
    return value


def _signed(value: Duration, sign: str) -> Duration:
    return Duration(-value.seconds, f"-{value.text}", value.literal) if sign == "-" else value


def _term(words: Words) -> Duration:
    if words.at_number:
        token = words.next
        seconds = words.value()
        text = duration_text(round(seconds * 1000)) if token.kind == "duration" else plain(seconds)
        return Duration(seconds, text, literal=True)
    match words.keyword:
        case "(":
            words.take()
            value = duration(words)
            words.need(")", _WITHIN, '")"')
            return value if value.literal else Duration(value.seconds, f"({value.text})")
        case "step" | "range" as name:
            words.take()
            _empty_parentheses(words, _WITHIN)
            return Duration(words.steps.seconds(name), f"{name}()")
        case name if name not in ("min_of", "max_of"):
            words.unexpected(_WITHIN, "number, duration, step(), or range()")
    return _either(words)


def _either(words: Words) -> Duration:
    name = words.take().text.lower()
    words.need("(", _WITHIN, '"("')
    first = duration(words)
    words.need(",", _WITHIN, '","')
    second = duration(words)
    words.need(")", _WITHIN, '")"')
    pick = min if name == "min_of" else max
    return Duration(pick(first.seconds, second.seconds), f"{name}({first.text}, {second.text})")


def _empty_parentheses(words: Words, context: str) -> None:
    words.need("(", context, '"("')
    words.need(")", context, '")"')


def _computed(words: Words, op: str, left: float, right: float, place: int) -> float:
    if right == 0 and op in ("/", "%"):
        words.fail(place, "division by zero" if op == "/" else "modulo by zero")
    try:
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
        return math.pow(left, right)
    except (ValueError, OverflowError):  # 0 ^ -1, infinite % 1, and powers beyond all floats
        words.fail(place, "duration out of range")
