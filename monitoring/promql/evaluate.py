"""Evaluates a parsed query: one visit a node, all series and all steps at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from monitoring.columns import Columns
from monitoring.errors import BadQuery, QueryTooExpensive
from monitoring.model import Labels, Matcher, Series
from monitoring.promql import aggregate, binary, histograms, relabel
from monitoring.promql.edges import edged_series, interpolated, over_edges
from monitoring.promql.elementwise import DATES, MATHS, apply
from monitoring.promql.format import open_metrics
from monitoring.promql.info import enriched
from monitoring.promql.overtime import RANGE_FUNCTIONS
from monitoring.promql.parse import first_step
from monitoring.promql.sampling import sampled
from monitoring.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Constant,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    kind_of,
)
from monitoring.promql.values import (
    NAME,
    TIMED_OUT,
    Bools,
    Floats,
    InstantVector,
    Ints,
    Limits,
    Value,
    alive_rows,
    compact,
    nothing,
    stacked,
    take,
    vector,
)
from monitoring.promql.windows import RangeVector, from_steps, latest, open_windows, without_stale

_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


class Evaluation:
    """One run of one query over its data; gathers what the asker should be told."""

    def __init__(self, data: Sequence[Columns], lookback_ms: int, limits: Limits) -> None:
        self.warnings: list[str] = []
        self.infos: list[str] = []
        self._data, self._lookback, self._limits = data, lookback_ms, limits
        self._without_stale: dict[int, Columns] = {}
        self._deadline = time.monotonic() + limits.seconds

    def evaluate(self, node: Node, steps: Ints) -> Value:
        """The value of `node` at each of `steps` (unix ms). Raises BadQuery, QueryTooExpensive."""
        self._check(node)
        match node:
            case Number():
                return np.full(len(steps), node.value)
            case Text():
                return node.value
            case Selector():
                return self.selected(node, steps)[0]
            case Constant():
                return _spread(self.evaluate(node.inner, steps[:1]), len(steps))
            case Negate():
                return _negated(self.evaluate(node.inner, steps))
            case Binary():
                return self._binary(node, steps)
            case Aggregate():
                param = None if node.param is None else self.evaluate(node.param, steps)
                return self._aggregate(node, self.vector(node.inner, steps), param)
            case Call():
                return self._call(node, steps)
        raise BadQuery(f"cannot evaluate a {type(node).__name__}")

    def vector(self, node: Node, steps: Ints) -> InstantVector:
        value = self.evaluate(node, steps)
        if not isinstance(value, InstantVector):
            raise BadQuery("an instant vector is needed here")
        self._afford(value.values.size)
        return value

    def scalar(self, node: Node, steps: Ints) -> Floats:
        value = self.evaluate(node, steps)
        if not isinstance(value, np.ndarray):
            raise BadQuery("a scalar is needed here")
        return value

    def selected(self, node: Selector, steps: Ints) -> tuple[InstantVector, Ints]:
        """An instant vector selector, and the times (unix ms) of the samples it found."""
        smoothed = node.edges == "smoothed"
        samples = self._samples(node.slot, keep_stale=not smoothed)
        at = steps if node.at_ms is None else np.full(1, node.at_ms)
        self._afford(len(samples.labels) * len(steps))
        if smoothed and samples.labels:
            found = interpolated(samples, at - node.offset_ms, self._lookback)
            times = np.broadcast_to(at, found.values.shape)
        else:
            found, times = latest(samples, at - node.offset_ms, self._lookback)
        alive = alive_rows(found.present)
        if not alive.all():
            found, times = take(found, alive), times[alive]
        return _widened(found, len(steps)), np.broadcast_to(times, (len(found.labels), len(steps)))

    def windows(self, node: Node, steps: Ints) -> RangeVector:
        """A range selector or a subquery, as windows that end at the steps."""
        if isinstance(node, Constant):
            node = node.inner
        if not isinstance(node, Selector | Subquery) or node.range_ms is None:
            raise BadQuery("a range vector is needed here")
        at = steps if node.at_ms is None else np.full(len(steps), node.at_ms)
        ends = at - node.offset_ms
        samples = self._samples(node.slot) if isinstance(node, Selector) else self._subquery(node, ends)
        self._afford(len(samples.labels) * len(steps))
        return open_windows(samples, ends, node.range_ms, steps)

    def series(self, node: Selector | Subquery, steps: Ints) -> list[Series]:
        """A range vector's own samples at the first step."""
        window = self.windows(node, steps)
        if isinstance(node, Selector) and node.edges is not None:
            return edged_series(node.edges, window, self._lookback)
        times, values = window.samples.times_ms, window.samples.values
        spans = zip(window.samples.labels, window.lo[:, 0].tolist(), window.hi[:, 0].tolist(), strict=True)
        return [Series(labels, times[lo:hi], values[lo:hi]) for labels, lo, hi in spans if hi > lo]

    def _subquery(self, node: Subquery, ends: Ints) -> Columns:
        first = first_step(int(ends[0]) - node.range_ms, node.step_ms)
        after = int(ends[-1]) + 1
        if after <= first:
            return Columns.of([])
        self._afford((after - first) // node.step_ms)
        inner_steps = np.arange(first, after, node.step_ms, dtype=np.int64)
        value = self.evaluate(node.inner, inner_steps)
        if isinstance(value, np.ndarray):
            value = vector([{}], value[None, :], np.ones((1, len(inner_steps)), dtype=bool))
        if isinstance(value, str):
            raise BadQuery("subquery is only allowed on instant vector, got string")
        return from_steps(value, inner_steps)

    def _samples(self, slot: int, keep_stale: bool = False) -> Columns:
        if keep_stale:
            return self._data[slot]
        if slot not in self._without_stale:
            self._without_stale[slot] = without_stale(self._data[slot])
        return self._without_stale[slot]

    def _binary(self, node: Binary, steps: Ints) -> Value:
        """Walks down a left-leaning chain in a loop: it may be 1,000 operators long."""
        chain = [node]
        while isinstance(chain[-1].left, Binary):
            chain.append(chain[-1].left)
        left = self.evaluate(chain[-1].left, steps)
        for link in reversed(chain):
            self._check(link)
            left = self._operate(link, left, self.evaluate(link.right, steps))
        return left

    def _operate(self, node: Binary, left: Value, right: Value) -> Value:
        match left, right:
            case np.ndarray(), np.ndarray():
                return binary.scalars(node.op, left, right)
            case InstantVector(), np.ndarray():
                return compact(binary.with_scalar(node, left, right, scalar_first=False))
            case np.ndarray(), InstantVector():
                return compact(binary.with_scalar(node, right, left, scalar_first=True))
            case InstantVector(), InstantVector():
                operate = binary.sets if node.op in ("and", "or", "unless") else binary.vectors
                return compact(operate(node, left, right))
        raise BadQuery("binary expression must contain only scalar and instant vector types")

    def _aggregate(self, node: Aggregate, found: InstantVector, param: Value | None) -> InstantVector:
        if isinstance(param, InstantVector):
            raise BadQuery("a scalar is needed here")
        if node.op == "quantile" and isinstance(param, np.ndarray):
            self._check_quantile(param)
        if node.op == "limit_ratio" and isinstance(param, np.ndarray):
            return compact(self._limit_ratio(found, param))
        return compact(aggregate.aggregate(node.op, found, param, node.by, node.labels))

    def _limit_ratio(self, found: InstantVector, ratio: Floats) -> InstantVector:
        if np.isnan(ratio).any():
            raise BadQuery("Ratio value is NaN")
        for wrong in ratio[np.abs(ratio) > 1][:1]:
            self.warnings.append(
                f"PromQL warning: ratio value should be between -1 and 1, got {wrong:g}, capping to {np.sign(wrong):g}"
            )
        present = found.present & sampled(found.labels, np.clip(ratio, -1, 1))
        return InstantVector(found.labels, found.values, present, found.drop)

    def _call(self, node: Call, steps: Ints) -> Value:
        name, args = node.name, node.args
        if name in RANGE_FUNCTIONS:
            return self._over_time(node, steps)
        if name in MATHS:
            return self._maths(node, steps)
        if name in DATES:
            found = self.vector(args[0], steps) if args else _clock(steps)
            return _unnamed(found, apply(DATES[name], found.values, ()))
        special = getattr(self, f"_call_{name}", None)
        if special is None:
            raise BadQuery(f"function '{name}' is not supported")
        value: Value = special(node, steps)
        return value

    def _over_time(self, node: Call, steps: Ints) -> InstantVector:
        function = RANGE_FUNCTIONS[node.name]
        params = [self.scalar(arg, steps) for arg in node.args if kind_of(arg) == "scalar"]
        ranged = next(arg for arg in node.args if kind_of(arg) == "matrix")
        window = self.windows(ranged, steps)
        labels = window.samples.labels
        if not labels:
            return nothing(len(steps))
        if node.name == "quantile_over_time":
            self._check_quantile(params[0])
        if node.name == "double_exponential_smoothing":
            _check_smoothing(params)
        if function.counter:
            self._check_counters(labels)
        if isinstance(ranged, Selector) and ranged.edges is not None:
            values, present = over_edges(node.name, ranged.edges, window, self._lookback)
        else:
            values, present = function.compute(window, params)
        return compact(vector(labels, values, present, drop=not function.keeps_name))

    def _maths(self, node: Call, steps: Ints) -> InstantVector:
        found = self.vector(node.args[0], steps)
        params = [self.scalar(arg, steps) for arg in node.args[1:]]
        values = apply(MATHS[node.name], found.values, params)
        present = found.present & (params[0] <= params[1]) if node.name == "clamp" else found.present
        return compact(vector(found.labels, values, present, drop=True))

    def _call_time(self, _: Call, steps: Ints) -> Floats:
        return steps / 1000.0

    def _call_pi(self, _: Call, steps: Ints) -> Floats:
        return np.full(len(steps), np.pi)

    def _call_max_of(self, node: Call, steps: Ints) -> Floats:
        return np.maximum(self.scalar(node.args[0], steps), self.scalar(node.args[1], steps))

    def _call_min_of(self, node: Call, steps: Ints) -> Floats:
        return np.minimum(self.scalar(node.args[0], steps), self.scalar(node.args[1], steps))

    def _call_vector(self, node: Call, steps: Ints) -> InstantVector:
        value = self.scalar(node.args[0], steps)
        return vector([{}], value[None, :], np.ones((1, len(steps)), dtype=bool))

    def _call_scalar(self, node: Call, steps: Ints) -> Floats:
        found = self.vector(node.args[0], steps)
        only = found.present.sum(axis=0) == 1
        return np.where(only, np.where(found.present, found.values, 0.0).sum(axis=0), np.nan)

    def _call_timestamp(self, node: Call, steps: Ints) -> InstantVector:
        if isinstance(node.args[0], Selector):
            found, times = self.selected(node.args[0], steps)
            return _unnamed(found, times / 1000.0)
        found = self.vector(node.args[0], steps)
        return _unnamed(found, np.broadcast_to(steps / 1000.0, found.values.shape))

    def _call_absent(self, node: Call, steps: Ints) -> InstantVector:
        found = self.vector(node.args[0], steps)
        return _absence(node.args[0], np.logical_not(found.present.any(axis=0)))

    def _call_absent_over_time(self, node: Call, steps: Ints) -> InstantVector:
        window = self.windows(node.args[0], steps)
        return _absence(node.args[0], np.logical_not((window.hi > window.lo).any(axis=0)))

    def _call_sort(self, node: Call, steps: Ints, descending: bool = False) -> InstantVector:
        found = self.vector(node.args[0], steps)
        if len(steps) > 1:
            return found
        values = found.values[:, 0]
        return take(found, np.argsort(-values if descending else values, kind="stable"))

    def _call_sort_desc(self, node: Call, steps: Ints) -> InstantVector:
        return self._call_sort(node, steps, descending=True)

    def _call_sort_by_label(self, node: Call, steps: Ints, descending: bool = False) -> InstantVector:
        found = self.vector(node.args[0], steps)
        if len(steps) > 1:
            return found
        names = [_text(arg) for arg in node.args[1:]]
        order = relabel.natural_order(found.labels, names)
        return take(found, np.array(order[::-1] if descending else order, dtype=np.int64))

    def _call_sort_by_label_desc(self, node: Call, steps: Ints) -> InstantVector:
        return self._call_sort_by_label(node, steps, descending=True)

    def _call_label_replace(self, node: Call, steps: Ints) -> InstantVector:
        found = self.vector(node.args[0], steps)
        into, template, source, pattern = (_text(arg) for arg in node.args[1:])
        return relabel.label_replace(found, into, template, source, pattern)

    def _call_label_join(self, node: Call, steps: Ints) -> InstantVector:
        found = self.vector(node.args[0], steps)
        into, separator, *sources = (_text(arg) for arg in node.args[1:])
        return relabel.label_join(found, into, separator, sources)

    def _call_info(self, node: Call, steps: Ints) -> InstantVector:
        found, selector = self.vector(node.args[0], steps), node.args[1]
        if not isinstance(selector, Selector):
            raise BadQuery("expected label selectors only")
        return enriched(found, *self.selected(selector, steps), selector.matchers)

    def _call_histogram_quantile(self, node: Call, steps: Ints) -> InstantVector:
        wanted = self.scalar(node.args[0], steps)
        self._check_quantile(wanted)
        return self._noted(histograms.bucket_quantiles(self.vector(node.args[1], steps), wanted))

    def _call_histogram_quantiles(self, node: Call, steps: Ints) -> InstantVector:
        """Several quantiles of one histogram, each labelled with its φ."""
        found, label = self.vector(node.args[0], steps), _text(node.args[1])
        parts = []
        for arg in node.args[2:]:
            wanted = self.scalar(arg, steps)
            self._check_quantile(wanted)
            part = self._noted(histograms.bucket_quantiles(found, wanted))
            parts.append(relabel.labelled(part, label, open_metrics(float(wanted[0]))))
        return stacked(parts, len(steps))

    def _call_histogram_fraction(self, node: Call, steps: Ints) -> InstantVector:
        lower, upper = self.scalar(node.args[0], steps), self.scalar(node.args[1], steps)
        return self._noted(histograms.bucket_fractions(self.vector(node.args[2], steps), lower, upper))

    def _noted(self, noted: histograms.Noted) -> InstantVector:
        self.infos += noted.infos
        self.warnings += noted.warnings
        return compact(noted.found)

    def _check_quantile(self, wanted: Floats) -> None:
        outside = ~((wanted >= 0) & (wanted <= 1))
        if outside.any():
            shown = wanted[np.argmax(outside)]
            self.warnings.append(f"PromQL warning: quantile value should be between 0 and 1, got {shown:g}")

    def _check_counters(self, labels: Sequence[Labels]) -> None:
        for name in {one.get(NAME, "") for one in labels}:
            if name and not name.endswith(_COUNTER_ENDINGS):
                self.infos.append(
                    "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                    f'"{name}"'
                )

    def _check(self, _: Node) -> None:
        if time.monotonic() > self._deadline:
            raise QueryTooExpensive(TIMED_OUT)

    def _afford(self, points: int) -> None:
        if points > self._limits.samples:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise QueryTooExpensive("query processing would load too many samples into memory in query execution")


def _clock(steps: Ints) -> InstantVector:
    return vector([{}], (steps / 1000.0)[None, :], np.ones((1, len(steps)), dtype=bool))


def _unnamed(found: InstantVector, values: Floats) -> InstantVector:
    return vector(found.labels, values, found.present, drop=True)


def _negated(value: Value) -> Value:
    if isinstance(value, InstantVector):
        return _unnamed(value, -value.values)
    if isinstance(value, str):
        raise BadQuery("unary expression only allowed on expressions of type scalar or instant vector, got string")
    return -value


def _spread(value: Value, steps: int) -> Value:
    """What was evaluated at one step, at all of them."""
    if isinstance(value, InstantVector):
        return _widened(value, steps)
    return value if isinstance(value, str) else np.broadcast_to(value, steps)


def _widened(found: InstantVector, steps: int) -> InstantVector:
    shape = (len(found.labels), steps)
    if found.values.shape == shape:
        return found
    return InstantVector(
        found.labels, np.broadcast_to(found.values, shape), np.broadcast_to(found.present, shape), found.drop
    )


def _absence(node: Node, absent: Bools) -> InstantVector:
    """1 where nothing was, labelled with what the selector's equality matchers promise."""
    if isinstance(node, Constant):
        node = node.inner
    labels = _promised(node.matchers) if isinstance(node, Selector) else {}
    return compact(vector([labels], np.ones((1, len(absent))), absent[None, :]))


def _promised(matchers: Sequence[Matcher]) -> Labels:
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return {name: value for name, value in labels.items() if value}


def _text(node: Node) -> str:
    if isinstance(node, Text):
        return node.value
    raise BadQuery("a string is needed here")


def _check_smoothing(params: Sequence[Floats]) -> None:
    for what, factor in zip(("smoothing", "trend"), params, strict=True):
        if not ((factor > 0) & (factor < 1)).all():
            raise BadQuery(f"invalid {what} factor. Expected: 0 < {what[0]}f < 1, got: {factor[0]:f}")
