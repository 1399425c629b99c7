"""What Prometheus tells about itself, told about us: build, runtime, flags, configuration, the store, health."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from monitoring.errors import BadQuery
from monitoring.listing import Among
from monitoring.store.segments import HOUR_MS
from monitoring.windows import rfc3339
from web import __version__
from web.parts import Parts, parts
from web.routes.prometheus_parameters import given, whole
from web.routes.prometheus_replies import Parameter, Schema, offer, ok
from web.settings import Settings

router = APIRouter()
SECRET = "<secret>"
LANGUAGE = "3.0.0"
"""The version of Prometheus whose language and API we speak; clients choose what they ask for by it."""
TOP = 10
_STATISTICS = (
    "seriesCountByMetricName",
    "labelValueCountByLabelName",
    "memoryInBytesByLabelName",
    "seriesCountByLabelValuePair",
)
OBJECT: Schema = {"type": "object"}
FEATURES: dict[str, dict[str, bool]] = {
    "api": {
        "exclude_alerts": True,
        "format_query": True,
        "label_values_match": True,
        "labels_limit": True,
        "lifecycle": False,
        "otlp_write_receiver": True,
        "parse_query": True,
        "query_exemplars": False,
        "query_stats": True,
        "query_warnings": True,
        "remote_write_receiver": True,
        "rules_pagination": True,
    },
    "promql": {
        "anchored_smoothed": True,
        "at_modifier": True,
        "duration_expressions": True,
        "info": True,
        "native_histograms": False,
        "negative_offset": True,
    },
}


@offer(router, "/api/v1/status/buildinfo", data=OBJECT)
async def buildinfo(_request: Request) -> Response:
    """What Grafana asks to know whom it speaks with: the Prometheus whose language we speak, and our own version."""
    facts = {"version": LANGUAGE, "revision": __version__, "branch": "", "buildUser": "", "buildDate": ""}
    return ok({**facts, "goVersion": "", "application": "OpenManager"})


@offer(router, "/api/v1/status/runtimeinfo", data=OBJECT)
async def runtimeinfo(request: Request) -> Response:
    """How this process runs. It is written in Python: its tasks stand where Prometheus counts goroutines."""
    p = parts(request)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    return ok(
        {
            "startTime": rfc3339(p.started),
            "CWD": str(Path.cwd()),
            "hostname": socket.gethostname(),
            "serverTime": rfc3339(p.clock()),
            "reloadConfigSuccess": True,
            "lastConfigTime": rfc3339(p.started),
            "corruptionCount": 0,
            "goroutineCount": len(asyncio.all_tasks()),
            "GOMAXPROCS": len(os.sched_getaffinity(0)),
            "GOMEMLIMIT": 2**63 - 1 if most == resource.RLIM_INFINITY else most,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": p.settings.retention,
        }
    )


@offer(router, "/api/v1/status/flags", data={"type": "object", "additionalProperties": {"type": "string"}})
async def flags(request: Request) -> Response:
    """Every setting in force, secrets left out."""
    return ok({name.replace("_", "-"): _text(value) for name, value in shown(parts(request).settings).items()})


@offer(router, "/api/v1/status/config", data={"type": "object", "properties": {"yaml": {"type": "string"}}})
async def config(request: Request) -> Response:
    """The settings in force as YAML, secrets left out."""
    settings = parts(request).settings
    body = {
        "global": {
            "scrape_interval": f"{settings.scrape_interval:g}s",
            "scrape_timeout": f"{settings.scrape_timeout:g}s",
        },
        "openmanager": shown(settings),
    }
    return ok({"yaml": yaml.safe_dump(body, sort_keys=False, allow_unicode=True)})


@offer(
    router,
    "/api/v1/status/tsdb",
    given=(Parameter("limit", "entries of each list", {"type": "integer", "minimum": 1}),),
    data=OBJECT,
)
async def tsdb(request: Request) -> Response:
    """How many series there are, and which names and labels have most of them."""
    p, text = parts(request), (await given(request)).get("limit") or str(TOP)
    limit = whole(text)
    if limit is None or limit < 1:
        raise BadQuery("limit must be a positive number")
    listed = await p.listing.series(Among())
    counted = await asyncio.to_thread(_counted, listed, limit)
    return ok({"headStats": await _head(p, len(listed), counted.pop("pairs")), **counted})


@offer(router, "/api/v1/status/walreplay", data=OBJECT)
async def walreplay(_request: Request) -> Response:
    """Nothing is left to replay: the store has read its log before the first request is taken."""
    return ok({"min": 0, "max": 0, "current": 0})


@offer(router, "/api/v1/features", data={"type": "object", "additionalProperties": OBJECT})
async def features(request: Request) -> Response:
    """What can be done here, by area."""
    admin = {"admin": parts(request).settings.admin_api}
    return ok(FEATURES | {"api": dict(sorted((FEATURES["api"] | admin).items()))})


@router.api_route("/-/reload", methods=["POST", "PUT"], include_in_schema=False)
@router.api_route("/-/quit", methods=["POST", "PUT"], include_in_schema=False)
async def lifecycle() -> Response:
    """Refused, as Prometheus does: files are read again when they change, and a process is ended by a signal."""
    return PlainTextResponse("Lifecycle API is not enabled.", 403)


@router.get("/-/reload", include_in_schema=False)
@router.get("/-/quit", include_in_schema=False)
async def lifecycle_by_get() -> Response:
    """In Prometheus' words."""
    return PlainTextResponse("Only POST or PUT requests allowed", 405, {"Allow": "POST, PUT"})


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as they may be seen: passwords in addresses, tokens and keys are `<secret>`."""
    return {name: _open(name, value) for name, value in settings.model_dump(mode="json").items()}


def _open(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_open(name, one) for one in value]
    if value and re.search(r"(token|password|secret|auth|headers?|alert_webhook|alert_slack|alertmanager)$", name):
        return SECRET
    if isinstance(value, str):
        return re.sub(r"(?<=://)([^/@]*:)?[^/@]*(?=@)", SECRET, value)
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _counted(series: Iterable[Any], limit: int) -> dict[str, Any]:
    """The lists of Prometheus' page, longest first, and the number of distinct pairs of label and value."""
    metrics: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for labels in series:
        metrics[labels.get("__name__", "")] += 1
        pairs.update(labels.items())
    values = Counter(name for name, _ in pairs)
    sizes: Counter[str] = Counter()
    for name, value in pairs:
        sizes[name] += len(value.encode())
    named = Counter({f"{name}={value}": count for (name, value), count in pairs.items()})
    lists = zip(_STATISTICS, (metrics, values, sizes, named), strict=True)
    found = {what: [{"name": n, "value": v} for n, v in many.most_common(limit)] for what, many in lists}
    return {**found, "pairs": len(pairs)}


async def _head(p: Parts, series: int, pairs: int) -> dict[str, int]:
    """Of our own store: a chunk is what this process holds of one metric in one hour."""
    spans = [(one.first, one.last) for one in await p.store.catalogue()]
    newest = p.store.newest_ms()
    return {
        "numSeries": series,
        "numLabelPairs": pairs,
        "chunkCount": sum(1 for _ in p.store.copy.hours),
        "minTime": min((first for first, _ in spans), default=0) * HOUR_MS,
        "maxTime": 0 if newest is None else newest,
    }
