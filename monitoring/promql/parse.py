"""From PromQL text to a `tree.Node` and the selections that it reads."""

from __future__ import annotations

from dataclasses import replace

from monitoring.model import Selection
from monitoring.promql.grammar import written
from monitoring.promql.info import info_matchers
from monitoring.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Constant,
    Negate,
    Node,
    Number,
    Paren,
    Selector,
    Steps,
    Subquery,
    Text,
    bare,
)

Span = tuple[int, int]
"""First and last time at which an expression is evaluated."""

_DATES = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
_CLOCKED = frozenset((*_DATES, "time", "predict_linear", "timestamp"))
"""Functions that look at the time of evaluation."""


def parse(query: str, steps: Steps) -> tuple[Node, list[Selection]]:
    """The tree of `query`, evaluated at `steps`, and what it reads. Raises BadQuery."""
    reader = _Reader(steps)
    node, constant = reader.read(written(query, steps), (steps.start_ms, steps.end_ms))
    return _pinned(node, constant), reader.selections


Read = tuple[Node, bool]
"""A node, and whether it is the same at every step."""


class _Reader:
    """One walk over the tree as written: places selectors, and wraps what is the same at every step."""

    def __init__(self, steps: Steps) -> None:
        self.selections: list[Selection] = []
        self._steps = steps

    def read(self, node: Node, span: Span) -> Read:
        match node:
            case Selector():
                return self._selector(node, span)
            case Subquery():
                return self._subquery(node, span)
            case Negate():
                inner, constant = self.read(node.inner, span)
                return Negate(inner), constant
            case Binary():
                return self._binary(node, span)
            case Aggregate():
                return self._aggregate(node, span)
            case Paren():
                return self.read(bare(node), span)
            case Call(name="start" | "end" | "range" | "step"):
                return Number(self._steps.seconds(node.name)), True
            case Call():
                return self._info(node, span) if node.name == "info" else self._call(node, span)
        return node, True

    def _selector(self, node: Selector, span: Span) -> Read:
        first, last = span if node.at_ms is None else (node.at_ms, node.at_ms)
        reach = self._steps.lookback_ms if node.range_ms is None else node.range_ms
        if node.range_ms is not None and node.edges is not None:
            reach += self._steps.lookback_ms
        ahead = self._steps.lookback_ms if node.edges == "smoothed" else 0
        selection = Selection(node.matchers, first - node.offset_ms - reach, last - node.offset_ms + ahead)
        return replace(node, slot=self._slot(selection)), node.at_ms is not None

    def _slot(self, selection: Selection) -> int:
        if selection not in self.selections:
            self.selections.append(selection)
        return self.selections.index(selection)

    def _subquery(self, node: Subquery, span: Span) -> Read:
        first, last = span if node.at_ms is None else (node.at_ms, node.at_ms)
        inner_span = (first_step(first - node.offset_ms - node.range_ms, node.step_ms), last - node.offset_ms)
        inner, constant = self.read(node.inner, inner_span)
        return replace(node, inner=_pinned(inner, constant)), node.at_ms is not None

    def _binary(self, node: Binary, span: Span) -> Read:
        """A chain of operators leans left and may be 1,000 long: walked in a loop, not by recursion."""
        chain = []
        first: Node = node
        while isinstance(first, Binary):
            chain.append(first)
            first = first.left
        left, left_constant = self.read(first, span)
        for link in reversed(chain):
            right, right_constant = self.read(link.right, span)
            constant = left_constant and right_constant
            if not constant:
                left, right = _pinned(left, left_constant), _pinned(right, right_constant)
            left = replace(link, left=left, right=right)
            left_constant = constant
        return left, left_constant

    def _aggregate(self, node: Aggregate, span: Span) -> Read:
        inner, constant = self.read(node.inner, span)
        param: Node | None = None
        if node.param is not None:
            param, param_constant = self.read(node.param, span)
            if constant and not param_constant:
                inner, constant = _pinned(inner, True), False
        return replace(node, inner=inner, param=param), constant

    def _call(self, node: Call, span: Span) -> Read:
        name = node.name
        args = [self.read(arg, span) for arg in node.args]
        constant = all(fixed for _, fixed in args) and name not in _CLOCKED
        nodes = [arg if constant or _is_range(arg) else _pinned(arg, fixed) for arg, fixed in args]
        if name == "timestamp":  # needs the selector itself, for the time of its samples
            nodes = [arg for arg, _ in args]
        return replace(node, args=tuple(nodes)), constant

    def _info(self, node: Call, span: Span) -> Read:
        """`info(v)` and `info(v, {…})`, with the selector of the info series that it reads."""
        inner, constant = self.read(node.args[0], span)
        wanted = node.args[1] if len(node.args) > 1 else None
        matchers = info_matchers(wanted.matchers if isinstance(wanted, Selector) else ())
        series, _ = self.read(Selector(matchers), span)
        return replace(node, args=(inner, series)), constant


def first_step(after_ms: int, step_ms: int) -> int:
    """The first multiple of `step_ms` strictly after `after_ms`: where a subquery's steps begin."""
    return (after_ms // step_ms + 1) * step_ms


def _pinned(node: Node, constant: bool) -> Node:
    return Constant(node) if constant and not isinstance(node, Number | Text) and not _is_range(node) else node


def _is_range(node: Node) -> bool:
    return isinstance(node, Subquery) or (isinstance(node, Selector) and node.range_ms is not None)
