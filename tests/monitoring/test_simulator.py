"""The simulated fleet: repeatable, marked, continuous, with incidents whose truth is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.catalog import load
from monitoring.ingest.scrape import ScrapeLoop
from monitoring.inventory import build
from monitoring.model import Batch, label_key
from monitoring.simulator import EPOCH, SimulatedFleet
from monitoring.simulator.record import FleetRecord
from monitoring.store.cold import open_cold

NOW = 1_764_000_000.0
FLEET = SimulatedFleet(now=lambda: NOW)


def by_series(batch: Batch) -> dict[tuple[tuple[str, str], ...], list[float]]:
    found: dict[tuple[tuple[str, str], ...], list[float]] = {}
    keys = [label_key(labels) for labels in batch.series]
    for k, value in zip(batch.index.tolist(), batch.values.tolist(), strict=True):
        found.setdefault(keys[k], []).append(value)
    return found


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    again = SimulatedFleet()
    pages = {name: FLEET.page(name, NOW) for name in ("web-01", "web-02", "db-01", "batch-03")}
    assert pages == {name: again.page(name, NOW) for name in pages}
    assert pages["web-01"] != SimulatedFleet(seed=2).page("web-01", NOW)
    assert pages["web-01"] != pages["web-02"]


async def test_a_scrape_equals_the_backfill_at_the_same_time():
    now = 60.0 * 29_400_000
    fleet, kept = SimulatedFleet(size=6, now=lambda: now), []

    async def append(batch: Batch) -> int:
        kept.append(batch)
        return len(batch)

    loop = ScrapeLoop(append, fleet.targets, now=lambda: now)
    await loop.scrape_once()
    assert kept == []
    await fleet.start()
    try:
        await loop.scrape_once()
    finally:
        await fleet.stop()
    assert not fleet.running
    scraped = {k: v for k, v in by_series(kept[0]).items() if not dict(k)["__name__"].startswith("scrape_")}
    (batch,) = fleet.backfill(now, hours=0)
    assert scraped == by_series(batch)
    assert set(batch.times_ms.tolist()) == {int(now * 1000)}
    servers = build(kept[0].series, load()).servers
    assert sorted(servers) == sorted(fleet.names())
    assert all(server.simulated and server.type == name.split("-")[0] for name, server in servers.items())


def test_backfilled_hours_follow_each_other_without_a_gap_or_a_repeat():
    batches = list(FLEET.backfill(NOW, hours=25))
    times = np.concatenate([np.unique(batch.times_ms) for batch in batches])
    assert (np.diff(times) == 60_000).all()
    assert times[-1] == NOW * 1000
    assert times[0] == (NOW - 25 * 3_600) * 1000


@settings(deadline=None, max_examples=30)
@given(st.floats(EPOCH, EPOCH + 10 * 365 * 86_400), st.lists(st.floats(0.1, 90_000), min_size=1, max_size=5))
def test_counters_never_fall_wherever_one_looks(start: float, steps: list[float]):
    times = list(itertools.accumulate([start, *steps]))
    for server, metric in (
        ("web-01", "http_requests_total"),
        ("db-01", "pg_stat_database_xact_commit"),
        ("api-02", "node_cpu_seconds_total"),
        ("cache-01", "redis_keyspace_hits_total"),
    ):
        values = [FLEET.value(server, metric, t) for t in times]
        assert values == sorted(values)


def test_a_counter_is_the_integral_of_its_parts():
    for end in (NOW, NOW + 86_400 * 28):  # across midnights and the end of the cycle
        idle, other = (
            sum(
                FLEET.value("db-02", "node_cpu_seconds_total", end, cpu="0", mode=mode)
                - FLEET.value("db-02", "node_cpu_seconds_total", NOW - 86_400, cpu="0", mode=mode)
                for mode in modes
            )
            for modes in (("idle",), ("user", "system", "iowait", "steal"))
        )
        assert idle + other == pytest.approx(end - NOW + 86_400, rel=1e-6)
    total = sum(FLEET.value("web-01", "http_requests_total", NOW, code=code) for code in ("200", "404", "500"))
    assert total == pytest.approx(FLEET.value("web-01", "http_request_duration_seconds_count", NOW), abs=3)
    assert FLEET.value("web-01", "http_request_duration_seconds_bucket", NOW, le="+Inf") == pytest.approx(total, abs=3)


def test_every_incident_shows_where_its_truth_says():
    found = FLEET.incidents(NOW, NOW + 2 * 86_400)
    assert {"memory_leak", "disk_fill", "db_saturation"} <= {incident.kind.name for incident in found}

    def used(server: str, kind: str, t: float, **labels: str) -> float:
        names = {"memory": ("MemAvailable", "MemTotal"), "filesystem": ("avail", "size")}[kind]
        left, whole = (FLEET.value(server, f"node_{kind}_{name}_bytes", t, **labels) for name in names)
        return 100 * (1 - left / whole)

    def rate(server: str, metric: str, t: float, **labels: str) -> float:
        return (FLEET.value(server, metric, t, **labels) - FLEET.value(server, metric, t - 600, **labels)) / 600

    for incident in found:
        late, server = incident.end - 360, incident.play.server
        if incident.kind.name == "memory_leak":
            assert used(server, "memory", late) > 80 > used(server, "memory", incident.end + 120)
        elif incident.kind.name == "disk_fill":
            other = next(name for name in ("batch-01", "batch-02") if name != server)
            assert used(server, "filesystem", late, mountpoint="/data") > 90
            assert used(other, "filesystem", late, mountpoint="/data") < 60
        elif incident.kind.name == "db_saturation":
            assert FLEET.value(server, "pg_stat_activity_count", late, state="active") > 140
            assert rate(server, "node_cpu_seconds_total", late, mode="idle") < 0.5
            for web in ("web-01", "web-02", "web-03"):
                share = rate(web, "http_requests_total", late, code="500") / rate(
                    web, "http_request_duration_seconds_count", late
                )
                assert share > 0.05
            spent = rate("api-01", "http_request_duration_seconds_sum", late)
            assert spent / rate("api-01", "http_request_duration_seconds_count", late) > 0.3


def test_something_is_always_under_way():
    for minute in range(0, 21 * 60, 5):
        assert FLEET.incidents(NOW + minute * 60, NOW + minute * 60)


async def test_the_record_has_the_servers_and_each_incident_once_with_its_end_when_it_is_over(tmp_path: Path) -> None:
    cold, fleet, start = open_cold(None, tmp_path), SimulatedFleet(), EPOCH + 40 * 3600.0
    record = FleetRecord(fleet, cold)
    for minute in range(0, 600, 10):
        await record.write(start + minute * 60)
    await FleetRecord(SimulatedFleet(), cold).write(start + 600 * 60)  # a restart
    now, rows = start + 600 * 60, await cold.runs()
    played = fleet.incidents(start - 25 * 3600, now)
    assert {(r.id, r.started, r.ended) for r in rows} == {
        (i.play.id, i.start, i.end if i.end <= now else None) for i in played
    }
    assert len(rows) == len(played) > 3
    assert {"memory", "disk"} <= {r.ground_truth["concept"] for r in rows}
    assert [t.id for t in await cold.templates()] == sorted(fleet.names())
    await cold.close()
