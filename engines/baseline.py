"""What is normal for one series at an hour of the day: a robust band, and the small robust statistics beneath it.

Times are Unix seconds, ascending; NaN values count as missing. Days are cut in UTC, which only shifts the slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]

DAY_S = 86_400.0
SLOTS = 48
SLOT_S = DAY_S / SLOTS
BAND_SIGMAS = 7.0
BURST_S = 7200.0
BURSTS = 4
"""What happened in this many stretches of two hours is part of how the series is."""
MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


def present(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The samples that are finite numbers, with their times."""
    keep = np.isfinite(values)
    return np.asarray(times[keep], dtype=np.float64), np.asarray(values[keep], dtype=np.float64)


def spread(values: Floats) -> float:
    """The robust standard deviation (from the median absolute deviation); 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def jitter(values: Floats) -> float:
    """The noise from sample to sample as a standard deviation, blind to levels, slopes and single steps."""
    return spread(np.diff(values)) / np.sqrt(2.0) if len(values) > 2 else 0.0


def group_medians(groups: NDArray[np.int64], values: Floats, count: int) -> Floats:
    """The median of the values of each group 0 … count-1; NaN for an empty group.

    >>> group_medians(np.array([0, 0, 0, 2]), np.array([3.0, 1.0, 2.0, 7.0]), 3)
    array([ 2., nan,  7.])
    """
    ordered = values[np.lexsort((values, groups))]
    sizes = np.bincount(groups, minlength=count)
    first = np.cumsum(sizes) - sizes
    medians = np.full(count, np.nan)
    full = sizes > 0
    low, high = first + (sizes - 1) // 2, first + sizes // 2
    medians[full] = (ordered[low[full]] + ordered[high[full]]) / 2
    return medians


def rolling_median(values: Floats, width: int) -> Floats:
    """The centred median over `width` (odd) samples; the ends repeat the outermost samples."""
    return np.asarray(median_filter(values, size=width, mode="nearest"), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The normal band of one series. With a day of history it follows the half-hour of the day, else it is flat."""

    centre: Floats
    """Expected value per slot of the day, float64 [SLOTS]"""
    below: Floats
    """How far below the centre is still normal, per slot"""
    above: Floats
    sigma: float
    """Robust noise around the centre, in the unit of the values"""
    days: float
    """Length of the history behind it; 0 where there was none"""
    middle: float
    """Middle of the history, Unix seconds"""
    drift: float
    """How fast the level wandered over the history, per second; widens the band away from its middle"""

    @classmethod
    def fit(cls, times: Floats, values: Floats, *, sigmas: float = BAND_SIGMAS) -> Baseline:
        """The band of this history, which must not contain what is to be judged by it.

        The band is the median ± `sigmas` robust deviations, widened to what the same slot reached on former days, to
        what happened in at least four different two-hour stretches, and by the drift of the level.
        """
        times, values = present(times, values)
        if len(values) == 0:
            empty = np.full(SLOTS, np.nan)
            return cls(empty, empty, empty, np.nan, 0.0, np.nan, 0.0)
        days = float(times[-1] - times[0]) / DAY_S
        centre = _daily_centre(times, values) if days >= 1 else np.full(SLOTS, np.median(values))
        residual = values - _at(centre, times)
        sigma = max(spread(residual), _unrest(times, values, centre, days)) * float(np.sqrt(1 + 1 / max(days, 1.0)))
        smooth = rolling_median(residual, 5)
        below, above = (_reach(times, side * smooth, sigmas * sigma, days) for side in (-1.0, 1.0))
        middle, drift = float(times[0] + times[-1]) / 2, _drift(times, values, days)
        return cls(centre, below, above, sigma, days, middle, drift)

    def expected(self, times: Floats) -> Floats:
        """The usual value at these times."""
        return _at(self.centre, times)

    def band(self, times: Floats, *, floor: float = 0.0) -> tuple[Floats, Floats]:
        """The lowest and highest normal value at these times, at least `floor` away from the usual one."""
        usual, slot, drift = self.expected(times), _slot(times), self.drift * np.abs(times - self.middle)
        return usual - np.maximum(self.below[slot] + drift, floor), usual + np.maximum(self.above[slot] + drift, floor)


def _slot(times: Floats) -> NDArray[np.int64]:
    return ((times % DAY_S) // SLOT_S).astype(np.int64)


def _at(centre: Floats, times: Floats) -> Floats:
    """The slots' medians, joined by straight lines from middle to middle."""
    middles = (np.arange(SLOTS) + 0.5) * SLOT_S
    return np.asarray(np.interp(times % DAY_S, middles, centre, period=DAY_S), dtype=np.float64)


def _daily_centre(times: Floats, values: Floats) -> Floats:
    """The median of each slot; slots without samples are filled between their neighbours."""
    centre = group_medians(_slot(times), values, SLOTS)
    known = np.flatnonzero(np.isfinite(centre))
    return np.asarray(np.interp(np.arange(SLOTS), known, centre[known], period=SLOTS), dtype=np.float64)


def _unrest(times: Floats, values: Floats, centre: Floats, days: float) -> float:
    """How far two days differ at the same hour; with one day only, how far its slots stray from two daily waves."""
    if days < 1:
        return 0.0
    if days >= 1.25:
        later = times >= times[0] + DAY_S
        return spread(values[later] - np.interp(times[later] - DAY_S, times, values)) / float(np.sqrt(2.0))
    phase = 2 * np.pi * np.arange(SLOTS) / SLOTS
    waves = np.stack([np.ones(SLOTS), *(wave(k * phase) for k in (1, 2) for wave in (np.sin, np.cos))], axis=1)
    return 1.5 * spread(centre - waves @ np.linalg.lstsq(waves, centre, rcond=None)[0])


def _drift(times: Floats, values: Floats, days: float) -> float:
    """The slope (unsigned, per second) between the first and last day, or halves of less than two days."""
    if days < 1:
        return 0.0
    part = min(DAY_S, days * DAY_S / 2)
    first, last = times <= times[0] + part, times >= times[-1] - part
    return abs(float(np.median(values[last]) - np.median(values[first]))) / float(times[-1] - times[0] - part)


def _reach(times: Floats, residual: Floats, usual: float, days: float) -> Floats:
    """How far a side of the band lies from the centre, per slot. A second bad day out of four or more makes a habit."""
    if days < 1:
        swing = float(np.max(residual) - np.min(residual))
        return np.full(SLOTS, max(usual, float(np.max(residual)) + swing / 2))
    stretches = np.sort(_peaks((times // BURST_S).astype(np.int64), residual))
    margin = max(usual, 1.2 * float(stretches[-BURSTS])) if len(stretches) >= BURSTS else usual
    slots = _peaks((times // SLOT_S).astype(np.int64), residual, first=int(times[0] // DAY_S) * SLOTS)
    padded = np.full(-(-len(slots) // SLOTS) * SLOTS, -np.inf)
    padded[: len(slots)] = slots
    habit = np.sort(padded.reshape(-1, SLOTS), axis=0)[-2 if days >= 4 else -1]
    near = np.maximum(habit, np.maximum(np.roll(habit, 1), np.roll(habit, -1)))
    return np.asarray(np.maximum(margin, 1.2 * near), dtype=np.float64)


def _peaks(stretch: NDArray[np.int64], values: Floats, *, first: int | None = None) -> Floats:
    """The largest value of each stretch from `first` on; -inf for stretches without samples."""
    first = int(stretch[0]) if first is None else first
    peaks = np.full(int(stretch[-1]) - first + 1, -np.inf)
    np.maximum.at(peaks, stretch - first, values)
    return peaks
