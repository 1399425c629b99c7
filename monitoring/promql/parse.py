"""From PromQL text to a `tree.Node` and the selections that it reads, by way of the `promql_parser` package."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import promql_parser as ast

from monitoring.errors import BadQuery
from monitoring.model import Matcher, Selection
from monitoring.promql.guard import guard
from monitoring.promql.select import compile_matchers
from monitoring.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Constant,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    kind_of,
)

SUBQUERY_STEP_MS = 60_000
"""Step of a subquery that names none (Prometheus' default evaluation interval)."""

Card = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]
Op = Literal["=", "!=", "=~", "!~"]
Span = tuple[int, int]
"""First and last time at which an expression is evaluated."""

_OPS: dict[str, Op] = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_KINDS: dict[str, Kind] = {"Scalar": "scalar", "Vector": "vector", "Matrix": "matrix", "String": "string"}
_CARDS: dict[str, Card] = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}
_SETS = frozenset(("and", "or", "unless"))
_DATES = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
_CLOCKED = frozenset((*_DATES, "time", "predict_linear", "timestamp"))
"""Functions that look at the time of evaluation."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(query: str, start_ms: int, end_ms: int, lookback_ms: int) -> tuple[Node, list[Selection]]:
    """The tree of `query`, evaluated from `start_ms` to `end_ms`, and what it reads. Raises BadQuery."""
    guard(query)
    if not query.strip():
        raise BadQuery("unknown position: parse error: no expression found in input")
    try:
        parsed = ast.parse(query)
    except ValueError as exc:
        raise BadQuery(f"parse error: {exc}") from exc
    reader = _Reader(start_ms, end_ms, lookback_ms)
    try:
        node, constant = reader.read(parsed, (start_ms, end_ms))
    except (ValueError, OverflowError) as exc:  # a duration or time that fits no datetime
        raise BadQuery(f"parse error: {exc}") from exc
    return _pinned(node, constant), reader.selections


Read = tuple[Node, bool]
"""A node, and whether it is the same at every step."""


class _Reader:
    """One walk over the parser's tree; collects selections on the way."""

    def __init__(self, start_ms: int, end_ms: int, lookback_ms: int) -> None:
        self.selections: list[Selection] = []
        self._start, self._end, self._lookback = start_ms, end_ms, lookback_ms

    def read(self, expr: Any, span: Span) -> Read:
        while isinstance(expr, ast.ParenExpr):
            expr = expr.expr
        match expr:
            case ast.NumberLiteral():
                return Number(expr.val), True
            case ast.StringLiteral():
                return Text(expr.val), True
            case ast.VectorSelector():
                return self._selector(expr, span, None)
            case ast.MatrixSelector():
                return self._selector(expr.vector_selector, span, _ms(expr.range))
            case ast.SubqueryExpr():
                return self._subquery(expr, span)
            case ast.UnaryExpr():
                inner, constant = self.read(expr.expr, span)
                return Negate(inner), constant
            case ast.BinaryExpr():
                return self._binary(expr, span)
            case ast.AggregateExpr():
                return self._aggregate(expr, span)
            case ast.Call():
                return self._call(expr, span)
        raise BadQuery(f"cannot evaluate a {type(expr).__name__}")

    def _at(self, expr: Any) -> int | None:
        if expr.at is None:
            return None
        kind = str(expr.at.type).rpartition(".")[2]
        if kind != "At":
            return self._start if kind == "Start" else self._end
        try:
            return _ms(expr.at.at - _EPOCH)
        except (OverflowError, ValueError) as exc:
            raise BadQuery("timestamp out of bounds for @ modifier") from exc

    def _selector(self, expr: Any, span: Span, range_ms: int | None) -> Read:
        if expr.matchers.or_matchers:
            raise BadQuery("'or' between matchers is not supported: write two selectors joined by 'or'")
        matchers = _matchers(expr)
        at, offset = self._at(expr), _ms(expr.offset)
        first, last = span if at is None else (at, at)
        reach = self._lookback if range_ms is None else range_ms
        slot = self._slot(Selection(matchers, first - offset - reach, last - offset))
        return Selector(matchers, slot, offset, at, range_ms), at is not None

    def _slot(self, selection: Selection) -> int:
        if selection not in self.selections:
            self.selections.append(selection)
        return self.selections.index(selection)

    def _subquery(self, expr: Any, span: Span) -> Read:
        at, offset, width = self._at(expr), _ms(expr.offset), _ms(expr.range)
        step = _ms(expr.step) or SUBQUERY_STEP_MS
        first, last = span if at is None else (at, at)
        inner_span = (first_step(first - offset - width, step), last - offset)
        inner, constant = self.read(expr.expr, inner_span)
        return Subquery(_pinned(inner, constant), width, step, offset, at), at is not None

    def _binary(self, expr: Any, span: Span) -> Read:
        """A chain of operators leans left and may be 1,000 long: walked in a loop, not by recursion."""
        chain = []
        while isinstance(expr, ast.BinaryExpr):
            chain.append(expr)
            expr = expr.lhs
        left, left_constant = self.read(expr, span)
        for link in reversed(chain):
            right, right_constant = self.read(link.rhs, span)
            constant = left_constant and right_constant
            if not constant:
                left, right = _pinned(left, left_constant), _pinned(right, right_constant)
            returns_bool = link.modifier is not None and link.modifier.return_bool
            kind: Kind = "scalar" if kind_of(left) == kind_of(right) == "scalar" else "vector"
            left = Binary(str(link.op), left, right, returns_bool, _matching(str(link.op), link.modifier), kind)
            left_constant = constant
        return left, left_constant

    def _aggregate(self, expr: Any, span: Span) -> Read:
        inner, constant = self.read(expr.expr, span)
        param: Node | None = None
        if expr.param is not None:
            param, param_constant = self.read(expr.param, span)
            if constant and not param_constant:
                inner, constant = _pinned(inner, True), False
        modifier = expr.modifier
        by = modifier is None or str(modifier.type).endswith("By")
        labels = tuple(modifier.labels) if modifier is not None else ()
        return Aggregate(str(expr.op), inner, param, by, labels), constant

    def _call(self, expr: Any, span: Span) -> Read:
        name = expr.func.name
        args = [self.read(arg, span) for arg in expr.args]
        constant = all(fixed for _, fixed in args) and name not in _CLOCKED
        nodes = [node if constant or _is_range(node) else _pinned(node, fixed) for node, fixed in args]
        if name == "timestamp":  # needs the selector itself, for the time of its samples
            nodes = [node for node, _ in args]
        return Call(name, tuple(nodes), _KINDS[str(expr.func.return_type).rpartition(".")[2]]), constant


def first_step(after_ms: int, step_ms: int) -> int:
    """The first multiple of `step_ms` strictly after `after_ms`: where a subquery's steps begin."""
    return (after_ms // step_ms + 1) * step_ms


def _pinned(node: Node, constant: bool) -> Node:
    return Constant(node) if constant and not isinstance(node, Number | Text) and not _is_range(node) else node


def _is_range(node: Node) -> bool:
    return isinstance(node, Subquery) or (isinstance(node, Selector) and node.range_ms is not None)


def _matchers(expr: Any) -> tuple[Matcher, ...]:
    named = [Matcher("__name__", "=", expr.name)] if expr.name else []
    found = [Matcher(m.name, _OPS[str(m.op).rpartition(".")[2]], m.value) for m in expr.matchers.matchers]
    matchers = tuple(named + found)
    compile_matchers(matchers)
    return matchers


def _matching(op: str, modifier: Any) -> Matching:
    if modifier is None:
        return Matching(card="many-to-many" if op in _SETS else "one-to-one")
    labels: Sequence[str] = modifier.matching.labels if modifier.matching is not None else ()
    on = modifier.matching is not None and str(modifier.matching.type).endswith("Include")
    card = _CARDS[str(modifier.card).rpartition(".")[2]]
    include = tuple(modifier.group_labels or ())
    if on and set(include) & set(labels):
        raise BadQuery(f'label "{min(set(include) & set(labels))}" must not occur in ON and GROUP clause at once')
    fills = modifier.fill_values
    return Matching(on, tuple(labels), card, include, fills and fills.lhs, fills and fills.rhs)


def _ms(delta: timedelta | None) -> int:
    return 0 if delta is None else delta // timedelta(milliseconds=1)
