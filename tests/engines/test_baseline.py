"""What counts as normal for an hour of the day."""

import numpy as np
import pytest

from engines.baseline import Baseline, spread

NOW = 1_800_000_000.0
TIMES = NOW - np.arange(7 * 24 * 60)[::-1] * 60.0
AHEAD = NOW + np.arange(24) * 3600.0


def wave(times: np.ndarray) -> np.ndarray:
    return 50 + 20 * np.sin(2 * np.pi * times / 86_400)


def noise(sigma: float) -> np.ndarray:
    return np.random.default_rng(4).normal(0, sigma, len(TIMES))


def test_the_band_follows_the_hours_of_the_day_and_stays_narrow():
    base = Baseline.fit(TIMES, wave(TIMES) + noise(1))
    low, high = base.band(AHEAD)
    assert base.expected(AHEAD) == pytest.approx(wave(AHEAD), abs=1.0)
    assert np.all((low < wave(AHEAD) - 4) & (wave(AHEAD) + 4 < high))
    assert np.all(high - low < 24)


def test_an_hour_that_was_bad_on_two_days_is_a_habit_and_on_one_day_is_not():
    hour = (TIMES % 86_400) // 3600
    day = (TIMES - TIMES[0]) // 86_400
    twice = 20 + noise(1) + 60 * ((hour == 3) & (day >= 5))
    once = 20 + noise(1) + 60 * ((hour == 3) & (day == 3))
    at_three = np.array([NOW // 86_400 * 86_400 + 86_400 + 3.5 * 3600])
    assert Baseline.fit(TIMES, twice).band(at_three)[1][0] > 80
    assert Baseline.fit(TIMES, once).band(at_three)[1][0] < 40


def test_under_a_day_of_history_the_band_is_flat_and_covers_what_was_seen():
    values = wave(TIMES)[-360:]
    base = Baseline.fit(TIMES[-360:], values)
    low, high = base.band(AHEAD)
    assert len(np.unique(base.expected(AHEAD))) == 1
    assert np.all((low < values.min()) & (high > values.max()))


def test_no_history_gives_no_band():
    base = Baseline.fit(TIMES[:0], TIMES[:0])
    assert base.days == 0
    assert np.all(np.isnan(base.expected(AHEAD)))


def test_the_floor_is_the_narrowest_band():
    low, high = Baseline.fit(TIMES, np.full(len(TIMES), 5.0)).band(AHEAD, floor=2.0)
    assert (low[0], high[0]) == (3.0, 7.0)


def test_a_tenth_of_wild_values_barely_moves_the_spread():
    values = noise(1)
    values[:1000] = 1e6
    assert spread(values) == pytest.approx(1.1, abs=0.1)
