"""The MCP server: made here, served over streamable HTTP or stdio. Read-only throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, InputRequiredResult
from starlette.applications import Starlette
from starlette.types import ASGIApp

from mcp_server.prompts import add_prompts
from mcp_server.resources import Answers, add_completions, add_resources
from mcp_server.tools import Ask, fleet_tools

if TYPE_CHECKING:
    from monitoring.queries import FleetQueries

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

INSTRUCTIONS = (
    "Read-only monitoring of servers. Every answer has evidence.query: PromQL that runs again at /api/v1/query. "
    "Times: RFC 3339 or Unix seconds; `at` asks as of a past time. Start with fleet_summary; concepts: cpu, memory, "
    "disk, load, network_in, network_out, uptime, requests, errors, latency."
)


class FleetServer(MCPServer[Any]):
    """An `MCPServer` that tells a caller what is wrong with a prompt, which the SDK calls an internal error."""

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """The messages of a prompt. Raises MCPError (-32602) for one that is not there, or a missing argument."""
        try:
            return await super().get_prompt(name, arguments, context)
        except ValueError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error


def create_server(
    queries: FleetQueries, ask: Ask | None, version: str, answers: Answers | None = None
) -> MCPServer[Any]:
    """The server with its ten tools, resources, prompts and completions.

    `ask` answers a question with the `data` of `POST /api/ai-agent`; `answers` gives an earlier one by its id.
    """
    server = FleetServer(
        "openmanager",
        title="OpenManager",
        instructions=INSTRUCTIONS,
        version=version,
        tools=fleet_tools(queries, ask),
        log_level="WARNING",
    )
    add_resources(server, queries, answers)
    add_completions(server, queries)
    add_prompts(server)
    return server


def http_app(server: MCPServer[Any], allowed_hosts: Sequence[str] = ()) -> Starlette:
    """Streamable HTTP at /mcp as an application of its own, with its lifespan.

    Only loopback names and `allowed_hosts` ("name" or "name:*") are answered, against DNS rebinding: another Host
    gets 421, another Origin 403. Stateless: any worker answers any request. Bind with `IPPROTO_TCP` or let uvicorn
    bind: on a socket of protocol 0 asyncio leaves Nagle's algorithm on, which costs 44 ms a call.
    """
    hosts = [*(f"{host}:*" for host in LOOPBACK), *LOOPBACK, *allowed_hosts]
    security = TransportSecuritySettings(
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")],
    )
    return server.streamable_http_app(stateless_http=True, transport_security=security)


class HttpEndpoint(NamedTuple):
    """`app` answers at whatever path it is routed to; `lifespan()` must be open while it does, and opens once."""

    app: ASGIApp
    lifespan: Callable[[], AbstractAsyncContextManager[None]]


def http_endpoint(server: MCPServer[Any], allowed_hosts: Sequence[str] = ()) -> HttpEndpoint:
    """The same within another application: `Route("/mcp", endpoint.app)`, and `lifespan` within its own.

    A mounted application's own lifespan never runs, and `Mount("/mcp")` would redirect /mcp to /mcp/.
    """
    http_app(server, allowed_hosts)  # makes the session manager
    return HttpEndpoint(server.session_manager.asgi_app, server.session_manager.run)


async def run_stdio(server: MCPServer[Any]) -> None:
    """Serves stdin and stdout until stdin ends. Logs belong on stderr."""
    await server.run_stdio_async()
