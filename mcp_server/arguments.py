"""What the tools accept: argument types with their limits, their short JSON schema, and refusals that teach."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from monitoring.errors import BadQuery
from monitoring.windows import moment


def _listed(value: object) -> object:
    """A list, also where a client sends one name or "a, b" instead."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _moment(value: object) -> object:
    try:
        return moment(value) if isinstance(value, str) else value
    except BadQuery as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, Field(min_length=1, max_length=500)]
Metric = Annotated[str, Field(min_length=1, max_length=2000, description="concept (cpu), metric name or PromQL")]
Names = Annotated[list[Name], BeforeValidator(_listed), Field(max_length=20)]
SomeNames = Annotated[Names, Field(min_length=1)]
Window = Annotated[str, Field(max_length=100, description="15m, 24h or START/END (RFC 3339)")]
Past = Annotated[str | None, Field(max_length=100, description="15m, 24h or START/END; none: now")]
Points = Annotated[int, Field(ge=1, le=200)]
Limit = Annotated[int, Field(ge=1, le=100)]
Number = Annotated[float | None, Field(allow_inf_nan=False)]
At = Annotated[
    float | None,
    BeforeValidator(_moment, json_schema_input_type=str),
    Field(ge=0, le=32_503_680_000, allow_inf_nan=False, description="RFC 3339 or Unix seconds"),
]
Status = Literal["healthy", "warning", "critical", "offline", "unknown"]
AlertState = Literal["pending", "firing", "resolved", "all"]
Severity = Literal["warning", "critical"]
Question = Annotated[str, Field(min_length=1, max_length=2000)]


def short_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The pydantic schema of a tool's arguments without what a model has no use for: titles, nulls, empty defaults.

    >>> short_schema({"title": "F", "type": "object", "properties": {
    ...     "at": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "At"}}})
    {'type': 'object', 'properties': {'at': {'type': 'string'}}, 'additionalProperties': False}
    """
    properties = {name: _short_property(spec) for name, spec in schema.get("properties", {}).items()}
    required = {"required": schema["required"]} if schema.get("required") else {}
    return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _short_property(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next((kind for kind in spec.get("anyOf", ()) if kind.get("type") != "null"), {})
    kept = {**spec, **found}
    unwanted = {"title", "anyOf", "minLength", "maxLength", "minItems", "minimum", "ge", "le"}
    short = {key: value for key, value in kept.items() if key not in unwanted and (key, value) != ("default", None)}
    if short.get("default") == []:
        del short["default"]
    if "items" in short:
        short["items"] = {"type": short["items"]["type"]}
    return short


def unknown_arguments(tool: str, given: Collection[str], known: Collection[str]) -> BadQuery | None:
    """The refusal of arguments that `tool` does not take; None where it takes them all."""
    strange = [name for name in given if name not in known]
    if not strange:
        return None
    names = ", ".join(repr(name) for name in strange)
    return BadQuery(f"{tool} takes no argument {names}; it takes {', '.join(known)}")


def misfits(tool: str, error: ValidationError) -> BadQuery:
    """One sentence that names each argument that does not fit and why."""
    found = [
        f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return BadQuery(f"{tool} cannot be called so: {'; '.join(found)}")
