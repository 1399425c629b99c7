"""From a query's text to its result: `plan` says what must be read, `run` computes over what was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from monitoring.columns import Columns
from monitoring.errors import BadQuery, FailedQuery, QueryTooExpensive
from monitoring.model import Selection, Series
from monitoring.promql.evaluate import Evaluation
from monitoring.promql.longrange import LongRange, rolled_up
from monitoring.promql.parse import parse
from monitoring.promql.tree import Kind, Node, Selector, Steps, Subquery, kind_of, parts_of
from monitoring.promql.values import InstantVector, Ints, Limits, Result, Value, compact, named_off

LOOKBACK_MS = 300_000
"""How old a sample may be and still count as current (Prometheus' default)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query that can be evaluated, and what must be read for it. Times are unix milliseconds."""

    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    lookback_ms: int
    selections: tuple[Selection, ...]
    root: Node
    kind: Kind


def plan(
    query: str,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    *,
    lookback_ms: int = LOOKBACK_MS,
    long_range: LongRange | None = None,
) -> Plan:
    """The plan of `query` at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; instant where both are equal.

    With `long_range`, what reaches far back reads samples that were rolled up. Raises BadQuery.

    >>> plan("rate(x_total[5m] offset 1m)", 600_000, 600_000, 1).selections[0][1:3]
    (240000, 540000)
    """
    if end_ms < start_ms:
        raise BadQuery("end timestamp must not be before start time")
    if step_ms <= 0:
        raise BadQuery("zero or negative query resolution step widths are not accepted. Try a positive integer")
    steps = Steps(start_ms, end_ms, step_ms, lookback_ms)
    try:
        root, selections = parse(query, steps)
    except RecursionError:
        raise BadQuery("query is nested too deeply") from None
    kind = kind_of(root)
    if long_range is not None:
        root, selections = rolled_up(root, selections, steps, long_range)
    if start_ms != end_ms and kind in ("matrix", "string"):
        shown = "range vector" if kind == "matrix" else kind
        raise BadQuery(f'invalid expression type "{shown}" for range query, must be Scalar or instant Vector')
    return Plan(query, start_ms, end_ms, step_ms, lookback_ms, tuple(selections), root, kind)


def most_steps(planned: Plan) -> int:
    """At how many steps the finest part of the query is evaluated: its own, or those of a subquery."""
    return _most_steps(planned.root, planned.start_ms, planned.end_ms, planned.step_ms)


def _most_steps(node: Node, start_ms: int, end_ms: int, step_ms: int) -> int:
    if isinstance(node, Subquery):
        start_ms, step_ms = start_ms - node.range_ms, node.step_ms
    own = (end_ms - start_ms) // step_ms + 1
    return max(own, *(_most_steps(part, start_ms, end_ms, step_ms) for part in parts_of(node)), 1)


def run(planned: Plan, data: Sequence[Sequence[Series]], limits: Limits | None = None) -> Result:
    """The result of `planned` over `data`, one list of series a selection. Raises FailedQuery, QueryTooExpensive."""
    limits = limits or Limits()
    if (planned.end_ms - planned.start_ms) // planned.step_ms >= limits.points:
        raise QueryTooExpensive(
            f"exceeded maximum resolution of {limits.points:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    columns = [Columns.of(found) for found in data]
    samples = sum(len(found.values) for found in columns)
    if samples > limits.samples:
        raise QueryTooExpensive("query processing would load too many samples into memory in query execution")
    steps = np.arange(planned.start_ms, planned.end_ms + 1, planned.step_ms, dtype=np.int64)
    evaluation = Evaluation(columns, planned.lookback_ms, limits)
    try:
        with np.errstate(all="ignore"):  # 1/0, overflow and NaN are values in PromQL, not accidents
            return replace(_evaluated(planned, evaluation, steps), samples=samples)
    except BadQuery as error:
        raise FailedQuery(str(error)) from error
    except RecursionError:
        raise FailedQuery("query is nested too deeply") from None


def _evaluated(planned: Plan, evaluation: Evaluation, steps: Ints) -> Result:
    if isinstance(planned.root, Selector | Subquery) and planned.kind == "matrix":
        series = evaluation.series(planned.root, steps)
        empty = np.zeros((0, 1))
        return Result("matrix", [], steps, empty, empty.astype(bool), series=series)
    value = evaluation.evaluate(planned.root, steps)
    notes = tuple(dict.fromkeys(evaluation.warnings)), tuple(dict.fromkeys(evaluation.infos))
    return _result(planned, value, steps, *notes)


def _result(planned: Plan, value: Value, steps: Ints, warnings: tuple[str, ...], infos: tuple[str, ...]) -> Result:
    if isinstance(value, InstantVector):
        found = compact(named_off(value))
        return Result(planned.kind, found.labels, steps, found.values, found.present, [], "", warnings, infos)
    if isinstance(value, str):
        empty = np.zeros((0, 1))
        return Result("string", [], steps, empty, empty.astype(bool), string=value)
    row = np.array(value)[None, :]
    return Result("scalar", [{}], steps, row, np.ones(row.shape, dtype=bool), [], "", warnings, infos)
