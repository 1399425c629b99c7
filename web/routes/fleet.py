"""Routes about the servers: dashboard, list, one server, changes as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monitoring.expressions import expression
from monitoring.fleet import SEVERITY
from monitoring.inventory import IDENTITY, Server
from monitoring.windows import span, step_for
from web.board import Dashboard
from web.envelope import EventStream, encoded, failure, json_bytes, success
from web.live import LiveFleet
from web.parts import Parts, parts
from web.routes.alerts import shown_alerts
from web.stream import Realtime

router = APIRouter(prefix="/api")
CHARTS = ("cpu", "memory", "disk", "network_in", "network_out", "load", "requests", "errors", "latency", "connections")


def shortcuts(live: Callable[[], LiveFleet], clock: Callable[[], float]) -> dict[str, ASGIApp]:
    """The two paths that are answered ahead of the routing, because every page asks for them all the time."""
    dashboard = Dashboard(lambda: live().current(), clock)
    return {"/api/dashboard": dashboard, "/api/servers/realtime": Realtime(lambda: live().stream, clock)}


class Bare(Response):
    """A response that is written by a bare ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._app(scope, receive, send)


@router.get("/dashboard", responses={500: {"description": "the store is away and nothing was ever read"}})
async def dashboard(request: Request) -> Response:
    """All servers with values, status and trend in one reply."""
    p = parts(request)
    return Bare(shortcuts(lambda: p.live, p.clock)["/api/dashboard"])


@router.get("/servers")
async def servers(
    request: Request,
    status: Annotated[str | None, Query()] = None,
    type_: Annotated[str | None, Query(alias="type")] = None,
    match: Annotated[str | None, Query(max_length=200)] = None,
    ids: Annotated[str | None, Query(max_length=20_000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """The servers, worst first; filtered by status, type, a part of the name, or `ids` with commas between."""
    if status is not None and status not in SEVERITY:
        return failure(422, f"no status '{status}'; there are {', '.join(SEVERITY)}", "invalid")
    found = await matching(parts(request), status, type_, match, None if ids is None else ids.split(","))
    page = found[offset : offset + limit]
    return success({"servers": page, "total": len(found), "environment": parts(request).environment()})


async def matching(
    p: Parts, status: str | None, type_: str | None, match: str | None, ids: Sequence[str] | None
) -> list[dict[str, Any]]:
    """The servers that are wanted, worst first. Raises UnknownServer."""
    data = await p.live.data()
    wanted = None if ids is None else await _wanted(p, ids)
    return [
        s
        for s in data["servers"]
        if (wanted is None or s["id"] in wanted)
        and (status is None or s["status"] == status)
        and (type_ is None or s["type"] == type_)
        and (match is None or match.lower() in s["id"].lower())
    ]


@router.get("/servers/realtime", response_class=EventStream)
async def realtime(request: Request) -> Response:
    """Changes as server-sent events: `hello`, then `delta` with what changed; `reset` where all is to be read anew."""
    p = parts(request)
    return Bare(shortcuts(lambda: p.live, p.clock)["/api/servers/realtime"])


@router.get("/servers/next")
async def this_process(request: Request) -> Response:
    """The state of the web process itself."""
    return success(parts(request).process())


@router.get("/servers/{server_id}")
async def server(request: Request, server_id: str, window: Annotated[str, Query(max_length=60)] = "1h") -> Response:
    """One server with its series over a window, and what is firing on it."""
    p = parts(request)
    found = (await p.queries.inventory()).resolve(server_id)

    async def make() -> bytes:
        return encoded(await _detail(p, found, window))

    return json_bytes(await p.details.get((found.id, window), p.live.version(), make))


async def _detail(p: Parts, found: Server, window: str) -> dict[str, Any]:
    data = await p.live.data()
    shown = next((s for s in data["servers"] if s["id"] == found.id), None)
    if shown is None:
        state = await p.queries.state()
        shown = {"id": found.id, "type": found.type, "status": "unknown", "as_of": state.time}
    alerts = [row for row in (await shown_alerts(p))[0] if row["server"] == found.id]
    return {"server": shown, "metrics": await _metrics(p, found.id, window), "alerts": alerts, "logs": []}


async def _wanted(p: Parts, ids: Sequence[str]) -> set[str]:
    """The servers of those names. Raises UnknownServer."""
    inventory = await p.queries.inventory()
    return {inventory.resolve(name.strip()).id for name in ids if name.strip()}


async def _metrics(p: Parts, server_id: str, window: str) -> dict[str, Any]:
    inventory = await p.queries.inventory()
    start, end = span(window, p.clock())
    step = step_for(end - start, 240, least=15)
    start = (start // step + 1) * step
    concepts = [p.queries.catalog.concepts[name] for name in CHARTS]
    asked = [(concept, query) for concept in concepts if (query := expression(concept, inventory, [server_id]))]
    matrices = await p.queries.backend.ranges([(query, start, end, step) for _, query in asked])
    found: dict[str, Any] = {}
    for (concept, query), matrix in zip(asked, matrices, strict=True):
        for labels, values in zip(matrix.labels, matrix.values, strict=True):
            part = next((v for k, v in sorted(labels.items()) if k not in IDENTITY and k != "__name__"), None)
            key = f"{concept.name}:{part}" if part else concept.name
            if key not in found:
                found[key] = {"unit": concept.unit, "query": query, "times": matrix.times, "values": values}
    return found
