"""When samples may be dropped by the clock."""

from __future__ import annotations

from monitoring.store.steady import LEAST_S, SteadyClock


class Times:
    """A wall clock and the time that really passed."""

    def __init__(self, wall: float) -> None:
        self.wall, self.real = wall, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.real += seconds


def test_a_clock_that_jumps_a_year_ahead_drops_nothing_until_it_has_run_on_for_two_weeks() -> None:
    times = Times(1_760_000_000.0)
    clock = SteadyClock(lambda: times.wall, lambda: times.real)
    assert clock.steady(times.wall)
    times.pass_(60)
    assert clock.steady(times.wall)

    times.wall += 365 * 86_400
    times.pass_(60)
    assert not clock.steady(times.wall)
    times.pass_(14 * 86_400)
    assert not clock.steady(times.wall)
    times.pass_(2 * 86_400)
    assert clock.steady(times.wall)


def test_a_jump_that_is_corrected_costs_ten_minutes_of_patience() -> None:
    times = Times(1_760_000_000.0)
    clock = SteadyClock(lambda: times.wall, lambda: times.real)
    clock.steady(None)
    times.wall += 3600
    assert not clock.steady(None)
    times.wall -= 3600
    assert not clock.steady(None)
    times.pass_(LEAST_S)
    assert clock.steady(None)


def test_a_start_long_after_the_newest_sample_waits_too() -> None:
    times = Times(1_760_000_000.0)
    clock = SteadyClock(lambda: times.wall, lambda: times.real)
    assert not clock.steady(times.wall - 30 * 86_400)
    times.pass_(30 * 3600)
    assert clock.steady(times.wall)
