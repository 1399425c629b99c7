"""Questions while parts break: Valkey killed, the MCP server hanging or crashing. Answers say what they rest on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult

from assistant.mcp_client import ToolClient
from web.app import make_engine

QUESTIONS = ["What is the CPU usage of bravo-01?", "메모리 제일 많이 쓰는 서버 2대", "How are the servers doing?"]


async def test_while_valkey_is_killed_every_answer_names_its_tier_and_nothing_acknowledged_is_lost(
    product: Any, make_servers: Any
) -> None:
    await product.write(make_servers(product.now))
    before = {text: await product.ask(text) for text in QUESTIONS}
    valkey = product.app.state.parts.valkey
    product.now += 120

    with stopped(valkey):
        for text in QUESTIONS:
            answer = await product.ask(text)
            assert (answer["status"], answer["engine"]) == ("answered", "basic")
            assert [fall["way"] for fall in answer["fallbacks"]] == ["mcp", "direct"]
            note, _, said = answer["response"].partition("\n")
            assert ("not reachable" in note) or ("연결할 수 없어" in note)
            assert "09:00" in note, "when the figures were read"
            assert ("2 minutes ago" in note) or ("2분 전" in note), "how old they are"
            assert said.splitlines()[0] == before[text]["response"].splitlines()[0], "the figures of the last reading"

    await until(lambda: answered_by(product, "mcp"))
    await until(lambda: started_again(valkey))
    found = await product.query("count_over_time(server_cpu_usage[6h])", product.now - 120)
    assert {one["metric"]["server_id"]: one["value"][1] for one in found} == {
        "alpha-01": "360",
        "alpha-02": "360",
        "bravo-01": "360",
        "charlie-01": "360",
        "delta-01": "340",
    }


async def test_questions_asked_all_through_a_crash_are_all_answered(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    await product.ask(QUESTIONS[0])
    os.kill(product.app.state.parts.valkey.pid, signal.SIGKILL)
    answers = await asyncio.gather(*(product.ask(text) for text in QUESTIONS * 4))
    assert {answer["status"] for answer in answers} == {"answered"}
    for answer in answers:
        assert answer["engine"] in ("mcp", "direct", "basic")
        assert (answer["engine"] == "mcp") == (answer["fallbacks"] == [])
    await until(lambda: answered_by(product, "mcp"))


async def test_samples_sent_again_until_they_are_acknowledged_are_each_there_once(product: Any, make_body: Any) -> None:
    sent = [(product.now - 60 + k, float(k)) for k in range(60)]
    for k, sample in enumerate(sent):
        if k in (20, 40):
            os.kill(product.app.state.parts.valkey.pid, signal.SIGKILL)
        body = make_body([({"__name__": "kept", "instance": "a:1"}, [sample])])
        await until(functools.partial(acknowledged, product, body))
    [found] = await product.query("kept[61s]")
    assert [(time, float(value)) for time, value in found["values"]] == sent


async def test_an_application_that_ends_while_valkey_is_started_again_leaves_none_behind(
    tmp_path: Path, make_product: Any
) -> None:
    async with make_product(tmp_path / "data") as product:
        valkey = product.app.state.parts.valkey
        first = valkey.pid
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(5):
            while valkey._process is None or valkey._process.pid == first:
                await asyncio.sleep(0)
        second = valkey._process
    assert second.poll() is not None


@pytest.mark.parametrize("kind", ["hang", "crash", "session"])
async def test_when_the_mcp_server_fails_the_same_answer_comes_directly(
    product: Any, make_servers: Any, kind: str
) -> None:
    await product.write(make_servers(product.now))
    by_mcp = {text: await product.ask(text) for text in QUESTIONS}
    async with broken_tools(kind) as tools:
        parts = product.app.state.parts
        parts.engine = make_engine(tools, parts.queries, parts.queries, lambda: None)
        for text in QUESTIONS:
            answer = await product.ask(text)
            assert answer["engine"] == "direct"
            assert answer["fallbacks"][0]["way"] == "mcp"
            assert answer["fallbacks"][0]["cause"] in ("timeout", "crashed", "open")
            assert answer["response"] == by_mcp[text]["response"]
            assert answer["evidence"] == by_mcp[text]["evidence"]


@contextlib.contextmanager
def stopped(valkey: Any) -> Any:
    """Valkey killed with -9, and kept from being started again until the block ends."""
    spawn = valkey._spawn

    def refuse(_: int) -> None:
        raise OSError("not yet")

    valkey._spawn = refuse
    os.kill(valkey.pid, signal.SIGKILL)
    try:
        yield
    finally:
        valkey._spawn = spawn


@contextlib.asynccontextmanager
async def broken_tools(kind: str) -> AsyncIterator[ToolClient]:
    """The engine's client on a server whose ten tools only break."""
    server: MCPServer[Any] = MCPServer("broken", log_level="CRITICAL")

    async def breaks() -> CallToolResult:
        if kind == "hang":
            await asyncio.Event().wait()
        if kind == "session":
            raise MCPError(CONNECTION_CLOSED, "gone")
        raise ZeroDivisionError

    for name in ("fleet_summary", "list_servers", "get_server", "query_metric", "list_alerts", "compare"):
        server.add_tool(breaks, name=name)
    client = ToolClient(server, timeout_s=0.1)
    async with asyncio.TaskGroup() as tasks:
        owner = tasks.create_task(client.run())
        yield client
        owner.cancel()


async def answered_by(product: Any, way: str) -> bool:
    return (await product.ask(QUESTIONS[0]))["engine"] == way


async def started_again(valkey: Any) -> bool:
    return bool(valkey.restarts)


async def acknowledged(product: Any, body: bytes) -> bool:
    return (await product.client.post("/api/v1/write", content=body)).status_code == 204


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again until it is so, for at most 5 s."""
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.02)
