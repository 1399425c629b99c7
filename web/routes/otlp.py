"""OpenTelemetry metrics by HTTP. A success means that the samples are on disk; refusals are a partial success."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from fastapi import APIRouter, Request
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from starlette.responses import Response

from monitoring.errors import BadSample, StoreUnavailable
from monitoring.ingest.deltas import Addition
from monitoring.ingest.otlp import Translation
from monitoring.ingest.otlp_messages import has_deltas, parse, response, status, unzip
from monitoring.ingest.validation import Checked
from monitoring.ingest.wire import BodyTooLarge
from web.parts import Parts, parts

router = APIRouter()
P = ParamSpec("P")
R = TypeVar("R")
PROTOBUF, JSON = "application/x-protobuf", "application/json"
IN_THREAD_BYTES = 64 * 1024
"""Bodies above this are read beside the event loop (about 5 ms)."""
_INVALID, _UNAVAILABLE = 3, 14
_EITHER: dict[str, Any] = {
    JSON: {"schema": {"type": "object"}},
    PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
}
REPLIES: dict[int | str, dict[str, Any]] = {
    code: {"description": meaning, "content": _EITHER}
    for code, meaning in (
        (200, "kept; what was not stands in the reply"),
        (400, "cannot be read"),
        (409, "everything is read from another server"),
        (413, "too large"),
        (415, "not understood"),
        (503, "to be sent again"),
    )
}
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _EITHER}}
"""Request and replies as the OpenAPI document shows them."""


@router.post("/api/v1/otlp/v1/metrics", responses=REPLIES, openapi_extra=BODY)
@router.post("/v1/metrics", responses=REPLIES, openapi_extra=BODY)
async def metrics(request: Request) -> Response:
    """OTLP/HTTP metrics as protobuf or JSON, plain or gzip. 200 when the samples are on disk."""
    given = request.headers.get("content-type", "")
    media = given.partition(";")[0].strip().lower()
    json = media != PROTOBUF
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if media not in (PROTOBUF, JSON):
        return _failed(415, _INVALID, f"'{given}' is not understood; send {PROTOBUF} or {JSON}", json)
    if encoding not in ("identity", "gzip"):
        return _failed(415, _INVALID, f"the content encoding '{encoding}' is not understood; send gzip", json)
    body = await request.body()
    try:
        export = await _aside(len(body), _read, body, encoding, json)
        refused, message = await _store(parts(request), export)
    except BodyTooLarge as error:
        return _failed(413, _INVALID, str(error), json)
    except BadSample as error:
        return _failed(400, _INVALID, str(error), json)
    except StoreUnavailable as error:
        return _failed(503, _UNAVAILABLE, str(error), json)
    return Response(response(refused, message, json=json), 200, media_type=media)


def _read(body: bytes, encoding: str, json: bool) -> ExportMetricsServiceRequest:
    return parse(unzip(body) if encoding == "gzip" else body, json=json)


async def _aside(size: int, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `act` returns; run beside the event loop where there is much to do."""
    return act(*args, **kwargs) if size <= IN_THREAD_BYTES else await asyncio.to_thread(act, *args, **kwargs)


async def _store(p: Parts, export: ExportMetricsServiceRequest) -> tuple[int, str]:
    """Data points refused and why. Differences are added up one request after the other, and only if they are kept."""
    if not has_deltas(export):
        return await _write(p, export)
    async with p.totals.lock:
        return await _write(p, export)


async def _write(p: Parts, export: ExportMetricsServiceRequest) -> tuple[int, str]:
    addition = Addition(p.totals, p.clock(), p.gate.believed_ms())
    translation = await _aside(export.ByteSize(), Translation, export, addition)
    checked = await p.gate.write(translation.batch(), "otlp")
    addition.commit()
    for reason, count in translation.refused.items():
        p.gate.count("otlp", reason, count, translation.first)
    p.said.note(translation.metadata)
    return _outcome(translation, checked)


def _outcome(translation: Translation, checked: Checked) -> tuple[int, str]:
    refused = translation.refused.total()
    if checked.bad is not None:
        refused += translation.points_among(checked.bad)
    if not refused:
        return 0, ""
    first = translation.first or str(checked.first)
    return refused, f"{refused} of {translation.points} data points were refused, the first: {first}"


def _failed(code: int, grpc_code: int, message: str, json: bool) -> Response:
    """A google.rpc.Status in the encoding of the request. 503 is the one that senders try again."""
    headers = {"Retry-After": "1"} if code == 503 else None
    return Response(status(grpc_code, message, json=json), code, headers, JSON if json else PROTOBUF)
