"""Routes about ourselves: health, readiness, Redis."""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from monitoring.windows import rfc3339
from web.envelope import failure, success
from web.parts import Parts, parts

router = APIRouter()
TARGET_MS = 10.0


@router.get("/healthz", response_class=PlainTextResponse)
@router.get("/-/healthy", response_class=PlainTextResponse)
@router.head("/healthz", include_in_schema=False)
@router.head("/-/healthy", include_in_schema=False)
async def healthz() -> Response:
    """The process lives."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
@router.get("/-/ready")
@router.get("/api/health")
@router.head("/readyz", include_in_schema=False)
@router.head("/-/ready", include_in_schema=False)
@router.head("/api/health", include_in_schema=False)
async def readyz(request: Request) -> Response:
    """Whether questions can be answered, by dependency. 503 while starting; degraded is still ready."""
    p = parts(request)
    redis = await p.store.status()
    refuses = p.store.connection.state == "error"  # it answers a PING and takes no writes: full, read-only, …
    well = redis["connected"] and not refuses
    dependencies = {
        "store": "connected" if well else "error" if refuses else "disconnected",
        "mcp": p.mcp_state(),
        "model": p.engine.understanding.backend,
    }
    if p.remote is not None:
        dependencies["prometheus"] = (await p.remote.status())["status"]
        well = well and dependencies["prometheus"] == "connected"
    state = "starting" if not p.ready else "ready" if well else "degraded"
    body = {"status": state, "dependencies": dependencies, **p.process()}
    return success(body, 503 if state == "starting" else 200, {"Cache-Control": "no-store"})


@router.get("/api/redis/status", responses={500: {"description": "the store is away"}})
async def redis_status(request: Request) -> Response:
    """A measured PING, and how the connection has been; 500 with the error where it is away."""
    p = parts(request)
    facts = await p.store.status()
    since, now = facts["connected_since"], time.time()
    shown = {
        **facts,
        "status": _connection(p, facts),
        "connectedAt": None if since is None else rfc3339(since),
        "uptime": None if since is None else round(now - since, 3),
        "lastError": facts["last_error"],
        "timestamp": rfc3339(now),
        **({} if p.remote is None else {"prometheus": await p.remote.status()}),
    }
    if not facts["connected"]:
        message = facts["last_error"] or "the store does not answer"
        return failure(500, message, "store_unavailable", {**shown, "responseTime": None, "performance": None})
    took = facts["ping_ms"]
    performance = {"target": "<10ms", "actual": took, "status": "optimal" if took < TARGET_MS else "degraded"}
    restarts = {} if p.valkey is None else {"restarts": p.valkey.restarts}
    return success({**shown, "responseTime": took, "performance": performance, **restarts})


def _connection(p: Parts, facts: dict[str, Any]) -> Literal["connected", "disconnected", "reconnecting", "error"]:
    """How the connection is: `error` where the store answers, but not as it should."""
    if facts["connected"]:
        return "connected"
    if facts["cause"] in ("loading", "readonly", "full"):
        return "error"
    embedded = p.valkey is not None and p.valkey.restarts > 0
    return "reconnecting" if embedded or p.store.samples_appended else "disconnected"
