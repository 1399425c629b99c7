"""What can be relied on of history in SQLite and in PostgreSQL: the same tests, the same figures."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitoring.errors import StoreUnavailable
from monitoring.store.cold import Catalogued, ColdStore, ScenarioRun, Segment, ServerTemplate, open_cold
from monitoring.store.cold_rows import AlertRow
from tests.conftest import emptied


@pytest.fixture(params=["sqlite", "postgresql"])
async def cold(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ColdStore]:
    """An empty cold store."""
    url = None
    if request.param == "postgresql":
        url = (await emptied(request.getfixturevalue("postgres"))).url
    store = open_cold(url, tmp_path)
    await store.open()
    yield store
    await store.close()


def segment(metric: str, hour: int, group: int = 0, generation: int = 1, body: bytes = b"\x00body\xff") -> Segment:
    return Segment(metric, hour, group, generation, 240, -1.5, 99.25, 1e300, body)


async def test_blocks_come_back_as_they_were_kept_by_metric_hour_and_group(cold: ColdStore) -> None:
    kept = [segment(m, hour, group) for m in ("cpu", "mem") for hour in (7, 8) for group in (0, 1, 2, 5)]
    assert await cold.put(list(reversed(kept))) == 16

    assert await cold.get([("mem", 8, None), ("cpu", 7, [2, 0, 1]), ("cpu", 9, None), ("cpu", 7, [1])]) == [
        *(segment("cpu", 7, group) for group in (0, 1, 2)),
        *(segment("mem", 8, group) for group in (0, 1, 2, 5)),
    ]
    assert await cold.get([("cpu", 8, [])]) == []
    assert await cold.get([]) == []


async def test_an_older_generation_never_replaces_a_newer_one(cold: ColdStore) -> None:
    assert await cold.put([segment("cpu", 7, generation=5, body=b"new")]) == 1
    assert await cold.put([segment("cpu", 7, generation=4, body=b"old"), segment("cpu", 8, generation=4)]) == 1
    assert await cold.put([segment("cpu", 7, generation=5, body=b"same")]) == 0
    assert [s.body for s in await cold.get([("cpu", 7, None)])] == [b"new"]
    twice = [segment("cpu", 9, generation=g, body=b"%d" % g) for g in (2, 3, 1)]
    assert await cold.put(twice) == 1
    assert [s.body for s in await cold.get([("cpu", 9, None)])] == [b"3"]


async def test_an_hour_that_is_replaced_has_exactly_the_new_groups(cold: ColdStore) -> None:
    await cold.put([segment("cpu", 7, group, generation=3) for group in (0, 1, 2)])
    await cold.put([segment("cpu", 7, 3, generation=9), segment("cpu", 8), segment("mem", 7)])

    await cold.replace("cpu", 7, [segment("cpu", 7, 1, generation=4, body=b"kept")], 4)
    assert [(s.group, s.generation) for s in await cold.get([("cpu", 7, None)])] == [(1, 4), (3, 9)]
    await cold.drop("cpu", 7, 4)
    assert [(s.group, s.generation) for s in await cold.get([("cpu", 7, None)])] == [(3, 9)]
    await cold.replace("cpu", 7, [], 9)
    assert await cold.hours(None, 0, 100) == [("cpu", 8, 1), ("mem", 7, 1)]


async def test_hours_and_summaries_need_no_bodies(cold: ColdStore) -> None:
    await cold.put([segment("cpu", hour, group, generation=hour + group) for hour in (7, 8, 9) for group in (0, 1)])
    await cold.put([segment("mem", 8)])

    assert await cold.hours("cpu", 8, 9) == [("cpu", 8, 9), ("cpu", 9, 10)]
    assert await cold.hours(None, 8, 8) == [("cpu", 8, 9), ("mem", 8, 1)]
    assert await cold.summaries("cpu", 7, 8) == [
        segment("cpu", hour, group, hour + group, b"") for hour in (7, 8) for group in (0, 1)
    ]
    assert await cold.drop_before(9) == 5
    assert await cold.hours(None, -(1 << 40), 1 << 40) == [("cpu", 9, 10)]


async def test_what_is_not_a_number_comes_back_so(cold: ColdStore) -> None:
    odd = Segment("odd", 1, 0, 1, 3, math.nan, math.inf, -math.inf, b"")
    await cold.put([odd])
    for found in (await cold.get([("odd", 1, None)]))[0], (await cold.summaries("odd", 1, 1))[0]:
        assert math.isnan(found.minimum)
        assert found[6:] == (math.inf, -math.inf, b"")


async def test_the_catalogue_and_facts_are_kept(cold: ColdStore) -> None:
    web, db = b'{"__name__":"cpu","host":"\xec\x84\x9c\xeb\xb2\x84"}', b'{"__name__":"cpu","host":"db\\u0000"}'
    await cold.put_series([Catalogued(4_000_000_000, 7, web, 10, 12), Catalogued(3, 0, db, 10, 10)])
    await cold.put_series([Catalogued(3, 0, db, 10, 11)])
    assert await cold.series() == [Catalogued(3, 0, db, 10, 11), Catalogued(4_000_000_000, 7, web, 10, 12)]
    await cold.drop_series([3, 99])
    assert [s.id for s in await cold.series()] == [4_000_000_000]

    assert await cold.fact("born") is None
    await cold.put_fact("born", "abc")
    await cold.put_fact("born", "서버")
    assert await cold.fact("born") == "서버"
    assert await cold.facts() == {"born": "서버"}


async def test_the_simulated_fleet_and_what_it_played_are_kept(cold: ColdStore) -> None:
    web = ServerTemplate("web-01", "web", {"cores": 2, "disks": [["/dev/sda1", "/", 1e9]]})
    run = ScenarioRun("leak@1", "leak", 1.5, 2.5, {"server": "api-02"}, {"truth": "누수"})
    for _ in range(2):
        await cold.put_templates([web])
        await cold.put_runs([run, run._replace(id="leak@0", started=0.5)])
    assert await cold.templates() == [web]
    assert [r.id for r in await cold.runs()] == ["leak@0", "leak@1"]
    assert (await cold.runs())[1] == run


async def test_a_store_that_was_closed_says_so(cold: ColdStore) -> None:
    await cold.close()
    await cold.close()
    with pytest.raises(StoreUnavailable) as failure:
        await cold.series()
    assert failure.value.cause == "closed"


async def test_the_status_says_how_much_there_is(cold: ColdStore) -> None:
    await cold.put([segment("cpu", 7), segment("cpu", 9)])
    status = await cold.status()
    assert status["rows"] == 2
    assert (status["oldest_hour"], status["newest_hour"]) == (7, 9)
    assert status["bytes"] > 0
    assert status["last_error"] is None


async def test_what_happened_to_alerts_is_kept_once_and_found_by_time_and_kind(cold: ColdStore) -> None:
    rows = [
        AlertRow(f"{n}-{kind}", 100.5 * n, kind, "f0", "cpu_critical", "db-01" if n else None, None, "{}")
        for n in range(3)
        for kind in ("firing", "resolved")
    ]
    assert (await cold.put_alerts(rows), await cold.put_alerts(rows[:2]), await cold.put_alerts([])) == (6, 0, 0)
    assert await cold.alerts(0.0, 1e12, (), 10) == sorted(rows, key=lambda row: (-row.time, row.kind == "firing"))
    assert await cold.alerts(100.5, 201.0, ("firing",), 1) == [rows[4]]
    assert await cold.drop_alerts_before(100.5) == 2
    assert [row.id for row in await cold.alerts(0.0, 1e12, ("resolved", "firing"), 10)][-1] == "1-firing"
