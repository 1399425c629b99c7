"""The windows that selectors and range functions open on raw samples, which lie end to end in flat arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monitoring.columns import Columns, edges
from monitoring.model import Labels, is_stale
from monitoring.promql.values import Bools, Floats, InstantVector, Ints, vector


@dataclass(frozen=True, slots=True, eq=False)
class RangeVector:
    """Windows over samples: window (s, t) is `values[lo[s, t]:hi[s, t]]`, of times in (ends[t] - range_ms, ends[t]]."""

    samples: Columns
    ends: Ints
    """[steps] unix ms of the windows' closed ends, offsets taken off"""
    range_ms: int
    lo: Ints
    hi: Ints
    steps: Ints
    """[steps] unix ms at which the expression is evaluated"""


def without_stale(samples: Columns) -> Columns:
    """The same without stale markers."""
    if not np.isnan(samples.values).any() or not (stale := is_stale(samples.values)).any():
        return samples
    counts = np.diff(samples.starts) - np.add.reduceat(stale, samples.starts[:-1], dtype=np.int64)
    return _filled(samples.labels, samples.times_ms[~stale], samples.values[~stale], counts)


def from_steps(found: InstantVector, times: Ints) -> Columns:
    """The values of a subquery as samples at its steps."""
    flat_times = np.broadcast_to(times, found.present.shape)[found.present]
    return _filled(found.labels, flat_times, found.values[found.present], found.present.sum(axis=1))


def _filled(labels: list[Labels], times: Ints, values: Floats, counts: Ints) -> Columns:
    if not counts.all():
        labels = [one for one, count in zip(labels, counts.tolist(), strict=True) if count]
        counts = counts[counts > 0]
    return Columns(labels, times, values, edges(counts))


def open_windows(samples: Columns, ends: Ints, range_ms: int, steps: Ints) -> RangeVector:
    """One window for each series and end, open to the left as in Prometheus 3."""
    return RangeVector(samples, ends, range_ms, samples.upto(ends - range_ms), samples.upto(ends), steps)


def latest(samples: Columns, at: Ints, lookback_ms: int) -> tuple[InstantVector, Ints]:
    """The last sample of each series in (at - lookback, at], and its time; none after a stale marker."""
    if not samples.labels:
        shape = (0, len(at))
        return vector([], np.zeros(shape), np.zeros(shape, dtype=bool)), np.zeros(shape, np.int64)
    index = samples.upto(at) - 1
    present = index >= samples.starts[:-1, None]
    np.maximum(index, 0, out=index)
    times, values = samples.times_ms[index], samples.values[index]
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
