"""What changed and since when: onsets to the sample for steps, near enough for ramps, nothing for habits."""

import numpy as np
import pytest

from engines.changepoint import changes, since

NOW = 1_800_000_000.0
TIMES = NOW - np.arange(50 * 60 + 1)[::-1] * 60.0
AGO_MIN = (NOW - TIMES) / 60


def noise(sigma: float, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, len(TIMES))


def wave(low: float, high: float) -> np.ndarray:
    return low + (high - low) * (1 + np.cos(2 * np.pi * (AGO_MIN / 60 - 15) / 24)) / 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ago", [12, 45, 200, 900])
@pytest.mark.parametrize("base", [np.full(len(TIMES), 29.0), wave(10, 50)], ids=["flat", "wave"])
def test_a_step_is_dated_to_two_minutes_and_still_lasts(base, ago, seed):
    change = since(TIMES, base + noise(2, seed) + 30 * (ago >= AGO_MIN), scale=100)
    assert change is not None
    assert change.kind == "step"
    assert change.end is None
    assert (NOW - change.time) / 60 == pytest.approx(ago, abs=2)
    assert change.after - change.before == pytest.approx(30, abs=5)


@pytest.mark.parametrize("base", [np.full(len(TIMES), 30.0), wave(20, 40)], ids=["flat", "wave"])
def test_the_beginning_of_a_ramp_is_found_within_a_tenth(base):
    leak = np.where(AGO_MIN <= 360, 45 * (360 - AGO_MIN) / 360, 0.0)
    change = since(TIMES, base + leak + noise(1), scale=100)
    assert change is not None
    assert change.kind == "ramp"
    assert (NOW - change.time) / 60 == pytest.approx(360, rel=0.1)


def test_what_came_and_went_has_an_end_and_is_not_the_present_level():
    values = 30 + noise(2) + 50 * ((AGO_MIN <= 600) & (AGO_MIN > 560))
    (change,) = changes(TIMES, values, scale=100)
    assert (NOW - change.time) / 60 == pytest.approx(600, abs=1)
    assert (NOW - change.end) / 60 == pytest.approx(560, abs=1)
    assert since(TIMES, values, scale=100) is None


def test_a_single_wild_sample_is_a_spike():
    (change,) = changes(TIMES, 20 + noise(2) + 50 * (AGO_MIN == 300), scale=100)
    assert (change.kind, change.time, change.end) == ("spike", NOW - 300 * 60, NOW - 299 * 60)


def test_a_collapse_needs_no_scale():
    (change,) = changes(TIMES, 24e6 + noise(1e6) - 23.7e6 * (AGO_MIN <= 45))
    assert (NOW - change.time) / 60 == pytest.approx(45, abs=1)
    assert change.size < -10


@pytest.mark.parametrize(
    "values",
    [
        wave(30, 70) + noise(2),
        29 + noise(3),
        20 + noise(2) + 50 * ((AGO_MIN + 700) % 1440 < 20),
        60 - 0.01 * AGO_MIN + noise(0.05),
        np.full(len(TIMES), 5.0),
        np.zeros(len(TIMES)),
    ],
    ids=["wave", "noise", "cron", "line", "constant", "zero"],
)
def test_habits_and_noise_are_no_change_of_level(values):
    assert [change for change in changes(TIMES, values, scale=100) if change.end is None] == []


def test_an_hour_of_history_is_enough_for_a_step():
    change = since(TIMES[-60:], (29 + noise(1) + 50 * (AGO_MIN <= 20))[-60:], scale=100)
    assert change is not None
    assert (NOW - change.time) / 60 == pytest.approx(20, abs=1)


def test_gaps_in_the_samples_do_not_move_the_onset():
    values = 29 + noise(2) + 40 * (AGO_MIN <= 45)
    values[::5] = np.nan
    keep = (AGO_MIN < 600) | (AGO_MIN > 700)
    change = since(TIMES[keep], values[keep], scale=100)
    assert (NOW - change.time) / 60 == pytest.approx(45, abs=2)


def test_too_few_samples_tell_nothing():
    assert changes(TIMES[:6], np.arange(6.0)) == []
    assert since(TIMES[:0], TIMES[:0]) is None
