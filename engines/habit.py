"""What is normal for a series at an hour of the day, and on a day of the week once two weeks are known.

A `Habit` is kept and read again as JSON, so that the same band comes out after a restart; `Bands` are those of many
series at one time. Days and weekdays are cut in UTC; weekday 0 is Monday.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.baseline import DAY_S, SLOT_S, SLOTS, Baseline, Floats, group_medians, present

HOURS, WEEK = 24, 7
SLOT_KEYS = ("centre", "below", "above", "middle", "drift")
"""What only the band is computed from, of a habit's JSON"""
TWO_WEEKS_S = 13.9 * DAY_S
"""History from which on weekdays are told apart; a little less than two weeks, since the last hours are left out."""
SETTLED_S = 6 * 3600.0
"""What happened this shortly before a habit is learnt is no habit yet, where a day or more is left without it."""
EPOCH_WEEKDAY = 3
"""1970 began on a Thursday."""


class Band(NamedTuple):
    """What is normal at one time, in the unit of the series."""

    usual: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Habit:
    """The pattern of one series, and the band around it."""

    hours: Floats
    """The median of each hour of the day [24]; NaN for hours without samples"""
    weekdays: Floats | None
    """How far each weekday lies from that [7]; None before two weeks are known"""
    base: Baseline
    """The band by half-hours, of the values less what their weekday adds"""

    @classmethod
    def fit(cls, times: Floats, values: Floats) -> Habit | None:
        """The habit of this history (Unix seconds, ascending; NaN: missing); None where there is none to speak of."""
        times, values = present(times, values)
        times, values = _settled(times, values)
        if len(values) < HOURS:
            return None
        hour = ((times % DAY_S) // 3600).astype(np.int64)
        hours = group_medians(hour, values, HOURS)
        weekdays = None
        if times[-1] - times[0] >= TWO_WEEKS_S:
            weekdays = np.nan_to_num(group_medians(_weekday(times), values - hours[hour], WEEK))
            values = values - weekdays[_weekday(times)]
            hours = group_medians(hour, values, HOURS)
        return cls(hours, weekdays, Baseline.fit(times, values))

    @property
    def level(self) -> float:
        """What is usual, whatever the hour."""
        return float(np.median(self.base.centre))

    def at(self, time: float, floor: float) -> Band:
        """What is normal at a time (Unix seconds); the band reaches at least `floor` to both sides."""
        usual, low, high = Bands.of([self], np.array([floor])).at(time)
        return Band(float(usual[0]), float(low[0]), float(high[0]))

    def to_json(self) -> dict[str, Any]:
        """All of it, in figures of five digits."""
        base = self.base
        return {
            "timePattern": _short(self.hours),
            "weekdayPattern": None if self.weekdays is None else _short(self.weekdays),
            "volatility": _short(np.array([base.sigma]))[0],
            "days": round(base.days, 3),
            "middle": round(base.middle),
            "drift": float(f"{base.drift:.5g}"),
            "centre": _short(base.centre),
            "below": _short(base.below),
            "above": _short(base.above),
        }

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Habit:
        """What `to_json` wrote."""
        centre, below, above = (np.array(body[name], dtype=np.float64) for name in ("centre", "below", "above"))
        base = Baseline(
            centre,
            below,
            above,
            sigma=float(body["volatility"]),
            days=float(body["days"]),
            middle=float(body["middle"]),
            drift=float(body["drift"]),
        )
        weekdays = body["weekdayPattern"]
        known = None if weekdays is None else np.array(weekdays, dtype=np.float64)
        return cls(np.array(body["timePattern"], dtype=np.float64), known, base)


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """The habits of many series, to be held against one time after the other."""

    shapes: Floats
    """Centre, below and above [3, series, slots]; NaN for a series without a habit"""
    weekdays: Floats
    """[series, 7]"""
    middle: Floats
    drift: Floats
    floor: Floats
    """The least way from the usual value to either side"""

    @classmethod
    def of(cls, habits: Sequence[Habit | None], floor: Floats) -> Bands:
        """Of such habits, with the least width of their bands."""
        shapes, weekdays = np.full((3, len(habits), SLOTS), np.nan), np.zeros((len(habits), WEEK))
        middle, drift = np.zeros(len(habits)), np.zeros(len(habits))
        for row, habit in enumerate(habits):
            if habit is not None:
                base = habit.base
                shapes[:, row] = base.centre, base.below, base.above
                middle[row], drift[row] = base.middle, base.drift
                if habit.weekdays is not None:
                    weekdays[row] = habit.weekdays
        return cls(shapes, weekdays, middle, drift, floor)

    def at(self, time: float) -> tuple[Floats, Floats, Floats]:
        """Usual, lowest and highest normal value of each series at `time`, as `Baseline.band` has them."""
        within = time % DAY_S
        before = int((within - SLOT_S / 2) // SLOT_S) % SLOTS
        share = ((within - SLOT_S / 2) % SLOT_S) / SLOT_S
        centre, below, above = self.shapes
        usual = centre[:, before] * (1 - share) + centre[:, (before + 1) % SLOTS] * share
        usual = usual + self.weekdays[:, int(_weekday(np.array([time]))[0])]
        wander, slot = self.drift * np.abs(time - self.middle), int(within // SLOT_S)
        low, high = (np.maximum(side[:, slot] + wander, self.floor) for side in (below, above))
        return usual, usual - low, usual + high


def _settled(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Without the last hours; of a short history, without its last quarter."""
    if len(times) == 0:
        return times, values
    length = float(times[-1] - times[0])
    keep = times <= times[-1] - min(SETTLED_S, length / 4)
    return times[keep], values[keep]


def _weekday(times: Floats) -> NDArray[np.int64]:
    return ((times // DAY_S).astype(np.int64) + EPOCH_WEEKDAY) % WEEK


def _short(values: Floats) -> list[float | None]:
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values.tolist()]
