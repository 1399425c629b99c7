"""Many series in three flat arrays, and where their samples lie in time: no Python object a series on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from monitoring.model import Labels, Series

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEW = 16
"""Bounds up to which a misplaced one is looked for alone."""


class Columns(Sequence[Series]):
    """Series end to end, none of them empty: series `k` is `times_ms[starts[k]:starts[k + 1]]`."""

    __slots__ = ("_clocks", "labels", "starts", "times_ms", "values")

    def __init__(self, labels: list[Labels], times_ms: Ints, values: Floats, starts: Ints) -> None:
        """`starts` has one more entry than there are series."""
        self.labels = labels
        self.times_ms = times_ms
        self.values = values
        self.starts = starts
        self._clocks: tuple[Ints, Ints] | None = None

    @classmethod
    def of(cls, series: Sequence[Series]) -> Columns:
        """The same series; those without samples are left out."""
        if isinstance(series, cls):
            return series
        filled = [one for one in series if len(one.times_ms)]
        if not filled:
            return cls([], np.zeros(0, np.int64), np.zeros(0), np.zeros(1, np.int64))
        times = np.concatenate([one.times_ms for one in filled])
        values = np.concatenate([one.values for one in filled])
        return cls([one.labels for one in filled], times, values, edges([len(one.times_ms) for one in filled]))

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, k: int) -> Series: ...
    @overload
    def __getitem__(self, k: slice) -> list[Series]: ...
    def __getitem__(self, k: int | slice) -> Series | list[Series]:
        if isinstance(k, slice):
            return [self[place] for place in range(*k.indices(len(self)))]
        place = range(len(self))[k]
        inside = slice(self.starts[place], self.starts[place + 1])
        return Series(self.labels[place], self.times_ms[inside], self.values[inside])

    def clocks(self) -> tuple[Ints, Ints]:
        """The first series of each run that has the same times, and for each series which of these it goes by.

        What one scrape brings has one time for all of its series, so most that depends on times is found once a host.
        """
        if self._clocks is None:
            starts, times = self.starts, self.times_ms
            counts, first, last = np.diff(starts), times[starts[:-1]], times[starts[1:] - 1]
            alike = (counts[1:] == counts[:-1]) & (first[1:] == first[:-1]) & (last[1:] == last[:-1])
            for k in np.flatnonzero(alike).tolist():
                before, here, after = starts[k : k + 3].tolist()
                alike[k] = (times[before:here] == times[here:after]).all()
            leads = np.concatenate((np.ones(min(1, len(self.labels)), dtype=bool), ~alike))
            self._clocks = np.flatnonzero(leads), np.cumsum(leads) - 1
        return self._clocks

    def upto(self, bounds: Ints) -> Ints:
        """[series × bounds]: the index after the last sample with time ≤ bound; `bounds` ascend. See the function."""
        first, after = self.starts[:-1], self.starts[1:]
        leaders, clock = self.clocks()
        found = upto(self.times_ms, first[leaders], after[leaders], bounds)
        if len(leaders) == len(first):
            return found
        shared: Ints = found[clock]
        shared += (first - first[leaders][clock])[:, None]
        return shared

    def newest_ms(self) -> int | None:
        """The time of the newest sample, None where there is none."""
        return int(self.times_ms[self.starts[1:] - 1].max()) if self.labels else None


def edges(counts: Sequence[int] | Ints) -> Ints:
    """Where parts of these lengths begin when they are laid end to end, and where the last one ends.

    >>> edges([2, 3]).tolist()
    [0, 2, 5]
    """
    found = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=found[1:])
    return found


def upto(times: Ints, first: Ints, after: Ints, bounds: Ints) -> Ints:
    """[series × bounds]: the index after the last sample with time ≤ bound, of each series `times[first:after]`.

    No series is empty, bounds ascend. Samples mostly come at equal intervals: the place is computed as if they did,
    and looked for only where that is wrong.

    >>> upto(np.array([0, 10, 20, 5, 7]), np.array([0, 3]), np.array([3, 5]), np.array([-1, 10, 99])).tolist()
    [[0, 2, 3], [3, 5, 5]]
    """
    begin, counts = times[first], after - first
    interval = np.maximum(times[after - 1] - begin, 1) / np.maximum(counts - 1, 1)
    ahead = (bounds - begin[:, None]) / interval[:, None]
    np.floor(ahead, out=ahead)
    ahead += 1.0
    np.clip(ahead, 0.0, counts[:, None], out=ahead)
    index: Ints = ahead.astype(np.int64)
    index += first[:, None]
    for _ in range(2):  # the second time for times that jitter
        low, high = _misplaced(times, first, after, bounds, index)
        wrong = low | high
        if not wrong.any():
            return index
        index += low
        index -= high
    wrong = np.logical_or(*_misplaced(times, first, after, bounds, index))
    if len(bounds) <= _FEW:
        rows, places = np.nonzero(wrong)
        index[rows, places] = _bisected(times, first[rows], after[rows], bounds[places])
        return index
    for row in np.flatnonzero(wrong.any(axis=1)).tolist():
        own = times[first[row] : after[row]]
        index[row] = first[row] + own.searchsorted(bounds, "right")
    return index


def _misplaced(
    times: Ints, first: Ints, after: Ints, bounds: Ints, index: Ints
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where an index is too low, and where it is too high."""
    low = times[np.minimum(index, after[:, None] - 1)] <= bounds
    low &= index < after[:, None]
    high = times[np.maximum(index - 1, first[:, None])] > bounds
    high &= index > first[:, None]
    return low, high


def _bisected(times: Ints, low: Ints, high: Ints, bounds: Ints) -> Ints:
    """`upto` for one bound each, all series halved at once."""
    low, high = low.copy(), high.copy()
    while (searching := low < high).any():
        middle = (low + high) >> 1
        right = searching & (times[np.minimum(middle, len(times) - 1)] <= bounds)
        low = np.where(right, middle + 1, low)
        high = np.where(searching & ~right, middle, high)
    return low
