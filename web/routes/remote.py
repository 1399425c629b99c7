"""With `--prometheus`: the parts of the Prometheus API that are that server's own to answer, and writes, refused.

These stand before the routes of the same paths, which speak of our own store.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitoring.errors import BackendUnavailable, BadQuery, OpenManagerError
from monitoring.ingest.otlp_messages import status
from web.backends import Remote
from web.envelope import encode

PASSED = ("targets", "targets/metadata", "rules", "alerts", "alertmanagers", "metadata", "query_exemplars")
WRITES = ("/api/v1/write", "/api/v1/admin/tsdb/{action:path}")
OTLP = ("/api/v1/otlp/v1/metrics", "/v1/metrics")
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_FAILED_PRECONDITION = 9


def routes(remote: Remote) -> list[BaseRoute]:
    """The routes, to be put before all others."""

    async def passed(request: Request) -> Response:
        path = request.url.path.partition("/api/v1/")[2]
        params = list(request.query_params.multi_items())
        if request.method == "POST":
            params += [(name, str(value)) for name, value in (await request.form()).multi_items()]
        try:
            return Response(
                encode({"status": "success", "data": await remote.series.tell(path, params)}), media_type=JSON
            )
        except OpenManagerError as error:
            return _failed(error)

    async def refused(_request: Request) -> Response:
        return _said(409, "unavailable", remote.refusal())

    async def otlp(request: Request) -> Response:
        json = not request.headers.get("content-type", "").startswith(PROTOBUF)
        body = status(_FAILED_PRECONDITION, remote.refusal(), json=json)
        return Response(body, 409, media_type=JSON if json else PROTOBUF)

    return [
        *(Route(f"/api/v1/{path}", passed, methods=["GET", "POST"], include_in_schema=False) for path in PASSED),
        *(Route(path, refused, methods=["POST", "PUT"], include_in_schema=False) for path in WRITES),
        *(Route(path, otlp, methods=["POST"], include_in_schema=False) for path in OTLP),
    ]


def _failed(error: OpenManagerError) -> Response:
    match error:
        case BadQuery():
            return _said(400, "bad_data", str(error))
        case BackendUnavailable(cause="no_api"):
            return _said(404, "not_found", str(error))
        case BackendUnavailable():
            return _said(503, "unavailable", str(error))
    return _said(422, "execution", str(error))


def _said(code: int, kind: str, message: str) -> Response:
    return Response(encode({"status": "error", "errorType": kind, "error": message}), code, media_type=JSON)
