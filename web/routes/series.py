"""Series over time, and several reads in one request: each request is one read of the store."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from monitoring.errors import BadQuery, OpenManagerError, QueryTooExpensive, UnknownMetric, UnknownServer
from monitoring.model import Matrix
from monitoring.timeseries import Asked, SeriesPlan, SeriesQuestion, plan_series, series_data
from monitoring.windows import moment
from web.envelope import encoded, json_bytes, success
from web.parts import Parts, parts

router = APIRouter(prefix="/api")
Names = list[Annotated[str, Field(min_length=1, max_length=2_000)]]


class Read(BaseModel):
    """One read of `POST /api/batch`."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["servers", "timeseries", "query"]
    ids: Names = Field(default_factory=list, max_length=1_000)
    metrics: Names = Field(default_factory=list, max_length=20)
    window: str | None = Field(None, max_length=60)
    start: str | None = Field(None, max_length=40)
    end: str | None = Field(None, max_length=40)
    step: str | None = Field(None, max_length=20)
    agg: str | None = Field(None, max_length=20)
    query: str | None = Field(None, max_length=2_000)
    time: str | float | None = None


class Batch(BaseModel):
    """The body of `POST /api/batch`."""

    reads: list[Read] = Field(min_length=1, max_length=50)


@router.get("/metrics/timeseries")
async def timeseries(
    request: Request,
    server: Annotated[list[str] | None, Query()] = None,
    servers: Annotated[str | None, Query(max_length=20_000)] = None,
    metric: Annotated[list[str] | None, Query()] = None,
    metrics: Annotated[str | None, Query(max_length=2_000)] = None,
    concept: Annotated[list[str] | None, Query()] = None,
    window: Annotated[str | None, Query(max_length=60)] = None,
    start: Annotated[str | None, Query(max_length=40)] = None,
    end: Annotated[str | None, Query(max_length=40)] = None,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Annotated[str | None, Query(max_length=40)] = None,
    step: Annotated[str | None, Query(max_length=20)] = None,
    agg: Annotated[str | None, Query(max_length=20)] = None,
) -> Response:
    """Series of metrics or concepts, of some servers or all, with the queries that prove them."""
    ids = _names([*(server or []), servers or ""])
    names = _names([*(metric or []), metrics or "", *(concept or [])])
    question = SeriesQuestion(ids, names, window, start or from_, end or to, step, agg)
    return json_bytes(await read_series(parts(request), question))


async def read_series(p: Parts, question: SeriesQuestion) -> bytes:
    """The reply to a question, as encoded. Raises BadQuery, UnknownServer, UnknownMetric."""

    async def make() -> bytes:
        plan = await plan_series(p.queries, question, p.clock())
        matrices = await p.queries.backend.ranges(plan.reads())
        return encoded(series_data(plan, matrices, await p.queries.inventory()))

    return await p.details.get(question, p.live.version(), make)


@router.post("/batch")
async def batch(request: Request, body: Batch) -> Response:
    """Several reads at once; what is wrong with one does not touch the others."""
    p = parts(request)
    planned = [await _planned(p, read) for read in body.reads]
    reads = [asked for plan in planned if isinstance(plan, SeriesPlan) for asked in plan.reads()]
    reads += [plan for plan in planned if isinstance(plan, tuple)]
    try:
        matrices = await p.queries.backend.ranges(reads)
    except (BadQuery, QueryTooExpensive):  # one of them cannot be evaluated, which only reading one by one tells
        matrices = []
    results = [await _result(p, read, plan, matrices, reads) for read, plan in zip(body.reads, planned, strict=True)]
    return success({"results": results})


async def _planned(p: Parts, read: Read) -> SeriesPlan | Asked | OpenManagerError | None:
    try:
        if read.kind == "timeseries":
            question = SeriesQuestion(
                tuple(read.ids), tuple(read.metrics), read.window, read.start, read.end, read.step, read.agg
            )
            return await plan_series(p.queries, question, p.clock())
        if read.kind == "query":
            if not read.query:
                raise BadQuery("a read of kind 'query' needs 'query', a PromQL expression")
            time = p.clock() if read.time is None else moment(read.time)
            return read.query, time, time, 1.0
    except BadQuery as error:
        return error
    return None


async def _result(
    p: Parts, read: Read, plan: SeriesPlan | Asked | OpenManagerError | None, matrices: list[Matrix], reads: list[Asked]
) -> dict[str, Any]:
    try:
        if isinstance(plan, OpenManagerError):
            raise plan
        if plan is None:
            return {"success": True, "data": await _servers(p, read.ids)}
        wanted = plan.reads() if isinstance(plan, SeriesPlan) else [plan]
        mine = [matrices[reads.index(asked)] for asked in wanted] if matrices else None
        mine = mine or await p.queries.backend.ranges(wanted)
        if isinstance(plan, SeriesPlan):
            return {"success": True, "data": series_data(plan, mine, await p.queries.inventory())}
        return {"success": True, "data": _vector(mine[0])}
    except (BadQuery, QueryTooExpensive) as error:
        codes = {UnknownServer: "unknown_server", UnknownMetric: "unknown_metric", QueryTooExpensive: "too_expensive"}
        code = codes.get(type(error), "bad_query")
        return {"success": False, "error": {"code": code, "message": str(error)}}


async def _servers(p: Parts, ids: list[str]) -> dict[str, Any]:
    data, inventory = await p.live.data(), await p.queries.inventory()
    wanted = {inventory.resolve(name).id for name in ids}
    return {"servers": [s for s in data["servers"] if not ids or s["id"] in wanted], "timestamp": data["timestamp"]}


def _vector(matrix: Matrix) -> dict[str, Any]:
    rows = [{"labels": labels, "value": row[0]} for labels, row in zip(matrix.labels, matrix.values, strict=True)]
    return {"query": matrix.query, "time": matrix.start, "rows": rows, "age_s": matrix.age_s, "source": matrix.source}


def _names(given: list[str]) -> tuple[str, ...]:
    """Names of repeated parameters and of lists with commas, each once; PromQL stays whole."""
    names = [name for text in given for name in ([text] if set("({[") & set(text) else text.split(","))]
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
