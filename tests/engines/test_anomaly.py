"""What is unusual now: incidents are seen with their onset, and a fleet without any raises nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

from engines.anomaly import Anomaly, anomalies

NOW = 1_800_000_000.0
TIMES = NOW - np.arange(50 * 60 + 1)[::-1] * 60.0
AGO_MIN = (NOW - TIMES) / 60
HOUR = (NOW - 3600, NOW)


def noise(sigma: float, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, len(TIMES))


def wave(low: float, high: float, peak: float = 15) -> np.ndarray:
    return low + (high - low) * (1 + np.cos(2 * np.pi * (AGO_MIN / 60 - peak) / 24)) / 2


def wandering(rng: np.random.Generator, sigma: float, memory: float) -> np.ndarray:
    """First-order autoregressive noise."""
    steps, state, path = rng.normal(0, sigma * np.sqrt(1 - memory**2), len(TIMES)), 0.0, np.empty(len(TIMES))
    for row, step in enumerate(steps):
        path[row] = state = memory * state + step
    return path


def quiet_fleet(seed: int) -> Iterator[tuple[np.ndarray, float]]:
    """Twenty servers with ten metrics each: (values, smallest deviation worth telling)."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        day, hours = wave(0, 1, rng.uniform(0, 24)), AGO_MIN / 60
        yield np.clip(rng.uniform(5, 40) + rng.uniform(0, 40) * day + wandering(rng, 2.5, 0.9), 0, 100), 5.0
        yield np.clip(rng.uniform(5, 40) + rng.uniform(0, 40) * day + rng.normal(0, 2, len(TIMES)), 0, 100), 5.0
        yield np.clip(rng.uniform(20, 80) + wandering(rng, 1.5, 0.995), 0, 100), 5.0
        yield 60 - rng.uniform(0, 0.5) * hours + rng.normal(0, 0.02, len(TIMES)), 3.0
        yield 60 - 0.1 * hours + 4 * ((hours + 5) % 24) / 24, 3.0
        yield 1e6 * rng.uniform(0.1, 30) * (0.3 + day) * np.exp(wandering(rng, 0.25, 0.7)), 1e5
        yield rng.poisson(rng.uniform(3, 60) * (0.3 + day) * 60) / 60.0, 1.0
        yield np.where(rng.random(len(TIMES)) < 0.03, rng.exponential(0.5, len(TIMES)), 0), 1.0
        yield 0.05 * np.exp(rng.normal(0, 0.4, len(TIMES))), 0.02
        yield 20 + 60 * ((hours + rng.uniform(0, 24)) % 24 < 0.25) + wandering(rng, 2, 0.8), 5.0


def test_a_fleet_without_incidents_raises_nothing():
    found = [anomalies(TIMES, values, *HOUR, floor=floor) for values, floor in quiet_fleet(6)]
    assert len(found) == 200
    assert [one for one in found if one] == []


@pytest.mark.parametrize("window_min", [15, 60, 360])
def test_a_jump_is_seen_with_its_onset_from_any_window(window_min):
    values = np.where(AGO_MIN <= 45, 93.0, 29.0) + noise(2)
    (found,) = anomalies(TIMES, values, NOW - window_min * 60, NOW, floor=5)
    assert (found.direction, found.end, found.start) == ("high", None, NOW - 45 * 60)
    assert (found.value, found.expected) == (pytest.approx(93, abs=1), pytest.approx(29, abs=1))
    assert found.score > 2
    assert found.low < 29 < found.high < 93


@pytest.mark.parametrize("usual", [np.full(len(TIMES), 24e6), wave(5e6, 40e6, peak=2)], ids=["flat", "wave"])
def test_a_collapse_is_seen_even_beneath_a_wide_daily_wave(usual):
    values = np.where(AGO_MIN <= 45, 0.3e6, usual + noise(1e6))
    (found,) = anomalies(TIMES, values, *HOUR, floor=1e5)
    assert (found.direction, found.start) == ("low", NOW - 45 * 60)


def test_a_step_on_a_wave_is_seen_where_the_level_itself_is_nothing_special():
    values = wave(10, 60) + 35 * (AGO_MIN <= 45) + noise(2)
    assert values[-1] < 60
    (found,) = anomalies(TIMES, values, *HOUR, floor=5)
    assert found.start == pytest.approx(NOW - 45 * 60, abs=120)


def test_an_anomaly_that_is_over_has_an_end():
    values = 29 + noise(2) + 60 * ((AGO_MIN <= 45) & (AGO_MIN > 20))
    (found,) = anomalies(TIMES, values, *HOUR, floor=5)
    assert (found.start, found.end) == (NOW - 45 * 60, NOW - 21 * 60)


def test_the_past_can_be_asked_about_without_knowing_what_came_after():
    values = np.where(AGO_MIN <= 45, 93.0, 29.0) + noise(2)
    then = NOW - 30 * 60
    known = then >= TIMES
    assert anomalies(TIMES, values, then - 3600, then, floor=5) == anomalies(
        TIMES[known], values[known], then - 3600, then, floor=5
    )


@pytest.mark.parametrize("minutes", [0, 30, 90])
def test_less_than_two_hours_of_history_judge_nothing(minutes):
    values = np.where(AGO_MIN <= 45, 93.0, 29.0)
    rows = slice(len(TIMES) - 60 - minutes, None)
    nothing: list[Anomaly] = []
    assert anomalies(TIMES[rows], values[rows], *HOUR, floor=5) == nothing
    assert anomalies(TIMES[:0], values[:0], *HOUR, floor=5) == nothing


def test_with_half_a_day_of_history_a_jump_is_seen_and_a_wave_is_not():
    rows = slice(-12 * 60, None)
    jump = np.where(AGO_MIN <= 45, 93.0, 29.0) + noise(2)
    assert len(anomalies(TIMES[rows], jump[rows], *HOUR, floor=5)) == 1
    assert anomalies(TIMES[rows], (wave(10, 50) + noise(2))[rows], *HOUR, floor=5) == []
