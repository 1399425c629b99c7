"""How unlike itself a host is, over all its metrics together, and which of them are to blame.

Two views are multiplied. As a whole: the row of metrics, scaled by how much each usually varies, is held against rows
of the host's normal past, once as it is and once less what is usual at that hour; the distance to the nearest few
tells (k nearest neighbours; Ramaswamy, Rastogi and Shim 2000, "Efficient algorithms for mining outliers from large
data sets"). Metric by metric: how far each departs from its hour and from its last few hundred samples, in units of
how far it usually does; the few worst tell, raise the alarm, and name the guilty.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit

from engines.baseline import DAY_S, Floats

HOUR_S = 3600.0
HABIT_DAYS = 7
"""Days that the usual level of an hour looks back, each weighing less with age"""
RECENT, STEADY = 100, 3000
"""Samples that the recent level looks back, and how far it usually is off"""
SETTLING_DAYS = 2
"""Days until the hours of a day are known"""
LEARNING = 500
"""Rows that are taken as normal where none are known to be"""

NAMING = 10
"""Samples averaged to name the guilty"""
LATELY = 20
"""Hours that the level looks back for hours of the day that were not yet seen"""

SMOOTH, QUICK = 5, 2
"""Samples averaged before rows are compared: as they are, and less what is usual at their hour"""
REFERENCE = 2000
"""Rows of the past that are kept to compare with"""
NEIGHBOURS = 3
SMALLEST, LEAST = 0.02, 0.001
"""Variations and departures, as shares of the range that was covered, below which all are alike"""
FARTHEST = 10.0
"""Deviations of one metric beyond this many usual ones add nothing to the distance."""
EXTREME = 1000.0
"""Departures of one metric beyond this many usual ones add nothing, which bounds metrics that never moved."""
PARTS = 3.0
"""How much the departures of single metrics weigh against each of the two distances"""
WORST = 4
"""Metrics whose departures make up the host's; of few metrics, a quarter of them"""
RARE = 0.995
"""The share of a host's rows that lie below the alarm line"""
PLAIN = float(np.log1p(5.0))
"""Departures of up to five times the usual raise no alarm, however steady the host has been."""


class Judged(NamedTuple):
    """What is said about each row of a host."""

    score: Floats
    """0 to 1; about 0.5 where hardly any normal row comes"""
    alarm: NDArray[np.bool_]
    blamed: NDArray[np.intp]
    """Columns, worst first [n, metrics]"""


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """Rows of metrics that are normal, to measure how far others are from them."""

    mean: Floats
    spread: Floats
    smooth: int
    rows: Floats
    """Scaled and smoothed [≤ REFERENCE, metrics]"""
    typical: float
    """The distance that half of the normal rows have to the others"""
    line: float
    """The distance that hardly any of them has"""

    @classmethod
    def of(cls, past: Floats, extent: Floats, smooth: int) -> Normal:
        """Learn from rows [n, metrics] in time order, of metrics that cover such ranges [metrics]."""
        mean, spread = past.mean(axis=0), np.maximum(past.std(axis=0), SMALLEST * extent)
        known = _scaled(past, mean, spread, smooth)
        half = len(known) // 2
        apart = _nearest(_thin(known[:half]), _thin(known[half:]))
        return cls(mean, spread, smooth, _thin(known), float(np.median(apart)), float(np.quantile(apart, RARE)))

    def strangeness(self, rows: Floats) -> Floats:
        """How far each row is from what was normal, as a log ratio to the line."""
        apart = _nearest(self.rows, _scaled(rows, self.mean, self.spread, self.smooth))
        grain = 0.1 * self.typical + 1e-9
        return np.asarray(np.log((apart + grain) / (self.line + grain)), dtype=np.float64)


def judge(times: Floats, rows: Floats, learnt: int) -> Judged:
    """What is unusual in rows [n, metrics] (NaN: missing) at evenly spaced Unix seconds; a row depends on earlier ones.

    The first `learnt` rows are known to be mostly normal; where that is too few, the first ones are taken as such.
    Nothing is said of the rows learnt from (their score is 0), nor of metrics that they do not have.
    """
    known = min(max(learnt, LEARNING), len(rows))
    came = np.isfinite(rows)
    came &= came[:known].any(axis=0)
    rows = _filled(rows, came)
    if known < 4 * NEIGHBOURS:
        return Judged(np.zeros(len(rows)), np.zeros(len(rows), dtype=bool), np.argsort(-rows, axis=1))
    off_hour = rows - _hourly(times, rows)
    settled = min(int(np.searchsorted(times, times[0] + SETTLING_DAYS * DAY_S)), known // 4)
    extent = _extent(rows[:known])
    departed = np.where(came, _departed(rows, off_hour, slice(settled, known), extent), 0)
    departed = np.minimum(departed, EXTREME)
    now, slow, slower = (np.log1p(_smoothed(departed, over).max(axis=0)) for over in (1, SMOOTH, NAMING))
    whole = Normal.of(rows[:known], extent, SMOOTH).strangeness(rows)
    whole += Normal.of(off_hour[settled:known], extent, QUICK).strangeness(off_hour)
    parts = _worst(slow)
    line = np.quantile(parts[settled:known], RARE)
    odd = whole + PARTS * np.log((parts + 1e-9) / (line + 1e-9))
    odd[:known], odd[~came.any(axis=1)] = -np.inf, -np.inf
    alarm = _rare(_worst(now), settled, known, max(1, round(HOUR_S / float(np.median(np.diff(times))))))
    return Judged(expit(odd), alarm, np.argsort(-slower, axis=1, kind="stable"))


def _rare(departure: Floats, settled: int, known: int, hour: int) -> NDArray[np.bool_]:
    """Whether each row after the known ones departs as hardly any before it; the line is drawn anew every hour."""
    line = np.full(len(departure), np.inf)
    for row in range(known, len(departure), hour):
        line[row : row + hour] = max(float(np.quantile(departure[settled:row], RARE)), PLAIN)
    return departure > line


def _departed(rows: Floats, off_hour: Floats, normal: slice, extent: Floats) -> Floats:
    """How far each metric is from its hour and from its last samples, in usual distances [2, n, metrics]."""
    off_recent = np.abs(rows - _before(rows, RECENT, rows[0]))
    usual = _before(off_recent, STEADY, off_recent[: normal.stop].mean(axis=0))
    off_hour = np.abs(off_hour)
    least = LEAST * extent
    return np.stack(
        [off_hour / np.maximum(off_hour[normal].mean(axis=0), least), off_recent / np.maximum(usual, least)]
    )


def _worst(departures: Floats) -> Floats:
    """The mean of the few largest of each row [n, metrics]."""
    count = min(WORST, -(-departures.shape[1] // 4))
    return np.asarray(np.partition(departures, -count, axis=1)[:, -count:].mean(axis=1), dtype=np.float64)


def _hourly(times: Floats, rows: Floats) -> Floats:
    """What was usual at each row's hour of the day on the days before it; the level of late where there was none."""
    hours = np.floor(times / HOUR_S).astype(np.int64)
    starts = np.r_[0, np.flatnonzero(np.diff(hours)) + 1, len(rows)]
    usual: dict[int, tuple[int, Floats]] = {}
    late = rows[0]
    found = np.empty_like(rows)
    for first, end in pairwise(starts.tolist()):
        hour = int(hours[first] % 24)
        days, level = usual.get(hour, (0, late))
        found[first:end] = level
        mean = rows[first:end].mean(axis=0)
        usual[hour] = days + 1, level + (mean - level) / min(days + 1, HABIT_DAYS)
        late = late + (mean - late) / LATELY
    return found


def _before(rows: Floats, span: int, start: Floats) -> Floats:
    """The running mean of the rows before each, older ones weighing less."""
    weight = 1 / span
    means, _ = lfilter([weight], [1, weight - 1], rows, axis=0, zi=((1 - weight) * start)[None])
    return np.vstack([start[None], means[:-1]])


def _extent(past: Floats) -> Floats:
    """The range that each metric covered; for one that never moved, its level."""
    extent = np.ptp(past, axis=0)
    level = np.abs(past).max(axis=0)
    return np.asarray(np.where(extent > 1e-9 * level, extent, np.where(level > 0, level, 1.0)), dtype=np.float64)


def _filled(rows: Floats, came: NDArray[np.bool_]) -> Floats:
    """What did not come as the last sample before it; as the first one of the metric, or 0, where there is none."""
    at = np.where(came, np.arange(len(rows))[:, None], came.argmax(axis=0) if len(rows) else 0)
    latest = np.maximum.accumulate(at, axis=0)
    return np.where(came.any(axis=0), np.take_along_axis(rows, latest, axis=0), 0.0)


def _scaled(rows: Floats, mean: Floats, spread: Floats, smooth: int) -> Floats:
    return _smoothed(np.clip((rows - mean) / spread, -FARTHEST, FARTHEST), smooth)


def _smoothed(rows: Floats, over: int) -> Floats:
    """The mean of each row and those just before it [..., n, metrics]."""
    total = np.cumsum(rows, axis=-2)
    total[..., over:, :] -= total[..., :-over, :].copy()
    count = np.minimum(np.arange(1, rows.shape[-2] + 1), over)
    return np.asarray(total / count[:, None], dtype=np.float64)


def _thin(rows: Floats) -> Floats:
    return rows[:: max(1, -(-len(rows) // REFERENCE))]


def _nearest(known: Floats, rows: Floats) -> Floats:
    """Distance of each row to the third nearest known one."""
    near = min(NEIGHBOURS, len(known)) - 1
    lengths = np.einsum("ij,ij->i", known, known)
    found = []
    for first in range(0, len(rows), 1000):
        part = rows[first : first + 1000]
        apart = lengths - 2 * part @ known.T
        found.append(np.partition(apart, near, axis=1)[:, near] + np.einsum("ij,ij->i", part, part))
    return np.asarray(np.sqrt(np.maximum(np.concatenate(found), 0)), dtype=np.float64)
