"""The rules and what is pending or firing by them, in Prometheus' shape, from the record of alerts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.alerts import Alert
from monitoring.alerts_record import Present
from monitoring.errors import BadQuery
from monitoring.listing import selector
from monitoring.promql.format import plain
from monitoring.promql.select import compile_matchers
from monitoring.windows import rfc3339
from web.parts import Parts, parts
from web.routes.prometheus_parameters import SELECTORS, Given, given, invalid, truth, whole
from web.routes.prometheus_replies import Parameter, Schema, offer, ok

router = APIRouter(prefix="/api/v1")
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


@offer(router, "/alerts", data={"type": "object", "properties": {"alerts": {"type": "array", "items": ALERT}}})
async def alerts(request: Request) -> Response:
    """What is pending or firing."""
    present = await _present(parts(request))
    return ok({"alerts": [_alert(one) for one in present.alerts if one.state != "resolved"]})


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
    """The rules by group: the catalogue's thresholds, a group for each concept, and those of rule files."""
    found = await given(request)
    wanted, limit = _chosen(found), _group_limit(found)
    bare = truth(found.get("exclude_alerts") or "false")
    if bare is None:
        text = found.get("exclude_alerts")
        why = f'error converting exclude_alerts: strconv.ParseBool: parsing "{text}": invalid syntax'
        raise invalid("exclude_alerts", why)
    p = parts(request)
    present = await _present(p)
    groups = [_group(group, present, p.settings.rule_interval, wanted, bare) for group in present.groups]
    return ok(_page([group for group in groups if group["rules"]], limit, found.get("group_next_token")))


async def _present(p: Parts) -> Present:
    """The record; where this process evaluates, as of the newest samples."""
    if (loop := p.alert_loop()) is not None:
        await loop.refresh()
    return await p.record.present()


def _group(group: Json, present: Present, interval_s: float, wanted: Any, bare: bool) -> Json:
    rules = [rule for rule in group["rules"] if wanted(group, rule)]
    last = max((rule["at"] for rule in group["rules"]), default=0.0)
    return {
        "name": group["name"],
        "file": group["file"],
        "rules": [_rule(group, rule, present, bare) for rule in rules],
        "interval": group["interval"] or interval_s,
        "limit": group["limit"],
        "evaluationTime": round(sum(rule["took_s"] for rule in group["rules"]), 6),
        "lastEvaluation": rfc3339(last),
    }


def _rule(group: Json, rule: Json, present: Present, bare: bool) -> Json:
    common = {
        "name": rule["name"],
        "query": rule["query"],
        "labels": rule["labels"],
        "health": "err" if rule["error"] else "ok" if rule["at"] else "unknown",
        **({"lastError": rule["error"]} if rule["error"] else {}),
        "evaluationTime": rule["took_s"],
        "lastEvaluation": rfc3339(rule["at"]),
    }
    if rule["kind"] == "recording":
        return {**common, "type": "recording"}
    key = f"{group['file']};{group['name']}"
    mine = [one for one in present.alerts if (one.group, one.rule) == (key, rule["name"]) and one.state != "resolved"]
    states = {one.state for one in mine}
    return {
        **common,
        "state": "firing" if "firing" in states else "pending" if states else "inactive",
        "duration": rule["for"],
        "keepFiringFor": rule["keep"],
        "annotations": rule["annotations"],
        "alerts": [] if bare else [_alert(one) for one in mine],
        "type": "alerting",
    }


def _alert(one: Alert) -> Json:
    kept = {} if one.ended_at is None else {"keepFiringSince": rfc3339(one.ended_at)}
    return {
        "labels": one.labels,
        "annotations": one.annotations,
        "state": one.state,
        "activeAt": rfc3339(one.active_at),
        **kept,
        "value": scientific(one.value),
    }


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

    def wanted(group: Json, rule: Json) -> bool:
        return (
            (not kind or rule["kind"].startswith(kind))
            and (not names or rule["name"] in names)
            and (not groups or group["name"] in groups)
            and (not files or group["file"] in files)
            and (not matches or any(match(rule["labels"]) for match in matches))
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
