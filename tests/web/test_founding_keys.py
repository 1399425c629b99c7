"""A fleet that others write into Redis by plain commands shows up, agrees everywhere, and goes offline when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from monitoring.ingest.founding_keys import FoundingKeys

NOW = 1_760_000_400.0
Fields = dict[str, str]
Running = Callable[..., AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def writer(url: str) -> AsyncIterator[Redis]:
    """A client that knows nothing of us."""
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


async def add(
    client: Redis, name: str, server: dict[str, str], metrics: dict[str, str], status: dict[str, str]
) -> None:
    await client.sadd("servers:active", name)
    for kind, fields in (("server", server), ("metrics", metrics), ("status", status)):
        if fields:
            await client.hset(f"{kind}:{name}", mapping=fields)


@pytest.fixture
async def quiet(make_product: Running, tmp_path: Path) -> AsyncIterator[Any]:
    """A product that does not read the keys itself, so that a test can say when."""
    async with make_product(tmp_path / "data", founding_keys=False) as product:
        yield product


async def until(holds: Callable[[], Any]) -> Any:
    async with asyncio.timeout(5):
        while not (found := await holds()):
            await asyncio.sleep(0.02)
        return found


async def shown(product: Any) -> dict[str, Any]:
    """The servers of the API by their ids."""
    reply = await product.client.get("/api/servers")
    return {server["id"]: server for server in reply.json()["data"]["servers"]}


async def test_keys_written_by_a_plain_client_agree_on_the_dashboard_in_an_answer_and_in_promql(
    make_product: Running, tmp_path: Path
):
    async with make_product(tmp_path / "data", scrape_interval=1) as product:
        async with writer(product.app.state.parts.valkey.url) as client:
            metrics = {
                "cpu": "91.5%",
                "memoryUsage": "62,5",
                "disk": "41",
                "network": '{"in": "1.5 MB/s", "out": 2048}',
            }
            about = {"type": "db", "location": "Seoul", "uptime": "3d 4h"}
            await add(client, "srv-db-9", about, {**metrics, "timestamp": str(int(NOW * 1000))}, {"status": "online"})
            servers = await until(lambda: shown(product))
        server = servers["srv-db-9"]
        assert (server["cpu"], server["memory"], server["disk"]) == (91.5, 62.5, 41.0)
        assert (server["network_in"], server["network_out"]) == (1.5e6, 2048.0)
        assert (server["type"], server["type_guessed"], server["status"]) == ("db", False, "critical")
        assert server["uptime_s"] == 3 * 86_400 + 4 * 3_600
        (row,) = await product.query('server_cpu_usage{server_id="srv-db-9"}')
        assert row["value"][1] == "91.5"
        assert row["metric"]["location"] == "Seoul"
        (row,) = await product.query('server_up{server_id="srv-db-9"}')
        assert row["value"] == [NOW, "1"]
        answer = await product.ask("cpu of srv-db-9?")
        assert "91.5" in answer["response"]


async def test_a_server_whose_keys_expired_goes_offline_and_never_reads_0_percent(quiet: Any):
    keys = FoundingKeys(quiet.app.state.parts.store.connection)
    async with writer(quiet.app.state.parts.valkey.url) as client:
        await add(client, "srv-1", {"type": "web"}, {"cpu": "40"}, {"status": "online"})
        for minute in range(3):
            await quiet.app.state.parts.store.append(await keys.collect(NOW - 600 + 60 * minute))
        await client.delete("metrics:srv-1")
        for minute in range(3, 11):
            await quiet.app.state.parts.store.append(await keys.collect(NOW - 600 + 60 * minute))
    server = (await shown(quiet))["srv-1"]
    assert (server["status"], server["cpu"]) == ("offline", None)
    assert datetime.fromisoformat(server["last_seen"]) == datetime.fromtimestamp(NOW - 480, UTC)
    assert await quiet.query("server_cpu_usage") == []


async def test_a_hash_that_has_not_changed_since_its_own_time_is_not_repeated(quiet: Any):
    keys = FoundingKeys(quiet.app.state.parts.store.connection)
    async with writer(quiet.app.state.parts.valkey.url) as client:
        await add(client, "a", {}, {"cpu": "10", "lastUpdated": "2025-10-09T08:59:00Z"}, {})
        await add(client, "b", {}, {"cpu": "20"}, {})
        first, second = await keys.collect(NOW), await keys.collect(NOW + 5)
        assert {(s["server_id"], t) for s, t in zip(first.series, first.times_ms.tolist(), strict=True)} == {
            ("a", round((NOW - 60) * 1000)),
            ("b", round(NOW * 1000)),
        }
        assert [s["server_id"] for s in second.series] == ["b"]
        await client.hset("metrics:a", mapping={"cpu": "11", "lastUpdated": "1760000404"})
        await client.srem("servers:active", "b")
        third = await keys.collect(NOW + 10)
    assert (third.series, third.values.tolist()) == ([{"__name__": "server_cpu_usage", "server_id": "a"}], [11.0])
    assert third.times_ms.tolist() == [1_760_000_404_000]


async def test_a_bad_value_is_refused_and_counted_by_its_field_and_the_others_are_kept(
    quiet: Any, caplog: pytest.LogCaptureFixture
):
    keys = FoundingKeys(quiet.app.state.parts.store.connection)
    bad = {"cpu": "150", "memory": "high", "disk": "1,234", "networkIn": "-4", "uptime": "99.9%", "netOut": "N/A"}
    async with writer(quiet.app.state.parts.valkey.url) as client:
        await add(client, "x", {"type": "web"}, bad, {"status": "sideways", "timestamp": "1970-01-01T00:00:00Z"})
        await client.sadd("servers:active", "y")
        await client.set("metrics:y", "not a hash")
        await client.hset("server:y", mapping={"mem_used": "4 GiB", "mem_total": "16 GiB", "cpu_ratio": "0.5"})
        found = await keys.collect(NOW)
    values = {(s["server_id"], s["__name__"]): v for s, v in zip(found.series, found.values.tolist(), strict=True)}
    assert values == {("y", "server_memory_usage"): 25.0, ("y", "server_cpu_usage"): 50.0}
    fields = ("metrics.cpu", "metrics.memory", "metrics.disk", "metrics.networkin", "metrics.uptime")
    assert keys.refused == dict.fromkeys((*fields, "status.status", "status.timestamp", "metrics"), 1)
    assert "server=x field=metrics.cpu value='150': it is over 100 %" in caplog.text


async def test_a_fleet_in_another_redis_is_read_and_the_reading_can_be_turned_off(
    make_product: Running, tmp_path: Path, valkey: Any
):
    async with writer(valkey.url) as client:
        await client.flushall()
        await add(client, "elsewhere", {}, {"cpu": "33"}, {})
        async with make_product(tmp_path / "a", scrape_interval=1, founding_redis_url=valkey.url) as product:

            async def measured() -> bool:
                return (await shown(product)).get("elsewhere", {}).get("cpu") == 33.0

            assert await until(measured)
        await client.flushall()
    async with make_product(tmp_path / "b", founding_keys=False) as product:
        assert product.app.state.parts.collector.scrape.feeds == ()
