"""Queries of the Prometheus HTTP API: instant, range, exemplars, and PromQL written anew or as a tree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.errors import BadQuery, FailedQuery
from monitoring.promql import Result
from monitoring.promql.outline import as_tree
from monitoring.promql.pretty import formatted
from monitoring.promql.response import instant_json, points, range_json
from web.parts import Parts, parts
from web.routes.prometheus_parameters import DURATION, END, FAR_S, LIMIT, START, TIME, Given, given, invalid
from web.routes.prometheus_replies import TRUNCATED, Parameter, Schema, offer, ok

router = APIRouter(prefix="/api")
BOTH = ("GET", "POST")
MOST_POINTS = 11_000
LOOKBACK_S = 300.0
IN_THREAD = 20_000
"""Points above which a reply is written off the event loop (about 5 ms)."""

QUERY = Parameter("query", "PromQL", required=True)
HOW = (
    Parameter("timeout", "the most time that the evaluation may take", DURATION),
    LIMIT,
    Parameter("lookback_delta", "how old a sample may be and still count", DURATION),
    Parameter("stats", "any value adds timings and samples to the reply"),
)
RESULT: Schema = {"$ref": "#/components/schemas/QueryResult"}


class Asked(NamedTuple):
    """What both kinds of query take beside their times."""

    text: str
    lookback_s: float
    timeout_s: float | None
    limit: int
    stats: bool


@offer(
    router,
    "/v1/query",
    "/prometheus/query",
    methods=BOTH,
    given=(QUERY, Parameter("time", "when; now without it", TIME), *HOW),
    data=RESULT,
)
async def query(request: Request) -> Response:
    """An instant query."""
    found = await given(request)
    asked = asked_of(found)
    at = found.time("time", parts(request).clock())
    return await _answer(request, asked, at, at, 1.0)


@offer(
    router,
    "/v1/query_range",
    "/prometheus/query_range",
    methods=BOTH,
    given=(
        QUERY,
        *(one._replace(required=True) for one in (START, END, Parameter("step", "between two points", DURATION))),
        *HOW,
    ),
    data=RESULT,
)
async def query_range(request: Request) -> Response:
    """A range query."""
    found = await given(request)
    start, end, step = times(found)
    return await _answer(request, asked_of(found), start, end, step, series=True)


@offer(
    router,
    "/v1/query_exemplars",
    methods=BOTH,
    given=(QUERY, START, END),
    data={"type": "array", "items": {"type": "object"}},
)
async def query_exemplars(request: Request) -> Response:
    """Always empty: no exemplars are kept. The parameters are checked."""
    found = await given(request)
    if found.time("start", -FAR_S) > found.time("end", FAR_S):
        raise BadQuery("end timestamp must not be before start timestamp")
    formatted(found.get("query") or "")
    return ok([])


@offer(router, "/v1/format_query", methods=BOTH, given=(QUERY,), data={"type": "string"})
async def format_query(request: Request) -> Response:
    """The query as Prometheus would write it: long ones over several lines, indented."""
    found = await given(request)
    try:
        return ok(formatted(found.get("query") or ""))
    except BadQuery as error:
        raise invalid("query", str(error)) from None


@offer(router, "/v1/parse_query", methods=BOTH, given=(QUERY,), data={"type": "object"})
async def parse_query(request: Request) -> Response:
    """The query as a tree."""
    found = await given(request)
    try:
        return ok(as_tree(found.get("query") or ""))
    except BadQuery as error:
        raise invalid("query", str(error)) from None


def times(found: Given) -> tuple[float, float, float]:
    """Start, end and step of a range query. Raises BadQuery."""
    start, end = found.time("start"), found.time("end")
    if end < start:
        raise invalid("end", "end timestamp must not be before start time")
    step = found.duration("step")
    if step <= 0:
        positive = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise invalid("step", positive)
    if (end - start) / step > MOST_POINTS:
        raise BadQuery(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return start, end, step


def asked_of(found: Given) -> Asked:
    """What a query takes beside its times. Raises BadQuery."""
    limit = found.limit()
    timeout_s = found.duration("timeout", FAR_S)
    try:
        lookback_s = found.duration("lookback_delta", LOOKBACK_S)
    except BadQuery as error:
        raise BadQuery(f"error parsing lookback delta duration: {str(error).partition(': ')[2]}") from None
    return Asked(
        found.get("query") or "",
        lookback_s if lookback_s > 0 else LOOKBACK_S,
        None if timeout_s == FAR_S else timeout_s,
        limit,
        found.get("stats") is not None,
    )


async def _answer(
    request: Request, asked: Asked, start: float, end: float, step: float, *, series: bool = False
) -> Response:
    began = time.perf_counter()
    result = await evaluated(parts(request), asked, start, end, step)
    took = time.perf_counter() - began
    if points(result) > IN_THREAD:
        return await asyncio.to_thread(_written, asked, result, began, took, series)
    return _written(asked, result, began, took, series)


def _written(asked: Asked, result: Result, began: float, took: float, series: bool) -> Response:
    data = range_json(result) if series else instant_json(result)
    warnings = [*result.warnings, *_cut(data, asked.limit)]
    if asked.stats:
        data["stats"] = _stats(result, took, time.perf_counter() - began)
    return ok(data, warnings, result.infos)


async def evaluated(p: Parts, asked: Asked, start: float, end: float, step: float) -> Result:
    """The result of a query. Raises BadQuery in Prometheus' words."""
    if not asked.text.strip():
        raise invalid("query", "1:1: parse error: no expression found in input")
    try:
        result, _ = await p.backend.evaluate(
            asked.text, start, end, step, lookback_s=asked.lookback_s, timeout_s=asked.timeout_s
        )
    except FailedQuery:
        raise
    except BadQuery as error:
        raise error if str(error).startswith("invalid parameter") else invalid("query", str(error)) from None
    return result


def _cut(data: dict[str, Any], limit: int) -> Sequence[str]:
    """Leaves no more than `limit` series in place; returns the warning that says so."""
    if not limit or data["resultType"] not in ("vector", "matrix") or len(data["result"]) <= limit:
        return ()
    data["result"] = data["result"][:limit]
    return (TRUNCATED,)


def _stats(result: Result, evaluated_s: float, total_s: float) -> Mapping[str, Any]:
    """Measured times in seconds, and the samples that were read; they are all in memory at once."""
    timings = {"evalTotalTime": evaluated_s, "execTotalTime": total_s, "execQueueTime": 0.0}
    samples = {"totalQueryableSamples": result.samples, "peakSamples": result.samples}
    return {"timings": timings, "samples": samples}
