"""`/graphql` by GraphQL over HTTP: GET or POST, JSON in, `application/graphql-response+json` or JSON out."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from graphql import print_schema
from pydantic import BaseModel, ValidationError
from starlette.responses import PlainTextResponse, Response

from web.envelope import encode, failure
from web.graphql.answer import Asked, Reply, answer, schema
from web.parts import parts

router = APIRouter()
NEW, OLD = "application/graphql-response+json", "application/json"
JSON: dict[str, Any] = {"schema": {"type": "object"}}
REPLY: dict[str, Any] = {
    "description": "the data, and errors where there are any; `application/json` is 200 for every readable request",
    "content": {NEW: JSON, OLD: JSON},
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: REPLY,
    400: {**REPLY, "description": "not a GraphQL request; or a document that was refused"},
    406: {"description": "neither kind of reply is accepted", "content": {OLD: JSON}},
}
TEXT = {"type": "string"}
PARAMETERS = [
    {"name": name, "in": "query", "required": name == "query", "schema": TEXT}
    for name in ("query", "variables", "operationName")
]
BODY = {
    "required": True,
    "content": {
        OLD: {
            "schema": {
                "type": "object",
                "required": ["query"],
                "properties": {
                    "query": TEXT,
                    "operationName": {"type": ["string", "null"]},
                    "variables": {"type": ["object", "null"]},
                },
            }
        }
    },
}


class Body(BaseModel):
    """A GraphQL request. `extensions` and other fields are let be."""

    query: str
    operationName: str | None = None  # noqa: N815 - the specification's name
    variables: dict[str, Any] | None = None


@router.get("/graphql", response_class=Response, responses=RESPONSES, openapi_extra={"parameters": PARAMETERS})
async def ask_by_url(request: Request) -> Response:
    """A query in the URL; `variables` is JSON."""
    given: dict[str, Any] = dict(request.query_params)
    try:
        if "variables" in given:
            given["variables"] = orjson.loads(given["variables"] or "null")
    except orjson.JSONDecodeError:
        return _reply(request, _unreadable("'variables' is not JSON"), readable=False)
    return await _answered(request, given)


@router.post(
    "/graphql",
    response_class=Response,
    responses={**RESPONSES, 415: {"description": "the body is not JSON", "content": {OLD: JSON}}},
    openapi_extra={"requestBody": BODY},
)
async def ask_by_body(request: Request) -> Response:
    """A query as JSON: `{"query", "variables"?, "operationName"?}`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != OLD:
        return failure(415, f"send the query as {OLD}")
    try:
        given = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return _reply(request, _unreadable("the body is not JSON"), readable=False)
    return await _answered(request, given)


@router.get("/graphql/schema", response_class=PlainTextResponse)
async def described() -> Response:
    """The schema in GraphQL's own language."""
    return PlainTextResponse(print_schema(schema()) + "\n")


async def _answered(request: Request, given: Any) -> Response:
    if _kind(request) is None:
        return failure(406, f"replies are {NEW} or {OLD}", "not_acceptable")
    try:
        body = Body.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'the request'}: {first['msg']}"
        return _reply(request, _unreadable(why), readable=False)
    asked = Asked(body.query, body.variables or {}, body.operationName)
    return _reply(request, await answer(parts(request), asked))


def _reply(request: Request, reply: Reply, *, readable: bool = True) -> Response:
    """Older clients take 200 for every request that could be read, whatever became of it."""
    kind = _kind(request) or OLD
    status = 200 if readable and kind == OLD else reply.status
    return Response(encode(reply.body), status, {"Cache-Control": "no-store", "Vary": "Accept"}, kind)


def _unreadable(why: str) -> Reply:
    return Reply(400, {"errors": [{"message": why, "extensions": {"code": "bad_request"}}]})


def _kind(request: Request) -> str | None:
    """The media type of the reply; None where the client takes neither."""
    accepted = ",".join(request.headers.getlist("accept")).lower() or "*/*"
    named = {part.partition(";")[0].strip() for part in accepted.split(",") if "q=0" not in _last(part)}
    if NEW in named:
        return NEW
    return OLD if named & {OLD, "application/*", "*/*"} else None


def _last(part: str) -> list[str]:
    return [word.strip() for word in part.split(";")[1:]]
