"""When a disk is full and what a metric will be: right within the stated interval, or honestly not known."""

import numpy as np
import pytest

from engines.forecast import Crossing, level_at, time_to

NOW = 1_800_000_000.0
TIMES = NOW - np.arange(50 * 60 + 1)[::-1] * 60.0
AGO_H = (NOW - TIMES) / 3600
DAY = 86_400.0


def noise(sigma: float) -> np.ndarray:
    return np.random.default_rng(2).normal(0, sigma, len(TIMES))


def test_a_steadily_filling_disk_is_full_when_arithmetic_says_so():
    crossing = time_to(TIMES, 86.4 - 0.9 * AGO_H + noise(0.05), 100, 7 * DAY)
    assert crossing.evidence == "ok"
    assert crossing.rate_per_hour == pytest.approx(0.9, rel=0.01)
    assert (crossing.at - NOW) / 3600 == pytest.approx(13.6 / 0.9, abs=0.15)
    assert crossing.low < crossing.at < crossing.high


def test_free_space_runs_out_downwards():
    crossing = time_to(TIMES, 20.0 + 2.0 * AGO_H, 0, 7 * DAY, rising=False)
    assert (crossing.at - NOW) / 3600 == pytest.approx(10, abs=0.1)
    assert crossing.rate_per_hour == pytest.approx(-2.0)


def test_a_rotation_that_comes_every_half_day_delays_the_crossing():
    hours = AGO_H[::-1]
    teeth = 40 + 2.0 * hours - 20 * np.floor(hours / 12)  # tooth k grows from 40 + 4 k to 64 + 4 k
    crossing = time_to(TIMES, teeth + noise(0.05), 98, 60 * DAY)
    # tooth 9 is the first to pass 98: (98 - 76) / 2 hours after hour 108, and now is hour 50
    assert (crossing.at - NOW) / 3600 == pytest.approx(108 + 11 - 50, abs=1.0)


def test_a_rotation_that_takes_all_growth_away_never_fills_the_disk():
    hours = AGO_H[::-1]
    crossing = time_to(TIMES, 40 + 2.0 * (hours % 12) + noise(0.05), 100, 60 * DAY)
    assert (crossing.at, crossing.evidence) == (None, "flat")


@pytest.mark.parametrize(
    ("values", "evidence"),
    [
        (29 + noise(2), "flat"),
        (np.full(len(TIMES), 50.0), "flat"),
        (40 + 0.5 * AGO_H + noise(0.2), "away"),
        (50 - 0.1 * AGO_H + noise(0.01), "beyond"),
        (100 + noise(0.001) ** 2, "reached"),
    ],
)
def test_without_evidence_there_is_a_reason_and_no_date(values, evidence):
    crossing = time_to(TIMES, values, 100, DAY)
    assert crossing.evidence == evidence
    assert (crossing.at is None) == (evidence != "reached")


def test_a_quarter_of_an_hour_is_too_little_to_foretell():
    assert time_to(TIMES[-15:], 80 + np.arange(15.0), 100, DAY) == Crossing(
        None, None, None, None, "too_little", pytest.approx(np.nan, nan_ok=True)
    )


def test_a_daily_wave_comes_back_at_its_hour():
    wave = 50 - 30 * np.cos(2 * np.pi * AGO_H / 24)
    level = level_at(TIMES, wave + noise(2), NOW + DAY / 2)
    assert level.method == "habit"
    assert level.value == pytest.approx(80, abs=3)
    assert level.low < 80 < level.high


def test_a_line_goes_on_as_a_line():
    level = level_at(TIMES, 60 - 0.5 * AGO_H + noise(0.1), NOW + 6 * 3600)
    assert level.value == pytest.approx(63, abs=0.3)


def test_a_few_minutes_of_history_give_the_last_level_and_no_history_gives_none():
    assert level_at(TIMES[-10:], np.full(10, 42.0), NOW + 3600).method == "last"
    assert level_at(TIMES[:0], TIMES[:0], NOW).method == "none"


FORTNIGHT = NOW - np.arange(14 * 288 + 1)[::-1] * 300.0


def filling(per_hour: np.ndarray) -> np.ndarray:
    return np.cumsum(per_hour[((FORTNIGHT % DAY) // 3600).astype(int)] / 12)


def test_a_disk_that_only_grows_during_the_nightly_backup_is_full_during_a_backup():
    backup = np.where(np.arange(24) < 4, 1.0, 0.0)
    level = filling(backup)
    gap = 4 * 6 + 2.0  # six more backups, and half of the seventh
    crossing = time_to(FORTNIGHT, level, level[-1] + gap, 30 * DAY)
    assert crossing.evidence == "ok"
    assert crossing.at % DAY // 3600 in (0, 1, 2, 3)
    into_the_day = NOW % DAY / 3600
    left_today = max(0.0, 4 - into_the_day)
    nights = np.floor((gap - left_today) / 4)
    full = NOW - NOW % DAY + DAY * (1 + nights) + (gap - left_today - 4 * nights) * 3600
    assert crossing.at == pytest.approx(full, abs=1800)


def test_a_rotation_that_takes_a_share_of_the_day_leaves_the_rest_to_fill_the_disk():
    level = filling(np.full(24, 1.0))
    nights = (FORTNIGHT // DAY).astype(int)
    for night in range(nights[0] + 1, nights[-1] + 1):
        level[nights >= night] -= 0.6 * 24
    crossing = time_to(FORTNIGHT, level, level[-1] + 100.0, 60 * DAY)
    assert (crossing.at - NOW) / DAY == pytest.approx(100 / (0.4 * 24), abs=1.2)
    assert crossing.low <= crossing.at <= crossing.high


def test_one_big_upload_is_not_taken_for_growth():
    level = filling(np.full(24, 0.1))
    level[FORTNIGHT > NOW - 5 * 3600] += 20
    crossing = time_to(FORTNIGHT, level, level[-1] + 24.0, 60 * DAY)
    assert (crossing.at - NOW) / DAY == pytest.approx(10, abs=0.5)


def test_a_gauge_that_wanders_is_not_said_to_fill_up():
    rng = np.random.default_rng(5)
    steps = rng.normal(0, 0.3, len(FORTNIGHT))
    level = np.empty(len(steps))
    level[0] = 50
    for k in range(1, len(steps)):
        level[k] = 50 + 0.99 * (level[k - 1] - 50) + steps[k]
    asked = [time_to(FORTNIGHT[:end], level[:end], 100, 30 * DAY).evidence for end in range(3000, 4000, 100)]
    assert asked.count("ok") <= 1
