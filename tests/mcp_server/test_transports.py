"""The MCP server over HTTP within another application, over stdio in a process of its own, and what that imports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.routing import Route

from mcp_server.server import create_server, http_endpoint
from monitoring.reading import Evidence, Reading

ROOT = Path(__file__).parents[2]

STDIO_SERVER = """
import asyncio
from mcp_server.server import create_server, run_stdio
from monitoring.reading import Evidence, Reading

class Fleet:
    async def fleet_summary(self, *, at=None):
        print("stray output of a library")
        return Reading("3 servers: 3 healthy.", (Evidence("up", 0.0),))

asyncio.run(run_stdio(create_server(Fleet(), None, "1.0")))
"""


class Fleet:
    """One question is enough to see that the road is open."""

    async def fleet_summary(self, *, at: float | None = None) -> Reading:
        return Reading("3 servers: 3 healthy.", (Evidence("up", 0.0),))


@contextlib.asynccontextmanager
async def listening(server: MCPServer[Any]) -> AsyncIterator[str]:
    """`server` at /mcp of an application on a free port, with the lifespan run by the application."""
    endpoint = http_endpoint(server)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with endpoint.lifespan():
            yield

    app = Starlette(routes=[Route("/mcp", endpoint.app)], lifespan=lifespan)
    http = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    with socket.socket(proto=socket.IPPROTO_TCP) as door:  # with proto 0 asyncio leaves Nagle on: 44 ms a call
        door.bind(("127.0.0.1", 0))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(http.serve(sockets=[door]))
            async with asyncio.timeout(5):
                while not http.started:
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{door.getsockname()[1]}/mcp"
            http.should_exit = True


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_outside_client_of_either_protocol_calls_tools_over_http(mode: str) -> None:
    async with (
        listening(create_server(Fleet(), None, "1.0")) as url,
        Client(url, mode=mode) as client,
    ):
        assert len((await client.list_tools()).tools) == 10
        answers = await asyncio.gather(*(client.call_tool("fleet_summary") for _ in range(8)))
    assert [answer.structured_content["summary"] for answer in answers] == ["3 servers: 3 healthy."] * 8


async def test_another_host_or_origin_is_turned_away() -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    async with listening(create_server(Fleet(), None, "1.0")) as url, httpx.AsyncClient() as http:
        rebound = await http.post(url, json=call, headers={**accept, "Host": "evil.example:80"})
        foreign = await http.post(url, json=call, headers={**accept, "Origin": "https://evil.example"})
        own = await http.post(url, json=call, headers=accept)
    assert (rebound.status_code, foreign.status_code, own.status_code) == (421, 403, 200)


async def test_a_process_of_its_own_answers_over_stdio_though_a_library_prints() -> None:
    command = StdioServerParameters(command=sys.executable, args=["-c", STDIO_SERVER], cwd=ROOT)
    async with Client(command) as client:
        assert len((await client.list_tools()).tools) == 10
        answer = await client.call_tool("fleet_summary")
    assert answer.structured_content["summary"] == "3 servers: 3 healthy."


def test_the_server_starts_without_the_learning_libraries() -> None:
    code = "import sys, json, mcp_server.server; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=30)
    assert {"sklearn", "scipy", "torch", "sentence_transformers"}.isdisjoint(json.loads(loaded.stdout))
