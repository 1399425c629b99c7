"""Variance and least squares of overlapping windows from running sums, and which windows need them done again.

Running sums of extended floats (80 bits on x86), of distances from each series' own middle: a window is then a few
differences, however long it is. Where rounding could show, because a window is much quieter than what came before it,
the window is called doubtful; where extended floats are plain ones, more windows are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.columns import Columns
from monitoring.promql.sums import TOLERANCE
from monitoring.promql.values import Bools, Floats
from monitoring.promql.windows import RangeVector

Extended = NDArray[np.longdouble]

_EPS = 16 * float(np.finfo(np.longdouble).eps)
"""Rounding of a running sum, as a share of its largest value; sixteen times what one addition may lose."""
_OVERLAP = 3
"""How often a sample must be used for running sums to pay."""


class Line(NamedTuple):
    """The least squares of each window: per-second slope, and the value at the window's step."""

    slopes: Floats
    heights: Floats
    doubtful: Bools


def rolling_variance(window: RangeVector) -> tuple[Floats, Bools]:
    """The population variance of each window [series × steps], and which are doubtful: all where it does not pay."""
    if not _pays(window):
        return np.zeros(window.lo.shape), np.ones(window.lo.shape, dtype=bool)
    counts = np.maximum(window.hi - window.lo, 1)
    apart, _ = _centred(window.samples)
    first, _ = _between(apart, window)
    second, most = _between(apart * apart, window)
    total = second - first * first / counts
    doubtful = ~(_EPS * (most + second) <= TOLERANCE * total)
    return (total / counts).astype(np.float64), np.asarray(doubtful)


def rolling_line(window: RangeVector) -> Line | None:
    """The line of each window; None where running sums do not pay."""
    if not _pays(window):
        return None
    samples = window.samples
    n = np.maximum(window.hi - window.lo, 1)
    middle = int(samples.times_ms[len(samples.times_ms) // 2])
    x = (samples.times_ms - middle).astype(np.longdouble) / 1000
    y, means = _centred(samples)
    sx, width, most_x = _extent(x, window)
    (sy, most_y), (sxy, most_xy) = _between(y, window), _between(x * y, window)
    together = sxy - sx * sy / n
    slopes = together / width
    heights = means[:, None] + sy / n + slopes * ((window.steps - middle).astype(np.longdouble) / 1000 - sx / n)
    lost = most_xy + (np.abs(sx) * most_y + np.abs(sy) * most_x) / n
    doubtful = ~(_EPS * lost <= TOLERANCE * np.abs(together)) | ~(_EPS * most_x * most_x <= TOLERANCE * width)
    return Line(slopes.astype(np.float64), heights.astype(np.float64), np.asarray(doubtful))


def _pays(window: RangeVector) -> bool:
    """Whether samples are used again and again, all are numbers, and the series are of about one length."""
    samples = window.samples
    sizes = np.diff(samples.starts)
    if (window.hi - window.lo).sum() <= _OVERLAP * len(samples.values) or len(sizes) * sizes.max() > 2 * sizes.sum():
        return False
    return bool(np.isfinite(samples.values).all())


def _centred(samples: Columns) -> tuple[Extended, Floats]:
    """Every sample's distance from the mean of its series, and the means [series]."""
    sizes = np.diff(samples.starts)
    means = np.add.reduceat(samples.values, samples.starts[:-1]) / sizes
    return samples.values.astype(np.longdouble) - np.repeat(means, sizes), means


def _extent(x: Extended, window: RangeVector) -> tuple[Extended, Extended, Extended]:
    """The sum of the times of each window, that of their squared distances from its middle, and the largest sum."""
    n = np.maximum(window.hi - window.lo, 1)
    if interval_ms := window.samples.interval_ms():
        sx = (x[np.minimum(window.lo, len(x) - 1)] + x[np.maximum(window.hi - 1, 0)]) * n / 2
        many = n.astype(np.longdouble)
        return sx, many * (many * many - 1) / 12 * (interval_ms / 1000) ** 2, np.abs(sx).max()
    (sx, most_x), (sxx, most_xx) = _between(x, window), _between(x * x, window)
    return sx, sxx - sx * sx / n, np.maximum(most_x, np.sqrt(most_xx))


def _between(terms: Extended, window: RangeVector) -> tuple[Extended, Extended]:
    """The sum of the terms in each window, and each series' largest running sum [series × 1]."""
    starts = window.samples.starts
    sizes = np.diff(starts)
    running = np.zeros((len(sizes), sizes.max() + 1), np.longdouble)
    inside = np.arange(sizes.max()) < sizes[:, None]
    running[:, 1:][inside] = terms
    np.cumsum(running, axis=1, out=running)
    rows, begin = np.arange(len(sizes))[:, None], starts[:-1, None]
    before, after = running[rows, window.lo - begin], running[rows, window.hi - begin]
    return after - before, np.maximum(np.abs(before), np.abs(after)).max(axis=1, keepdims=True)
