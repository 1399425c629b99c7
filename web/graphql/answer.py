"""One GraphQL request: read, measured, validated, executed; always a reply in GraphQL's own shape."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, build_schema, execute, validate

from web.graphql.errors import shown
from web.graphql.limits import check, parsed
from web.graphql.root import Root, resolve
from web.parts import Parts

DEADLINE_S = 10.0
MOST_ERRORS = 10


class Asked(NamedTuple):
    """A request as it came."""

    query: str
    variables: dict[str, Any]
    operation: str | None = None


class Reply(NamedTuple):
    """What goes back. `status` is for clients that understand `application/graphql-response+json`."""

    status: int
    body: dict[str, Any]


@cache
def schema() -> GraphQLSchema:
    """The schema of `schema.graphql`, beside this file."""
    return build_schema((Path(__file__).parent / "schema.graphql").read_text("utf-8"))


async def answer(parts: Parts, asked: Asked) -> Reply:
    """The reply to a request. A document that is refused has no `data`; a field that fails is null there."""
    try:
        document = parsed(asked.query)
        check(document, asked.variables)
    except GraphQLError as error:
        return _refused([error])
    if errors := validate(schema(), document, max_errors=MOST_ERRORS):
        return _refused(errors)
    try:
        async with asyncio.timeout(DEADLINE_S):
            result = await _executed(parts, document, asked)
    except TimeoutError:
        late = GraphQLError(f"the query took over {DEADLINE_S:g} s", extensions={"code": "timeout"})
        return Reply(503, {"errors": [shown(late)]})
    if result.data is None:  # no operation of that name, or variables that do not fit
        return _refused(result.errors or [])
    failed = {"errors": [shown(error) for error in result.errors]} if result.errors else {}
    return Reply(200, {"data": result.data, **failed})


async def _executed(parts: Parts, document: DocumentNode, asked: Asked) -> ExecutionResult:
    begun = execute(
        schema(),
        document,
        Root(parts),
        variable_values=asked.variables,
        operation_name=asked.operation,
        field_resolver=resolve,
    )
    return begun if isinstance(begun, ExecutionResult) else await begun


def _refused(errors: list[GraphQLError]) -> Reply:
    return Reply(400, {"errors": [shown(error) for error in errors]})
