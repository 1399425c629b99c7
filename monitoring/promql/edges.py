"""`anchored` and `smoothed`: windows whose edges take their value from samples nearby, so nothing is extrapolated.

`anchored` takes the last sample before the window (within the lookback) for its left edge and the last sample inside
for its right edge. `smoothed` interpolates at both, with samples up to the lookback before and after.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from monitoring.columns import Columns, upto
from monitoring.model import Series
from monitoring.promql.overtime import RANGE_FUNCTIONS, Answer
from monitoring.promql.sums import window_sums
from monitoring.promql.tree import Edges
from monitoring.promql.values import Bools, Floats, InstantVector, Ints, vector
from monitoring.promql.windows import RangeVector

COUNTED = frozenset(("changes", "resets"))
"""Functions that look at the samples themselves, not at the values at the edges."""


class _Edged(NamedTuple):
    """Windows [series × steps] with values at both edges, and the samples strictly between: `inner:after`."""

    present: Bools
    left: Floats
    right: Floats
    inner: Ints
    after: Ints


def over_edges(name: str, edges: Edges, window: RangeVector, lookback_ms: int) -> Answer:
    """`rate`, `increase`, `delta`; anchored also `changes` and `resets`; over windows as they were opened plainly."""
    if name in COUNTED:
        first = _before(window, lookback_ms)
        opened = replace(window, lo=np.where(window.hi > window.lo, first, window.hi))
        return RANGE_FUNCTIONS[name].compute(opened, ())
    counter = name != "delta"
    edged = _edged(edges, window, lookback_ms, counter)
    change = edged.right - edged.left
    if counter:
        change = change + _swallowed(window.samples.values, edged)
    return change / (window.range_ms / 1000) if name == "rate" else change, edged.present


def edged_series(edges: Edges, window: RangeVector, lookback_ms: int) -> list[Series]:
    """The samples of the first step's windows, with one at each edge."""
    if not window.samples.labels:
        return []
    edged = _edged(edges, window, lookback_ms, counter=False)
    end = int(window.ends[0])
    found = []
    for row in np.flatnonzero(edged.present[:, 0]).tolist():
        inside = slice(edged.inner[row, 0], max(edged.after[row, 0], edged.inner[row, 0]))
        times = np.concatenate(([end - window.range_ms], window.samples.times_ms[inside], [end]))
        values = np.concatenate(([edged.left[row, 0]], window.samples.values[inside], [edged.right[row, 0]]))
        found.append(Series(window.samples.labels[row], times, values))
    return found


def interpolated(samples: Columns, at: Ints, lookback_ms: int) -> InstantVector:
    """Each series' value at each time, on the line between its neighbours; the last one where none follows."""
    following = _upto(samples, at - 1)
    lowest, highest = _upto(samples, at - lookback_ms), _upto(samples, at + lookback_ms)
    here, before = _place(samples, following), _place(samples, following - 1)
    follows, precedes = following < highest, following > lowest
    exact = follows & (samples.times_ms[here] == at)
    between = _on_line(samples, before, here, at, counter=False)
    held = np.where(follows, between, samples.values[before])
    return vector(samples.labels, np.where(exact, samples.values[here], held), exact | precedes)


def _before(window: RangeVector, lookback_ms: int) -> Ints:
    """The last sample at or before each window's start, the first one within where the lookback holds none."""
    reach = _upto(window.samples, window.ends - window.range_ms - lookback_ms)
    return np.maximum(reach, window.lo - 1)


def _edged(edges: Edges, window: RangeVector, lookback_ms: int, counter: bool) -> _Edged:
    samples, ends = window.samples, window.ends
    starts = ends - window.range_ms
    first = _place(samples, _before(window, lookback_ms))
    if edges == "anchored":
        last, present = _place(samples, window.hi - 1), window.hi > window.lo
        left, right = samples.values[first], samples.values[last]
    else:
        reach, highest = _upto(samples, starts - lookback_ms), _upto(samples, ends + lookback_ms)
        last = _place(samples, np.minimum(_upto(samples, ends - 1), highest - 1))
        present = (highest > reach) & (samples.times_ms[last] > starts) & (samples.times_ms[first] <= ends)
        second, earlier = _place(samples, first + 1), _place(samples, last - 1)
        starts_before, ends_after = samples.times_ms[first] < starts, (samples.times_ms[last] > ends) & (last > reach)
        left = np.where(starts_before, _on_line(samples, first, second, starts, counter), samples.values[first])
        right = np.where(ends_after, _on_line(samples, earlier, last, ends, counter), samples.values[last])
    inner = first + (samples.times_ms[first] <= starts)
    return _Edged(present, left, right, inner, last + 1 - (samples.times_ms[last] >= ends))


def _upto(samples: Columns, bounds: Ints) -> Ints:
    """[series × bounds]: the index after the last sample with time ≤ bound."""
    return upto(samples.times_ms, samples.starts[:-1], samples.starts[1:], bounds)


def _place(samples: Columns, index: Ints) -> Ints:
    return np.clip(index, 0, len(samples.times_ms) - 1)


def _on_line(samples: Columns, earlier: Ints, later: Ints, at: Ints, counter: bool) -> Floats:
    """The value at a time between two samples; a counter that was reset in between started from 0."""
    begin, end = samples.values[earlier], samples.values[later]
    if counter:
        begin = np.where(end < begin, 0.0, begin)
    since, span = at - samples.times_ms[earlier], samples.times_ms[later] - samples.times_ms[earlier]
    value: Floats = begin + (end - begin) * since / np.maximum(span, 1)
    return value


def _swallowed(values: Floats, edged: _Edged) -> Floats:
    """What counter resets took away between the left edge, the samples within and the right edge."""
    before = np.concatenate((values[:1], values[:-1]))
    inner, after = edged.inner, edged.after
    empty = after <= inner
    lost = np.where(values < before, before, 0.0)
    second = np.minimum(inner + 1, len(values))
    within = window_sums(lost, second.ravel(), np.clip(after, second, len(values)).ravel())
    head = ~empty & (values[np.minimum(inner, len(values) - 1)] < edged.left)
    newest = np.where(empty, edged.left, values[np.clip(after - 1, 0, None)])
    tail = np.where(edged.right < newest, newest, 0.0)
    return within.reshape(empty.shape) + np.where(head, edged.left, 0.0) + tail
