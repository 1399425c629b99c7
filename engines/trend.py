"""Whether a series rises, falls or stays, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.baseline import Floats, group_medians, present, spread

BLOCKS = 60
MIN_SAMPLES = 4
SIGNIFICANCE = 2.0
"""A change below this many times the noise around the line is steady."""
MATERIAL = 0.01
"""A change below this part of `scale` is steady."""
MATERIAL_OF_LEVEL = 0.03


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through a window, in the series' unit."""

    direction: Literal["rising", "falling", "steady", "unknown"]
    """`unknown`: fewer than four samples"""
    slope_per_hour: float
    start: float
    """Value of the line at the first sample"""
    end: float
    change: float
    noise: float
    """Robust standard deviation around the line"""


def trend(times: Floats, values: Floats, *, scale: float | None = None) -> Trend:
    """The direction of a series over the whole of its times.

    `scale` is the size of the unit's full range, such as 100 for percent; without one, the level itself is the measure.

    >>> trend(np.arange(60) * 60.0, np.linspace(40.0, 70.0, 60), scale=100).direction
    'rising'
    """
    times, values = present(times, values)
    if len(values) < MIN_SAMPLES or times[-1] <= times[0]:
        return Trend("unknown", *[float("nan")] * 5)
    slope, start = line(times, values)
    change = slope * float(times[-1] - times[0])
    noise = spread(values - start - slope * (times - times[0]))
    material = MATERIAL * scale if scale else MATERIAL_OF_LEVEL * abs(float(np.median(values)))
    steady = abs(change) < max(material, SIGNIFICANCE * noise, 1e-12)
    direction: Literal["rising", "falling", "steady"] = "steady" if steady else "rising" if change > 0 else "falling"
    return Trend(direction, slope * 3600, start, start + change, change, noise)


def line(times: Floats, values: Floats) -> tuple[float, float]:
    """The Theil–Sen slope per second over the medians of equal blocks of time, and the line's value at `times[0]`."""
    middles, medians = blocks(times, values, BLOCKS)
    i, j = _pairs(len(middles))
    slope = float(np.median((medians[j] - medians[i]) / (middles[j] - middles[i])))
    return slope, float(np.median(medians - slope * (middles - times[0])))


def blocks(times: Floats, values: Floats, count: int) -> tuple[Floats, Floats]:
    """Mean time and median value of each of `count` equal stretches of time; empty ones are left out."""
    if len(times) <= count:
        return times, values
    group = np.minimum((times - times[0]) / (times[-1] - times[0]) * count, count - 1).astype(np.int64)
    sizes = np.bincount(group, minlength=count)
    full = sizes > 0
    middles = np.bincount(group, weights=times - times[0], minlength=count)[full] / sizes[full] + times[0]
    return middles, group_medians(group, values, count)[full]


def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(count, k=1)
