"""The envelope of every route of ours: success with data, or failure with a code, a message and a fitting status."""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Match

from monitoring.errors import (
    BackendUnavailable,
    BadQuery,
    BadSample,
    DemoOff,
    QueryTooExpensive,
    StoreUnavailable,
    UnknownMetric,
    UnknownServer,
)
from monitoring.windows import rfc3339
from web import __version__

log = logging.getLogger(__name__)

STATUS = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"} | {
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    500: "internal",
    503: "unavailable",
}


PROMETHEUS = frozenset(
    (
        *("query", "query_range", "query_exemplars", "format_query", "parse_query", "labels", "label", "series"),
        *("metadata", "targets", "scrape_pools", "rules", "alertmanagers", "notifications", "status"),
        *("features", "write", "read", "otlp", "admin"),
    )
)
"""First words of paths below /api/v1/ that are Prometheus' own; of those below alerts/, it has none."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PROMETHEUS_WORDS = {404: "404 page not found\n", 405: "Method Not Allowed\n"}


def encode(body: Any) -> bytes:
    """JSON bytes; NaN and infinities become null, numpy arrays are understood."""
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def success(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """``{"success": true, "data": …, "timestamp", "version"}``"""
    return Response(encoded(data), status, headers, "application/json")


def encoded(data: Any) -> bytes:
    """The bytes of a success, which may be kept; they carry the time when they were made."""
    return encode({"success": True, "data": data, "timestamp": rfc3339(time.time()), "version": __version__})


def json_bytes(body: bytes) -> Response:
    """A reply of bytes that `encoded` made."""
    return Response(body, media_type="application/json")


def failure(status: int, message: str, code: str | None = None, details: Any = None) -> Response:
    """``{"success": false, "error": {"code", "message", "details"?}, "timestamp"}``"""
    error = {"code": code or STATUS.get(status, "error"), "message": message}
    if details is not None:
        error["details"] = details
    body = {"success": False, "error": error, "timestamp": rfc3339(time.time())}
    return Response(encode(body), status, {"Cache-Control": "no-cache"}, "application/json")


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def is_prometheus(path: str) -> bool:
    """Whether a path is Prometheus' own, so that ours does not answer there."""
    return path == "/api/v1/alerts" or (path.startswith("/api/v1/") and path.split("/")[3] in PROMETHEUS)


def install(app: FastAPI) -> None:
    """Turns every error that leaves a route into the envelope."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        fields = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        first = fields[0] if fields else {"field": "body", "message": "invalid"}
        return failure(422, f"{first['field']}: {first['message']}", "invalid", fields)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(request))
        if error.status_code in PROMETHEUS_WORDS and is_prometheus(request.url.path):
            return PlainTextResponse(PROMETHEUS_WORDS[error.status_code], error.status_code, headers)
        reply = failure(error.status_code, str(error.detail))
        reply.headers.update(headers)
        return reply

    @app.exception_handler(UnknownServer)
    async def no_server(_request: Request, error: UnknownServer) -> Response:
        return failure(404, str(error), "unknown_server", {"closest": list(error.closest)})

    @app.exception_handler(UnknownMetric)
    async def no_metric(_request: Request, error: UnknownMetric) -> Response:
        return failure(404, str(error), "unknown_metric", {"closest": list(error.closest)})

    @app.exception_handler(BadQuery)
    async def bad_query(_request: Request, error: BadQuery) -> Response:
        return failure(400, str(error), "bad_query")

    @app.exception_handler(BadSample)
    async def bad_sample(_request: Request, error: BadSample) -> Response:
        return failure(400, str(error), "bad_sample")

    @app.exception_handler(DemoOff)
    async def no_demo(_request: Request, error: DemoOff) -> Response:
        return failure(409, str(error), "demo_off")

    @app.exception_handler(QueryTooExpensive)
    async def expensive(_request: Request, error: QueryTooExpensive) -> Response:
        return failure(422, str(error), "too_expensive")

    @app.exception_handler(StoreUnavailable)
    @app.exception_handler(BackendUnavailable)
    async def away(_request: Request, error: StoreUnavailable | BackendUnavailable) -> Response:
        return failure(503, str(error), "store_unavailable", {"cause": error.cause})

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("request.failed path=%s", request.url.path, exc_info=error)
        return failure(500, "an unexpected error; it is in the log of the server")


def _methods(request: Request) -> list[str]:
    """The methods that the path takes, of all its routes."""
    routes, scope = request.app.router.routes, request.scope
    return [m for m in METHODS if any(r.matches({**scope, "method": m})[0] is Match.FULL for r in routes)]
