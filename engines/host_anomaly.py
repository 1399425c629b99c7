"""How unlike itself a host is, over all its metrics together, and which of them are to blame.

Each row of metrics, averaged over its last few samples and scaled by how much each metric usually varies, is held
against rows of the host's normal past: its distance to the nearest few is its score (k nearest neighbours; Ramaswamy,
Rastogi and Shim 2000, "Efficient algorithms for mining outliers from large data sets"). Metrics are blamed by how far
they left their own recent mean, in units of how far they usually do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.baseline import Floats

SMOOTH = 5
"""Samples averaged before rows are compared"""
REFERENCE = 4000
"""Rows of the past that are kept to compare with"""
NEIGHBOURS = 3
FARTHEST = 10.0
"""Deviations of one metric beyond this many usual ones add nothing more."""
LEARNING = 500
"""Rows that are taken as normal where none are known to be"""
RECENT = 100.0
"""Samples that the mean a metric is blamed against looks back"""
RARE = 0.999
"""The share of normal rows that score lower than the alarm line"""
CHUNK = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """What a host's metrics usually do together."""

    mean: Floats
    spread: Floats
    rows: Floats
    """Scaled, smoothed rows of the past [≤ REFERENCE, metrics]"""
    line: float
    """The distance that hardly any normal row has"""

    @classmethod
    def of(cls, past: Floats) -> Normal:
        """Learn from rows [n, metrics] without gaps that are mostly normal."""
        mean = past.mean(axis=0)
        deviation = past.std(axis=0)
        spread = np.maximum(deviation, 0.02 * np.maximum(np.abs(mean), 1.0))
        scaled = _smooth(np.clip((past - mean) / spread, -FARTHEST, FARTHEST))
        half = len(scaled) // 2
        apart = _nearest(_thin(scaled[:half]), _thin(scaled[half:]))
        return cls(mean, spread, _thin(scaled), float(np.quantile(apart, RARE)) if half > NEIGHBOURS else np.inf)

    def distances(self, rows: Floats) -> Floats:
        """How far each row (in time order) is from what was normal."""
        scaled = _smooth(np.clip((rows - self.mean) / self.spread, -FARTHEST, FARTHEST))
        return _nearest(self.rows, scaled)


def judge(rows: Floats, learnt: int) -> tuple[Floats, NDArray[np.bool_], NDArray[np.intp]]:
    """Scores 0 to 1, alarms, and the metrics to blame (columns, worst first) for rows [n, metrics]; NaN is missing.

    The first `learnt` rows are known to be mostly normal; where that is too few, the first ones are taken as such.
    """
    rows = _filled(rows)
    known = min(max(learnt, LEARNING), len(rows))
    normal = Normal.of(rows[:known])
    score = np.zeros(len(rows))
    distance = normal.distances(rows)[known:]
    score[known:] = distance / (distance + normal.line)
    return score, score >= 0.5, _blame(rows, normal)


def _blame(rows: Floats, normal: Normal) -> NDArray[np.intp]:
    recent = np.empty_like(rows)
    level = rows[0]
    for i, row in enumerate(rows):
        recent[i] = level
        level = level + (row - level) / min(i + 1.0, RECENT)
    return np.argsort(-np.abs(rows - recent) / normal.spread, axis=1, kind="stable")


def _filled(rows: Floats) -> Floats:
    """Missing samples as the last one before them; as 0 where there is none yet."""
    at = np.where(np.isnan(rows), 0, np.arange(len(rows))[:, None])
    latest = np.maximum.accumulate(at, axis=0)
    return np.nan_to_num(np.take_along_axis(rows, latest, axis=0))


def _smooth(rows: Floats) -> Floats:
    total = np.vstack([np.zeros(rows.shape[1]), np.cumsum(rows, axis=0)])
    to = np.arange(1, len(rows) + 1)
    since = np.maximum(to - SMOOTH, 0)
    return np.asarray((total[to] - total[since]) / (to - since)[:, None], dtype=np.float64)


def _thin(rows: Floats) -> Floats:
    return rows[:: max(1, -(-len(rows) // REFERENCE))]


def _nearest(known: Floats, rows: Floats) -> Floats:
    """Distance of each row to the third nearest known one."""
    near = min(NEIGHBOURS, len(known)) - 1
    lengths = np.einsum("ij,ij->i", known, known)
    found = []
    for i in range(0, len(rows), CHUNK):
        part = rows[i : i + CHUNK]
        apart = lengths - 2 * part @ known.T
        found.append(np.partition(apart, near, axis=1)[:, near] + np.einsum("ij,ij->i", part, part))
    return np.asarray(np.sqrt(np.maximum(np.concatenate(found), 0)), dtype=np.float64)
