"""Routes about ourselves: health, readiness, Redis, our own metrics, the simulated fleet's switch."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from assistant.engine import answers_total
from assistant.ways import fallbacks_total
from web.envelope import failure, success
from web.parts import parts

router = APIRouter()
TARGET_MS = 10.0


class Switch(BaseModel):
    """The body of `POST /api/data-generator`."""

    action: Literal["start", "stop", "status"]


@router.get("/healthz")
@router.get("/-/healthy")
async def healthz() -> Response:
    """The process lives."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
@router.get("/-/ready")
@router.get("/api/health")
async def readyz(request: Request) -> Response:
    """Whether questions can be answered, by dependency. 503 while starting; degraded is still ready."""
    p = parts(request)
    redis = await p.store.status()
    dependencies = {
        "store": "connected" if redis["connected"] else "disconnected",
        "mcp": p.mcp_state(),
        "model": p.engine.understanding.backend,
    }
    state = "starting" if not p.ready else "ready" if redis["connected"] else "degraded"
    body = {"status": state, "dependencies": dependencies, **p.process()}
    return success(body, 503 if state == "starting" else 200, {"Cache-Control": "no-store"})


@router.get("/api/redis/status")
async def redis_status(request: Request) -> Response:
    """A measured PING, and how the connection has been; 500 with the error where it is away."""
    p = parts(request)
    status = await p.store.status()
    if not status["connected"]:
        return failure(500, status.get("last_error") or "the store does not answer", "store_unavailable", status)
    took = status["ping_ms"]
    grade = "optimal" if took < TARGET_MS else "degraded"
    performance = {"target": "<10ms", "actual": took, "status": grade}
    restarts = {} if p.valkey is None else {"restarts": p.valkey.restarts}
    return success({**status, "status": "connected", "responseTime": took, "performance": performance, **restarts})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Our own metrics in the Prometheus text format."""
    p = parts(request)
    facts = p.process()
    lines = [
        "# HELP openmanager_answers_total Answers by way and status.",
        "# TYPE openmanager_answers_total counter",
        *(f'openmanager_answers_total{{way="{w}",status="{s}"}} {n}' for (w, s), n in sorted(answers_total.items())),
        "# HELP openmanager_fallbacks_total Ways that failed, by cause.",
        "# TYPE openmanager_fallbacks_total counter",
        *(f'openmanager_fallbacks_total{{way="{w}",cause="{c}"}} {n}' for (w, c), n in sorted(fallbacks_total.items())),
        "# HELP openmanager_samples_appended_total Samples that this process wrote.",
        "# TYPE openmanager_samples_appended_total counter",
        f"openmanager_samples_appended_total {p.store.samples_appended}",
        "# HELP openmanager_samples_refused_total Samples that were not kept, by the road they came on and the reason.",
        "# TYPE openmanager_samples_refused_total counter",
        *(
            f'openmanager_samples_refused_total{{road="{road}",reason="{reason}"}} {n}'
            for (road, reason), n in sorted(p.refused().items())
        ),
        "# HELP process_resident_memory_bytes Resident memory.",
        "# TYPE process_resident_memory_bytes gauge",
        f"process_resident_memory_bytes {facts['rss_bytes']}",
        "# HELP process_start_time_seconds When this process began.",
        "# TYPE process_start_time_seconds gauge",
        f"process_start_time_seconds {p.started}",
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/api/data-generator")
async def generator(request: Request) -> Response:
    """Whether the simulated fleet runs, and what it simulates."""
    collection = parts(request).collection
    await collection.refresh()
    return success(collection.generator())


@router.post("/api/data-generator")
async def switch(request: Request, body: Switch) -> Response:
    """Starts or stops the collection of the simulated fleet, whichever process collects."""
    collection = parts(request).collection
    if body.action == "status":
        await collection.refresh()
    else:
        await collection.switch(body.action == "start")
    return success(collection.generator())
