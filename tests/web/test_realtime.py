"""`GET /api/servers/realtime`: changes as they come, which add up to what the dashboard shows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from monitoring.windows import moment, rfc3339
from web.stream import BEHIND, KEPT

URL = "/api/servers/realtime"


async def test_the_dashboard_and_the_changes_since_are_the_dashboard_of_later(
    product: Any, make_servers: Any, until: Any
) -> None:
    await product.write(make_servers(product.now))
    before = await dashboard(product)
    async with listening(product) as events:
        number, event, hello = await anext(events)
        assert (number, event, hello["seq"]) == (before["seq"], "hello", before["seq"])
        await change(product, 10, {"charlie-01": 93.0, "alpha-01": 52.0})
        await change(product, 7, {"golf-01": 10.0})
        product.now += 400
        after = await dashboard(product)
        while before["seq"] < after["seq"]:
            number, event, delta = await anext(events)
            assert (number, event) == (before["seq"] + 1, "delta")
            before = applied(before, delta)
    assert before == after


async def test_a_change_holds_only_what_changed(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    await dashboard(product)
    async with listening(product) as events:
        await anext(events)
        await change(product, 0, {"charlie-01": 31.0})
        await dashboard(product)
        _, _, delta = await anext(events)
    assert (delta["servers"], delta["gone"], delta["seen"]) == ([{"id": "charlie-01", "memory": 31.0}], [], {})


async def test_who_comes_back_is_sent_what_was_missed(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    first = (await dashboard(product))["seq"]
    for _ in range(3):
        await change(product, 6, {"charlie-01": 40.0})
        last = (await dashboard(product))["seq"]
    async with listening(product, str(first)) as events:
        assert [await number_and_event(events) for _ in range(last - first + 1)] == [
            (first, "hello"),
            *((number, "delta") for number in range(first + 1, last + 1)),
        ]
    async with listening(product, str(last + 1_000)) as events:
        assert [await number_and_event(events) for _ in range(2)] == [(last, "hello"), (last, "reset")]


async def test_a_reader_who_is_too_slow_is_told_to_fetch_anew(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    await dashboard(product)
    stream = product.app.state.parts.live.stream
    async with listening(product, wait=True) as events:
        await anext(events)
        for _ in range(BEHIND + 1):
            stream.push(stream.seq + 1, b"")
        assert await number_and_event(events) == (stream.seq, "reset")
    assert BEHIND < KEPT


async def test_a_reader_who_leaves_is_forgotten_and_the_others_go_on(
    product: Any, make_servers: Any, until: Any
) -> None:
    await product.write(make_servers(product.now))
    await dashboard(product)
    stream = product.app.state.parts.live.stream
    async with listening(product) as stays:
        await anext(stays)
        async with listening(product) as leaves:
            await anext(leaves)
            assert stream.readers == 2

        async def alone() -> bool:
            return bool(stream.readers == 1)

        await until(alone)
        await change(product, 6, {"charlie-01": 41.0})
        await dashboard(product)
        assert (await number_and_event(stays))[1] == "delta"


def applied(data: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """The reading after a delta, by what `web/delta.py` promises."""
    servers = {s["id"]: s for s in data["servers"] if s["id"] not in delta["gone"]}
    for patch in delta["servers"]:
        servers[patch["id"]] = {**servers.get(patch["id"], {}), **patch}
    for name, (age_ms, *uptime) in delta["seen"].items():
        servers[name] |= {"last_seen": rfc3339(moment(delta["ts"]) - age_ms / 1000)}
        servers[name] |= {"uptime_s": uptime[0]} if uptime else {}
    for server in servers.values():
        if server["last_seen"] is not None:
            server["age_s"] = round(moment(delta["ts"]) - moment(server["last_seen"]), 1)
    first = delta.get("first", [])
    order = [*first, *(name for name in servers if name not in first)]
    fleet = {name: delta[name] for name in ("seq", "age_s", "stale", "counts", "total")}
    return {**data, **fleet, "cached": True, "timestamp": delta["ts"], "servers": [servers[name] for name in order]}


async def dashboard(product: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await product.client.get("/api/dashboard")).json()["data"]
    return {**found, "cached": True}


async def change(product: Any, later_s: float, memory: dict[str, float]) -> None:
    """New samples after some time."""
    product.now += later_s
    await product.write(
        ({"__name__": "server_memory_usage", "server_id": name}, [(product.now, value)])
        for name, value in memory.items()
    )


async def number_and_event(events: AsyncIterator[Any]) -> tuple[int, str]:
    number, event, _ = await anext(events)
    return number, event


@contextlib.asynccontextmanager
async def listening(product: Any, last: str | None = None, *, wait: bool = False) -> AsyncIterator[Any]:
    """A reader's events as (id, event, data). With `wait` nothing is taken until it is asked for."""
    sent: asyncio.Queue[bytes] = asyncio.Queue(1 if wait else 0)
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await sent.put(message["body"])

    async def events() -> AsyncIterator[tuple[int, str, Any]]:
        while True:
            async with asyncio.timeout(5):
                body = await sent.get()
            for block in body.decode().split("\n\n")[:-1]:
                if not block.startswith((":", "event: alert")):
                    number, event, data = (line.partition(": ")[2] for line in block.split("\n"))
                    yield int(number), event, json.loads(data)

    headers = [(b"last-event-id", last.encode())] if last else []
    scope = {"type": "http", "method": "GET", "path": URL, "raw_path": URL.encode(), "query_string": b""}
    task = asyncio.create_task(product.app({**scope, "headers": headers}, receive, send))
    try:
        yield events()
    finally:
        left.set()
        await task
