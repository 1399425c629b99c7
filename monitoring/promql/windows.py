"""Raw samples laid end to end in two flat arrays, and the windows that selectors and range functions open on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.model import Labels, Series, is_stale
from monitoring.promql.values import Bools, Floats, InstantVector, Ints, vector


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Series end to end: series `s` is `times[starts[s]:starts[s + 1]]`; none is empty."""

    labels: list[Labels]
    times: Ints
    values: Floats
    starts: Ints
    """[series + 1]"""
    columns: list[tuple[int, int]]
    """Runs of series (first, after last) that share one column of times, as those of a scrape target do."""


@dataclass(frozen=True, slots=True, eq=False)
class RangeVector:
    """Windows over samples: window (s, t) is `values[lo[s, t]:hi[s, t]]`, of times in (ends[t] - range_ms, ends[t]]."""

    samples: Samples
    ends: Ints
    """[steps] unix ms of the windows' closed ends, offsets taken off"""
    range_ms: int
    lo: Ints
    hi: Ints
    steps: Ints
    """[steps] unix ms at which the expression is evaluated"""


def lay_out(series: Sequence[Series], keep_stale: bool = False) -> Samples:
    """The series end to end; stale markers left out unless `keep_stale`."""
    filled = [one for one in series if len(one.times_ms)]
    if not filled:
        return Samples([], np.zeros(0, np.int64), np.zeros(0), np.zeros(1, np.int64), [])
    times = np.concatenate([one.times_ms for one in filled])
    values = np.concatenate([one.values for one in filled])
    counts = np.array([len(one.times_ms) for one in filled])
    labels = [one.labels for one in filled]
    if not keep_stale and np.isnan(values).any() and (stale := is_stale(values)).any():
        counts = counts - np.add.reduceat(stale, np.cumsum(counts) - counts, dtype=np.int64)
        times, values = times[~stale], values[~stale]
    return _samples(labels, times, values, counts)


def from_steps(found: InstantVector, times: Ints) -> Samples:
    """The values of a subquery as samples at its steps."""
    flat_times = np.broadcast_to(times, found.present.shape)[found.present]
    return _samples(found.labels, flat_times, found.values[found.present], found.present.sum(axis=1))


def _samples(labels: list[Labels], times: Ints, values: Floats, counts: Ints) -> Samples:
    if not counts.all():
        labels = [one for one, count in zip(labels, counts.tolist(), strict=True) if count]
        counts = counts[counts > 0]
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Samples(labels, times, values, starts, _columns(times, starts))


def _columns(times: Ints, starts: Ints) -> list[tuple[int, int]]:
    """Neighbouring series with equal columns of times. Compares whole columns only where both ends agree."""
    if len(starts) < 2:
        return []
    first, last, counts = times[starts[:-1]], times[starts[1:] - 1], np.diff(starts)
    maybe = (np.diff(first) == 0) & (np.diff(last) == 0) & (np.diff(counts) == 0)
    edges = starts.tolist()
    breaks = [0]
    for k, same in enumerate(maybe.tolist(), start=1):
        if not (same and np.array_equal(times[edges[k - 1] : edges[k]], times[edges[k] : edges[k + 1]])):
            breaks.append(k)
    return list(zip(breaks, [*breaks[1:], len(counts)], strict=True))


def upto(samples: Samples, bounds: Ints) -> Ints:
    """[series × bounds]: the flat index after the last sample with time ≤ bound."""
    starts = samples.starts
    if len(bounds) == 1 and len(samples.columns) > 8:
        return (starts[:-1] + np.add.reduceat(samples.times <= bounds[0], starts[:-1], dtype=np.int64))[:, None]
    out = np.empty((len(samples.labels), len(bounds)), dtype=np.int64)
    for first, after in samples.columns:
        column = samples.times[starts[first] : starts[first + 1]]
        out[first:after] = np.searchsorted(column, bounds, side="right")
        out[first:after] += starts[first:after, None]
    return out


def open_windows(samples: Samples, ends: Ints, range_ms: int, steps: Ints) -> RangeVector:
    """One window for each series and end, open to the left as in Prometheus 3."""
    return RangeVector(samples, ends, range_ms, upto(samples, ends - range_ms), upto(samples, ends), steps)


def latest(samples: Samples, at: Ints, lookback_ms: int) -> tuple[InstantVector, Ints]:
    """The last sample of each series in (at - lookback, at], and its time; none after a stale marker."""
    if not samples.labels:
        shape = (0, len(at))
        return vector([], np.zeros(shape), np.zeros(shape, dtype=bool)), np.zeros(shape, np.int64)
    index = upto(samples, at) - 1
    present = index >= samples.starts[:-1, None]
    np.maximum(index, 0, out=index)
    times, values = samples.times[index], samples.values[index]
    present &= times > at - lookback_ms
    if np.isnan(values).any():
        present &= ~is_stale(values)
    return vector(samples.labels, values, present), times


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some windows written out: window `w` owns `places[starts[w]:starts[w] + counts[w]]`, flat indices of samples."""

    windows: Ints
    places: Ints
    starts: Ints
    counts: Ints


def written_out(lo: Ints, counts: Ints, wanted: Bools, most: int = 2_000_000) -> Iterator[Chunk]:
    """The non-empty `wanted` windows (flat), written out in chunks of about `most` samples."""
    windows = np.flatnonzero(wanted & (counts > 0))
    if not len(windows):
        return
    total = np.cumsum(counts[windows])
    cuts = np.searchsorted(total, np.arange(most, total[-1], most)).tolist()
    for part in np.split(windows, cuts):
        if not len(part):
            continue
        size = counts[part]
        ends = np.cumsum(size)
        starts = ends - size
        places = np.arange(ends[-1]) + np.repeat(lo[part] - starts, size)
        yield Chunk(part, places, starts, size)
