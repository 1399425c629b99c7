"""How unlike all that a series has done before its latest sample is: one figure a sample, learnt as samples come.

A series is described by where it is and where its averages over a few, a dozen and some fifty samples are. Rows of
these four figures that differ are remembered; a sample is surprising by its distance to the nearest remembered row, as
a share of the range that the series has covered. So a habit is no surprise on its second day, whatever its shape.
It is nearest-neighbour detection by leader clustering with a bounded memory, as in CAD-OSE (Smirnov 2016) and
KNN-CAD (Burnaev and Ishimtsev 2016, "Conformalized density- and distance-based anomaly detection in time-series").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.baseline import Floats

SPANS = np.array([3.0, 12.0, 48.0])
"""Samples that the averages beside the value itself look back, each sample weighing less with age"""
GRAIN = 0.05
"""Rows nearer than this share of the range to a remembered one are the same."""
MEMORY = 256
"""Rows remembered; the one that was met longest ago makes room."""
DELAY = 20
"""Samples before a row is remembered, so that what has just begun does not already count as known"""
PROPORTION = 40.0
"""Usual deviations that a range can span: beyond, a single outlier would hide all that comes after it."""
STEADY = 2000
"""Samples that the usual deviation looks back"""
EARLY = 50
"""Samples before there is a usual deviation"""
LEARNING = 150
"""Samples of which nothing is said"""
FLAT = 1e-6
"""The smallest range, as a share of the level: a constant that deviates is a surprise, rounding is none."""
LINE = 0.085
"""The share of the range from which a surprise is worth an alarm"""
QUIET = 100
"""Samples after an alarm in which there is no other: they belong to the same burst."""


class Surprise:
    """The state of `count` series that are sampled together: a row of values in, how surprising each one is out."""

    def __init__(self, count: int) -> None:
        width = len(SPANS) + 1
        self.seen = 0
        self.levels: Floats = np.full((count, width), np.nan)
        self.low: Floats = np.full(count, np.inf)
        self.high: Floats = np.full(count, -np.inf)
        self.taken: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self.middle: Floats = np.full(count, np.nan)
        self.spread: Floats = np.zeros(count)
        self.waiting: Floats = np.full((DELAY, count, width), np.nan)
        self.known: Floats = np.full((count, width, MEMORY), np.inf)
        self.met: NDArray[np.int64] = np.full((count, MEMORY), -1)
        self._each = np.arange(count)

    def step(self, values: Floats) -> Floats:
        """Take one sample of each series (NaN: none) and give its surprise, 0 to 1; 0 for what cannot be judged yet."""
        came = np.isfinite(values)
        values = np.where(came, values, np.nan)
        extent = self._extent(values, came)
        self._move(values, came)
        slot = self.seen % DELAY
        ripe = self.waiting[slot].copy()
        self.waiting[slot] = np.where(came[:, None], self.levels, np.nan)
        to_ripe, to_now = self._distances(ripe, self.levels)
        self._remember(ripe, to_ripe, (GRAIN * extent) ** 2)
        self.seen += 1
        nearest = np.sqrt(to_now.min(axis=1)) / extent
        return np.where(came & (self.taken > LEARNING) & np.isfinite(nearest), np.minimum(nearest, 1.0), 0.0)

    def _extent(self, values: Floats, came: NDArray[np.bool_]) -> Floats:
        """The range that each series has covered, as far as it is in proportion to how much the series varies."""
        self.low, self.high = np.fmin(self.low, values), np.fmax(self.high, values)
        self.taken += came
        self.middle = np.where(np.isnan(self.middle), values, self.middle)
        most = self._proportion()
        off = np.where(came, np.maximum(np.minimum(values - self.middle, most), -most), 0.0)
        share = came / np.maximum(np.minimum(self.taken, STEADY), 1)
        self.middle += share * off
        self.spread += share * (np.abs(off) - self.spread)
        least = FLAT * np.maximum(np.abs(self.low), np.abs(self.high)) + 1e-300
        return np.maximum(np.minimum(self.high - self.low, self._proportion()), least)

    def _proportion(self) -> Floats:
        return np.where((self.taken > EARLY) & (self.spread > 0), PROPORTION * self.spread, np.inf)

    def _move(self, values: Floats, came: NDArray[np.bool_]) -> None:
        new = came & np.isnan(self.levels[:, 0])
        if new.any():
            self.levels[new] = values[new, None]
        self.levels[:, 0] = np.where(came, values, self.levels[:, 0])
        self.levels[:, 1:] += (self.levels[:, :1] - self.levels[:, 1:]) / SPANS

    def _distances(self, ripe: Floats, now: Floats) -> Floats:
        """Squared distances of two rows a series to all that it remembers [2, count, MEMORY]."""
        apart = self.known - np.stack([ripe, now])[:, :, :, None]
        apart *= apart
        return np.asarray(np.add.reduce(apart, axis=2))

    def _remember(self, rows: Floats, distances: Floats, same: Floats) -> None:
        """Keep the rows that are unlike those kept; note of the others when they were met."""
        there = ~np.isnan(rows[:, 0])
        place = distances.argmin(axis=1)
        new = np.flatnonzero(there & ~(distances[self._each, place] < same))
        if len(new):
            place[new] = self.met[new].argmin(axis=1)
            self.known[new, :, place[new]] = rows[new]
        kept = np.flatnonzero(there)
        self.met[kept, place[kept]] = self.seen


def surprises(values: Floats) -> Floats:
    """How surprising each value is after those before it [rows, series]; NaN is a missing sample."""
    state = Surprise(values.shape[1])
    return np.array([state.step(row) for row in values]).reshape(values.shape)


def told(surprise: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores 0 to 1 of one series' surprises, and the alarms: the first above the line (score 0.5) of each burst."""
    score = surprise / (surprise + LINE)
    alarm = np.zeros(len(score), dtype=bool)
    last = -QUIET
    for row in np.flatnonzero(surprise >= LINE).tolist():
        if row - last >= QUIET:
            alarm[row], last = True, row
    return np.where(alarm, score, np.minimum(score, 0.499)), alarm
