"""The ten tools: each is the method of `FleetQueries` with the same name, one (`ask`) is the assistant itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import ValidationError

from mcp_server.arguments import (
    AlertState,
    At,
    Limit,
    Metric,
    Name,
    Names,
    Number,
    Past,
    Points,
    Question,
    Severity,
    SomeNames,
    Status,
    Window,
    misfits,
    short_schema,
    unknown_arguments,
)
from mcp_server.budget import DEFAULT_ROOM, ROOM, Body, compact, cut, smaller
from mcp_server.results import REFUSED, refusal, result
from mcp_server.text import answer_text, as_text
from monitoring.errors import BadQuery, OpenManagerError
from monitoring.reading import Reading

if TYPE_CHECKING:
    from monitoring.queries import FleetQueries

Ask = Callable[[str], Awaitable[dict[str, Any]]]

WHOLE = "openmanager/whole"
"""Key of a call's `_meta` by which a program (our own engine) gets the reading uncut, with the summary as text."""

READ_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
SIZES = frozenset({"limit", "points"})
FOR_THE_PAGE = frozenset({"charts", "steps", "entities", "processingTime"})
"""Fields of an answer that only our page draws; `answer://{id}` has them."""


class FleetTool(Tool):
    """A tool that refuses what it does not know, teaches by its errors, and keeps its answer small."""

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> CallToolResult:
        """The result, built by hand. An unexpected error leaves as `ToolError`, its text withheld."""
        known = self.fn_metadata.arg_model.model_fields
        if strange := unknown_arguments(self.name, arguments, known):
            return refusal(strange)
        try:
            found = await super().run(arguments, context)
            if whole(context):
                return _whole(found)
            room = ROOM if SIZES & arguments.keys() else DEFAULT_ROOM
            body = compact(_body(found), room)
            asked = {name: int(arguments.get(name, known[name].default)) for name in SIZES & known.keys()}
            fewer = {name: n for name, n in smaller(body, room).items() if n < asked.get(name, 0)}
            if fewer:  # asked for again rather than cut, so that query and cursor fit what is shown
                body = compact(_body(await super().run(arguments | fewer, context)), room) | {"truncated": True}
            return _small(cut(body, room))
        except ToolError as error:
            return refusal(_told(self.name, error))


def whole(context: Context[Any, Any]) -> bool:
    """True where the caller is a program that wants the reading uncut."""
    meta = context.request_context.meta or {}
    return bool(meta.get(WHOLE))


def _told(tool: str, error: ToolError) -> OpenManagerError:
    """What the caller may know of the error; re-raises it where that is nothing."""
    match error.__cause__:
        case ValidationError() as cause:
            return misfits(tool, cause)
        case OpenManagerError() as cause if isinstance(cause, REFUSED):
            return cause
        case _:
            raise error


def _body(found: Reading | Body) -> Body:
    if isinstance(found, Reading):
        return found.to_json()
    return {name: value for name, value in found.items() if name not in FOR_THE_PAGE}


def _whole(found: Reading | Body) -> CallToolResult:
    body = found.to_json() if isinstance(found, Reading) else found
    return result(body, str(body.get("summary") or body.get("response") or ""))


def _small(body: Body) -> CallToolResult:
    return result(body, answer_text(body) if "response" in body else as_text(body))


def fleet_tools(queries: FleetQueries, ask: Ask | None) -> list[Tool]:
    """The ten tools over `queries`; without `ask` that tool refuses and says what to use instead."""
    functions = [_ask_tool(ask), *_state_tools(queries), *_metric_tools(queries), *_analysis_tools(queries)]
    return [_made(function) for function in functions]


def _made(function: Callable[..., Awaitable[Any]]) -> Tool:
    tool = FleetTool.from_function(function, annotations=READ_ONLY, structured_output=False)
    tool.parameters = short_schema(tool.parameters)
    return tool


def _ask_tool(engine: Ask | None) -> Callable[..., Awaitable[Body]]:
    async def ask(question: Question) -> Body:
        """Answer a question about the servers in English or Korean, with evidence."""
        if engine is None:
            raise BadQuery("no assistant is connected to this server; use the other tools")
        return await engine(question)

    return ask


def _state_tools(queries: FleetQueries) -> list[Callable[..., Awaitable[Reading]]]:
    async def fleet_summary(at: At = None) -> Reading:
        """Counts by status and every server that is not healthy, with reasons."""
        return await queries.fleet_summary(at=at)

    async def list_servers(
        sort: Name = "severity",
        status: Status | None = None,
        match: Name | None = None,
        limit: Limit = 20,
        cursor: Name | None = None,
        at: At = None,
    ) -> Reading:
        """Servers with current values. sort: severity, name or a concept (cpu); match: part of a name, or a type."""
        return await queries.list_servers(sort, status, match, limit, cursor, at=at)

    async def get_server(server: Name, at: At = None) -> Reading:
        """One server: status, reasons, every value with its threshold."""
        return await queries.get_server(server, at=at)

    async def list_alerts(
        state: AlertState = "firing",
        severity: Severity | None = None,
        window: Past = None,
        limit: Limit = 50,
        at: At = None,
    ) -> Reading:
        """Alerts firing now, or those of a past window."""
        return await queries.list_alerts(state, severity, window, limit, at=at)

    return [fleet_summary, list_servers, get_server, list_alerts]


def _metric_tools(queries: FleetQueries) -> list[Callable[..., Awaitable[Reading]]]:
    async def query_metric(
        metric: Metric,
        servers: Names = [],  # noqa: B006  never changed; the schema wants a list
        window: Past = None,
        agg: Name | None = None,
        points: Points = 60,
        at: At = None,
    ) -> Reading:
        """Values now; with window a series, or with agg (mean, max, min, p95 …) one value each."""
        return await queries.query_metric(metric, servers, window, agg, points, at=at)

    async def compare(
        servers: SomeNames, window: Window = "1h", baseline: Name | None = None, at: At = None
    ) -> Reading:
        """Means side by side; with baseline (1d) each against that time ago."""
        return await queries.compare(servers, window, baseline, at=at)

    return [query_metric, compare]


def _analysis_tools(queries: FleetQueries) -> list[Callable[..., Awaitable[Reading]]]:
    async def find_anomalies(
        window: Window = "1h",
        servers: Names = [],  # noqa: B006  as above
        limit: Limit = 10,
        at: At = None,
    ) -> Reading:
        """What departed from its habit, strongest first."""
        return await queries.find_anomalies(window, servers, limit, at=at)

    async def forecast_metric(
        metric: Metric, server: Name | None = None, horizon: Name = "24h", threshold: Number = None, at: At = None
    ) -> Reading:
        """Level at the end of the horizon and when the threshold (default: full) is reached."""
        return await queries.forecast_metric(metric, server, horizon, threshold, at=at)

    async def correlate(
        server: Name, metric: Metric, window: Window = "6h", limit: Limit = 10, at: At = None
    ) -> Reading:
        """What moved together with a server's metric, with the lag."""
        return await queries.correlate(server, metric, window, limit, at=at)

    return [find_anomalies, forecast_metric, correlate]
