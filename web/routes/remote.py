"""With `--prometheus`: the parts of the Prometheus API that are that server's own to answer, and writes, refused.

These stand before the routes of the same paths, which speak of our own store.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitoring.errors import BackendUnavailable
from monitoring.ingest.otlp_messages import status
from web.backends import Remote
from web.routes.prometheus_replies import ok, prometheus_errors, refused

PASSED = (
    *("targets", "targets/metadata", "scrape_pools", "rules", "alerts", "alertmanagers"),
    *("metadata", "query_exemplars", "status/tsdb"),
)
WRITES = ("/api/v1/write", "/api/v1/admin/tsdb/{action:path}")
OTLP = ("/api/v1/otlp/v1/metrics", "/v1/metrics")
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_FAILED_PRECONDITION = 9


def routes(remote: Remote) -> list[BaseRoute]:
    """The routes, to be put before all others."""

    @prometheus_errors
    async def passed(request: Request) -> Response:
        path = request.url.path.partition("/api/v1/")[2]
        params = list(request.query_params.multi_items())
        if request.method == "POST":
            params += [(name, str(value)) for name, value in (await request.form()).multi_items()]
        try:
            return ok(await remote.series.tell(path, params))
        except BackendUnavailable as error:
            if error.cause == "no_api":
                return refused(404, "not_found", str(error))
            raise

    async def write(_request: Request) -> Response:
        return refused(409, "unavailable", remote.refusal())

    async def otlp(request: Request) -> Response:
        json = not request.headers.get("content-type", "").startswith(PROTOBUF)
        body = status(_FAILED_PRECONDITION, remote.refusal(), json=json)
        return Response(body, 409, media_type=JSON if json else PROTOBUF)

    return [
        *(Route(f"/api/v1/{path}", passed, methods=["GET", "POST"], include_in_schema=False) for path in PASSED),
        *(Route(path, write, methods=["POST", "PUT"], include_in_schema=False) for path in WRITES),
        *(Route(path, otlp, methods=["POST"], include_in_schema=False) for path in OTLP),
    ]
