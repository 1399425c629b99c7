"""How the Prometheus routes answer: envelope, error types, codes, and what the OpenAPI document says of each route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, ParamSpec

from fastapi import APIRouter
from starlette.responses import Response

from monitoring.errors import (
    BackendUnavailable,
    BadQuery,
    BadSample,
    FailedQuery,
    OpenManagerError,
    QueryTooExpensive,
    StoreUnavailable,
)
from monitoring.ingest.wire import BodyTooLarge
from monitoring.promql import TIMED_OUT
from web.envelope import encode

P = ParamSpec("P")
Handler = Callable[P, Awaitable[Response]]
Schema = dict[str, Any]
TRUNCATED = "results truncated due to limit"
ERRORS = {400: "bad_data", 413: "bad_data", 422: "execution", 503: "timeout or unavailable"}
"""What a route may answer with beside success, and the error type."""
ANYTHING: Schema = {}
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}


class Parameter(NamedTuple):
    """A parameter of the query string, and of the form where the route takes one."""

    name: str
    text: str
    schema: Schema = TEXT
    required: bool = False


def ok(data: Any, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    """``{"status": "success", "data": …, "warnings"?, "infos"?}``"""
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = list(warnings)
    if infos:
        body["infos"] = list(infos)
    return Response(encode(body), media_type="application/json")


def refused(status: int, kind: str, message: str) -> Response:
    """``{"status": "error", "errorType": …, "error": …}``"""
    body = {"status": "error", "errorType": kind, "error": message}
    return Response(encode(body), status, media_type="application/json")


def prometheus_errors(handler: Handler[P]) -> Handler[P]:
    """Turns our errors into Prometheus' codes: 400 bad_data, 422 execution, 503 timeout and unavailable."""

    @wraps(handler)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await handler(*args, **kwargs)
        except BodyTooLarge as error:
            return refused(413, "bad_data", str(error))
        except FailedQuery as error:
            return refused(422, "execution", str(error))
        except (BadQuery, BadSample) as error:
            return refused(400, "bad_data", str(error))
        except QueryTooExpensive as error:
            late = str(error) == TIMED_OUT
            return refused(503 if late else 422, "timeout" if late else "execution", str(error))
        except (StoreUnavailable, BackendUnavailable) as error:
            return refused(503, "unavailable", str(error))
        except OpenManagerError as error:
            return refused(422, "execution", str(error))

    return guarded


def writes(*statuses: int, media: str) -> dict[str, Any]:
    """Arguments of a route that takes samples in a binary body: its body and replies as the document shows them."""
    binary = {media: {"schema": {"type": "string", "format": "binary"}}}
    return {
        "responses": _failures(dict.fromkeys(statuses, "the samples were not kept")),
        "openapi_extra": {"requestBody": {"required": True, "content": binary}},
    }


def offer(
    router: APIRouter,
    *paths: str,
    methods: Sequence[str] = ("GET",),
    given: Sequence[Parameter] = (),
    data: Schema | None = ANYTHING,
    refuses: bool = False,
) -> Callable[[Handler[P]], Handler[P]]:
    """Enters a handler under each path and method; POST takes the parameters as a form too.

    `data` is the schema of what it gives; None where it gives nothing (204). It `refuses` where it may be switched off.
    """

    def entered(handler: Handler[P]) -> Handler[P]:
        for path in paths:
            for method in methods:
                router.add_api_route(
                    path,
                    prometheus_errors(handler),
                    methods=[method],
                    tags=["prometheus"],
                    status_code=204 if data is None else 200,
                    responses=_responses(data) | (_failures({403: "it is switched off"}) if refuses else {}),
                    openapi_extra=_as_form(given) if method in ("POST", "PUT") else _as_query(given),
                )
        return handler

    return entered


def _responses(data: Schema | None) -> dict[int | str, dict[str, Any]]:
    if data is None:
        return {204: {"description": "done"}, **_failures(ERRORS)}
    envelope: Schema = {
        "type": "object",
        "required": ["status", "data"],
        "properties": {"status": {"const": "success"}, "data": data, "warnings": TEXTS, "infos": TEXTS},
    }
    return {200: {"description": "success", "content": {"application/json": {"schema": envelope}}}, **_failures(ERRORS)}


def _failures(meanings: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/PrometheusError"}}}
    plain = {"text/plain": {"schema": TEXT}}  # what cannot be read as HTTP, or has an address over 64 KiB
    return {
        status: {"description": meaning, "content": refusal | plain if status == 400 else refusal}
        for status, meaning in meanings.items()
    }


def _as_query(given: Sequence[Parameter]) -> dict[str, Any]:
    return {
        "parameters": [
            {"name": one.name, "in": "query", "required": one.required, "description": one.text, "schema": one.schema}
            for one in given
        ]
    }


def _as_form(given: Sequence[Parameter]) -> dict[str, Any]:
    schema: Schema = {
        "type": "object",
        "properties": {one.name: {**one.schema, "description": one.text} for one in given},
    }
    if required := [one.name for one in given if one.required]:
        schema["required"] = required
    return {"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}} if given else {}
