"""What moves together: common incidents yes, common daily waves no."""

import numpy as np
import pytest

from engines.correlation import correlate, strongest

NOW = 1_800_000_000.0
TIMES = NOW - np.arange(50 * 60 + 1)[::-1] * 60.0
AGO_MIN = (NOW - TIMES) / 60


def noise(sigma: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, len(TIMES))


def wave(low: float, high: float) -> np.ndarray:
    return low + (high - low) * (1 + np.cos(2 * np.pi * (AGO_MIN / 60 - 15) / 24)) / 2


def test_a_common_incident_is_strong_and_the_lag_says_who_moved_first():
    first = wave(20, 60) + noise(2, 1) + 40 * (AGO_MIN <= 45)
    later = 3e6 * (wave(10, 30) + noise(1, 2) + 20 * (AGO_MIN <= 42))
    found = correlate(TIMES, first, TIMES, later, 1800)
    assert (found.strength, found.lag_s) == ("strong", 180.0)
    assert correlate(TIMES, later, TIMES, first, 1800).lag_s == -180.0
    assert correlate(TIMES, -first, TIMES, later, 1800).r == pytest.approx(-found.r)


@pytest.mark.parametrize("seed", range(10))
def test_a_daily_wave_alone_is_no_connection(seed):
    a, b = wave(20, 60) + noise(2, seed), wave(5, 90) + noise(3, seed + 100)
    assert correlate(TIMES, a, TIMES, b, 1800).strength == "none"


@pytest.mark.parametrize("seed", range(10))
def test_two_random_walks_are_no_connection(seed):
    a, b = np.cumsum(noise(1, seed)), np.cumsum(noise(1, seed + 100))
    assert correlate(TIMES, a, TIMES, b, 1800).strength in ("none", "weak")


def test_different_scrape_intervals_and_gaps_meet_on_one_grid():
    a = noise(1, 3).cumsum()
    keep = np.random.default_rng(4).random(len(TIMES)) < 0.5
    found = correlate(TIMES, a, TIMES[keep] + 7, 5 * a[keep], 600)
    assert found.strength == "strong"
    assert abs(found.lag_s) <= 120


@pytest.mark.parametrize("other", [np.full(len(TIMES), 3.0), np.full(len(TIMES), np.nan)], ids=["constant", "missing"])
def test_what_never_moves_cannot_correlate(other):
    assert correlate(TIMES, noise(1, 5), TIMES, other, 600).strength == "too_little"


def test_the_closest_come_first_and_strangers_are_left_out():
    target = 30 + noise(2, 6) + 40 * (AGO_MIN <= 90)
    others = {
        "stranger": (TIMES, 10 + noise(1, 7)),
        "loose": (TIMES, 10 + noise(12, 8) + 40 * (AGO_MIN <= 90)),
        "close": (TIMES, 10 + noise(2, 9) - 40 * (AGO_MIN <= 90)),
    }
    assert [one.name for one in strongest((TIMES, target), others, 600)] == ["close", "loose"]
