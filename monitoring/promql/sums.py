"""Sums that are right: fast where magnitudes allow it, compensated (Neumaier 1974, as Prometheus) where they do not."""

from __future__ import annotations

import numpy as np

from monitoring.promql.values import Bools, Floats, Ints

TOLERANCE = 1e-10
"""Relative rounding error above which a sum is done again with compensation."""

_EPS = float(np.finfo(np.float64).eps)
_LONG = 24
"""Mean window length from which prefix sums beat adding each window up."""


def add_up(rows: Floats) -> Floats:
    """Compensated sum along the first axis; infinities as IEEE adds them."""
    total = np.zeros(rows.shape[1:])
    lost = np.zeros(rows.shape[1:])
    for row in rows:
        total, lost = _step(total, lost, row)
    return _closed(total, lost)


def window_sums(values: Floats, lo: Ints, hi: Ints) -> Floats:
    """The sum of `values[lo:hi]` for each window (flat arrays of equal length); 0 for an empty one."""
    counts = hi - lo
    if not len(values) or not counts.any():
        return np.zeros(len(lo))
    if counts.mean() < _LONG or not np.isfinite(values).all():
        sums, error = _each(values, lo, hi), counts * _EPS * _largest(values, lo, hi)
    else:
        prefix = np.concatenate(([0.0], np.cumsum(values)))
        sums = prefix[hi] - prefix[lo]
        error = np.full(len(lo), _EPS * np.abs(prefix).max() * 2)
        doubtful = error > TOLERANCE * np.abs(sums)
        if doubtful.any():
            sums[doubtful] = _each(values, lo[doubtful], hi[doubtful])
            error[doubtful] = counts[doubtful] * _EPS * _largest(values, lo[doubtful], hi[doubtful])
    doubtful = (error > TOLERANCE * np.abs(sums)) & np.isfinite(error) & (counts > 1)
    if doubtful.any():
        sums[doubtful] = _compensated(values, lo[doubtful], counts[doubtful])
    return sums


def group_sums(values: Floats, present: Bools, starts: Ints) -> Floats:
    """Sums of rows between neighbouring `starts` (as `np.add.reduceat`); what is not present counts as 0."""
    filled = np.where(present, values, 0.0)
    sums = np.add.reduceat(filled, starts, axis=0)
    sizes = np.diff(np.append(starts, len(values)))
    error = np.maximum.reduceat(np.abs(filled), starts, axis=0) * (sizes * _EPS)[:, None]
    doubtful = ((error > TOLERANCE * np.abs(sums)) & np.isfinite(error)).any(axis=1) & (sizes > 1)
    for group in np.flatnonzero(doubtful).tolist():
        sums[group] = add_up(filled[starts[group] : starts[group] + sizes[group]])
    return sums


def window_extreme(values: Floats, lo: Ints, hi: Ints, pick: np.ufunc) -> Floats:
    """`pick` (fmax or fmin) over each window, from a table of powers of two: two look-ups a window. NaN where empty."""
    counts = hi - lo
    out = np.full(len(lo), np.nan)
    table, level = values, 0
    longest = int(counts.max(initial=0))
    while longest >> level:
        mine = np.flatnonzero((counts >> level) == 1)
        out[mine] = pick(table[lo[mine]], table[hi[mine] - (1 << level)])
        half = 1 << level
        table = pick(table[:-half], table[half:])
        level += 1
    return out


def _each(values: Floats, lo: Ints, hi: Ints) -> Floats:
    """Window sums one by one. `reduceat` adds between every two indices: the odd ones are thrown away."""
    padded = np.append(values, 0.0)
    edges = np.column_stack((lo, hi)).ravel()
    return np.where(hi > lo, np.add.reduceat(padded, edges)[::2], 0.0)


def _largest(values: Floats, lo: Ints, hi: Ints) -> Floats:
    return np.nan_to_num(window_extreme(np.abs(values), lo, hi, np.fmax), nan=0.0, posinf=np.inf)


def _compensated(values: Floats, lo: Ints, counts: Ints) -> Floats:
    total = np.zeros(len(lo))
    lost = np.zeros(len(lo))
    for k in range(int(counts.max())):
        inside = k < counts
        total, lost = _step(total, lost, np.where(inside, values[np.where(inside, lo + k, 0)], 0.0))
    return _closed(total, lost)


def _step(total: Floats, lost: Floats, more: Floats) -> tuple[Floats, Floats]:
    after = total + more
    bigger = np.abs(total) >= np.abs(more)
    rest = np.where(bigger, (total - after) + more, (more - after) + total)
    return after, np.where(np.isinf(after), 0.0, lost + rest)


def _closed(total: Floats, lost: Floats) -> Floats:
    return np.where(np.isinf(total), total, total + lost)
