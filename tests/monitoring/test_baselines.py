"""Baselines in the database, and the habits that they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.habit import Habit
from monitoring.baselines import BaselineRecord, Known
from monitoring.store.cold import open_cold

DAY = 86_400.0
MONDAY = 1_759_708_800.0


def test_weekdays_are_told_apart_once_there_are_two_weeks() -> None:
    times, values = weeks(14.5)
    habit = Habit.fit(times, values)
    assert habit is not None
    assert habit.weekdays is not None
    assert habit.weekdays[5:] - habit.weekdays[:5].mean() == pytest.approx([-10, -10], abs=0.6)
    monday, saturday = (habit.at(MONDAY + days * DAY + 6 * 3600, 1.0) for days in (14, 19))
    assert monday.usual == pytest.approx(50, abs=0.8)
    assert saturday.usual == pytest.approx(40, abs=0.8)
    assert saturday.high < monday.usual
    young = Habit.fit(*weeks(10))
    assert young is not None
    assert young.weekdays is None


def test_a_habit_that_is_kept_gives_the_same_band() -> None:
    habit = Habit.fit(*weeks(15))
    assert habit is not None
    kept = Habit.of_json(habit.to_json())
    assert kept.to_json() == habit.to_json()
    assert kept.at(MONDAY + 16 * DAY, 1.0) == pytest.approx(habit.at(MONDAY + 16 * DAY, 1.0), rel=1e-3)


def test_what_happened_just_before_a_fit_is_no_habit_yet() -> None:
    times, values = weeks(3)
    values[times > times[-1] - 3 * 3600] = 95.0
    habit = Habit.fit(times, values)
    assert habit is not None
    assert habit.at(times[-1], 5.0).high < 60


async def test_old_versions_thin_out_and_the_last_ones_stay(tmp_path: Path) -> None:
    habit = Habit.fit(*weeks(2))
    assert habit is not None
    cold = open_cold(None, tmp_path)
    record = BaselineRecord(cold)
    now = MONDAY + 60 * DAY
    for version in range(1, 161):  # four a day
        await record.keep(version, now - (160 - version) * DAY / 4, {"a": [Known("cpu", None, habit)]})
    await record.thin(now)
    left = [version for version, _ in await record.versions("a")]
    assert left == [*range(160, 151, -1), *range(148, 39, -4)]
    assert await record.newest() == (160, now)
    found = await record.of("a", now - 10 * DAY)
    assert found is not None
    assert found.version == 120
    assert await record.of("a", now - 59 * DAY) is None
    assert await record.of("b", now) is None
    await cold.close()


def weeks(days: float) -> tuple[np.ndarray, np.ndarray]:
    """From a Monday on, every five minutes: a daily wave, ten less on Saturday and Sunday."""
    times = MONDAY + np.arange(0, days * DAY, 300.0)
    values = 30 + 20 * np.sin(2 * np.pi * times / DAY) + np.random.default_rng(1).normal(0, 0.5, len(times))
    values[((times - MONDAY) // DAY) % 7 >= 5] -= 10
    return times, values
