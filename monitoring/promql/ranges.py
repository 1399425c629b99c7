"""What may follow a selector: `[range]`, `[range:step]`, `offset`, `@`, `anchored`, `smoothed`; and durations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from monitoring.promql.lex import MAX_DURATION_S
from monitoring.promql.signatures import SHOWN
from monitoring.promql.tree import Edges, Node, Selector, Subquery, kind_of
from monitoring.promql.words import STRENGTH, Words

SUBQUERY_STEP_MS = 60_000
"""Step of a subquery that names none (Prometheus' default evaluation interval)."""

_END_OF_TIME_S = 253_402_300_799
"""The year 9999."""

_EDGES: dict[str, Edges] = {"anchored": "anchored", "smoothed": "smoothed"}
_ARITHMETIC = frozenset(("+", "-", "*", "/", "%", "^"))
_WITHIN = "duration expression"
_PRECEDED = "must be preceded by an instant vector selector or range vector selector or a subquery"


def postfixed(words: Words, node: Node, wrapped: bool, place: int) -> Node:
    """`node` with all modifiers that follow it; `wrapped`: it stands in parentheses, which no selector may."""
    while True:
        keyword = words.keyword
        target = None if wrapped or not isinstance(node, Selector | Subquery) else node
        if keyword == "[":
            node, wrapped = _bracketed(words, node, wrapped, place), False
        elif keyword == "offset":
            node = _offset(words, target)
        elif keyword == "@":
            node = _at(words, target)
        elif keyword in _EDGES:
            node = _edges(words, target, _EDGES[keyword])
        else:
            return node


def _bracketed(words: Words, node: Node, wrapped: bool, place: int) -> Node:
    opening = words.take()
    range_ms = _positive_ms(words)
    if words.takes(":"):
        step_ms = SUBQUERY_STEP_MS if words.next.kind == "]" else _positive_ms(words)
        words.need("]", "subquery selector", '"]"')
        kind = kind_of(node)
        if kind != "vector":
            words.fail(place, f"subquery is only allowed on instant vector, got {SHOWN[kind]} instead")
        return Subquery(node, range_ms, step_ms)
    words.need("]", "subquery or range", '":" or "]"')
    if wrapped or not isinstance(node, Selector) or node.range_ms is not None:
        words.fail(opening.place, "ranges only allowed for vector selectors")
    if node.offset_ms:
        words.fail(opening.place, "no offset modifiers allowed before range")
    if node.at_ms is not None:
        words.fail(opening.place, "no @ modifiers allowed before range")
    return replace(node, range_ms=range_ms)


def _offset(words: Words, target: Selector | Subquery | None) -> Node:
    token = words.take()
    if target is None:
        words.fail(token.place, f"offset modifier {_PRECEDED}")
    if target.offset_ms:
        words.fail(token.place, "offset may not be set multiple times")
    place = words.next.place
    return replace(target, offset_ms=_milliseconds(words, _offset_s(words), place))


def _offset_s(words: Words) -> float:
    """Ends after one signed term, so that `x offset 5m + 1` adds to x; only what begins with `(` may go on."""
    sign = words.next.kind
    if sign in ("+", "-") and words.after.kind not in ("+", "-"):
        words.take()
        value = _term(words)
        return -value if sign == "-" else value
    return duration_s(words) if sign in ("(", "+", "-") else _term(words)


def _at(words: Words, target: Selector | Subquery | None) -> Node:
    token = words.take()
    if target is None:
        words.fail(token.place, f"@ modifier {_PRECEDED}")
    if target.at_ms is not None:
        words.fail(token.place, "@ <timestamp> may not be set multiple times")
    keyword, place = words.keyword, words.next.place
    if keyword in ("start", "end"):
        words.take()
        words.need("(", "@", '"("')
        words.need(")", "@", '")"')
        return replace(target, at_ms=words.steps.start_ms if keyword == "start" else words.steps.end_ms)
    sign = -1 if words.takes("-") else 1
    if sign > 0:
        words.takes("+")
    if not words.at_number:
        words.unexpected("@", "timestamp")
    at_s = sign * words.value()
    if not abs(at_s) <= _END_OF_TIME_S:
        words.fail(place, f"timestamp out of bounds for @ modifier: {at_s:f}")
    return replace(target, at_ms=round(at_s * 1000))


def _edges(words: Words, target: Selector | Subquery | None, edges: Edges) -> Node:
    token = words.take()
    if isinstance(target, Subquery):
        words.fail(token.place, f"{edges} modifier is not supported for subqueries")
    if target is None:
        words.fail(token.place, f"{edges} modifier must be preceded by a selector")
    if target.edges not in (None, edges):
        words.fail(token.place, "anchored and smoothed modifiers cannot be used together")
    return replace(target, edges=edges)


def _positive_ms(words: Words) -> int:
    place = words.next.place
    found = _milliseconds(words, duration_s(words), place)
    if found <= 0:
        words.fail(place, "duration must be greater than 0")
    return found


def _milliseconds(words: Words, duration: float, place: int) -> int:
    if not abs(duration) <= MAX_DURATION_S:
        words.fail(place, "duration out of range")
    return round(duration * 1000)


def duration_s(words: Words, least: int = STRENGTH["+"]) -> float:
    """Takes an expression of durations: its value in seconds."""
    words.deeper(1)
    if words.next.kind in ("+", "-"):
        negative = words.operator().kind == "-"
        value = duration_s(words, STRENGTH["^"])
        value = -value if negative else value
    else:
        value = _term(words)
    while words.next.kind in _ARITHMETIC and (strength := STRENGTH[words.next.kind]) >= least:
        operator = words.operator()
        right = duration_s(words, strength + (operator.kind != "^"))
        value = _computed(words, operator.kind, value, right, operator.place)
    words.deeper(-1)
    return value


def _term(words: Words) -> float:
    if words.at_number:
        return words.value()
    match words.keyword:
        case "(":
            words.take()
            value = duration_s(words)
            words.need(")", _WITHIN, '")"')
            return value
        case "step" | "range" as name:
            words.take()
            words.need("(", _WITHIN, '"("')
            words.need(")", _WITHIN, '")"')
            return words.of_the_query(name)
        case name if name not in ("min_of", "max_of"):
            words.unexpected(_WITHIN, "number, duration, step(), or range()")
    return _either(words, min if words.keyword == "min_of" else max)


def _either(words: Words, pick: Callable[[float, float], float]) -> float:
    words.take()
    words.need("(", _WITHIN, '"("')
    first = duration_s(words)
    words.need(",", _WITHIN, '","')
    second = duration_s(words)
    words.need(")", _WITHIN, '")"')
    return pick(first, second)


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
