"""Errors as GraphQL replies carry them: our code in `extensions`, nothing of the inside of unexpected ones."""

from __future__ import annotations

import logging
from typing import Any

from graphql import GraphQLError
from pydantic import ValidationError

from monitoring.errors import (
    BackendUnavailable,
    BadQuery,
    QueryTooExpensive,
    StoreUnavailable,
    UnknownMetric,
    UnknownServer,
)

log = logging.getLogger(__name__)
CODES: tuple[tuple[type[Exception], str], ...] = (
    (UnknownServer, "unknown_server"),
    (UnknownMetric, "unknown_metric"),
    (BadQuery, "bad_query"),
    (QueryTooExpensive, "too_expensive"),
    (StoreUnavailable, "store_unavailable"),
    (BackendUnavailable, "store_unavailable"),
    (ValidationError, "invalid"),
)
"""The first that fits has the code; the same codes as the envelope's."""


def shown(error: GraphQLError) -> dict[str, Any]:
    """One entry of `errors`. An error of the document itself has the code `invalid`, unless it says another."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    body: dict[str, Any] = {**error.formatted}
    if cause is None:
        return {**body, "extensions": {"code": "invalid", **(error.extensions or {})}}
    code = next((code for kind, code in CODES if isinstance(cause, kind)), "internal")
    extensions: dict[str, Any] = {"code": code}
    if isinstance(cause, UnknownServer | UnknownMetric):
        extensions["closest"] = list(cause.closest)
    if isinstance(cause, ValidationError):
        first = cause.errors()[0]
        body["message"] = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if code == "internal":
        log.error("graphql.failed path=%s", error.path, exc_info=cause)
        body["message"] = "an unexpected error; it is in the log of the server"
    return {**body, "extensions": extensions}
