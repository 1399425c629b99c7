"""What clients read without asking: the fleet, one server, open alerts, past answers; and names to complete."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from mcp_server.budget import ROOM, compact, cut
from monitoring.errors import BackendUnavailable, StoreUnavailable, UnknownServer
from monitoring.reading import Reading

if TYPE_CHECKING:
    from monitoring.queries import FleetQueries

Answers = Callable[[str], Awaitable[dict[str, Any] | None]]

JSON = "application/json"
MOST_COMPLETIONS = 100


def add_resources(server: MCPServer[Any], queries: FleetQueries, answers: Answers | None) -> None:
    """Adds `fleet://summary`, `alerts://open`, `server://{id}` and, with `answers`, `answer://{id}`."""

    @server.resource(
        "fleet://summary", name="fleet", description="Counts by status, and who is unwell.", mime_type=JSON
    )
    async def fleet() -> str:
        return await _read(queries.fleet_summary())

    @server.resource("alerts://open", name="alerts", description="Alerts that are firing now.", mime_type=JSON)
    async def alerts() -> str:
        return await _read(queries.list_alerts())

    @server.resource("server://{id}", name="server", description="One server: status and values.", mime_type=JSON)
    async def one_server(id: str) -> str:  # noqa: A002  the template names it so
        return await _read(queries.get_server(id))

    if answers is not None:

        @server.resource("answer://{id}", name="answer", description="An earlier answer, whole.", mime_type=JSON)
        async def answer(id: str) -> str:  # noqa: A002
            found = await answers(id)
            if found is None:
                raise ResourceNotFoundError(f"no answer '{id}'")
            return json.dumps(found, ensure_ascii=False, default=str)


async def _read(reading: Awaitable[Reading]) -> str:
    try:
        body = (await reading).to_json()
    except UnknownServer as error:
        raise ResourceNotFoundError(str(error)) from error
    except (StoreUnavailable, BackendUnavailable) as error:
        raise ResourceError(f"{error} (cause: {error.cause})") from error
    return json.dumps(cut(compact(body, ROOM), ROOM), ensure_ascii=False, default=str)


def add_completions(server: MCPServer[Any], queries: FleetQueries) -> None:
    """Completes the names of servers and metrics in prompts and resource templates."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK left it unannotated
    async def complete(
        ref: ResourceTemplateReference | PromptReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        of_server = isinstance(ref, ResourceTemplateReference) and ref.uri == "server://{id}"
        if of_server or argument.name == "server":
            return matching(argument.value, await queries.server_names())
        if argument.name == "metric":
            return matching(argument.value, await queries.concept_names())
        return None


def matching(typed: str, names: list[str]) -> Completion:
    """Names that begin with what was typed, then names that contain it; at most 100, with the full count.

    >>> matching("b0", ["web01", "b01"]).values
    ['b01', 'web01']
    """
    wanted = typed.casefold()
    found = [name for name in names if wanted in name.casefold()]
    found.sort(key=lambda name: not name.casefold().startswith(wanted))
    return Completion(values=found[:MOST_COMPLETIONS], total=len(found), has_more=len(found) > MOST_COMPLETIONS)
