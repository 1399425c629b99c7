"""The route of forecasts: what was said to come, and what came."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitoring.store.cold_rows import ForecastRow
from monitoring.windows import rfc3339, span
from web.envelope import success
from web.parts import parts

router = APIRouter(prefix="/api/forecasts")
MOST = 10_000
Verdict = Literal["open", "held", "early", "late", "above", "below", "unmeasured"]


@router.get("")
async def forecasts(
    request: Request,
    window: Annotated[str, Query(max_length=60)] = "30d",
    server: Annotated[str | None, Query(max_length=200)] = None,
    concept: Annotated[str | None, Query(max_length=60)] = None,
    kind: Annotated[Literal["full", "level"] | None, Query()] = None,
    verdict: Annotated[Verdict | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """What was said within a time, newest first, each with its verdict once its time has come."""
    p = parts(request)
    start, end = span(window, p.clock())
    named = None if server is None else (await p.queries.inventory()).resolve(server).id
    found = [
        row
        for row in await p.forecasts.listed(start, end, MOST)
        if named in (None, row.server)
        and concept in (None, row.concept)
        and kind in (None, row.kind)
        and verdict in (None, row.verdict or "open")
    ]
    judged = [row for row in found if row.verdict not in (None, "unmeasured")]
    held = sum(row.verdict == "held" for row in judged)
    counts = {"total": len(found), "judged": len(judged), "held": held}
    return success({"forecasts": [shown(row) for row in found[:limit]], **counts})


def shown(row: ForecastRow) -> dict[str, Any]:
    """A forecast as the route gives it: times in RFC 3339, errors in seconds or in the unit of the concept."""
    times = ["said", "due", "target", "judged"]
    if row.kind == "full":
        times += ["expected", "low", "high", "actual"]
    body = {name: value for name, value in row._asdict().items() if name != "bound"}
    dated = {name: None if body[name] is None else rfc3339(round(body[name])) for name in times}
    return {**body, **dated, "limit": row.bound, "verdict": row.verdict or "open"}
