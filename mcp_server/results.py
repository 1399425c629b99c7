"""The two shapes of a tool result, built by hand: structured content beside text, or a refusal that teaches."""

from __future__ import annotations

from mcp_types import CallToolResult, TextContent

from mcp_server.budget import Body
from monitoring.errors import (
    BackendUnavailable,
    BadQuery,
    OpenManagerError,
    QueryTooExpensive,
    StoreUnavailable,
    UnknownMetric,
    UnknownServer,
)

REFUSED = (BadQuery, QueryTooExpensive, StoreUnavailable, BackendUnavailable)
"""Errors that are told to the caller as they are; any other is a defect of ours and stays on the server."""


def result(body: Body, text: str) -> CallToolResult:
    """The one shape of a tool result that succeeded."""
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=body)


def refusal(error: OpenManagerError) -> CallToolResult:
    """An error as a result: all advice stands in the text, the named parts in `error`."""
    parts: Body = {"kind": _kind(error), "message": str(error)}
    if isinstance(error, UnknownServer | UnknownMetric):
        parts |= {"name": error.name, "closest": list(error.closest)}
    if isinstance(error, StoreUnavailable | BackendUnavailable):
        parts["cause"] = error.cause
    text = f"{error} (cause: {parts['cause']})" if "cause" in parts else str(error)
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content={"error": parts}, is_error=True
    )


def _kind(error: OpenManagerError) -> str:
    match error:
        case UnknownServer():
            return "unknown_server"
        case UnknownMetric():
            return "unknown_metric"
        case BadQuery():
            return "bad_query"
        case QueryTooExpensive():
            return "too_expensive"
        case _:
            return "unavailable"
