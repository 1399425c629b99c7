"""`GET /api/redis/status`: a PING that is really measured, through whatever stands between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from monitoring.store.server import EmbeddedValkey

URL = "/api/redis/status"


@pytest.mark.parametrize("delay_s", [0.0, 0.02])
async def test_a_store_that_answers_late_is_said_to_be_degraded(
    tmp_path: Path, make_product: Any, delay_s: float
) -> None:
    valkey = EmbeddedValkey(tmp_path / "store")
    await valkey.start()
    try:
        path = valkey.url.partition("://")[2].partition("?")[0]
        async with proxy(path, delay_s) as url, make_product(tmp_path / "data", redis_url=url) as product:
            reply = await product.client.get(URL)
            data = reply.json()["data"]
        assert (reply.status_code, data["status"]) == (200, "connected")
        grade = "optimal" if data["responseTime"] < 10 else "degraded"
        assert data["performance"] == {"target": "<10ms", "actual": data["responseTime"], "status": grade}
        assert (data["responseTime"] >= delay_s * 1000, data["uptime"] >= 0) == (True, True)
        assert data["connectedAt"] <= data["timestamp"]
    finally:
        await valkey.close()


async def test_a_store_that_is_away_is_an_error_with_its_cause_and_comes_back(
    product: Any, stopped: Any, until: Any
) -> None:
    assert (await product.client.get(URL)).json()["data"]["lastError"] is None
    with stopped(product.app.state.parts.valkey):
        reply = await product.client.get(URL)
        error = reply.json()["error"]
        assert (reply.status_code, error["code"]) == (500, "store_unavailable")
        assert error["details"]["status"] in ("disconnected", "reconnecting")
        assert (error["details"]["responseTime"], error["details"]["performance"]) == (None, None)
        assert error["details"]["lastError"] == error["message"]

    async def back() -> bool:
        return bool((await product.client.get(URL)).status_code == 200)

    await until(back)


@contextlib.asynccontextmanager
async def proxy(socket: str, delay_s: float) -> AsyncIterator[str]:
    """A TCP address that hands everything on to a Unix socket, each piece `delay_s` later."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait_s: float) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1 << 18):
                await asyncio.sleep(wait_s)
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pour(reader, there[1], delay_s), pour(there[0], writer, 0))

    server = await asyncio.start_server(joined, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
