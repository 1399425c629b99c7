"""A client of the `mcp` package outside the process: over HTTP beside the page, and over stdio as its own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]
CALLS: dict[str, dict[str, Any]] = {
    "ask": {"question": "What is the CPU usage of bravo-01?"},
    "fleet_summary": {},
    "list_servers": {"sort": "cpu", "limit": 2},
    "get_server": {"server": "bravo-01"},
    "query_metric": {"metric": "cpu", "servers": ["bravo-01"]},
    "find_anomalies": {"window": "1h"},
    "forecast_metric": {"metric": "disk", "server": "bravo-01", "horizon": "6h"},
    "list_alerts": {},
    "compare": {"servers": ["alpha-01", "alpha-02"]},
    "correlate": {"server": "bravo-01", "metric": "cpu", "window": "3h"},
}


async def test_over_http_all_ten_tools_are_listed_and_answer(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    async with listening(product.app) as url, Client(url) as client:
        await every_tool(client)
        found = await client.call_tool("ask", CALLS["ask"])
    assert "95 %" in found.structured_content["response"]


async def test_over_stdio_all_ten_tools_are_listed_and_answer(
    tmp_path: Path, make_product: Any, make_servers: Any
) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write(make_servers(product.now))
    words = ["-m", "web.cli", "mcp", "--data-dir", str(tmp_path / "data"), "--log-level", "error"]
    command = StdioServerParameters(command=sys.executable, args=words, cwd=ROOT, env={**os.environ})
    async with Client(command) as client:
        await every_tool(client, at="2025-10-09T09:00:00Z")


async def every_tool(client: Client, **more: Any) -> None:
    """Lists the tools and calls each; where `more` fits (not `ask`), it is passed too."""
    listed = {tool.name for tool in (await client.list_tools()).tools}
    assert listed == CALLS.keys()
    for name, arguments in CALLS.items():
        reply = await client.call_tool(name, arguments if name == "ask" else {**arguments, **more})
        assert not reply.is_error, (name, reply.content)
        assert reply.content[0].text, name
        assert reply.structured_content, name


@contextlib.asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """`app`, whose lifespan is open already, on a free port."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off"))
    with socket.socket(proto=socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[door]))
            async with asyncio.timeout(5):
                while not server.started:
                    await asyncio.sleep(0.01)
            try:
                yield f"http://127.0.0.1:{door.getsockname()[1]}/mcp"
            finally:
                server.should_exit = True
