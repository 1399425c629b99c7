"""The engine's own MCP client: one task owns the session, everyone calls, every failure has a named cause.

Cancel scopes of a session are bound to the task that entered it, so `run` (the owner) enters, serves the calls of
others from a queue, and leaves; it starts the session anew, with back-off, when that is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from time import monotonic
from typing import Any, NamedTuple

from mcp import Client, StdioServerParameters
from mcp.client import Transport
from mcp.server.mcpserver import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult

from monitoring.breaker import Breaker
from monitoring.errors import BadQuery, QueryTooExpensive, UnknownMetric, UnknownServer

log = logging.getLogger(__name__)

Peer = MCPServer[Any] | Transport | StdioServerParameters | str
"""What `mcp.Client` connects to: a server object of this process, a URL, a command."""

TIMEOUT_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
WHOLE: dict[str, Any] = {"openmanager/whole": True}
"""Asks our MCP server for the reading uncut: we are a program, not a model with a budget of tokens."""


class ToolFailed(Exception):
    """A tool gave no answer. `cause`: "timeout", "crashed", "open" (not tried) or "unavailable:<cause>"."""

    def __init__(self, cause: str, message: str = "") -> None:
        super().__init__(message or cause)
        self.cause = cause


class _Call(NamedTuple):
    tool: str
    arguments: dict[str, Any]
    outcome: asyncio.Future[CallToolResult]


class _SessionLost(Exception):
    """The session answers nobody any more."""


class ToolClient:
    """Calls tools of one MCP server. `run` must be running in a task of the caller's group."""

    def __init__(
        self,
        server: Peer,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._server = server
        self._timeout_s = timeout_s
        self._pause = pause
        self._pause_s = FIRST_PAUSE_S
        self._calls: asyncio.Queue[_Call] = asyncio.Queue()
        self._down = False
        self._breaker = Breaker(clock)
        self.sessions = 0
        """Sessions opened so far; more than one means that it was lost and came back."""

    async def call(
        self, tool: str, arguments: Mapping[str, Any] | None = None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """The structured result of `tool`, whole.

        Raises BadQuery, UnknownServer, UnknownMetric or QueryTooExpensive where the caller is mistaken, else
        ToolFailed, within `timeout_s` seconds.
        """
        with self._guarded():
            return _content(await self._outcome(tool, dict(arguments or {}), timeout_s or self._timeout_s))

    async def run(self) -> None:
        """Owns the session until cancelled; a lost one is opened again after a pause that grows to 5 s."""
        while True:
            try:
                async with Client(self._server, cache=None) as client:
                    self.sessions += 1
                    self._down = False
                    await self._serve(client)
            except Exception:  # must survive whatever ends a session: server, transport, protocol
                log.warning("mcp_client.session_lost sessions=%d", self.sessions, exc_info=True)
            finally:
                self._down = True
                self._fail_waiting()
            await self._pause(self._pause_s)
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Counts outcomes for the breaker. A mistake of the caller, or a store that is away, is no failure of MCP."""
        if not self._breaker.admits():
            raise ToolFailed("open", "MCP rests after repeated failures")
        try:
            yield
        except (BadQuery, QueryTooExpensive):
            self._breaker.succeeded()
            raise
        except ToolFailed as error:
            if error.cause.startswith("unavailable:"):
                self._breaker.succeeded()
            else:
                self._breaker.failed()
            raise
        except BaseException:
            self._breaker.given_up()
            raise
        self._breaker.succeeded()

    async def _outcome(self, tool: str, arguments: dict[str, Any], timeout_s: float) -> CallToolResult:
        if self._down:
            raise ToolFailed("crashed", "the MCP session is being restarted")
        outcome: asyncio.Future[CallToolResult] = asyncio.get_running_loop().create_future()
        self._calls.put_nowait(_Call(tool, arguments, outcome))
        try:
            async with asyncio.timeout(timeout_s):
                return await outcome
        except TimeoutError:
            raise ToolFailed("timeout", f"{tool} gave no answer within {timeout_s:g} s") from None

    async def _serve(self, client: Client) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                call = await self._calls.get()
                if call.outcome.done():
                    continue
                task = tasks.create_task(self._perform(client, call))
                call.outcome.add_done_callback(functools.partial(_give_up, task))

    async def _perform(self, client: Client, call: _Call) -> None:
        """Settles the outcome of one call. Raises _SessionLost where no further call can succeed."""
        try:
            result = await client.call_tool(call.tool, call.arguments, meta=WHOLE)  # type: ignore[arg-type]
        except MCPError as error:
            log.warning("mcp_client.call_failed tool=%s code=%s error=%s", call.tool, error.code, error)
            _settle(call, ToolFailed("crashed", str(error)))
            if error.code == CONNECTION_CLOSED:
                raise _SessionLost from error
        except asyncio.CancelledError:
            _settle(call, ToolFailed("crashed", "the MCP session ended"))
            raise
        except Exception as error:  # whatever the transport raises: the session is not to be trusted further
            _settle(call, ToolFailed("crashed", f"{type(error).__name__}: {error}"))
            raise _SessionLost from error
        else:
            self._pause_s = FIRST_PAUSE_S
            if not call.outcome.done():
                call.outcome.set_result(result)

    def _fail_waiting(self) -> None:
        while not self._calls.empty():
            _settle(self._calls.get_nowait(), ToolFailed("crashed", "the MCP session ended"))


def _settle(call: _Call, error: ToolFailed) -> None:
    if not call.outcome.done():
        call.outcome.set_exception(error)


def _give_up(task: asyncio.Task[None], outcome: asyncio.Future[CallToolResult]) -> None:
    """Ends the work on a call whose caller has left."""
    if outcome.cancelled():
        task.cancel()


def _content(result: CallToolResult) -> dict[str, Any]:
    """The structured content, or the error that the server told of, as our own."""
    body: dict[str, Any] = result.structured_content or {}
    if not result.is_error:
        return body
    error = body.get("error", {})
    message = error.get("message", "the tool crashed")
    match error.get("kind"):
        case "unknown_server":
            raise UnknownServer(error["name"], tuple(error["closest"]))
        case "unknown_metric":
            raise UnknownMetric(error["name"], tuple(error["closest"]))
        case "bad_query":
            raise BadQuery(message)
        case "too_expensive":
            raise QueryTooExpensive(message)
        case "unavailable":
            raise ToolFailed(f"unavailable:{error['cause']}", message)
        case _:
            raise ToolFailed("crashed", message)
