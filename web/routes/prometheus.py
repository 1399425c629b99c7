"""The Prometheus HTTP API over our store: queries, labels, series. Codes are Prometheus' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from monitoring.errors import (
    BackendUnavailable,
    BadQuery,
    BadSample,
    OpenManagerError,
    QueryTooExpensive,
    StoreUnavailable,
)
from monitoring.ingest.wire import BodyTooLarge
from monitoring.listing import Among, selector
from monitoring.promql.response import instant_json, range_json
from monitoring.windows import moment, rfc3339, seconds
from web import __version__
from web.envelope import encode
from web.parts import parts

router = APIRouter(prefix="/api")
Handler = Callable[[Request], Awaitable[Response]]
MOST_POINTS = 11_000
FAR_FUTURE_MS = 2**53


def ok(data: Any, warnings: tuple[str, ...] = (), infos: tuple[str, ...] = ()) -> Response:
    """``{"status": "success", "data": …}``"""
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


def prometheus_errors(handler: Handler) -> Handler:
    """Turns our errors into Prometheus' codes: 400 bad_data, 422 execution, 503 unavailable."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except BodyTooLarge as error:
            return refused(413, "bad_data", str(error))
        except (BadQuery, BadSample) as error:
            return refused(400, "bad_data", str(error))
        except QueryTooExpensive as error:
            late = "timed out" in str(error)
            return refused(503 if late else 422, "timeout" if late else "execution", str(error))
        except (StoreUnavailable, BackendUnavailable) as error:
            return refused(503, "unavailable", str(error))
        except OpenManagerError as error:
            return refused(422, "execution", str(error))

    return guarded


@router.get("/v1/query")
@router.post("/v1/query")
@router.get("/prometheus/query")
@router.post("/prometheus/query")
@prometheus_errors
async def query(request: Request) -> Response:
    """An instant query."""
    given = await _parameters(request)
    text = _required(given, "query")
    at = _time(given, "time", parts(request).clock())
    lookback = _positive(given, "lookback_delta", 300.0)
    result, _ = await parts(request).backend.evaluate(text, at, at, 1, lookback_s=lookback)
    return ok(instant_json(result), result.warnings, result.infos)


@router.get("/v1/query_range")
@router.post("/v1/query_range")
@router.get("/prometheus/query_range")
@router.post("/prometheus/query_range")
@prometheus_errors
async def query_range(request: Request) -> Response:
    """A range query."""
    given = await _parameters(request)
    text = _required(given, "query")
    start, end = (_time(given, name, None) for name in ("start", "end"))
    if end < start:
        raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
    step = _positive(given, "step", None)
    if (end - start) / step > MOST_POINTS:
        raise BadQuery(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    lookback = _positive(given, "lookback_delta", 300.0)
    result, _ = await parts(request).backend.evaluate(text, start, end, step, lookback_s=lookback)
    return ok(range_json(result), result.warnings, result.infos)


@router.get("/v1/labels")
@router.post("/v1/labels")
@prometheus_errors
async def labels(request: Request) -> Response:
    """The names of all labels."""
    return ok(await parts(request).listing.label_names(await _among(request)))


@router.get("/v1/label/{name}/values")
async def label_values(request: Request, name: str) -> Response:
    """The values of one label."""

    @prometheus_errors
    async def values(request: Request) -> Response:
        return ok(await parts(request).listing.label_values(name, await _among(request)))

    return await values(request)


@router.get("/v1/series")
@router.post("/v1/series")
@prometheus_errors
async def series(request: Request) -> Response:
    """The label sets of series that match."""
    among = await _among(request)
    if not among.matches:
        raise BadQuery("no match[] parameter provided")
    return ok([dict(labels) for labels in await parts(request).listing.series(among)])


@router.get("/v1/metadata")
@prometheus_errors
async def metadata(request: Request) -> Response:
    """Type and help of metrics, as their exporters and senders gave them."""
    return ok(await parts(request).listing.metadata())


@router.get("/v1/targets")
@prometheus_errors
async def targets(request: Request) -> Response:
    """The scrape targets and how they are."""
    collection = parts(request).collection
    await collection.refresh()
    return ok({"activeTargets": collection.targets(), "droppedTargets": collection.dropped_targets()})


@router.get("/v1/rules")
@prometheus_errors
async def rules(request: Request) -> Response:
    """Alerting rules in Prometheus' shape: none are configured yet."""
    return ok({"groups": []})


@router.get("/v1/alerts")
@prometheus_errors
async def alerts(request: Request) -> Response:
    """What is firing, in Prometheus' shape."""
    reading = await parts(request).queries.list_alerts(limit=100)
    found = []
    for row in reading.rows:
        server, concept, part, severity, value, _threshold, _state, since = row
        names = {"alertname": f"{concept}_{severity}", "server": server, "severity": severity, "part": part}
        found.append(
            {
                "labels": {k: str(v) for k, v in names.items() if v},
                "annotations": {},
                "state": "firing",
                "activeAt": since or rfc3339(parts(request).clock()),
                "value": f"{value}",
            }
        )
    return ok({"alerts": found})


@router.get("/v1/status/buildinfo")
@prometheus_errors
async def buildinfo(_request: Request) -> Response:
    """What Grafana asks to know whom it speaks with."""
    facts = {
        "version": "3.0.0",
        "revision": __version__,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }
    return ok(facts)


@router.get("/v1/query_exemplars")
@prometheus_errors
async def exemplars(_request: Request) -> Response:
    """We keep no exemplars."""
    return ok([])


@router.post("/v1/admin/tsdb/delete_series")
@router.put("/v1/admin/tsdb/delete_series")
@prometheus_errors
async def delete_series(request: Request) -> Response:
    """Deletes samples; only where the admin API is switched on."""
    if not parts(request).settings.admin_api:
        return refused(403, "unavailable", "admin APIs disabled; start with --admin-api")
    given = await _parameters(request)
    if not given.getlist("match[]"):
        raise BadQuery("no match[] parameter provided")
    start = _time(given, "start", 0.0)
    end = _time(given, "end", FAR_FUTURE_MS / 1000)
    for text in given.getlist("match[]"):
        await parts(request).store.delete(selector(text), round(start * 1000), round(end * 1000))
    return Response(status_code=204)


class _Given:
    """Parameters of the query string and of a form body."""

    def __init__(self, *sources: Mapping[str, Any]) -> None:
        self._sources = sources

    def get(self, name: str) -> str | None:
        """The first value of that name."""
        return next((str(source[name]) for source in self._sources if name in source), None)

    def getlist(self, name: str) -> list[str]:
        """All values of that name."""
        return [str(v) for source in self._sources for v in source.getlist(name)]  # type: ignore[attr-defined]


async def _parameters(request: Request) -> _Given:
    form = FormData()
    if request.method == "POST" and "form" in request.headers.get("content-type", ""):
        form = await request.form()
    return _Given(form, request.query_params)


async def _among(request: Request) -> Among:
    given = await _parameters(request)
    start, end = _time(given, "start", 0.0), _time(given, "end", FAR_FUTURE_MS / 1000)
    return Among(tuple(given.getlist("match[]")), start or None, end if given.get("end") else None)


def _required(given: _Given, name: str) -> str:
    value = given.get(name)
    if not value:
        raise BadQuery(f'invalid parameter "{name}": 1:1: parse error: no expression found in input')
    return value


def _time(given: _Given, name: str, default: float | None) -> float:
    value = given.get(name)
    if value is None:
        if default is None:
            raise BadQuery(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
        return default
    try:
        found = moment(value)
    except BadQuery:
        raise BadQuery(f'invalid parameter "{name}": cannot parse "{value}" to a valid timestamp') from None
    if not abs(found) < FAR_FUTURE_MS / 1000:
        raise BadQuery(f'invalid parameter "{name}": "{value}" is out of range')
    return found


def _positive(given: _Given, name: str, default: float | None) -> float:
    value = given.get(name)
    if value is None and default is not None:
        return default
    try:
        found = seconds(value or "")
    except BadQuery:
        raise BadQuery(f'invalid parameter "{name}": cannot parse "{value or ""}" to a valid duration') from None
    if found <= 0:
        raise BadQuery("zero or negative query resolution step widths are not accepted. Try a positive integer")
    return found
