"""The engine's MCP client: deadlines, crashes, the breaker, and whose mistake an error is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult, TextContent

from assistant.mcp_client import ToolClient, ToolFailed
from monitoring.errors import BadQuery, QueryTooExpensive, UnknownMetric, UnknownServer


def scripted(lifespan: Any = None) -> MCPServer[Any]:
    """A server whose tools do what real ones only do on a bad day."""
    server: MCPServer[Any] = MCPServer("scripted", log_level="WARNING", lifespan=lifespan)

    @server.tool(structured_output=False)
    async def echo(value: int) -> CallToolResult:
        return CallToolResult(content=[], structured_content={"value": value})

    @server.tool(structured_output=False)
    async def hang() -> CallToolResult:
        await asyncio.Event().wait()
        raise AssertionError

    @server.tool(structured_output=False)
    async def lose_session() -> CallToolResult:
        raise MCPError(CONNECTION_CLOSED, "gone")

    @server.tool(structured_output=False)
    async def defect() -> CallToolResult:
        raise ZeroDivisionError

    @server.tool(structured_output=False)
    async def refuse(kind: str) -> CallToolResult:
        error = {"kind": kind, "message": "m", "name": "x", "closest": ["y"], "cause": "refused"}
        return CallToolResult(
            content=[TextContent(type="text", text="m")], structured_content={"error": error}, is_error=True
        )

    return server


@contextlib.asynccontextmanager
async def running(client: ToolClient) -> AsyncIterator[ToolClient]:
    async with asyncio.TaskGroup() as tasks:
        owner = tasks.create_task(client.run())
        yield client
        owner.cancel()


async def reached(condition: Callable[[], bool]) -> None:
    """Lets other tasks run until `condition` holds, for at most 5 s."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


async def test_fifty_calls_at_once_each_get_their_own_answer() -> None:
    async with running(ToolClient(scripted())) as client:
        answers = await asyncio.gather(*(client.call("echo", {"value": k}) for k in range(50)))
    assert answers == [{"value": k} for k in range(50)]


async def test_a_hanging_tool_ends_at_its_deadline_while_others_answer() -> None:
    async with running(ToolClient(scripted())) as client:
        hanging = asyncio.create_task(client.call("hang", timeout_s=0.05))
        assert await client.call("echo", {"value": 1}) == {"value": 1}
        with pytest.raises(ToolFailed) as failed:
            await hanging
        assert await client.call("echo", {"value": 2}) == {"value": 2}
    assert failed.value.cause == "timeout"
    assert client.sessions == 1


async def test_a_lost_session_is_named_and_opened_again() -> None:
    resume = asyncio.Event()

    async def pause(_: float) -> None:
        await resume.wait()

    async with running(ToolClient(scripted(), pause=pause)) as client:
        waiting = asyncio.create_task(client.call("hang"))
        await client.call("echo", {"value": 1})
        for call in (client.call("lose_session"), waiting, client.call("echo", {"value": 2})):
            with pytest.raises(ToolFailed) as failed:
                await call
            assert failed.value.cause == "crashed"
        resume.set()
        await reached(lambda: client.sessions == 2)
        assert await client.call("echo", {"value": 3}) == {"value": 3}


async def test_a_server_that_dies_inside_takes_only_its_session_along() -> None:
    die = asyncio.Event()

    async def background() -> None:
        await die.wait()
        die.clear()
        raise OSError("the server's own task died")

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(background())
            yield
            task.cancel()

    async with running(ToolClient(scripted(lifespan), pause=no_pause)) as client:
        waiting = asyncio.create_task(client.call("hang"))
        await client.call("echo", {"value": 1})
        die.set()
        with pytest.raises(ToolFailed) as failed:
            await waiting
        assert failed.value.cause == "crashed"
        await reached(lambda: client.sessions == 2)
        assert await client.call("echo", {"value": 2}) == {"value": 2}


async def test_a_server_that_cannot_be_reached_fails_calls_at_once_and_is_tried_with_growing_pauses() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await (asyncio.sleep(0) if len(pauses) < 9 else asyncio.Event().wait())

    @contextlib.asynccontextmanager
    async def broken(_: object) -> AsyncIterator[None]:
        raise OSError("no such thing")
        yield

    async with running(ToolClient(MCPServer("broken", lifespan=broken), pause=pause)) as client:
        with pytest.raises(ToolFailed) as failed:
            await client.call("echo", {"value": 1})
        await reached(lambda: len(pauses) == 9)
    assert failed.value.cause == "crashed"
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


async def test_after_five_failures_calls_are_skipped_for_thirty_seconds_then_one_is_tried() -> None:
    now = 0.0
    async with running(ToolClient(scripted(), clock=lambda: now, pause=no_pause)) as client:
        for _ in range(5):
            with pytest.raises(ToolFailed) as failed:
                await client.call("defect")
            assert failed.value.cause == "crashed"
        with pytest.raises(ToolFailed) as failed:
            await client.call("echo", {"value": 1})
        assert failed.value.cause == "open"
        now = 30.0
        trial, beside = await asyncio.gather(
            client.call("echo", {"value": 1}), client.call("echo", {"value": 2}), return_exceptions=True
        )
        assert trial == {"value": 1}
        assert isinstance(beside, ToolFailed)
        assert await client.call("echo", {"value": 3}) == {"value": 3}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("bad_query", BadQuery("m")),
        ("unknown_server", UnknownServer("x", ("y",))),
        ("unknown_metric", UnknownMetric("x", ("y",))),
        ("too_expensive", QueryTooExpensive("m")),
        ("unavailable", ToolFailed("unavailable:refused", "m")),
    ],
)
async def test_mistakes_of_the_caller_and_an_absent_store_are_told_as_such_and_never_open_the_breaker(
    kind: str, error: Exception
) -> None:
    async with running(ToolClient(scripted())) as client:
        for _ in range(6):
            with pytest.raises(type(error)) as raised:
                await client.call("refuse", {"kind": kind})
            assert type(raised.value) is type(error)
            assert vars(raised.value) == vars(error)
            assert str(raised.value) == str(error)
        assert await client.call("echo", {"value": 1}) == {"value": 1}


async def test_a_caller_who_leaves_takes_the_work_along() -> None:
    left = asyncio.Event()
    server = scripted()

    @server.tool(structured_output=False)
    async def slow() -> CallToolResult:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    async with running(ToolClient(server)) as client:
        caller = asyncio.create_task(client.call("slow"))
        assert await client.call("echo", {"value": 1}) == {"value": 1}
        caller.cancel()
        async with asyncio.timeout(5):
            await left.wait()
        assert await client.call("echo", {"value": 2}) == {"value": 2}
