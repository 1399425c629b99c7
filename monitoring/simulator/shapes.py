"""Shapes of simulated load: pure functions of the minute, so that any time gives the same value again.

Minutes count from the fleet's epoch, a Monday at 00:00 UTC. All shapes repeat after `CYCLE_DAYS`; that is what lets a
counter be the exact integral of its rate at any time, without a start that somebody must remember.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Minutes = NDArray[np.int64]

EPOCH = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""A Monday, 00:00 UTC. Counters are 0 there; times before it are not simulated."""
DAY = 1440
WEEK = 7 * DAY
CYCLE_DAYS = 28
CYCLE = CYCLE_DAYS * DAY
_MEMORY = ((720, 0.45), (120, 0.35), (20, 0.3), (2, 0.25))
"""Periods in minutes and shares of the noise that remembers: what is high now is likely high in an hour."""


def daily(minutes: Minutes, peak_hour: float = 14.0) -> Floats:
    """The day's wave from 0 (night) to 1, with a lower second peak six hours after the first."""
    hours = (minutes % DAY) / 60 - peak_hour
    main = np.cos(hours * (2 * np.pi / 24))
    second = 0.25 * np.cos((hours - 6) * (2 * np.pi / 12))
    return np.asarray((main + second + 1.15) / 2.4).clip(0.0, 1.0)


def weekday(minutes: Minutes, weekend: float = 0.6) -> Floats:
    """1 on Monday, a little less on Friday, `weekend` on Saturday and Sunday, with two hours of passage."""
    day = (minutes % WEEK) / DAY
    edges = [0.0, 0.08, 3.96, 4.04, 4.96, 5.04, 6.96, 7.0]
    return np.interp(day, edges, [weekend, 1.0, 1.0, 0.94, 0.94, weekend, weekend, weekend])


def habit(minutes: Minutes, hour: float, length: int, seed: int, key: str, weekday_only: int | None = None) -> Floats:
    """1 while a job of cron runs, 0 otherwise: from `hour` on for `length` minutes, give or take a tenth each day.

    With `weekday_only` (0 is Monday) it runs on that day of the week alone.
    """
    day, inside = np.divmod(minutes % CYCLE, DAY)
    first = int(day.min())
    lasts = length * (1 + 0.1 * _hashed(np.arange(first, int(day.max()) + 1), _salt(f"{key}/length", seed)))
    since = inside - round(hour * 60)
    runs = (since >= 0) & (since < lasts[day - first])
    if weekday_only is not None:
        runs &= day % 7 == weekday_only
    return np.asarray(runs, dtype=np.float64)


def noise(minutes: Minutes, key: str, seed: int, period: int = 10) -> Floats:
    """Smooth noise from -1 to 1 at minutes that follow each other: hashes at every `period` minutes (a divisor of the
    cycle), joined by cosines."""
    first, last = int(minutes[0]) // period, int(minutes[-1]) // period
    knots = _hashed(np.arange(first, last + 2) % (CYCLE // period), _salt(key, seed))
    filled = knots[:-1, np.newaxis] + np.diff(knots)[:, np.newaxis] * _easing(period)
    skipped = int(minutes[0]) - first * period
    return np.asarray(filled.reshape(-1)[skipped : skipped + len(minutes)], dtype=np.float64)


@cache
def _easing(period: int) -> Floats:
    """How much of the next knot is in each minute before it."""
    return np.asarray((1 - np.cos(np.pi * np.arange(period) / period)) / 2)


def wander(minutes: Minutes, key: str, seed: int) -> Floats:
    """Noise with a memory, mostly within -1 to 1: slow waves of half a day under quick ones of two minutes."""
    parts = [share * noise(minutes, f"{key}/{period}", seed, period) for period, share in _MEMORY]
    return np.asarray(sum(parts[1:], parts[0]))


def jitter(times: Floats, key: str, seed: int) -> Floats:
    """Noise without a memory, -1 to 1, for each time (Unix seconds) on its own."""
    return _hashed(np.round(times * 10).astype(np.int64), _salt(key, seed))


def pick(key: str, seed: int, low: float, high: float) -> float:
    """A fixed number between `low` and `high` for this key."""
    return low + (high - low) * zlib.crc32(f"{seed}/{key}".encode()) / 2**32


def _salt(key: str, seed: int) -> np.uint64:
    return np.uint64(zlib.crc32(f"{seed}/{key}".encode()))


def _hashed(numbers: Minutes, salt: np.uint64) -> Floats:
    """-1 to 1 for each number: splitmix64 (Steele, Lea and Flood 2014) of the number and the salt."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) * golden + salt * np.uint64(0xD1342543DE82EF95) + golden
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return np.asarray(z.astype(np.float64) * (2.0 / 2.0**64) - 1.0)
