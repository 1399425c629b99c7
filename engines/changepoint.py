"""When a series changed its level: steps, ramps and spikes with their onset, and whether they last.

A change that came at the same hour of the day before, as a cron job or the daily wave does, is a habit and not told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.baseline import DAY_S, MAD_TO_SIGMA, Floats, jitter, present, rolling_median, spread
from engines.trend import blocks

WIDTHS = (5, 15, 45)
"""Samples before and after a point whose medians are compared"""
SIGMAS = 6.0
MATERIAL = 0.03
"""The smallest change told, as a part of `scale`, where the caller names none"""
ABRUPT = 0.6
"""The part of a step that must happen within three samples; slower ones are ramps."""
RETURN = 0.65
"""The part of a step that an opposite one must undo to end it."""
BURSTS = 0.35
"""How much of the plain deviation between samples counts as noise, for series that are still but for bursts"""
SPIKE_SAMPLES = 10
HABIT_S = 1200.0
"""How far apart in the day two changes still count as the same habit"""
OFTEN = 4
"""So many changes of like size that came and went are no news."""
RAMP_BLOCKS = 64
RAMP_FIT = 0.85
"""The part of the movement that a ramp must explain"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of level: times in Unix seconds, levels in the series' unit."""

    time: float
    """The first sample that departs"""
    before: float
    after: float
    size: float
    """after − before, in robust standard deviations of the series' noise; signed"""
    kind: Literal["step", "ramp", "spike"]
    end: float | None
    """When the level came back to what it was before; None while it lasts"""


def changes(
    times: Floats, values: Floats, *, scale: float | None = None, min_shift: float | None = None
) -> list[Change]:
    """All changes of level, earliest first. `min_shift` (in the series' unit) is the smallest one worth telling.

    `scale` is the unit's full range, such as 100 for percent; without one, the highest usual level is the measure.
    """
    times, values = present(times, values)
    if len(values) < 2 * WIDTHS[0]:
        return []
    whole = scale or float(np.quantile(np.abs(values), 0.95)) or float(np.max(np.abs(values)))
    if whole == 0:
        return []
    smallest = min_shift if min_shift is not None else MATERIAL * whole
    noise = max(jitter(values), float(np.std(np.diff(values))) * BURSTS, 1e-3 * whole)
    steps = _steps(times, values, noise, smallest)
    steps_told = _lasting(times, values, steps, noise, smallest)
    ramps = [
        ramp for ramp in _ramps(times, values, noise, smallest) if not any(_explains(step, ramp) for step in steps_told)
    ]
    steps_told = [step for step in steps_told if not any(_is_detail(step, ramp) for ramp in ramps)]
    passing = [step for step in steps_told if step.end is not None] + _spikes(times, values, noise, smallest)
    found = [step for step in steps_told if step.end is None] + ramps + _rare(passing)
    return sorted(found, key=lambda change: change.time)


def since(
    times: Floats, values: Floats, *, scale: float | None = None, min_shift: float | None = None
) -> Change | None:
    """The change that brought the present level: the latest one that lasts and is no detail beside a larger one."""
    lasting = [change for change in changes(times, values, scale=scale, min_shift=min_shift) if change.end is None]
    if not lasting:
        return None
    largest = max(abs(change.after - change.before) for change in lasting)
    return [change for change in lasting if abs(change.after - change.before) >= largest / 3][-1]


def _shifts(values: Floats, width: int) -> Floats:
    """Median of `width` samples from each sample on, less that of the `width` before it; 0 at the ends."""
    medians = rolling_median(values, width)[width // 2 : len(values) - width // 2]
    shift = np.zeros(len(values))
    shift[width : len(values) - width + 1] = medians[width:] - medians[:-width]
    return shift


def _steps(times: Floats, values: Floats, noise: float, smallest: float) -> list[int]:
    """The first samples of new levels in time order, found at several widths, one per neighbourhood."""
    unrest = _unrest(values, noise)
    candidates: list[tuple[float, int, int]] = []
    for width in WIDTHS:
        if len(values) < 6 * width and width > WIDTHS[0]:
            break
        shift = _shifts(values, width)
        strength = np.abs(shift)
        usual = max(noise * np.sqrt(np.pi / width), spread(shift) if len(values) >= 6 * width else 0.0) * unrest
        peak = (strength >= np.maximum(smallest, SIGMAS * usual)) & (strength >= _rolling_max(strength, width))
        rows = [int(row) for row in np.flatnonzero(peak) if not _is_habit(times, shift, int(row))]
        candidates += [(float(strength[row] / usual[row]), _onset(values, row, width), width) for row in rows]
    taken: list[int] = []
    for _, at, width in sorted(candidates, reverse=True):
        if all(abs(at - other) > width for other in taken) and _is_abrupt(values, at, width):
            taken.append(at)
    return sorted(taken)


def _unrest(values: Floats, noise: float) -> Floats:
    """How many times the usual noise each sample's surroundings have; at least 1."""
    rows = np.arange(1.0, len(values))
    middles, medians = blocks(rows, np.abs(np.diff(values)), max(len(values) // 60, 1))
    local = np.interp(np.arange(len(values)), middles, medians) * MAD_TO_SIGMA / np.sqrt(2.0)
    return np.asarray(np.maximum(local / noise, 1.0), dtype=np.float64)


def _is_habit(times: Floats, shift: Floats, row: int) -> bool:
    """True where a shift like that of `row` came at the same hour of the day before or after."""
    for day in (-DAY_S, DAY_S):
        first, last = np.searchsorted(times, times[row] + day + np.array([-HABIT_S, HABIT_S]))
        alike = shift[first:last] * np.sign(shift[row])
        if len(alike) > 0 and float(np.max(alike)) >= ABRUPT * abs(float(shift[row])):
            return True
    return False


def _onset(values: Floats, row: int, width: int) -> int:
    """The first sample of the new level: the split into two means with the least squared error near `row`."""
    first = max(row - width, 0)
    near = values[first : row + width]
    left = np.arange(1, len(near))
    sums = np.cumsum(near)
    gain = sums[:-1] ** 2 / left + (sums[-1] - sums[:-1]) ** 2 / (len(near) - left)
    return first + 1 + int(np.argmax(gain - gain.min()))


def _is_abrupt(values: Floats, at: int, width: int) -> bool:
    """True where most of the shift between the wide medians happens within three samples."""
    wide = np.median(values[at : at + width]) - np.median(values[max(at - width, 0) : at])
    near = np.median(values[at : at + 3]) - np.median(values[max(at - 3, 0) : at])
    return bool(near * np.sign(wide) >= ABRUPT * abs(wide))


def _lasting(times: Floats, values: Floats, steps: list[int], noise: float, smallest: float) -> list[Change]:
    """The steps as changes; a step that undoes an earlier one ends it and is not told by itself."""
    edges = [0, *steps, len(values)]
    levels = [
        (float(np.median(values[max(a, at - 30) : at])), float(np.median(values[at : min(b, at + 30)])))
        for a, at, b in zip(edges, steps, edges[2:], strict=False)
    ]
    found: list[Change] = []
    undone: set[int] = set()
    for k, (at, (before, after)) in enumerate(zip(steps, levels, strict=True)):
        size = after - before
        if k in undone or abs(size) <= smallest / 2:
            continue
        back = next((j for j in range(k + 1, len(steps)) if _undoes(levels[j], size) and j not in undone), None)
        undone |= {back} if back is not None else set()
        last = len(values) if back is None else steps[back]
        kind: Literal["step", "spike"] = "spike" if back is not None and last - at <= SPIKE_SAMPLES else "step"
        end = None if back is None else float(times[last])
        found.append(Change(float(times[at]), before, after, size / noise, kind, end))
    return found


def _undoes(levels: tuple[float, float], size: float) -> bool:
    """True where a step between these levels takes back a change of this size."""
    return RETURN <= (levels[0] - levels[1]) / size <= 1 / RETURN


def _spikes(times: Floats, values: Floats, noise: float, smallest: float) -> list[Change]:
    """Excursions too short for a step to be seen: at most four samples."""
    usual = rolling_median(values, 2 * SPIKE_SAMPLES + 1)
    out = values - usual
    rows = np.flatnonzero(np.abs(out) > np.maximum(2 * smallest, 2 * SIGMAS * noise * _unrest(values, noise)))
    found = []
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if 0 < len(run) < WIDTHS[0] and run[-1] < len(values) - 1 and not _is_habit(times, out, int(run[0])):
            before, after = float(usual[run[0]]), float(np.median(values[run]))
            size = (after - before) / noise
            found.append(Change(float(times[run[0]]), before, after, size, "spike", float(times[run[-1] + 1])))
    return found


def _rare(passing: list[Change]) -> list[Change]:
    """The changes that came and went, without those that came so often that the series is like that."""
    sizes = np.array([change.size for change in passing])
    return [one for one in passing if np.count_nonzero(sizes / one.size >= ABRUPT) < OFTEN]


def _ramps(times: Floats, values: Floats, noise: float, smallest: float) -> list[Change]:
    """Slow changes to a level that still holds, sought in the whole history, its last quarter and its last sixteenth.

    With 30 hours or more, only what differs from the day before counts, so that a daily wave is no ramp; with less,
    only ramps of up to two hours or a third of the history, which a wave rarely looks like.
    """
    longest = max((times[-1] - times[0]) / 3, 7200.0)
    past = values
    if times[-1] - times[0] >= 1.25 * DAY_S:
        today = times >= times[0] + DAY_S
        yesterday = np.interp(times[today] - DAY_S, times, rolling_median(values, 15))
        times, past, values = times[today], values[today], values[today] - yesterday
        longest = np.inf
    found: list[Change] = []
    for part in (1, 4, 16):
        recent = times >= times[-1] - (times[-1] - times[0]) / part
        ramp = _ramp(times[recent], values[recent], past[recent], longest, noise, smallest)
        if ramp is None or (longest < np.inf and not _is_new(times, values, ramp, float(times[recent][0]))):
            continue
        if not any(_explains(other, ramp) for other in found):
            found.append(ramp)
    return found


def _is_new(times: Floats, values: Floats, ramp: Change, flat_from: float) -> bool:
    """True where a ramp leads well beyond what came before it, out of a stretch that was flat for a while."""
    earlier = times < ramp.time
    if not np.any(earlier) or ramp.time - flat_from < (times[-1] - ramp.time) / 4:
        return False
    side = 1.0 if ramp.after > ramp.before else -1.0
    highest = float(np.max(side * rolling_median(values[earlier], 5)))
    return side * ramp.after - highest >= abs(ramp.after - ramp.before) / 3


def _ramp(times: Floats, values: Floats, raw: Floats, longest: float, noise: float, smallest: float) -> Change | None:
    """The one slope between two flat stretches that explains this window, if one does."""
    coarse = _clip(times, values)
    if coarse is None or coarse[1] - coarse[0] > longest:
        return None
    first, last = coarse
    near = (times >= first - (last - first)) & (times <= last + (last - first) / 4)
    first, last = _clip(times[near], values[near]) or coarse
    was, now = times <= first, times >= last
    if not was.any() or not now.any():
        was, now = times <= times[2], times >= times[-3]
    before, after = (float(np.median(raw[rows][part])) for rows, part in ((was, slice(-15, None)), (now, slice(0, 15))))
    moved = float(np.median(values[now]) - np.median(values[was]))
    enough = abs(moved) >= max(smallest, 3 * noise) and (after - before) * np.sign(moved) >= abs(moved) / 2
    return Change(first, before, after, (after - before) / noise, "ramp", None) if enough else None


def _clip(times: Floats, values: Floats) -> tuple[float, float] | None:
    """Begin and end of the slope in the best fit of flat, slope, flat; None where it explains too little."""
    if len(values) < RAMP_BLOCKS // 2 or times[-1] <= times[0]:
        return None
    middles, medians = blocks(times, values, RAMP_BLOCKS)
    first, last, basis, weight = _clips(len(middles))
    centred = medians - medians.mean()
    gain = (basis @ centred) ** 2 / weight
    best = int(np.argmax(gain))
    if gain[best] < RAMP_FIT * float(centred @ centred) or last[best] - first[best] < 3:
        return None
    return float(middles[first[best]]), float(middles[last[best]])


@lru_cache(maxsize=4)
def _clips(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
    """All slopes between two of `count` blocks: begin, end, centred shape [pairs × blocks] and its squared length."""
    first, last = np.triu_indices(count, k=1)
    shape = np.clip((np.arange(count) - first[:, None]) / (last - first)[:, None], 0.0, 1.0)
    shape -= shape.mean(axis=1, keepdims=True)
    return first, last, shape, np.sum(shape**2, axis=1)


def _explains(one: Change, ramp: Change) -> bool:
    """True where a change already told is most of what a ramp would tell."""
    same = (one.after - one.before) * np.sign(ramp.after - ramp.before)
    return bool(one.end is None and same >= abs(ramp.after - ramp.before) / 2)


def _rolling_max(values: Floats, reach: int) -> Floats:
    """The largest value within `reach` samples on either side."""
    padded = np.pad(values, reach, mode="edge")
    return np.asarray(
        np.max(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=-1), dtype=np.float64
    )


def _is_detail(step: Change, ramp: Change) -> bool:
    """True for a small lasting step on the way up (or down) a ramp."""
    same = (step.after - step.before) * np.sign(ramp.after - ramp.before)
    return bool(step.time >= ramp.time and step.end is None and 0 < same < abs(ramp.after - ramp.before) / 3)
