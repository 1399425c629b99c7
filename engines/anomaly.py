"""Stretches of time in which a series left its normal band, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.baseline import DAY_S, Baseline, Floats, present, rolling_median
from engines.onset import onset

MIN_HISTORY_S = 2 * 3600.0
SETTLED_S = 6 * 3600.0
"""With a day or more of history, what happened this shortly before the window does not yet count as a habit."""
PERSISTENCE = (3, 5)
"""A sample counts as outside where this many of this many samples around it are."""
BRIDGE = 10
"""Samples back in the band that do not yet end an anomaly."""
FOLD = 3.0
"""A positive series has collapsed when it falls this many times below its usual level, and below its usual ratios."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One stretch outside the band: times in Unix seconds, values in the series' unit."""

    start: float
    """When it began, which may lie up to a day before the window, and before the first sample outside the band"""
    end: float | None
    """Time of the last sample outside; None while it lasts"""
    value: float
    """Median of the samples of the stretch"""
    expected: float
    low: float
    high: float
    score: float
    """Distance from the expected value over the band's half width: at least 1, comparable between series"""
    direction: Literal["high", "low"]


def anomalies(times: Floats, values: Floats, window_start: float, window_end: float, *, floor: float) -> list[Anomaly]:
    """What was unusual within the window, strongest first; empty where the history before it is under two hours.

    `floor` is the smallest deviation worth telling, in the series' unit. The history is what lies before the window;
    samples after it are ignored. For the band see `Baseline`; positive series are held against their usual ratios too.
    """
    times, values = present(times, values)
    known = times <= window_end
    times, values = times[known], values[known]
    history = _settled(times, window_start)
    if not history.any() or np.ptp(times[history]) < MIN_HISTORY_S or times[-1] < window_start:
        return []
    base = Baseline.fit(times[history], values[history])
    judged = times >= window_start - (DAY_S if base.days >= 1 else 0.0)
    expected = base.expected(times[judged])
    low, high = base.band(times[judged], floor=floor)
    collapsed = _collapse_line(times[history], values[history], times[judged])
    low = np.fmax(low, np.minimum(collapsed, expected - floor))
    found = _stretches(times[judged], values[judged], np.stack([expected, low, high]), window_start)
    return sorted(found, key=lambda anomaly: -anomaly.score)


def _settled(times: Floats, window_start: float) -> NDArray[np.bool_]:
    """The samples that make the habit: all before the window, less its last hours where enough is left."""
    old = times < window_start - SETTLED_S
    return old if old.any() and np.ptp(times[old]) >= DAY_S else times < window_start


def _collapse_line(past: Floats, values: Floats, times: Floats) -> Floats:
    """The level below which a series that is never near zero has collapsed; NaN for a series that is."""
    if np.min(values) <= 0:
        return np.full(len(times), np.nan)
    ratios = Baseline.fit(past, np.log(values))
    low, _ = ratios.band(times, floor=float(np.log(FOLD)))
    return np.minimum(np.exp(low), np.min(rolling_median(values, 5)))


def _stretches(times: Floats, values: Floats, band: Floats, window_start: float) -> list[Anomaly]:
    """The persistent runs above or below the band that reach into the window. `band`: [expected, low, high] × times."""
    expected, low, high = band
    found = []
    for direction, outside in (("high", values > high), ("low", values < low)):
        for first, last in _runs(outside):
            if times[last] < window_start:
                continue
            rows = slice(first, last + 1)
            value, usual, floor, roof = (float(np.median(row[rows])) for row in (values, expected, low, high))
            half = (roof - usual) if direction == "high" else (usual - floor)
            score = abs(value - usual) / half if half > 0 else np.inf
            end = None if last >= len(times) - PERSISTENCE[0] else float(times[last])
            began = float(times[onset(values - expected, first, last)])
            found.append(
                Anomaly(began, end, value, usual, floor, roof, score, "high" if direction == "high" else "low")
            )
    return [anomaly for anomaly in found if anomaly.score >= 1]


def _runs(outside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last sample of each persistent run, short returns into the band bridged."""
    enough, width = PERSISTENCE
    if len(outside) < width:
        return []
    dense = np.convolve(outside, np.ones(width), mode="same") >= enough
    inside = np.flatnonzero(outside & dense)
    if len(inside) == 0:
        return []
    cuts = np.flatnonzero(np.diff(inside) > BRIDGE)
    firsts, lasts = np.r_[inside[0], inside[cuts + 1]], np.r_[inside[cuts], inside[-1]]
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True) if b - a + 1 >= enough]
