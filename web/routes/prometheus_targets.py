"""Scrape targets in Prometheus' words: how they are, their pools, the metrics that each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.errors import BadQuery
from monitoring.inventory import escape
from monitoring.listing import Among, selector
from monitoring.promql.select import compile_matchers
from web.parts import Parts, parts
from web.routes.prometheus_parameters import LIMIT, given, invalid, whole
from web.routes.prometheus_replies import TEXTS, Parameter, Schema, offer, ok

router = APIRouter(prefix="/api/v1")
TARGETS: Schema = {"type": "array", "items": {"type": "object"}}
FAMILY_ENDINGS = ("", "_total", "_bucket", "_sum", "_count")
NONE_YET: Mapping[str, list[Any]] = {"activeAlertmanagers": [], "droppedAlertmanagers": []}


@offer(
    router,
    "/targets",
    given=(
        Parameter("state", "active, dropped or any", {"type": "string", "enum": ["active", "dropped", "any"]}),
        Parameter("scrapePool", "only this pool"),
    ),
    data={
        "type": "object",
        "required": ["activeTargets", "droppedTargets"],
        "properties": {"activeTargets": TARGETS, "droppedTargets": TARGETS},
    },
)
async def targets(request: Request) -> Response:
    """The scrape targets and how they are."""
    found = await given(request)
    collection = parts(request).collection
    await collection.refresh()
    state, pool = (found.get("state") or "any").lower(), found.get("scrapePool")
    active = collection.targets() if state in ("any", "active") else []
    dropped = collection.dropped_targets() if state in ("any", "dropped") else []
    pools = [_pool(one) for one in dropped]
    return ok(
        {
            "activeTargets": [one for one in active if pool in (None, one["scrapePool"])],
            "droppedTargets": [
                {**one, "scrapePool": own} for one, own in zip(dropped, pools, strict=True) if pool in (None, own)
            ],
            "droppedTargetCounts": dict(Counter(own for own in pools if pool in (None, own))),
        }
    )


@offer(router, "/scrape_pools", data={"type": "object", "properties": {"scrapePools": TEXTS}})
async def scrape_pools(request: Request) -> Response:
    """The names of the scrape pools."""
    collection = parts(request).collection
    await collection.refresh()
    dropped = {_pool(one) for one in collection.dropped_targets()}
    return ok({"scrapePools": sorted({one["scrapePool"] for one in collection.targets()} | dropped)})


@offer(
    router,
    "/targets/metadata",
    given=(Parameter("match_target", "selector of targets"), Parameter("metric", "only this metric"), LIMIT),
    data=TARGETS,
)
async def targets_metadata(request: Request) -> Response:
    """Type, help and unit of the metrics that each target has."""
    found, p = await given(request), parts(request)
    limit, metric = whole(found.get("limit") or "-1"), found.get("metric")
    if limit is None:
        raise BadQuery("limit must be a number")
    await p.collection.refresh()
    known, rows = await p.listing.metadata(), list[dict[str, Any]]()
    for target in _matching(p.collection.targets(), found.get("match_target")):
        for name in await _families(p, target, known if metric is None else known.keys() & {metric}):
            if 0 <= limit <= len(rows):
                break
            named = {"metric": name} if metric is None else {}
            rows += [{"target": target, **named, **family} for family in known[name]]
    return ok(rows if limit < 0 else rows[:limit])


@offer(
    router,
    "/alertmanagers",
    data={"type": "object", "properties": dict.fromkeys(NONE_YET, TARGETS)},
)
async def alertmanagers(request: Request) -> Response:
    """Where alerts are sent that speaks Alertmanager's API; passwords and paths left out."""
    present = await parts(request).record.present()
    known = [one["address"] for one in present.receivers if one["kind"] == "alertmanager"]
    return ok({**NONE_YET, "activeAlertmanagers": [{"url": url} for url in known]})


@offer(router, "/notifications", data=TARGETS)
async def notifications(_request: Request) -> Response:
    """What Prometheus would tell about itself in its user interface: nothing, `/readyz` says how we are."""
    return ok([])


def _matching(targets: list[dict[str, Any]], text: str | None) -> list[Mapping[str, str]]:
    """The labels of the targets that a selector means."""
    labels = [one["labels"] for one in targets]
    if text is None:
        return labels
    try:
        wanted = compile_matchers(selector(text))
    except BadQuery as error:
        raise invalid("match_target", str(error)) from None
    return [one for one in labels if wanted(one)]


async def _families(p: Parts, target: Mapping[str, str], known: Any) -> list[str]:
    """The metric families, of those `known`, of which a target has series."""
    match = ",".join(f'{name}="{escape(target[name])}"' for name in ("instance", "job") if name in target)
    has = set(await p.listing.label_values("__name__", Among((f"{{{match}}}",))))
    return sorted(name for name in known if any(name + ending in has for ending in FAMILY_ENDINGS))


def _pool(dropped: Mapping[str, Any]) -> str:
    return str(dropped["discoveredLabels"].get("job", ""))
