"""Surprise of one series: learnt as samples come, high where nothing alike was seen, silent about habits."""

import numpy as np

from engines.bench import detect
from engines.surprise import Surprise, surprises

DAY = 288


def cpu(days, seed=0):
    """Percent every five minutes: a daily wave, a nightly backup of an hour, noise."""
    steps = np.arange(days * DAY)
    wave = 40 + 15 * np.sin(2 * np.pi * steps / DAY)
    backup = np.where((steps % DAY >= 24) & (steps % DAY < 36), 30, 0)
    return wave + backup + np.random.default_rng(seed).normal(0, 1.5, len(steps))


def detected(values):
    times = 1.7e9 + 300.0 * np.arange(len(values))
    return detect(times, values[:, None], ["cpu_usage"], 0)


def test_what_comes_later_does_not_change_what_was_said():
    values = cpu(6)
    score, alarm, top = detected(values)
    for until in (300, 900, 1500):
        early = detected(values[:until])
        assert np.array_equal(early[0], score[:until])
        assert np.array_equal(early[1], alarm[:until])
        assert early[2] == top[:until]


def test_a_daily_habit_raises_no_alarm_after_some_days():
    _, alarm, _ = detected(cpu(14))
    assert not alarm[4 * DAY :].any()


def test_a_level_shift_is_told_once_within_a_few_samples():
    values = cpu(10)
    at = 8 * DAY + 150
    values[at:] += 45
    score, alarm, _ = detected(values)
    assert np.flatnonzero(alarm[4 * DAY :])[0] + 4 * DAY in range(at, at + 4)
    assert alarm[at : at + 100].sum() == 1
    assert score[at : at + 4].max() > 0.6


def test_a_habit_that_does_not_end_is_a_surprise_though_its_values_are_usual():
    values = cpu(12)
    backup = slice(9 * DAY + 24, 9 * DAY + 36)
    values[backup.stop : backup.stop + 72] = np.tile(values[backup], 6)
    _, alarm, _ = detected(values)
    assert alarm[backup.stop : backup.stop + 72].any()
    assert not alarm[4 * DAY : backup.stop].any()


def test_a_constant_that_deviates_is_the_greatest_surprise():
    values = np.full(600, 7.0)
    values[500] = 8.0
    score, alarm, _ = detected(values)
    assert np.flatnonzero(alarm).tolist() == [500]
    assert score[500] > 0.9


def test_an_outlier_beyond_all_measure_does_not_hide_what_comes_after_it():
    values = cpu(14)
    values[5 * DAY] = 1e6
    at = 11 * DAY + 150
    values[at:] += 90
    _, alarm, _ = detected(values)
    assert alarm[5 * DAY]
    assert alarm[at : at + 12].any()


def test_a_short_spike_every_day_is_a_surprise_once():
    values = np.zeros(10 * DAY)
    values[DAY::DAY] = 1
    _, alarm, _ = detected(values)
    assert np.flatnonzero(alarm).tolist() == [DAY]


def test_missing_samples_are_passed_over():
    values = cpu(10)
    values[5 * DAY + 60 : 5 * DAY + 80] = np.nan
    values[::7] = np.nan
    values[::500] = np.inf
    score, alarm, _ = detected(values)
    assert np.isfinite(score).all()
    assert not score[~np.isfinite(values)].any()
    assert not alarm[5 * DAY :].any()


def test_a_series_is_judged_the_same_alone_and_among_others():
    values = np.stack([cpu(3, seed) * 10.0**seed for seed in range(4)], axis=1)
    values[:50, 2] = np.nan
    together = surprises(values)
    alone = np.hstack([surprises(values[:, [column]]) for column in range(4)])
    assert np.array_equal(together, alone)
    state = Surprise(4)
    assert np.array_equal(np.stack([state.step(row) for row in values]), together)
