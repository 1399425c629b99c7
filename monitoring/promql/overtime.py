"""Functions over range vectors: each takes the windows of all series at all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from monitoring.promql.quantiles import sorted_quantile
from monitoring.promql.regression import predict_linear, slope
from monitoring.promql.sums import window_extreme, window_sums
from monitoring.promql.values import Bools, Floats, Ints
from monitoring.promql.windows import RangeVector, written_out

Answer = tuple[Floats, Bools]
"""Values and where they are present, both [series × steps]."""

Params = Sequence[Floats]
"""The scalar arguments, float64 [steps] each, in the order they are written."""


class RangeFunction(NamedTuple):
    compute: Callable[[RangeVector, Params], Answer]
    keeps_name: bool = False
    counter: bool = False
    """Meant for counters: another metric earns a note."""


def _counts(window: RangeVector) -> Ints:
    return window.hi - window.lo


def _ends(window: RangeVector) -> tuple[Ints, Ints]:
    """Flat index of the first and of the last sample of each window; anything valid where it is empty."""
    last = np.maximum(window.hi - 1, 0)
    return np.minimum(window.lo, last), last


def _running(flags: Floats | Bools) -> Floats:
    """Prefix sums over the flat samples: what happened between two of them is a difference."""
    return np.cumsum(flags, dtype=np.float64)


def _steps(window: RangeVector) -> tuple[Floats, Floats, Ints]:
    """Every sample's value, its predecessor's within the series (its own for the first), and the series' firsts."""
    values = window.samples.values
    before = np.concatenate((values[:1], values[:-1]))
    firsts = window.samples.starts[:-1]
    before[firsts] = values[firsts]
    return values, before, firsts


def _between(window: RangeVector, happened: Bools) -> Floats:
    """How often something happened from a window's second sample to its last."""
    first, last = _ends(window)
    sums = _running(happened)
    return sums[last] - sums[first]


def _increase(window: RangeVector, first: Ints, last: Ints) -> Floats:
    """Last minus first, plus what counter resets swallowed."""
    values, before, firsts = _steps(window)
    growth = values[last] - values[first]
    fell = values < before
    if not fell.any():
        return growth
    swallowed = np.where(fell, before, 0.0)
    reset = np.flatnonzero(np.logical_or.reduceat(fell, firsts))  # few series have resets
    if np.isfinite(swallowed).all():
        sums = _running(swallowed)
        growth[reset] += sums[last[reset]] - sums[first[reset]]
    else:
        inside = np.minimum(first + 1, last + 1)
        growth += window_sums(swallowed, inside.ravel(), last.ravel() + 1).reshape(growth.shape)
    return growth


def _extrapolated(window: RangeVector, *, counter: bool, per_second: bool) -> Answer:
    """Prometheus' extrapolation: the change between the samples, stretched towards the window's ends.

    By at most half a mean interval where the next sample is further away than 1.1 of them, and never below zero
    for a counter (promql/functions.go, extrapolatedRate).
    """
    first, last = _ends(window)
    values = window.samples.values
    growth = _increase(window, first, last) if counter else values[last] - values[first]
    leaders, clock = window.samples.clocks()
    sampled, to_start, to_end = _edges(window, first[leaders], last[leaders], leaders)
    span = sampled + to_end
    if counter:
        shared, own = (sampled, to_start) if len(leaders) == len(clock) else (sampled[clock], to_start[clock])
        started = values[first]
        to_zero = np.where((growth > 0) & (started >= 0), shared * (started / growth), own)
        factor = ((span if shared is sampled else span[clock]) + np.minimum(own, to_zero)) / shared
    else:
        factor = (span + to_start) / sampled
        factor = factor if len(leaders) == len(clock) else factor[clock]
    if per_second:
        factor /= window.range_ms / 1000.0
    growth *= factor
    return growth, _counts(window) >= 2


def _edges(window: RangeVector, first: Ints, last: Ints, leaders: Ints) -> tuple[Floats, Floats, Floats]:
    """Seconds between the first and the last sample, and from them to the window's start and end (cut, see above)."""
    times = window.samples.times_ms
    begun, ended = times[first], times[last]
    sampled = (ended - begun) / 1000.0
    interval = sampled / (window.hi[leaders] - window.lo[leaders] - 1)
    to_start = (begun - (window.ends - window.range_ms)) / 1000.0
    to_end = (window.ends - ended) / 1000.0
    limit = interval * 1.1
    half = interval / 2
    return sampled, np.where(to_start >= limit, half, to_start), np.where(to_end >= limit, half, to_end)


def _instant(window: RangeVector, *, rate: bool) -> Answer:
    """The change between the last two samples; per second, and after a reset from zero, where `rate`."""
    counts = _counts(window)
    _, last = _ends(window)
    earlier = np.maximum(last - 1, 0)
    values, times = window.samples.values, window.samples.times_ms
    change = values[last] - values[earlier]
    if not rate:
        return change, counts >= 2
    change = np.where(values[last] < values[earlier], values[last], change)
    elapsed = (times[last] - times[earlier]) / 1000.0
    return change / elapsed, (counts >= 2) & (elapsed > 0)


def _sum(window: RangeVector, _: Params) -> Answer:
    sums = window_sums(window.samples.values, window.lo.ravel(), window.hi.ravel())
    counts = _counts(window)
    return sums.reshape(counts.shape), counts > 0


def _avg(window: RangeVector, params: Params) -> Answer:
    sums, present = _sum(window, params)
    counts = np.maximum(_counts(window), 1)
    means = sums / counts
    values = window.samples.values
    overflowed = present & np.isinf(sums)
    if overflowed.any() and np.isfinite(values).any():
        lo, hi, many = window.lo[overflowed], window.hi[overflowed], counts[overflowed]
        scale = 2.0 ** -np.ceil(np.log2(many.max()))
        means[overflowed] = window_sums(values * scale, lo, hi) / (many * scale)
    return means, present


def _extreme(pick: np.ufunc) -> Callable[[RangeVector, Params], Answer]:
    def compute(window: RangeVector, _: Params) -> Answer:
        counts = _counts(window)
        found = window_extreme(window.samples.values, window.lo.ravel(), window.hi.ravel(), pick)
        return found.reshape(counts.shape), counts > 0

    return compute


def _count(window: RangeVector, _: Params) -> Answer:
    counts = _counts(window)
    return counts.astype(np.float64), counts > 0


def _present(window: RangeVector, _: Params) -> Answer:
    counts = _counts(window)
    return np.ones(counts.shape), counts > 0


def _last(window: RangeVector, _: Params) -> Answer:
    return window.samples.values[_ends(window)[1]], _counts(window) > 0


def _first(window: RangeVector, _: Params) -> Answer:
    return window.samples.values[_ends(window)[0]], _counts(window) > 0


def _variance(window: RangeVector, params: Params) -> Answer:
    """Population variance: mean first, then squared distances, window by window."""
    means, present = _avg(window, params)
    counts, values = _counts(window).ravel(), window.samples.values
    out = np.zeros(len(counts))
    flat_means = means.ravel()
    for chunk in written_out(window.lo.ravel(), counts, np.ones(len(counts), dtype=bool)):
        apart = values[chunk.places] - np.repeat(flat_means[chunk.windows], chunk.counts)
        out[chunk.windows] = np.add.reduceat(apart * apart, chunk.starts) / chunk.counts
    return out.reshape(means.shape), present


def _deviation(window: RangeVector, params: Params) -> Answer:
    variance, present = _variance(window, params)
    return np.sqrt(variance), present


def _changes(window: RangeVector, _: Params) -> Answer:
    values, before, _firsts = _steps(window)
    changed = (values != before) & ~(np.isnan(values) & np.isnan(before))
    return _between(window, changed), _counts(window) > 0


def _resets(window: RangeVector, _: Params) -> Answer:
    values, before, _firsts = _steps(window)
    return _between(window, values < before), _counts(window) > 0


def _quantile(window: RangeVector, params: Params) -> Answer:
    return _by_rank(window, np.broadcast_to(params[0], _counts(window).shape))


def _by_rank(window: RangeVector, wanted: Floats, spread: Floats | None = None) -> Answer:
    """The `wanted` quantile of each window, or of the distances from `spread` where that is given."""
    counts, values = _counts(window), window.samples.values
    flat_counts, flat_wanted = counts.ravel(), wanted.ravel()
    out = np.full(counts.size, np.nan)
    for level in range(
        int(flat_counts.max(initial=0)).bit_length()
    ):  # windows of about one size: a table wastes ≤ half
        for chunk in written_out(window.lo.ravel(), flat_counts, flat_counts >> level == 1):
            inside = np.arange(chunk.counts.max()) < chunk.counts[:, None]
            table = np.full(inside.shape, np.inf)
            table[inside] = values[chunk.places]
            if spread is not None:
                table = np.where(inside, np.abs(table - spread.ravel()[chunk.windows, None]), np.inf)
            out[chunk.windows] = sorted_quantile(table, chunk.counts, flat_wanted[chunk.windows])
    return out.reshape(counts.shape), counts > 0


def _deriv(window: RangeVector, _: Params) -> Answer:
    return slope(window), _counts(window) >= 2


def _predict(window: RangeVector, params: Params) -> Answer:
    return predict_linear(window, params[0]), _counts(window) >= 2


def _smoothed(window: RangeVector, params: Params) -> Answer:
    """Holt's double exponential smoothing, one sample of every window at a time."""
    counts = _counts(window)
    values, lo = window.samples.values, window.lo
    factor, trend_factor = params
    first = np.minimum(lo, len(values) - 1)
    level = values[first]
    trend = values[np.minimum(first + 1, len(values) - 1)] - level
    for k in range(1, int(counts.max(initial=0))):
        inside = k < counts
        value = values[np.where(inside, lo + k, 0)]
        smoothed = factor * value + (1 - factor) * (level + trend)
        trend = np.where(inside, trend_factor * (smoothed - level) + (1 - trend_factor) * trend, trend)
        level = np.where(inside, smoothed, level)
    return level, counts >= 2


def _median_spread(window: RangeVector, _: Params) -> Answer:
    """The median absolute deviation."""
    half = np.full(_counts(window).shape, 0.5)
    medians, _present_at = _by_rank(window, half)
    spreads, present = _by_rank(window, half, medians)
    unknown = np.isnan(window.samples.values)
    spoilt = unknown[_ends(window)[0]] | (_between(window, unknown) > 0)
    return np.where(spoilt, np.nan, spreads), present


def _time_of(pick: np.ufunc | None, edge: int) -> Callable[[RangeVector, Params], Answer]:
    """Unix seconds of the window's first (0) or last (1) sample, or of its extreme: the last one of equals."""

    def compute(window: RangeVector, params: Params) -> Answer:
        counts, times = _counts(window), window.samples.times_ms
        if pick is None:
            return times[_ends(window)[edge]] / 1000.0, counts > 0
        best, present = _extreme(pick)(window, params)
        out = np.zeros(counts.size)
        flat = best.ravel()
        for chunk in written_out(window.lo.ravel(), counts.ravel(), np.ones(counts.size, dtype=bool)):
            wanted = np.repeat(flat[chunk.windows], chunk.counts)
            found = window.samples.values[chunk.places]
            hit = (found == wanted) | np.isnan(wanted)
            out[chunk.windows] = np.maximum.reduceat(
                np.where(hit, times[chunk.places], np.iinfo(np.int64).min), chunk.starts
            )
        return out.reshape(counts.shape) / 1000.0, present

    return compute


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "rate": RangeFunction(lambda w, _: _extrapolated(w, counter=True, per_second=True), counter=True),
    "increase": RangeFunction(lambda w, _: _extrapolated(w, counter=True, per_second=False), counter=True),
    "delta": RangeFunction(lambda w, _: _extrapolated(w, counter=False, per_second=False)),
    "irate": RangeFunction(lambda w, _: _instant(w, rate=True), counter=True),
    "idelta": RangeFunction(lambda w, _: _instant(w, rate=False)),
    "sum_over_time": RangeFunction(_sum),
    "avg_over_time": RangeFunction(_avg),
    "min_over_time": RangeFunction(_extreme(np.fmin)),
    "max_over_time": RangeFunction(_extreme(np.fmax)),
    "count_over_time": RangeFunction(_count),
    "present_over_time": RangeFunction(_present),
    "last_over_time": RangeFunction(_last, keeps_name=True),
    "first_over_time": RangeFunction(_first, keeps_name=True),
    "stddev_over_time": RangeFunction(_deviation),
    "stdvar_over_time": RangeFunction(_variance),
    "quantile_over_time": RangeFunction(_quantile),
    "mad_over_time": RangeFunction(_median_spread),
    "changes": RangeFunction(_changes),
    "resets": RangeFunction(_resets),
    "deriv": RangeFunction(_deriv),
    "predict_linear": RangeFunction(_predict),
    "double_exponential_smoothing": RangeFunction(_smoothed),
    "ts_of_first_over_time": RangeFunction(_time_of(None, 0)),
    "ts_of_last_over_time": RangeFunction(_time_of(None, 1)),
    "ts_of_max_over_time": RangeFunction(_time_of(np.fmax, 0)),
    "ts_of_min_over_time": RangeFunction(_time_of(np.fmin, 0)),
}
