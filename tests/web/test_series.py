"""`GET /api/metrics/timeseries`, `POST /api/batch` and `GET /api/servers?ids=`: what was measured, in one read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")
URL = "/api/metrics/timeseries"


async def series(fleet: Any, **given: Any) -> dict[str, Any]:
    reply = await fleet.client.get(URL, params=given)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["data"]
    return found


async def reads(fleet: Any) -> int:
    """Scripts that the store has run."""
    stats = await fleet.app.state.parts.store.connection.redis.info("commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


async def test_series_are_the_raw_samples_and_a_gap_is_null(fleet: Any) -> None:
    data = await series(
        fleet, server="delta-01,alpha-01", metric="server_memory_usage", window="30m", step="60", agg="avg"
    )
    shown = {s["server"]: s["values"] for s in data["series"]}
    assert len(data["times"]) == len(shown["alpha-01"]) == 31
    assert shown["alpha-01"] == [51.0] * 31
    assert shown["delta-01"] == [33.0] * 11 + [None] * 20, "it fell silent 20 minutes ago"


@pytest.mark.parametrize(("agg", "numpy"), [("avg", np.mean), ("max", np.max), ("sum", np.sum), ("count", len)])
async def test_an_aggregate_is_over_the_samples_of_its_own_step(fleet: Any, agg: str, numpy: Any) -> None:
    data = await series(fleet, server="bravo-01", metric="server_cpu_usage", window="1h", step="10m", agg=agg)
    raw = [(fleet.now - 60 * k, 95.0 if 60 * k < 1800 else 40.0) for k in range(200)]
    expected = [numpy([v for t, v in raw if at - 600 < t <= at]) for at in data["times"]]
    assert data["series"][0]["values"] == pytest.approx(expected)


async def test_the_query_that_comes_along_gives_the_same_figures_again(fleet: Any) -> None:
    data = await series(fleet, concept="memory", server="echo-01", window="1h", step="5m")
    given = {"start": data["start"], "end": data["end"], "step": data["step"], "query": data["queries"][0]["query"]}
    again = (await fleet.client.get("/api/v1/query_range", params=given)).json()["data"]["result"]
    assert [float(v) for _, v in again[0]["values"]] == data["series"][0]["values"]


async def test_a_long_range_gets_a_step_that_keeps_it_within_a_thousand_points(fleet: Any) -> None:
    data = await series(fleet, concept="cpu", server="alpha-01", window="30d", step="15")
    assert (data["step"], data["step_raised"]) == (3600, True)
    assert len(data["times"]) <= 1_000


async def test_several_servers_and_metrics_are_one_read_of_the_store(fleet: Any) -> None:
    await series(fleet, metric="cpu,memory,disk", server="alpha-01", window="20m")
    before = await reads(fleet)
    data = await series(fleet, metric="cpu,memory,disk", servers="alpha-01,alpha-02,bravo-01", window="21m")
    assert len(data["series"]) == 9
    assert await reads(fleet) <= before + 2, "one for the inventory at most"


@pytest.mark.parametrize(
    ("given", "status", "named"),
    [
        ({"server": "alpha-1", "metric": "cpu"}, 404, "alpha-01"),
        ({"metric": "cpu_usge"}, 404, "cpu_usge"),
        ({"server": "alpha-01"}, 400, "metric"),
        ({"metric": "cpu", "window": "later"}, 400, "later"),
        ({"metric": "cpu", "step": "0"}, 400, "step"),
        ({"metric": "cpu", "agg": "median"}, 400, "median"),
        ({"metric": "cpu", "start": "2025-10-09T09:00:00Z", "end": "2025-10-09T08:00:00Z"}, 400, "not before"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_name(
    fleet: Any, given: dict[str, str], status: int, named: str
) -> None:
    reply = await fleet.client.get(URL, params=given)
    assert (reply.status_code, reply.json()["success"]) == (status, False)
    assert named in reply.text


async def test_several_reads_are_answered_in_their_order_each_for_itself(fleet: Any) -> None:
    reads_ = [
        {"kind": "servers", "ids": ["bravo-01", "echo-01"]},
        {"kind": "timeseries", "ids": ["alpha-01"], "metrics": ["memory"], "window": "10m"},
        {"kind": "query", "query": "count(server_cpu_usage)"},
        {"kind": "timeseries", "ids": ["nobody"], "metrics": ["memory"]},
    ]
    reply = await fleet.client.post("/api/batch", json={"reads": reads_})
    assert reply.status_code == 200, reply.text
    servers, memory, count, nobody = reply.json()["data"]["results"]
    assert [s["id"] for s in servers["data"]["servers"]] == ["bravo-01", "echo-01"]
    assert set(memory["data"]["series"][0]["values"]) == {51.0}
    assert count["data"]["rows"] == [{"labels": {}, "value": 4.0}]
    assert (nobody["success"], nobody["error"]["code"]) == (False, "unknown_server")


async def test_servers_can_be_asked_for_by_a_list_of_ids(fleet: Any) -> None:
    data = (await fleet.client.get("/api/servers", params={"ids": "echo-01,bravo-01"})).json()["data"]
    assert ([s["id"] for s in data["servers"]], data["total"]) == (["bravo-01", "echo-01"], 2)
    assert (await fleet.client.get("/api/servers", params={"ids": "bravo-1"})).status_code == 404
