"""The OpenAPI document: what FastAPI knows of the routes, with one name each, our envelope and the shared errors."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from assistant.engine import Answer

Json = dict[str, Any]
SCHEMAS = "#/components/schemas/"
TAGS = (
    ("assistant", r"/api/(ai-agent|reports|forecasts)", "Questions and their answers, reports, forecasts."),
    ("ingest", r"/api/v1/(write|otlp)|/v1/metrics", "Ways in for samples."),
    ("prometheus", r"/api/(v1|prometheus)/", "Prometheus' own HTTP API, in its own envelope."),
    ("fleet", r"/api/(servers|dashboard|alerts|metrics|batch|data-generator)", "Servers and their figures."),
    ("about", r"/", "OpenManager itself."),
)
"""Name, paths, meaning; the first whose paths match has the route."""
SHARED = {
    400: "cannot be read or evaluated",
    404: "there is no such thing",
    413: "the body is too large",
    422: "a field is missing or wrong",
    503: "the store, or what was asked for, is not available now",
}
"""Failures that any route of ours can answer with."""
PLAIN: Json = {"type": "string"}
FAILURE: Json = {
    "type": "object",
    "required": ["success", "error", "timestamp"],
    "properties": {
        "success": {"const": False},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": PLAIN, "message": PLAIN, "details": {}},
        },
        "timestamp": {"type": "string", "format": "date-time"},
    },
}
EVENT: Json = {"type": "object", "properties": {"event": PLAIN, "data": PLAIN, "id": PLAIN}}
PROMETHEUS_ERROR: Json = {
    "type": "object",
    "required": ["status", "errorType", "error"],
    "properties": {"status": {"const": "error"}, "errorType": PLAIN, "error": PLAIN},
}
SERVER: Json = {
    "type": "object",
    "required": ["id", "type", "status"],
    "properties": {"id": PLAIN, "type": PLAIN, "status": {"$ref": "#/components/schemas/Status"}},
}
POINT: Json = {
    "type": "array",
    "items": {"anyOf": [{"type": "number"}, PLAIN]},
    "minItems": 2,
    "maxItems": 2,
    "description": "Unix seconds, and the value as text",
}
LABELS: Json = {"type": "object", "additionalProperties": PLAIN}
SERIES: Json = {
    "type": "object",
    "required": ["metric"],
    "properties": {"metric": LABELS, "value": POINT, "values": {"type": "array", "items": POINT}},
}
QUERY_RESULT: Json = {
    "type": "object",
    "required": ["resultType", "result"],
    "properties": {
        "resultType": {"type": "string", "enum": ["scalar", "string", "vector", "matrix"]},
        "result": {
            "anyOf": [{"type": "array", "items": {"$ref": f"{SCHEMAS}QuerySeries"}}, POINT],
            "description": "series, or of a scalar and a string one point",
        },
        "stats": {"type": "object"},
    },
}
STATUS: Json = {"type": "string", "enum": ["critical", "offline", "warning", "unknown", "healthy"]}


def install(app: FastAPI) -> None:
    """Makes `/openapi.json` this document. It is built once, when first asked for."""

    def document() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """One name for each method of each path.

    >>> operation_id(APIRoute("/api/v1/label/{name}/values", lambda: None, methods=["GET"]))
    'get_v1_label_name_values'
    """
    words = re.findall(r"[a-z0-9]+", route.path.removeprefix("/api/").lower())
    return "_".join([min(route.methods or {"GET"}).lower(), *words])


def _described(app: FastAPI) -> Json:
    tags = [{"name": name, "description": text} for name, _, text in TAGS]
    described = get_openapi(
        title=app.title, version=app.version, routes=app.routes, tags=tags, summary="Ask your servers."
    )
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    answer = TypeAdapter(Answer).json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**answer.pop("$defs", {}), "Answer": answer, "Server": SERVER, "Status": STATUS}
    schemas |= {"Success": _success({}), "Failure": FAILURE, "PrometheusError": PROMETHEUS_ERROR}
    schemas |= {"QueryResult": QUERY_RESULT, "QuerySeries": SERIES}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            operation.setdefault("tags", [next(name for name, paths, _ in TAGS if re.match(paths, path))])
            if operation["tags"][0] not in ("prometheus", "ingest"):
                _complete(operation)
    return described


def _complete(operation: Json) -> None:
    """Gives a route of ours the envelope of its data, and the failures."""
    replies = operation["responses"]
    for status, meaning in SHARED.items():
        if str(status) not in replies or status == 422:
            replies[str(status)] = {"description": meaning, "content": _json({"$ref": f"{SCHEMAS}Failure"})}
    replies["400"]["content"]["text/plain"] = {"schema": PLAIN}  # what cannot be read as HTTP, or is over 64 KiB
    done = "201" if "201" in replies else "200"
    content = replies.get(done, {}).get("content", {})
    if "text/event-stream" in content:
        content["text/event-stream"]["schema"] = EVENT
    if content.get("application/json", {}).get("schema") == {}:
        replies[done]["description"] = "success"
        content["application/json"]["schema"] = _data(operation["operationId"])


def _data(name: str) -> Json:
    server, answer = {"$ref": f"{SCHEMAS}Server"}, {"$ref": f"{SCHEMAS}Answer"}
    servers: Json = {
        "type": "object",
        "required": ["servers"],
        "properties": {"servers": {"type": "array", "items": server}},
    }
    known: dict[str, Json] = {
        "post_ai_agent": answer,
        "get_ai_agent_answers_answer_id": answer,
        "get_dashboard": servers,
        "get_servers": servers,
        "get_servers_server_id": {"type": "object", "required": ["server"], "properties": {"server": server}},
    }
    return _success(known[name]) if name in known else {"$ref": f"{SCHEMAS}Success"}


def _success(data: Json) -> Json:
    return {
        "type": "object",
        "required": ["success", "data", "timestamp", "version"],
        "properties": {
            "success": {"const": True},
            "data": data,
            "timestamp": {"type": "string", "format": "date-time"},
            "version": PLAIN,
        },
    }


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
