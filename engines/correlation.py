"""How closely two series move together, and which of them moves first; a shared daily wave alone does not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc
from typing import Literal, NamedTuple

import numpy as np

from engines.baseline import DAY_S, Floats, present

MAX_POINTS = 4096
MIN_POINTS = 20
CERTAIN = 0.001


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r of two series at the lag where it is strongest, after trend and daily wave were taken out."""

    r: float
    """-1 … 1; NaN without evidence"""
    lag_s: float
    """Positive: the first series moves this much earlier than the second"""
    n: int
    """Points of the common grid"""
    p: float
    """Chance of so strong an r between unrelated series that are as slow as these, over all lags tried"""
    r_change: float
    """r of the changes from point to point at the same lag"""
    strength: Literal["strong", "moderate", "weak", "none", "too_little"]


class Ranked(NamedTuple):
    """One of the series compared with a target."""

    name: str
    correlation: Correlation


_NOTHING = Correlation(np.nan, 0.0, 0, np.nan, np.nan, "too_little")


def correlate(a_times: Floats, a: Floats, b_times: Floats, b: Floats, max_lag_s: float) -> Correlation:
    """The correlation of `a` and `b` where they overlap, at lags up to `max_lag_s` to either side.

    `too_little`: fewer than twenty common points, or one of the two never moves.
    """
    a_times, a = present(a_times, a)
    b_times, b = present(b_times, b)
    grid = _grid(a_times, b_times)
    if len(grid) < MIN_POINTS:
        return _NOTHING
    x, y = (_detrended(grid, np.interp(grid, t, v)) for t, v in ((a_times, a), (b_times, b)))
    if not (np.any(x) and np.any(y)):
        return _NOTHING
    step = float(grid[1] - grid[0])
    reach = int(min(max_lag_s // step, len(grid) // 4))
    r_at = _all_lags(x, y, reach)
    lag = int(np.argmax(np.abs(r_at))) - reach
    r = float(np.clip(r_at[lag + reach], -1.0, 1.0))
    left, right = (x[: len(x) - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[: len(y) + lag])
    tries, free = 1 + 2 * reach * _independence(x, y), max(len(left) * _independence(x, y), 3.0)
    p = min(1.0, tries * erfc(abs(np.arctanh(min(abs(r), 0.999999))) * np.sqrt(max(free - 3, 0.0)) / np.sqrt(2)))
    r_change = _pearson(np.diff(_smooth(left)), np.diff(_smooth(right)))
    return Correlation(r, lag * step, len(grid), p, r_change, _strength(r, p, r_change))


def strongest(
    target: tuple[Floats, Floats], others: Mapping[str, tuple[Floats, Floats]], max_lag_s: float, limit: int = 10
) -> list[Ranked]:
    """The series that move with `target` (times, values), closest first; those without any connection are left out."""
    ranked = [Ranked(name, correlate(*target, *other, max_lag_s)) for name, other in others.items()]
    related = [one for one in ranked if one.correlation.strength not in ("none", "too_little")]
    return sorted(related, key=lambda one: (-abs(one.correlation.r), one.name))[:limit]


def _grid(a_times: Floats, b_times: Floats) -> Floats:
    """Equal steps over the time that both cover, as fine as the coarser of the two."""
    if min(len(a_times), len(b_times)) < MIN_POINTS:
        return np.empty(0)
    first, last = max(a_times[0], b_times[0]), min(a_times[-1], b_times[-1])
    step = max(float(np.median(np.diff(a_times))), float(np.median(np.diff(b_times))), (last - first) / MAX_POINTS)
    return np.arange(first, last + step / 2, step)


def _detrended(times: Floats, values: Floats) -> Floats:
    """The values without their line and, from 18 hours on, without their daily wave; zeros for a constant series."""
    x = (times - times[0]) / max(float(times[-1] - times[0]), 1.0)
    columns = [np.ones_like(x), x]
    if times[-1] - times[0] >= 0.75 * DAY_S:
        phase = 2 * np.pi * times / DAY_S
        columns += [wave(k * phase) for k in (1, 2) for wave in (np.sin, np.cos)]
    basis = np.stack(columns, axis=1)
    rest = values - basis @ np.linalg.solve(basis.T @ basis, basis.T @ values)
    small = 1e-9 * max(1.0, float(np.max(np.abs(values))))
    return np.asarray(np.where(np.std(rest) > small, rest - rest.mean(), 0.0), dtype=np.float64)


def _all_lags(x: Floats, y: Floats, reach: int) -> Floats:
    """r at lags -reach … reach, each over the points that then overlap; positive lags: `y` follows `x`."""
    n = len(x)
    size = 1 << (2 * n - 1).bit_length()
    cross = np.fft.irfft(np.conj(np.fft.rfft(x, size)) * np.fft.rfft(y, size), size)
    products = np.concatenate([cross[size - reach :], cross[: reach + 1]]) if reach else cross[:1]
    lags = np.arange(-reach, reach + 1)
    xx, yy = np.r_[0.0, np.cumsum(x**2)], np.r_[0.0, np.cumsum(y**2)]
    x_from, y_from = np.maximum(-lags, 0), np.maximum(lags, 0)
    overlap = n - np.abs(lags)
    energy = (xx[x_from + overlap] - xx[x_from]) * (yy[y_from + overlap] - yy[y_from])
    return np.asarray(products / np.sqrt(np.maximum(energy, 1e-300)), dtype=np.float64)


def _independence(x: Floats, y: Floats) -> float:
    """The part of the points that count as independent when both series are slow (Bartlett 1935, first order)."""
    slow = max(_pearson(x[:-1], x[1:]), 0.0) * max(_pearson(y[:-1], y[1:]), 0.0)
    return max((1 - slow) / (1 + slow), 0.0)


def _pearson(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else 0.0


def _smooth(values: Floats) -> Floats:
    """Means of about sixty blocks, so that noise does not hide common changes."""
    width = max(len(values) // 60, 1)
    return np.asarray(values[: len(values) // width * width].reshape(-1, width).mean(axis=1), dtype=np.float64)


def _strength(r: float, p: float, r_change: float) -> Literal["strong", "moderate", "weak", "none"]:
    """In words; levels that agree while their changes do not are weak at most."""
    if p > CERTAIN or abs(r) < 0.2:
        return "none"
    if abs(r) < 0.4 or r_change * np.sign(r) < 0.1:
        return "weak"
    return "strong" if abs(r) >= 0.7 else "moderate"
