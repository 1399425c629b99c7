"""When a series reaches a limit, and what it will be at a time: with an interval, or with the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engines.baseline import DAY_S, Baseline, Floats, jitter, present, spread
from engines.growth import Course
from engines.trend import blocks, line

MIN_SPAN_S = 3600.0
MIN_SAMPLES = 12
RECENT_S = DAY_S
DROP_SIGMAS = 8.0
DROP_OF_RANGE = 0.05
"""A fall from one sample to the next by this part of the range is a rotation or a clean-up, not growth."""
OFFSET_FADE_S = 4 * 3600.0
"""How fast today's distance from the habit fades: one e-fold."""

Reason = Literal["ok", "too_little", "flat", "away", "beyond", "reached"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """When a limit is reached, in Unix seconds. `at` stands only with `ok` and `reached` evidence."""

    at: float | None
    low: float | None
    """Earliest and latest likely time (four in five lie between); `high` is None where it may never happen"""
    high: float | None
    rate_per_hour: float | None
    evidence: Reason
    """`too_little` history, `flat`: no growth beyond noise, `away` from the limit, `beyond` the horizon, `reached`"""
    fit: float
    """Share of the movement that steady growth explains, 0–1; NaN without evidence"""


@dataclass(frozen=True, slots=True)
class Level:
    """An expected value with its likely interval (about 90 %), and how it was found; NaN where there is no history."""

    value: float
    low: float
    high: float
    method: Literal["habit", "line", "last", "none"]


@dataclass(frozen=True, slots=True)
class _Growth:
    """Growth between drops (per second), its standard error, and the habit of dropping."""

    rate: float
    error: float
    fit: float
    noise: float
    drop: float
    """Median size of the drops; 0 where they are no habit"""
    period: float
    next_drop: float


def time_to(times: Floats, values: Floats, limit: float, horizon_s: float, *, rising: bool = True) -> Crossing:
    """When the series will reach `limit` if it goes on as it did lately.

    Sudden drops (log rotation, clean-up) are no growth; when they recur, they delay the crossing. A limit that is
    approached from above, such as free bytes towards 0, takes `rising=False`.
    """
    times, values = present(times, values)
    if len(values) < MIN_SAMPLES or times[-1] - times[0] < MIN_SPAN_S:
        return Crossing(None, None, None, None, "too_little", np.nan)
    side = 1.0 if rising else -1.0
    now, growth = float(times[-1]), _growth(times, side * values)
    gap = side * limit - float(np.median(side * values[-3:]))
    rate_per_hour = side * growth.rate * 3600
    if gap <= 0:
        return Crossing(now, now, now, rate_per_hour, "reached", growth.fit)
    steady = growth.rate > 2 * growth.error and growth.rate * (now - times[0]) >= 3 * growth.noise
    course = Course.of(times, side * values)
    if not (steady if course is None else course.grows or (steady and course.at_new_heights)):
        away = growth.rate < -2 * growth.error
        return Crossing(None, None, None, rate_per_hour, "away" if away else "flat", growth.fit)
    at, low, high = _when(now, gap, growth, course)
    if at is None:
        return Crossing(None, low, None, rate_per_hour, "flat", growth.fit)
    if at > now + horizon_s:
        return Crossing(None, low, high, rate_per_hour, "beyond", growth.fit)
    return Crossing(at, low, high, rate_per_hour, "ok", growth.fit)


def _when(
    now: float, gap: float, growth: _Growth, course: Course | None
) -> tuple[float | None, float | None, float | None]:
    """When the gap is closed, at the likeliest, the earliest and the latest; by the habits of the day where known."""
    if course is None:
        at, low, high = (_reach(gap, growth, growth.rate + k * 1.65 * growth.error, now) for k in (0.0, 1.0, -1.0))
        return at, low, high
    found = [now + seconds if np.isfinite(seconds) else None for seconds in course.reaches(gap)]
    return found[0], found[1], found[2]


def _growth(times: Floats, values: Floats) -> _Growth:
    """How fast the series grows between its drops over the last day, with the drops put back."""
    steps = np.diff(values)
    noise = jitter(values)
    smallest = max(DROP_SIGMAS * noise, DROP_OF_RANGE * float(np.ptp(values)))
    falls = np.flatnonzero(steps < -smallest) if smallest > 0 else np.empty(0, dtype=np.intp)
    restored = values.copy()
    restored[1:] -= np.cumsum(np.where(steps < -smallest, steps, 0.0))
    recent = times >= times[-1] - RECENT_S
    t, y = times[recent], restored[recent]
    rate, start = line(t, y)
    residual = y - start - rate * (t - t[0])
    drop, period, following = _habit(times[falls + 1], -steps[falls])
    return _Growth(rate, _slope_error(t, y, residual), _fit(y, residual), noise, drop, period, following)


def _slope_error(times: Floats, values: Floats, residual: Floats) -> float:
    """The slope's standard error, from the residuals of twelve blocks, which take slow wandering into account."""
    middles, medians = blocks(times, residual, 12)
    free = max(len(medians) - 2, 1)
    lever = float(np.sqrt(np.sum((middles - middles.mean()) ** 2)))
    return float(np.sqrt(np.sum(medians**2) / free)) / lever if lever > 0 else np.inf


def _fit(values: Floats, residual: Floats) -> float:
    total = float(np.var(values))
    return max(0.0, 1 - float(np.var(residual)) / total) if total > 0 else 0.0


def _habit(at: Floats, sizes: Floats) -> tuple[float, float, float]:
    """Median size, median distance and next time of drops that came at least three times; zeros otherwise."""
    if len(at) < 3:
        return 0.0, np.inf, np.inf
    period = float(np.median(np.diff(at)))
    return float(np.median(sizes)), period, float(at[-1]) + period


def _reach(gap: float, growth: _Growth, rate: float, now: float) -> float | None:
    """The time at which growth of `rate` with its habitual drops has closed the gap; None for never."""
    if rate <= 0:
        return None
    alone = now + gap / rate
    if alone <= growth.next_drop or growth.drop == 0:
        return alone
    net = rate * growth.period - growth.drop
    if net <= 0:
        return None
    first_peak = rate * max(growth.next_drop - now, 0.0)
    teeth = float(np.ceil((gap - first_peak) / net))
    return growth.next_drop + teeth * growth.period - (first_peak + teeth * net - gap) / rate


def level_at(times: Floats, values: Floats, when: float) -> Level:
    """The value to expect at `when`: the hour's habit with today's offset fading, or a line, whichever erred less.

    Both are tried on the last part of the history, as far ahead as `when` lies; what they missed by is the interval.
    """
    times, values = present(times, values)
    if len(values) == 0:
        return Level(np.nan, np.nan, np.nan, "none")
    ahead, span = when - float(times[-1]), float(times[-1] - times[0])
    if len(values) < MIN_SAMPLES or span < MIN_SPAN_S or ahead <= 0:
        last, around = float(np.median(values[-3:])), 1.65 * max(spread(values), jitter(values))
        return Level(last, last - around, last + around, "last")
    cut = float(times[-1]) - min(max(ahead, MIN_SPAN_S / 2), span / 3)
    known, later = times <= cut, times > cut
    methods = _METHODS if cut - times[0] >= DAY_S else _METHODS[1:]
    misses = [np.abs(values[later] - ahead_of(times[known], values[known], times[later])) for _, ahead_of in methods]
    best = int(np.argmin([np.mean(miss) for miss in misses]))
    name, ahead_of = methods[best]
    value = float(ahead_of(times, values, np.array([when]))[0])
    around = float(np.quantile(misses[best], 0.9)) * max(1.0, float(np.sqrt(ahead / (times[-1] - cut))))
    return Level(value, value - around, value + around, name)


def _by_habit(times: Floats, values: Floats, when: Floats) -> Floats:
    """The usual value of the hour, plus the present distance from the usual, which fades."""
    base = Baseline.fit(times, values)
    recent = times >= times[-1] - OFFSET_FADE_S / 8
    offset = float(np.median(values[recent] - base.expected(times[recent])))
    fading = offset * np.exp(-(when - times[-1]) / OFFSET_FADE_S)
    return np.asarray(base.expected(when) + fading, dtype=np.float64)


def _by_line(times: Floats, values: Floats, when: Floats) -> Floats:
    """The robust line through the last day, from the present level on."""
    recent = times >= times[-1] - RECENT_S
    slope, start = line(times[recent], values[recent])
    return np.asarray(start + slope * (when - times[recent][0]), dtype=np.float64)


def _by_last(times: Floats, values: Floats, when: Floats) -> Floats:
    """The level of the last quarter of an hour, held."""
    recent = times >= times[-1] - 900.0
    return np.full(len(when), np.median(values[recent]))


_Method = Literal["habit", "line", "last", "none"]
_METHODS: tuple[tuple[_Method, Callable[[Floats, Floats, Floats], Floats]], ...] = (
    ("habit", _by_habit),
    ("line", _by_line),
    ("last", _by_last),
)
