"""Routes of metrics: the fleet's as text or JSON, how fast this process answers, and its own page for Prometheus."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from monitoring.errors import StoreUnavailable
from monitoring.fleet import IN_THREAD, SILENT_S
from web import fleet_page, own_page
from web.board import Board, Coding, coding_for, compressed
from web.envelope import encoded, failure, success
from web.exposition import TYPES, Format, page, wanted
from web.fleet_page import Filter
from web.parts import parts

router = APIRouter()
SCRAPER = "OpenManager"
"""What our scraper calls itself. It is not given the fleet: a server that is gone would live on as its own echo."""
CODED: dict[Coding, dict[str, str]] = {
    "identity": {},
    "gzip": {"Content-Encoding": "gzip"},
    "zstd": {"Content-Encoding": "zstd"},
}
PLAIN: dict[str, Any] = {"schema": {"type": "string"}}
ENVELOPE: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Success"}}
OTHERWISE: dict[int | str, dict[str, Any]] = {
    304: {"description": "as you have it (If-None-Match)"},
    403: {
        "description": "asked for by the scraper of an OpenManager",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
    },
}
TEXT: dict[str, Any] = {"description": "the page", "content": {"text/plain": PLAIN}}
MIXED: dict[str, Any] = {
    "description": "the metrics",
    "content": {"application/json": ENVELOPE, "text/plain": PLAIN, "application/openmetrics-text": PLAIN},
}

Names = Annotated[list[str] | None, Query(max_length=1_000)]
Metrics = Annotated[list[str] | None, Query(alias="name[]", max_length=100)]
Type = Annotated[str | None, Query(alias="type", max_length=200)]


@router.get("/api/metrics", responses={200: MIXED, **OTHERWISE}, response_class=Response)
async def metrics(
    request: Request,
    server: Names = None,
    type_: Type = None,
    name: Metrics = None,
    form: Annotated[Format | None, Query(alias="format")] = None,
) -> Response:
    """The fleet's metrics: JSON, Prometheus text or OpenMetrics, by the Accept header or `format`."""
    form = form or wanted(", ".join(request.headers.getlist("accept")) or "*/*")
    return await _fleet(request, form, Filter(tuple(server or ()), type_, tuple(name or ())))


@router.get("/api/metrics/prometheus", responses={200: TEXT, **OTHERWISE}, response_class=Response)
async def prometheus(request: Request, server: Names = None, type_: Type = None, name: Metrics = None) -> Response:
    """The fleet's metrics in Prometheus' text format, whatever the Accept header says."""
    return await _fleet(request, "text", Filter(tuple(server or ()), type_, tuple(name or ())))


@router.get("/api/metrics/performance")
async def performance(request: Request) -> Response:
    """How long the requests to this process took, by route, and what they spent on Redis and found in caches."""
    return success(own_page.performance(parts(request)), headers={"Cache-Control": "no-store"})


@router.get("/metrics", responses={200: TEXT}, response_class=Response, operation_id="get_own_metrics")
async def own(request: Request) -> Response:
    """Our own metrics in the Prometheus text format."""
    return PlainTextResponse(page(own_page.families(parts(request))), media_type=TYPES["text"])


async def _fleet(request: Request, form: Format, chosen: Filter) -> Response:
    """Made once for a reading, a format and a filter."""
    if form != "json" and request.headers.get("user-agent", "") == SCRAPER:
        return failure(403, "an OpenManager does not scrape the fleet of an OpenManager: name the servers as targets")
    p = parts(request)
    board, _ = await p.live.current()
    if p.clock() - board.time > SILENT_S:
        raise StoreUnavailable("silent", f"the fleet was last read over {SILENT_S:.0f} s ago; the store is away")
    headers = {"ETag": f'W/"{board.tag}-{form}"', "Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding"}
    if headers["ETag"] in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    coding = coding_for(request.headers.get("accept-encoding", "").encode("latin-1"))

    async def make() -> bytes:
        work = partial(_body, board, form, chosen, coding)
        return await asyncio.to_thread(work) if len(board.data()["servers"]) > IN_THREAD else work()

    key = "metrics", form, chosen, coding
    return Response(await p.details.get(key, board.tag, make), 200, {**headers, **CODED[coding]}, TYPES[form])


def _body(board: Board, form: Format, chosen: Filter, coding: Coding) -> bytes:
    data = board.data()
    body = encoded(fleet_page.listed(data, chosen)) if form == "json" else fleet_page.text(data, chosen, form)
    return compressed(body, coding)
