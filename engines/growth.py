"""How a quantity that fills up grows: by the hours of its day, with one-off jumps and with clean-ups that come back.

Growth is simulated from its own last days rather than drawn as a line: a disk fills when its backup runs, and a log
that is rotated every night loses a part of what came since the night before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engines.baseline import DAY_S, MAD_TO_SIGMA, Floats, group_medians

STEP_S = 300.0
DAY = int(DAY_S / STEP_S)
SHORTEST_S = 1.25 * DAY_S
HABIT_DAYS = 10
SLOT = 3
"""Steps that share a rate in the daily profile"""
AHEAD_DAYS = 30
"""Simulated so far; beyond, growth goes on at the net rate of the last simulated week."""
JUMPS = 4
"""More big jumps than this are how the series grows, and no exceptions."""
CLEAN_UPS = 3
EVERY_DAY = 0.9
QUANTILES = (np.arange(41) + 0.5) / 41
NEAR = float(np.log(1.25))
SURE = 0.6
"""The part of the usual error at which the likeliest time is sought: wider, it would fall between two clean-ups."""
WIDE = 1.6
"""What that error is widened by for the interval, whose past it has not seen (80 % hold on held-out disks)."""


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Drops that recur: in steps from now, each taking a share of what came since the last one, or a fixed size."""

    following: int
    every: int
    share: float | None
    size: float
    pending: float
    """Growth since the last one"""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Growth by steps of five minutes: what was, and what a day of it looks like from now on."""

    rates: Floats
    """Growth of each past step, with drops and one-off jumps taken out"""
    profile: Floats
    """Expected growth of each step of the coming day [DAY]"""
    clean_up: CleanUp | None

    @classmethod
    def of(cls, times: Floats, values: Floats) -> Course | None:
        """The course of a rising series (Unix seconds, ascending); None for under thirty hours of it."""
        if len(values) == 0 or times[-1] - times[0] < SHORTEST_S:
            return None
        steps = np.diff(_grid(times, values))
        falls, jumps = _exceptions(steps)
        rates = steps.copy()
        usual = np.ones(len(steps), dtype=bool)
        usual[np.r_[falls, jumps]] = False
        rates[~usual] = np.median(steps[usual])
        return cls(rates, _profile(rates), _clean_up(steps, rates, falls))

    @property
    def grows(self) -> bool:
        """True where nearly every stretch of a day, back from now, ended higher than it began."""
        days = [
            float(np.sum(self.rates[max(end - DAY, 0) : end])) for end in range(len(self.rates), DAY // 2, -DAY // 2)
        ]
        return sum(day > 0 for day in days) >= EVERY_DAY * len(days)

    @property
    def at_new_heights(self) -> bool:
        """True where the level, without its drops, is above all that it was before the last day."""
        level = np.cumsum(self.rates)
        return bool(level[-1] > max(0.0, float(np.max(level[:-DAY]))))

    def reaches(self, gap: float) -> tuple[float, float, float]:
        """Seconds until it has grown by `gap`: the likeliest, and between which four in five lie; inf for never."""
        path = self._path()
        rough = float(_times(gap, path, np.ones(1))[0])
        ahead = int(np.clip(rough / STEP_S if np.isfinite(rough) else np.inf, 12, 3 * DAY))
        error = self._error(min(ahead, len(self.rates) // 2))
        wide = _times(gap, path, np.exp(WIDE * error * ndtri(QUANTILES)))
        low, high = (float(np.quantile(wide, q, method="nearest")) for q in (0.1, 0.9))
        return _likeliest(_times(gap, path, np.exp(SURE * error * ndtri(QUANTILES)))), low, high

    def _path(self) -> tuple[Floats, Floats]:
        """Growth from now on, step by step: what goes with the pace, and what does not."""
        steps = np.tile(self.profile, AHEAD_DAYS)
        fixed = np.zeros(len(steps))
        if self.clean_up is not None:
            one = self.clean_up
            at = np.arange(one.following, len(steps), one.every)
            if one.share is None:
                fixed[at] -= one.size
            elif len(at):
                total = np.r_[0.0, np.cumsum(steps)]
                steps[at] -= one.share * np.diff(total[at], prepend=0.0)
                fixed[at[0]] -= one.share * one.pending
        return np.cumsum(steps), np.cumsum(fixed)

    def _error(self, ahead: int) -> float:
        """How far (as a log ratio, one sigma) yesterday missed the growth over `ahead` steps, from many past times."""
        total = np.r_[0.0, np.cumsum(self.rates)]
        origins = np.arange(len(self.rates) - ahead, DAY - 1, -DAY // 16)
        if len(origins) < 4:
            return 0.3
        came = (total[origins + ahead] - total[origins]) / ahead
        like = min(ahead, DAY)
        said = (total[origins - DAY + like] - total[origins - DAY]) / like
        tiny = 1e-12 * max(float(np.max(np.abs(total))), 1e-300)
        miss = np.abs(np.log(np.maximum(came, tiny) / np.maximum(said, tiny)))
        return float(np.clip(np.quantile(miss, 0.68), 0.03, 1.5))


def _times(gap: float, path: tuple[Floats, Floats], pace: Floats) -> Floats:
    """Seconds until `gap` is closed when growth runs at `pace` times what is expected."""
    grown, taken = path
    level = pace[:, None] * grown + taken
    hit = level >= gap
    first = np.where(hit.any(axis=1), np.argmax(hit, axis=1) + 1.0, np.inf)
    week = 7 * DAY
    net = (level[:, -1] - level[:, -1 - week]) / week
    with np.errstate(divide="ignore", invalid="ignore"):
        later = np.where(net > 0, level.shape[1] + (gap - level[:, -1]) / net, np.inf)
    return np.asarray(np.where(np.isfinite(first), first, later) * STEP_S, dtype=np.float64)


def _likeliest(found: Floats) -> float:
    """The time that most others are near; of several, the middle one."""
    logs = np.log(np.minimum(found, 1e12))
    company = np.sum(np.abs(logs[:, None] - logs) <= NEAR, axis=1)
    best = np.flatnonzero(company == company.max())
    return float(found[best[np.argmin(np.abs(best - len(found) // 2))]])


def _grid(times: Floats, values: Floats) -> Floats:
    """The level every five minutes up to the last sample: medians, gaps bridged by straight lines."""
    first = max(float(times[0]), float(times[-1]) - HABIT_DAYS * DAY_S)
    count = int((times[-1] - first) / STEP_S) + 1
    back = np.round((times[-1] - times) / STEP_S).astype(np.int64)
    kept = back < count
    levels = group_medians(count - 1 - back[kept], values[kept], count)
    known = np.flatnonzero(np.isfinite(levels))
    return np.asarray(np.interp(np.arange(count), known, levels[known]), dtype=np.float64)


def _exceptions(steps: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The steps that are drops, and those that are one-off jumps."""
    size = np.abs(steps)
    typical, large = float(np.median(size)), float(np.quantile(size, 0.99))
    least = 1e-6 * float(np.sum(size))
    falls = np.flatnonzero(steps < -max(1.5 * large, 10 * typical, least))
    jumps = np.flatnonzero(steps > max(5 * large, 20 * typical, least))
    return falls, jumps if len(jumps) <= JUMPS else jumps[:0]


def _profile(rates: Floats) -> Floats:
    """A day from now: the pace of the last day in the shape of the last ten."""
    age = len(rates) - 1 - np.arange(len(rates))
    slot = (-age - 1) % DAY // SLOT
    slots = DAY // SLOT
    mean, weight = float(np.mean(rates)), SLOT / 6
    counts = np.bincount(slot, minlength=slots)
    shape = (np.bincount(slot, rates, slots) + mean * weight) / (counts + weight)
    today = float(np.mean(rates[-DAY:]))
    return np.repeat(shape * (today / mean if mean > 0 else 1.0), SLOT)


def _clean_up(steps: Floats, rates: Floats, falls: NDArray[np.intp]) -> CleanUp | None:
    """The habit in the drops: none where they are few or keep no rhythm."""
    if len(falls) < CLEAN_UPS:
        return None
    gaps = np.diff(falls)
    every = float(np.median(gaps))
    turns = gaps / every
    if np.mean(np.abs(turns - np.round(turns)) < 0.1) < 0.6:
        return None
    total = np.r_[0.0, np.cumsum(rates)]
    grown = total[falls[1:]] - total[falls[:-1] + 1]
    sizes = -steps[falls[1:]]
    shares = sizes / np.maximum(grown, 1e-12 * max(float(total[-1]), 1e-300))
    share = float(np.median(shares)) if _variation(shares) < _variation(sizes) else None
    following = int(falls[-1] + every - len(steps))
    while following < 0:
        following += int(every)
    return CleanUp(following, int(every), share, float(np.median(sizes[-7:])), float(total[-1] - total[falls[-1] + 1]))


def _variation(values: Floats) -> float:
    middle = float(np.median(values))
    return MAD_TO_SIGMA * float(np.median(np.abs(values - middle))) / middle if middle > 0 else np.inf
