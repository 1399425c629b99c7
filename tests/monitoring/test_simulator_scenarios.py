"""Scenarios with a truth: each shows where and when it says, others stay as they were, and counters keep counting."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from monitoring.catalog import load
from monitoring.errors import BadQuery
from monitoring.simulator import EPOCH, Play, SimulatedFleet, Trace, draw, trace
from monitoring.simulator.kinds import KINDS
from monitoring.simulator.servers import edges, fleet_of

DAY = 86_400.0
START = EPOCH + 9 * DAY
"""A Wednesday."""


def column(found: Trace, server: str, concept: str) -> np.ndarray:
    return found.values[:, found.names.index((server, concept))]


def mean(values: np.ndarray, times: np.ndarray, start: float, minutes: float) -> float:
    return float(np.mean(values[(times >= start) & (times < start + minutes * 60)]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_scenario_moves_exactly_what_its_truth_names_from_the_moment_that_it_names(kind: str) -> None:
    play = draw(kind, START + 8 * 3600, START + 36 * 3600, seed=5)
    with_it, quiet = (trace(START, START + 1.6 * DAY, plays) for plays in ((play,), ()))
    (incident,) = with_it.incidents
    assert incident.events[0].time == incident.start == play.start
    assert (incident.events[0].server, incident.events[0].concept) in incident.causes
    assert all(a.time <= b.time for a, b in pairwise(incident.events))
    before = with_it.times < play.start
    assert np.array_equal(with_it.values[before], quiet.values[before])
    for event in incident.events:
        ours, usual = (column(one, event.server, event.concept) for one in (with_it, quiet))
        differs = with_it.times[~np.isclose(ours, usual, rtol=1e-9)]
        assert event.time <= differs[0] <= event.time + 60, event
    reached = {event.server for event in incident.events} | {play.server}
    if kind not in ("host_down", "noisy_neighbour"):  # these also touch others, too little for a truth
        for k, (server, _) in enumerate(with_it.names):
            assert server in reached or np.array_equal(with_it.values[:, k], quiet.values[:, k])


def test_causes_are_large_and_followers_come_after_them() -> None:
    play = Play("db_saturation", "db-02", START + 11 * 3600, 3000.0)
    found = trace(START, START + DAY, (play,))
    (incident,) = found.incidents
    assert incident.causes == (("db-02", "connections"),)
    first_of = {
        role: min(e.time for e in incident.events if e.server.startswith(role)) for role in ("db", "api", "web")
    }
    assert first_of["db"] < first_of["api"] < first_of["web"]
    for server, concept, least in (("db-02", "connections", 2), ("api-01", "latency", 8), ("web-01", "errors", 20)):
        values = column(found, server, concept)
        during = mean(values, found.times, play.start + 600, 20)
        assert during > least * mean(values, found.times, play.start - 1800, 20)
    assert ("web-01", "api-01") in found.edges
    assert ("api-01", "db-02") in found.edges


def test_the_same_arguments_give_the_same_bytes_and_a_down_server_has_no_values() -> None:
    play = Play("host_down", "cache-01", START + 3600, 900.0)
    one, two = (trace(START, START + 7200, (play,), seed=3) for _ in range(2))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.values.tobytes() != trace(START, START + 7200, (play,), seed=4).values.tobytes()
    away = (one.times >= play.start) & (one.times < play.end)
    assert np.array_equal(np.isnan(column(one, "cache-01", "cpu")), away)
    assert np.array_equal(column(one, "cache-01", "up"), 1.0 - away)


def test_a_trace_names_only_concepts_of_the_catalogue() -> None:
    assert {concept for _, concept in trace(START, START + 60, size=6).names} <= set(load().concepts)


def test_weekdays_nights_and_cron_jobs_are_habits_of_every_seed() -> None:
    for seed in (1, 2):
        found = trace(EPOCH, EPOCH + 14 * DAY, size=6, seed=seed, step_s=300.0)
        requests, cpu = column(found, "web-01", "requests"), column(found, "db-01", "iowait")
        noon = [mean(requests, found.times, EPOCH + day * DAY + 12 * 3600, 120) for day in range(14)]
        assert max(noon[5:7] + noon[12:14]) < 0.8 * min(noon[0:5] + noon[7:12])
        assert mean(requests, found.times, EPOCH + 3 * DAY + 3 * 3600, 60) < 0.4 * noon[3]
        for day in range(14):
            backup = mean(cpu, found.times, EPOCH + day * DAY + 2.66 * 3600, 15)
            assert backup > 2 * mean(cpu, found.times, EPOCH + day * DAY + 1.3 * 3600, 15)


def test_a_started_play_adds_to_counters_what_stays_and_a_restart_continues_them() -> None:
    quiet, fleet = (SimulatedFleet(schedule=False, size=6) for _ in range(2))
    play = fleet.begin("bad_deploy", START + DAY - 1200.5, minutes=60)  # across a midnight
    assert play == Play("bad_deploy", "api-01", START + DAY - 1200, 3600.0)

    def errors(of: SimulatedFleet, t: float) -> float:
        return of.value("api-01", "http_requests_total", t, code="500")

    assert errors(fleet, play.start) == errors(quiet, play.start)
    extra = [errors(fleet, t) - errors(quiet, t) for t in (play.end, play.end + 600, play.end + 40 * DAY)]
    assert extra[0] > 1000
    assert extra[1] == pytest.approx(extra[2], abs=2)
    times = [play.start + 97 * k for k in range(60)]
    counted = [errors(fleet, t) for t in times]
    assert counted == sorted(counted)
    again = SimulatedFleet(schedule=False, size=6)
    again.play([play])
    assert [errors(again, t) for t in times] == counted


def test_what_is_stopped_early_does_not_change_its_past() -> None:
    fleet = SimulatedFleet(schedule=False, size=6)
    play = fleet.begin("memory_leak", START, "api-01")
    seen = [fleet.page("api-01", START + 60 * k) for k in range(120)]
    fleet.play([Play(play.kind, play.server, play.start, play.duration_s, ended=START + 120 * 60.0)])
    assert [fleet.page("api-01", START + 60 * k) for k in range(120)] == seen
    assert fleet.incidents(START, START + DAY)[0].end == START + 7200


def test_pages_by_baseline_and_differences_are_the_pages_made_anew_and_the_saving_is_counted() -> None:
    fleet = SimulatedFleet(size=6)
    fleet.begin("disk_fill", START + 600)
    lean = [fleet.page(name, START + 5.0 * k) for k in range(120) for name in ("web-01", "batch-01")]
    report = fleet.savings.report()
    assert report["pages"] == len(lean) == 240
    assert report["bytes_served"] == sum(map(len, lean))
    before: dict[int, list[bytes]] = {0: [], 1: []}
    written = 0
    for k, page in enumerate(lean):
        lines = page.splitlines(keepends=True)
        kept = before[k % 2]
        written += sum(map(len, [line for j, line in enumerate(lines) if not kept or line != kept[j]]))
        before[k % 2] = lines
    assert report["bytes_written"] == written
    assert report["bytes_saved"] == report["bytes_served"] - written > 0
    assert report["pages_checked"] == 240 // 64
    assert report["pages_different"] == 0
    fleet.lean = False
    assert [fleet.page(name, START + 5.0 * k) for k in range(2) for name in ("web-01", "batch-01")] == lean[:4]


def test_the_next_days_baseline_is_a_new_version_and_the_old_one_still_gives_the_same_figures() -> None:
    fleet = SimulatedFleet(size=6)
    late = START + DAY - 1800
    fleet.prepare(late)
    seen = fleet.page("web-01", late)
    fleet.prepare(late + 3600)
    assert fleet.versions == (9, 10)
    assert fleet.page("web-01", late) == seen
    for ahead in range(1, 4):
        fleet.prepare(late + ahead * DAY)
    assert fleet.versions == (10, 11, 12)
    assert fleet.page("web-01", late) == seen, "also where its curves had to be made again"


def test_what_cannot_be_played_is_refused_with_what_can() -> None:
    fleet = SimulatedFleet(size=6)
    for kind, server, said in (
        ("fire", None, "no scenario named 'fire'; there are memory_leak"),
        ("memory_leak", "nas-01", "no simulated server 'nas-01'; there are web-01"),
        ("db_saturation", "web-01", "cannot begin on 'web-01'; it can on servers of type db"),
    ):
        with pytest.raises(BadQuery, match=said):
            fleet.begin(kind, START, server)
    assert fleet.plays == ()


@pytest.mark.parametrize("size", [6, 15, 20, 50])
def test_a_fleet_has_every_type_and_each_server_calls_only_those_that_serve_it(size: int) -> None:
    servers = fleet_of(size)
    assert len(servers) == size
    assert {server.role for server in servers.values()} == {"web", "api", "db", "cache", "queue", "batch"}
    below = {"web": {"api"}, "api": {"db", "cache", "queue"}, "batch": {"db", "queue"}}
    for caller, callee in edges(servers):
        assert servers[callee].role in below[servers[caller].role]
    with pytest.raises(ValueError, match="at least 6 servers"):
        fleet_of(5)
