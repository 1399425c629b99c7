"""Least squares over windows, for `deriv` and `predict_linear`."""

from __future__ import annotations

import numpy as np

from monitoring.promql.values import Floats
from monitoring.promql.windows import RangeVector, written_out


def slope(window: RangeVector) -> Floats:
    """Per-second slope of the line of least squares through each window."""
    return _fit(window)[0]


def predict_linear(window: RangeVector, ahead_s: Floats) -> Floats:
    """The line's value `ahead_s` seconds after each step."""
    slopes, heights = _fit(window)
    return heights + slopes * ahead_s


def _fit(window: RangeVector) -> tuple[Floats, Floats]:
    """Slope, and the line's value at the step. Centred on each window, so that nothing cancels."""
    counts = (window.hi - window.lo).ravel()
    values, times = window.samples.values, window.samples.times_ms
    steps = np.broadcast_to(window.steps, window.lo.shape).ravel()
    slopes, heights = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    for chunk in written_out(window.lo.ravel(), counts, counts >= 2):
        n = chunk.counts
        x = (times[chunk.places] - np.repeat(steps[chunk.windows], n)) / 1000.0
        y = values[chunk.places]
        x_mean = np.add.reduceat(x, chunk.starts) / n
        y_first = y[chunk.starts]
        rise = y - np.repeat(y_first, n)
        y_mean = np.add.reduceat(rise, chunk.starts) / n
        x -= np.repeat(x_mean, n)
        fit = np.add.reduceat(x * (rise - np.repeat(y_mean, n)), chunk.starts) / np.add.reduceat(x * x, chunk.starts)
        flat = np.maximum.reduceat(np.abs(rise), chunk.starts) == 0
        fit = np.where(flat, 0.0, fit)
        slopes[chunk.windows] = fit
        heights[chunk.windows] = np.where(flat, y_first, y_first + y_mean - fit * x_mean)
    return slopes.reshape(window.lo.shape), heights.reshape(window.lo.shape)
