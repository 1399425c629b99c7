"""What is normal for a server, as it was learnt and kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitoring.baselines import ServerBaseline, shown
from monitoring.windows import moment, rfc3339
from web.envelope import success
from web.parts import parts

router = APIRouter(prefix="/api")


@router.get("/servers/{server_id}/baseline")
async def baseline(
    request: Request,
    server_id: str,
    concept: Annotated[str | None, Query(max_length=200)] = None,
    at: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """What is normal for each concept of a server, or one, by the version that was in force at a time.

    With the pattern over 24 hours and 7 weekdays, how far values stray from it, and the band at that time.
    """
    p = parts(request)
    found = (await p.queries.inventory()).resolve(server_id)
    wanted = None if concept is None else p.queries.concept(concept)
    time = p.clock() if at is None else moment(at)
    kept = await p.baselines.of(found.id, time)
    known = [one for one in (kept.known if kept else ()) if wanted is None or one.concept == wanted.name]
    versions = [{"version": v, "fitted": rfc3339(fitted)} for v, fitted in await p.baselines.versions(found.id)]
    return success(
        {
            "server": found.id,
            "at": rfc3339(time),
            **_which(kept),
            "versions": versions,
            "baselines": [shown(one, time, p.queries.catalog) for one in known],
        }
    )


def _which(kept: ServerBaseline | None) -> dict[str, Any]:
    if kept is None:
        return {"version": None, "fitted": None}
    return {"version": kept.version, "fitted": rfc3339(kept.fitted)}
