"""What the product may say about a direction: risen, fallen, steady, or not known."""

import numpy as np
import pytest

from engines.trend import trend

TIMES = np.arange(360) * 60.0
HOURS = TIMES / 3600


def noise(sigma: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, sigma, len(TIMES))


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        (40 + 5 * HOURS + noise(2), "rising"),
        (80 - 5 * HOURS + noise(2), "falling"),
        (40 + noise(5), "steady"),
        (40 + 0.1 * HOURS + noise(0.01), "steady"),
        (np.full(len(TIMES), 7.0), "steady"),
    ],
)
def test_a_direction_is_told_only_when_the_change_stands_out_from_noise_and_from_the_scale(values, direction):
    assert trend(TIMES, values, scale=100).direction == direction


def test_a_few_wild_samples_do_not_bend_the_line():
    values = 20 + 3 * HOURS + noise(0.5)
    values[100:130] = 95.0
    found = trend(TIMES, values, scale=100)
    assert found.slope_per_hour == pytest.approx(3, rel=0.1)
    assert found.change == pytest.approx(18, rel=0.1)


def test_gaps_and_missing_values_change_nothing():
    values = 20 + 3 * HOURS
    keep = (HOURS < 1) | (HOURS > 4)
    values[::7] = np.nan
    assert trend(TIMES[keep], values[keep], scale=100).slope_per_hour == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_three_samples_are_no_trend(samples):
    assert trend(TIMES[:samples], HOURS[:samples]).direction == "unknown"
