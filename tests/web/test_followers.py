"""Several web processes on one store: one reads the fleet, all serve the same bytes and tell the same changes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitoring.store.board import BoardStore
from web import live


async def test_a_follower_serves_the_same_bytes_under_the_same_tags(
    tmp_path: Path, make_product: Any, make_servers: Any, until: Any
) -> None:
    async with pair(tmp_path, make_product) as (first, second):
        await first.write(make_servers(first.now))
        for coding in ("identity", "gzip", "zstd"):
            await until(lambda coding=coding: same(first, second, coding))
        assert second.app.state.parts.live.board.bodies == first.app.state.parts.live.board.bodies


async def test_a_follower_tells_the_same_changes_with_the_same_numbers(
    tmp_path: Path, make_product: Any, make_servers: Any, until: Any
) -> None:
    async with pair(tmp_path, make_product) as (first, second):
        await first.write(make_servers(first.now))
        streams = [product.app.state.parts.live.stream for product in (first, second)]
        await until(lambda: same(first, second, "identity"))
        begun = streams[0].seq
        for memory in (41.0, 42.0, 43.0):
            first.now = second.now = first.now + 1
            series = {"__name__": "server_memory_usage", "server_id": "alpha-01", "type": "web"}
            await first.write([(series, [(first.now, memory)])])
            await first.client.get("/api/dashboard")
        await until(lambda: caught_up(*streams))
        assert streams[1].seq >= begun + 3
        assert streams[1].after(begun) == streams[0].after(begun) is not None


async def test_when_nobody_publishes_any_more_a_follower_reads_for_itself_and_the_others_follow_it(
    tmp_path: Path, make_product: Any, make_servers: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ALONE_S", 0.3)
    async with pair(tmp_path, make_product) as (first, second):
        await first.write(make_servers(first.now))
        await until(lambda: same(first, second, "identity"))
        gone = first.app.state.parts.live
        gone._leads = lambda: False
        gone._own = False
        seq = second.app.state.parts.live.stream.seq
        first.now = second.now = first.now + 60
        await until(lambda: past(second, seq, first.now))
        await until(lambda: same(first, second, "identity"))


async def test_the_fleet_is_one_matrix_to_who_reads_it_for_analysis(
    product: Any, make_servers: Any, until: Any
) -> None:
    await product.write(make_servers(product.now))
    await product.client.get("/api/dashboard")
    boards = BoardStore(product.app.state.parts.store.connection)

    async def published() -> bool:
        tick = await boards.read_tick()
        return tick is not None and len(tick.ids) == 6

    await until(published)
    tick = await boards.read_tick()
    assert tick is not None
    row = dict(zip(tick.concepts, tick.values[tick.ids.index("bravo-01")].tolist(), strict=True))
    assert (row["cpu"], row["memory"], row["disk"], row["age"]) == (95.0, 83.0, 72.0, 0.0)
    assert np.isnan(row["network_in"])
    assert tick.time == product.now


@contextlib.asynccontextmanager
async def pair(tmp_path: Path, make_product: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A product that collects, and one on the same store that does not."""
    async with make_product(tmp_path / "first") as first:
        url = first.app.state.parts.valkey.url
        async with make_product(tmp_path / "second", redis_url=url, collect=False) as second:
            yield first, second


async def same(first: Any, second: Any, coding: str) -> bool:
    a, b = [await p.client.get("/api/dashboard", headers={"Accept-Encoding": coding}) for p in (first, second)]
    following = second.app.state.parts.live.follows() or first.app.state.parts.live.follows()
    return bool(
        following
        and a.headers["etag"] == b.headers["etag"]
        and a.content == b.content
        and a.num_bytes_downloaded == b.num_bytes_downloaded
    )


async def caught_up(first: Any, second: Any) -> bool:
    return bool(first.seq == second.seq)


async def past(product: Any, seq: int, now: float) -> bool:
    board = product.app.state.parts.live.board
    return bool(board.seq > seq and board.time == now)
