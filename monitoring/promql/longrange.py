"""Which selectors of a query may be read from samples rolled up by five minutes, and the query that then does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from monitoring.model import Selection
from monitoring.promql.tree import Aggregate, Binary, Call, Constant, Matching, Negate, Node, Selector, Steps, Subquery

BUCKET_MS = 300_000
_EVER = 1 << 62
_COLUMNS = {"min_over_time": "min", "max_over_time": "max", "sum_over_time": "sum"}


class LongRange(NamedTuple):
    """When rolled up samples are taken: for spans over `over_ms` where they are exact, before `raw_from_ms` always."""

    over_ms: int
    raw_from_ms: int


def rolled_up(
    root: Node, selections: Sequence[Selection], steps: Steps, terms: LongRange
) -> tuple[Node, list[Selection]]:
    """The tree and its selections, with rolled up ones wherever they may be."""
    work = _Rewrite(selections, steps, terms)
    node = work.node(root)
    return node, list(work.places)


class _Rewrite:
    def __init__(self, selections: Sequence[Selection], steps: Steps, terms: LongRange) -> None:
        self.places: dict[Selection, int] = {}
        """The selections of the new tree, in the order of their slots."""
        self._selections = selections
        self._steps = steps
        self._terms = terms

    def node(self, node: Node) -> Node:
        """`node` as it is evaluated at the steps of the query."""
        match node:
            case Selector():
                return self._selector(node)
            case Call():
                return self._call(node)
            case Constant() | Subquery():  # evaluated at other steps
                return self._raw(node)
            case Aggregate(param=param):
                return replace(node, inner=self.node(node.inner), param=None if param is None else self.node(param))
            case Negate():
                return replace(node, inner=self.node(node.inner))
            case Binary():
                return replace(node, left=self.node(node.left), right=self.node(node.right))
        return node

    def _raw(self, node: Node) -> Node:
        """`node` with nothing rolled up in it."""
        work = _Rewrite(self._selections, self._steps, LongRange(_EVER, -_EVER))
        work.places = self.places
        return replace(node, inner=work.node(node.inner)) if isinstance(node, Constant | Subquery) else work.node(node)

    def _selector(self, node: Selector) -> Selector:
        exact = node.range_ms is None and self._steps.lookback_ms == BUCKET_MS and self._exact(node)
        return self._placed(node, "last" if exact or self._before_raw(node) else None, exact)

    def _call(self, node: Call) -> Node:
        selector = next((arg for arg in node.args if isinstance(arg, Selector) and arg.range_ms is not None), None)
        if selector is not None and ((exact := self._exact(selector)) or self._before_raw(selector)):
            if column := _COLUMNS.get(node.name):
                return replace(node, args=(self._placed(selector, column, exact),))
            if node.name == "count_over_time":
                return self._over(selector, "count", exact)
            if node.name == "avg_over_time":
                total, count = self._over(selector, "sum", exact), self._over(selector, "count", exact)
                return Binary("/", total, count, False, Matching(), "vector")
        if node.name == "info" and isinstance(node.args[1], Selector):  # which of two is newer: buckets cannot say
            return replace(node, args=(self.node(node.args[0]), self._placed(node.args[1], None, False)))
        return replace(node, args=tuple(self.node(arg) for arg in node.args))

    def _over(self, node: Selector, column: str, exact: bool) -> Call:
        """The sum of a column over the selector's windows."""
        return Call("sum_over_time", (self._placed(node, column, exact),), "vector")

    def _exact(self, node: Selector) -> bool:
        """Whether buckets give the figures that raw samples give, and the span is long enough to care."""
        selection, steps = self._selections[node.slot], self._steps
        aligned = all(ms % BUCKET_MS == 0 for ms in (steps.start_ms, node.offset_ms, node.range_ms or 0))
        aligned = aligned and (steps.start_ms == steps.end_ms or steps.step_ms % BUCKET_MS == 0)
        alone = node.at_ms is None and node.edges is None
        return aligned and alone and selection.end_ms - selection.start_ms > self._terms.over_ms

    def _before_raw(self, node: Selector) -> bool:
        return self._selections[node.slot].start_ms < self._terms.raw_from_ms

    def _placed(self, node: Selector, column: str | None, exact: bool) -> Selector:
        before = _EVER if exact else self._terms.raw_from_ms
        selection = self._selections[node.slot]
        if column is not None:
            selection = selection._replace(rollup=column, rolled_before_ms=before)
        return replace(node, slot=self.places.setdefault(selection, len(self.places)))
