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
from monitoring.promql.values import Bools, Floats, Ints

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


def rolling_variance(samples: Columns, lo: Ints, hi: Ints) -> tuple[Floats, Bools]:
    """The population variance of each window (flat), and which are doubtful: all where running sums do not pay."""
    counts = hi - lo
    if not _pays(samples.values, counts):
        return np.zeros(len(lo)), np.ones(len(lo), dtype=bool)
    apart, _ = _centred(samples)
    first, _ = _between(apart, lo, hi)
    second, most = _between(apart * apart, lo, hi)
    total = second - first * first / np.maximum(counts, 1)
    doubtful = ~(_EPS * (most + second) <= TOLERANCE * total)
    return (total / np.maximum(counts, 1)).astype(np.float64), np.asarray(doubtful)


def rolling_line(samples: Columns, lo: Ints, hi: Ints, steps: Ints) -> Line | None:
    """The line of each window, `steps` (unix ms) for each too; None where running sums do not pay."""
    counts = hi - lo
    if not _pays(samples.values, counts):
        return None
    n = np.maximum(counts, 1)
    origin = int(samples.times_ms[0])
    x = (samples.times_ms - origin).astype(np.longdouble) / 1000
    x -= x[len(x) // 2]
    y, middles = _centred(samples)
    (sx, most_x), (sy, most_y) = _between(x, lo, hi), _between(y, lo, hi)
    (sxy, most_xy), (sxx, most_xx) = _between(x * y, lo, hi), _between(x * x, lo, hi)
    together, width = sxy - sx * sy / n, sxx - sx * sx / n
    slopes = together / width
    at = (steps - origin).astype(np.longdouble) / 1000 - (samples.times_ms[len(x) // 2] - origin) / 1000
    own = middles[np.minimum(lo, len(y) - 1)]
    heights = own + sy / n + slopes * (at - sx / n)
    lost = most_xy + (np.abs(sx) * most_y + np.abs(sy) * most_x) / n
    doubtful = ~((_EPS * lost <= TOLERANCE * np.abs(together)) & (_EPS * (most_xx + sx * sx) <= TOLERANCE * width))
    return Line(slopes.astype(np.float64), heights.astype(np.float64), np.asarray(doubtful))


def _pays(values: Floats, counts: Ints) -> bool:
    return bool(counts.sum() > _OVERLAP * len(values) and np.isfinite(values).all())


def _centred(samples: Columns) -> tuple[Extended, Floats]:
    """Every sample's distance from the mean of its series, and that mean."""
    sizes = np.diff(samples.starts)
    means = np.repeat(np.add.reduceat(samples.values, samples.starts[:-1]) / sizes, sizes)
    return samples.values.astype(np.longdouble) - means, means


def _between(terms: Extended, lo: Ints, hi: Ints) -> tuple[Extended, Extended]:
    """The sum of `terms[lo:hi]` for each window, and the largest running sum."""
    running = np.zeros(len(terms) + 1, np.longdouble)
    np.cumsum(terms, out=running[1:])
    return running[hi] - running[lo], np.abs(running).max()
