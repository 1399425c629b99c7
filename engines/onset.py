"""When a departure began: the corner of the best flat-then-step or flat-then-slope through what a habit leaves."""

from __future__ import annotations

import numpy as np

from engines.baseline import Floats

BEFORE = 2.0
"""How many times the length of what is seen of the departure is looked back before it."""
LEAST = 30
MOST = 600
"""Samples looked at, at least and at most."""
EDGE = 3
SLOPE_WINS = 0.8
"""The part of a step's error below which a slope is told."""


def onset(residual: Floats, first: int, last: int) -> int:
    """The row at which a departure seen in rows `first` to `last` began; `residual`: values minus what is usual.

    The sum of squared errors of y = a + b·f(t − corner) is least at the corner, over all corners from the look-back on,
    for f a step and f a slope; the step is told unless the slope explains clearly more.
    """
    begin = max(0, first - max(LEAST, min(int(BEFORE * (last - first + 1)), MOST)))
    until = min(last, first + max(EDGE, _highest(residual[first : last + 1]))) + 1
    part = residual[begin:until]
    corners = np.arange(EDGE, min(first - begin, len(part) - EDGE) + 1)
    if len(part) > 4 * MOST or len(corners) == 0:
        return first
    rows = np.arange(len(part), dtype=np.float64)
    step_error = _errors(part, np.where(rows >= corners[:, None], 1.0, 0.0))
    slope_error = _errors(part, np.maximum(rows - corners[:, None] + 1, 0.0))
    step, slope = int(np.argmin(step_error)), int(np.argmin(slope_error))
    best = slope if slope_error[slope] < SLOPE_WINS * step_error[step] else step
    return begin + int(corners[best])


def _highest(values: Floats) -> int:
    """The row of the largest departure."""
    return int(np.argmax(np.abs(values)))


def _errors(values: Floats, shapes: Floats) -> Floats:
    """The squared error left of the values by each shape [corners × rows], with its own level and size."""
    centred = values - values.mean()
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    weight = np.maximum(np.sum(shapes**2, axis=1), 1e-12)
    return np.asarray(centred @ centred - (shapes @ centred) ** 2 / weight, dtype=np.float64)
