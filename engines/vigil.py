"""Watching many series as samples come: whether each has left its normal band for long enough to be worth telling.

A sample tells by how far it is from its usual value, in half widths of the band. What the series' memory knows
(`Surprise`: it did such a thing before, at whatever hour) must be further outside. A departure begins where three of
five samples are outside, and ends after ten inside: a value that dances on the edge is one departure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.anomaly import BRIDGE, PERSISTENCE
from engines.baseline import Floats
from engines.surprise import LEARNING, LINE, Surprise

NEW, KNOWN = 1.2, 1.8
"""How many half widths away a departure is that is new to the series, and one that its memory knows. On quiet days of
the simulated fleet 0.01 alarms a server-day; with 1.0 and 1.5 0.18, with 1.25 for both 0.04, for the same incidents.
"""
LINE_SCORE = 0.5
"""The score from which a departure is told"""
BELOW_LINE = 0.499


class Vigil:
    """The state of `count` series that are sampled together."""

    def __init__(self, count: int) -> None:
        self.surprise = Surprise(count)
        self.recent: NDArray[np.bool_] = np.zeros((PERSISTENCE[1], count), dtype=bool)
        """Whether each of the last samples was outside; the newest is last"""
        self.departed: NDArray[np.bool_] = np.zeros(count, dtype=bool)
        self.inside: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        """Samples since the last one outside"""
        self.strange: NDArray[np.bool_] = np.zeros(count, dtype=bool)
        """Whether something among the last samples was new to the series"""

    def step(self, values: Floats, usual: Floats, low: Floats, high: Floats) -> Floats:
        """Take one sample of each series (NaN: none) with its band; its score, 0 to 1.

        A series without a sample or without a band has none (NaN).
        """
        judged = ~np.isnan(values) & ~np.isnan(usual)
        self._note(values)
        away = np.abs(values - usual) / np.maximum(np.where(values > usual, high - usual, usual - low), 1e-300)
        away = np.where(judged, away / np.where(self.strange, NEW, KNOWN), 0.0)
        self._judge(away >= 1, judged)
        score = away / (away + 1)
        score = np.where(self.departed, np.maximum(score, LINE_SCORE), np.minimum(score, BELOW_LINE))
        return np.where(judged, score, np.nan)

    def arranged(self, places: NDArray[np.int64]) -> Vigil:
        """The same watch over other series: the k-th was at `places[k]`, or is new (-1)."""
        vigil = Vigil(len(places))
        new, old = np.flatnonzero(places >= 0), places[places >= 0]
        for name in ("levels", "low", "high", "taken", "middle", "spread", "known", "met"):
            getattr(vigil.surprise, name)[new] = getattr(self.surprise, name)[old]
        vigil.surprise.waiting[:, new] = self.surprise.waiting[:, old]
        vigil.surprise.seen = self.surprise.seen
        vigil.recent[:, new] = self.recent[:, old]
        for name in ("departed", "inside", "strange"):
            getattr(vigil, name)[new] = getattr(self, name)[old]
        return vigil

    def _note(self, values: Floats) -> None:
        """What is new to a series stays so while it is outside; nothing is known to one that is still learning."""
        new = self.surprise.step(values) >= LINE
        self.strange = new | (self.surprise.taken <= LEARNING) | (self.strange & self.recent.any(axis=0))

    def _judge(self, outside: NDArray[np.bool_], judged: NDArray[np.bool_]) -> None:
        enough, _ = PERSISTENCE
        shifted = np.vstack([self.recent[1:], outside[None]])
        self.recent = np.where(judged, shifted, self.recent)
        self.inside = np.where(judged, np.where(outside, 0, self.inside + 1), self.inside)
        begins = outside & (self.recent.sum(axis=0) >= enough)
        self.departed = (self.departed & (self.inside < BRIDGE)) | begins
