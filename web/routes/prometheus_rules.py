"""Our thresholds as Prometheus' alerting rules, and what is firing by them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.errors import BadQuery
from monitoring.listing import selector
from monitoring.promql.format import plain
from monitoring.promql.select import compile_matchers
from monitoring.thresholds import Firing, ThresholdRule, firing, threshold_rules
from monitoring.windows import rfc3339
from web.live import FRESH_S
from web.parts import Parts, parts
from web.routes.prometheus_parameters import SELECTORS, Given, given, invalid, truth, whole
from web.routes.prometheus_replies import Parameter, Schema, offer, ok

router = APIRouter(prefix="/api/v1")
FILE = "catalog.toml"
"""Where thresholds stand: the catalogue of the product."""
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
ALERT: Schema = {
    "type": "object",
    "required": ["labels", "annotations", "state", "activeAt", "value"],
    "properties": {
        "labels": LABELS,
        "annotations": LABELS,
        "state": {"type": "string", "enum": ["pending", "firing"]},
        "activeAt": {"type": "string", "format": "date-time"},
        "value": {"type": "string"},
    },
}
GROUPS: Schema = {"type": "object", "properties": {"groups": {"type": "array", "items": {"type": "object"}}}}
Json = dict[str, Any]


class _Evaluated(NamedTuple):
    """All rules, evaluated together in one read of the fleet."""

    rules: list[ThresholdRule]
    firing: list[Firing]
    at: str
    took_s: float


@offer(router, "/alerts", data={"type": "object", "properties": {"alerts": {"type": "array", "items": ALERT}}})
async def alerts(request: Request) -> Response:
    """What is firing."""
    evaluated = await _evaluate(parts(request))
    return ok({"alerts": [_alert(one) for one in evaluated.firing]})


@offer(
    router,
    "/rules",
    given=(
        Parameter("type", "only rules of this type", {"type": "string", "enum": ["alert", "record"]}),
        *(Parameter(f"{name}[]", "only these; repeatable", SELECTORS) for name in ("rule_name", "rule_group", "file")),
        Parameter("match[]", "only rules whose labels match; repeatable", SELECTORS),
        Parameter("exclude_alerts", "true leaves the alerts out", {"type": "boolean"}),
        Parameter("group_limit", "most groups of a page", {"type": "integer", "minimum": 1}),
        Parameter("group_next_token", "where the page before ended"),
    ),
    data=GROUPS,
)
async def rules(request: Request) -> Response:
    """The thresholds as alerting rules, a group for each concept; evaluated for this request, all in one read."""
    found = await given(request)
    wanted, limit = _chosen(found), _group_limit(found)
    bare = truth(found.get("exclude_alerts") or "false")
    if bare is None:
        text = found.get("exclude_alerts")
        why = f'error converting exclude_alerts: strconv.ParseBool: parsing "{text}": invalid syntax'
        raise invalid("exclude_alerts", why)
    evaluated = await _evaluate(parts(request))
    groups: dict[str, Json] = {}
    for rule in evaluated.rules:
        if wanted(rule):
            group = groups.setdefault(rule.concept, _group(rule.concept, evaluated))
            group["rules"].append(_rule_json(rule, evaluated, bare))
    return ok(_page(list(groups.values()), limit, found.get("group_next_token")))


async def _evaluate(p: Parts) -> _Evaluated:
    began = time.perf_counter()
    state = await p.queries.state()
    fires = await firing(p.queries, state)
    every = threshold_rules(p.queries.catalog, await p.queries.inventory())
    return _Evaluated(every, fires, rfc3339(state.time), round(time.perf_counter() - began, 6))


def _group(name: str, evaluated: _Evaluated) -> Json:
    return {
        "name": name,
        "file": FILE,
        "rules": [],
        "interval": FRESH_S,
        "limit": 0,
        "evaluationTime": evaluated.took_s,
        "lastEvaluation": evaluated.at,
    }


def _rule_json(rule: ThresholdRule, evaluated: _Evaluated, bare: bool) -> Json:
    mine = [_alert(one) for one in evaluated.firing if one.rule.name == rule.name]
    return {
        "state": "firing" if mine else "inactive",
        "name": rule.name,
        "query": rule.query,
        "duration": 0,
        "keepFiringFor": 0,
        "labels": _labels(rule),
        "annotations": {"summary": rule.summary},
        "alerts": [] if bare else mine,
        "health": "ok",
        "evaluationTime": evaluated.took_s,
        "lastEvaluation": evaluated.at,
        "type": "alerting",
    }


def _alert(one: Firing) -> Json:
    part = {} if one.part is None else {"part": one.part}
    return {
        "labels": {"alertname": one.rule.name, "server": one.server, **part, **_labels(one.rule)},
        "annotations": {"summary": one.rule.summary},
        "state": "firing",
        "activeAt": rfc3339(one.since),
        "value": scientific(one.value),
    }


def _labels(rule: ThresholdRule) -> dict[str, str]:
    return {"concept": rule.concept, "severity": rule.severity}


def scientific(value: float) -> str:
    """The value of an alert as Prometheus writes it.

    >>> scientific(95.0), scientific(0.0), scientific(0.025)
    ('9.5e+01', '0e+00', '2.5e-02')
    """
    if not math.isfinite(value):
        return plain(value)
    digits, _, power = format(Decimal(repr(value)).normalize(), "e").partition("e")
    return f"{digits}e{int(power):+03d}"


def _chosen(found: Given) -> Any:
    """Which rules are meant, as a test of one. Raises BadQuery."""
    kind = (found.get("type") or "").lower()
    if kind not in ("", "alert", "record"):
        raise invalid("type", f'not supported value "{kind}"')
    names, groups, files = (found.getlist(f"{name}[]") for name in ("rule_name", "rule_group", "file"))
    try:
        matches = [compile_matchers(selector(text)) for text in found.getlist("match[]")]
    except BadQuery as error:
        raise invalid("match[]", str(error)) from None

    def wanted(rule: ThresholdRule) -> bool:
        return (
            kind != "record"
            and (not names or rule.name in names)
            and (not groups or rule.concept in groups)
            and (not files or FILE in files)
            and (not matches or any(match(_labels(rule)) for match in matches))
        )

    return wanted


def _group_limit(found: Given) -> int | None:
    text = found.get("group_limit")
    if text is None:
        if found.get("group_next_token") is not None:
            raise invalid("group_next_token", "group_limit needs to be present in order to paginate over the groups")
        return None
    limit = whole(text)
    if limit is None or limit <= 0:
        raise invalid("group_limit", "group_limit needs to be a number greater than 0")
    return limit


def _page(groups: Sequence[Json], limit: int | None, token: str | None) -> Json:
    """Some of the groups; the token of the next page is the name of its first group."""
    names = [group["name"] for group in groups]
    if token is not None and token not in names:
        raise invalid("group_next_token", f"invalid group_next_token '{token}'. were rule groups changed?")
    first = 0 if token is None else names.index(token)
    last = len(groups) if limit is None else first + limit
    more = {"groupNextToken": names[last]} if last < len(names) else {}
    return {"groups": list(groups[first:last]), **more}
