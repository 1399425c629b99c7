"""Shapes of simulated load: pure functions of the minute, so that any time gives the same value again.

Minutes count from the fleet's epoch, a Monday at 00:00 UTC. All shapes repeat after `CYCLE_DAYS`; that is what lets a
counter be the exact integral of its rate at any time, without a start that somebody must remember.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Minutes = NDArray[np.int64]

DAY = 1440
WEEK = 7 * DAY
CYCLE_DAYS = 28
CYCLE = CYCLE_DAYS * DAY


def daily(minutes: Minutes, peak_hour: float = 14.0) -> Floats:
    """The day's wave from 0 (night) to 1, with a lower second peak six hours after the first."""
    hours = (minutes % DAY) / 60 - peak_hour
    main = np.cos(hours * (2 * np.pi / 24))
    second = 0.25 * np.cos((hours - 6) * (2 * np.pi / 12))
    return np.asarray((main + second + 1.15) / 2.4).clip(0.0, 1.0)


def weekday(minutes: Minutes, weekend: float = 0.6) -> Floats:
    """1 from Monday to Friday, `weekend` on Saturday and Sunday, with two hours of passage."""
    day = (minutes % WEEK) / DAY
    edges, levels = [0.0, 0.08, 4.96, 5.04, 6.96, 7.0], [weekend, 1.0, 1.0, weekend, weekend, weekend]
    return np.interp(day, edges, levels)


def noise(minutes: Minutes, key: str, seed: int, period: int = 10) -> Floats:
    """Smooth noise from -1 to 1: hashes at every `period` minutes (a divisor of the cycle), joined by cosines."""
    bucket, inside = np.divmod(minutes % CYCLE, period)
    salt = np.uint64(zlib.crc32(f"{seed}/{key}".encode()))
    before = _hashed(bucket, salt)
    after = _hashed((bucket + 1) % (CYCLE // period), salt)
    weight = (1 - np.cos(np.pi * inside / period)) / 2
    return before + (after - before) * weight


def pick(key: str, seed: int, low: float, high: float) -> float:
    """A fixed number between `low` and `high` for this key."""
    return low + (high - low) * zlib.crc32(f"{seed}/{key}".encode()) / 2**32


def _hashed(numbers: Minutes, salt: np.uint64) -> Floats:
    """-1 to 1 for each number: splitmix64 (Steele, Lea and Flood 2014) of the number and the salt."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) * golden + salt * np.uint64(0xD1342543DE82EF95) + golden
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return np.asarray(z.astype(np.float64) * (2.0 / 2.0**64) - 1.0)
