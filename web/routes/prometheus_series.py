"""Which series there are, in Prometheus' words: labels, their values, series, and what metrics mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.errors import BadQuery
from web.parts import parts
from web.routes.prometheus_parameters import COUNT, END, LIMIT, MATCH, START, given, invalid, whole
from web.routes.prometheus_replies import TEXTS, TRUNCATED, Parameter, Schema, offer, ok

router = APIRouter(prefix="/api/v1")
BOTH = ("GET", "POST")
ESCAPED = "U__"
"""How a label's name begins that Prometheus' clients wrote in ASCII letters."""
AMONG = (MATCH, START, END, LIMIT)
METRIC = Parameter("metric", "only this metric")
FAMILY: Schema = {
    "type": "object",
    "required": ["type", "help", "unit"],
    "properties": {name: {"type": "string"} for name in ("type", "help", "unit")},
}
FAMILIES: Schema = {"type": "object", "additionalProperties": {"type": "array", "items": FAMILY}}
SERIES: Schema = {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}}
T = TypeVar("T")


@offer(router, "/labels", methods=BOTH, given=AMONG, data=TEXTS)
async def labels(request: Request) -> Response:
    """The names of labels."""
    among = (await given(request)).among()
    return _limited(await parts(request).listing.label_names(among), among.limit)


@offer(router, "/label/{name}/values", given=AMONG, data=TEXTS)
async def label_values(request: Request, name: str) -> Response:
    """The values of one label."""
    among = (await given(request)).among()
    name = unescaped(name)
    if not name.isprintable() or not name:
        raise BadQuery(f'invalid label name: "{name}"')
    return _limited(await parts(request).listing.label_values(name, among), among.limit)


@offer(router, "/series", methods=BOTH, given=(MATCH._replace(required=True), *AMONG[1:]), data=SERIES)
async def series(request: Request) -> Response:
    """The label sets of series that match."""
    found = await given(request)
    if not found.getlist("match[]"):
        raise BadQuery("no match[] parameter provided")
    try:
        among = found.among()
    except BadQuery as error:
        raise error if str(error).startswith("invalid parameter") else invalid("match[]", str(error)) from None
    listed = await parts(request).listing.series(among)
    return _limited([one if isinstance(one, dict) else dict(one) for one in listed], among.limit)


@offer(
    router,
    "/metadata",
    given=(METRIC, LIMIT, Parameter("limit_per_metric", "most entries of a metric", COUNT)),
    data=FAMILIES,
)
async def metadata(request: Request) -> Response:
    """Type, help and unit of metrics, as exporters and senders gave them."""
    found = await given(request)
    metric = found.get("metric")
    limits = []
    for name in ("limit", "limit_per_metric"):
        text = found.get(name) or "-1"
        limits.append(whole(text))
        if limits[-1] is None:
            raise BadQuery(f"{name} must be a number")
    most, each = (limit if limit is not None and limit >= 0 else None for limit in limits)
    known = await parts(request).listing.metadata()
    wanted = known if metric is None else {metric: known[metric]} if metric in known else {}
    return ok({name: rows[: each or None] for name, rows in list(wanted.items())[:most]})


def unescaped(name: str) -> str:
    """The label name that was escaped into ASCII letters (``U__``); any other comes back as it is.

    >>> unescaped("U__http_2e_status__code"), unescaped("U__bad_zz_"), unescaped("job")
    ('http.status_code', 'U__bad_zz_', 'job')
    """
    if not name.startswith(ESCAPED):
        return name
    pieces = re.fullmatch(r"(?:[^_]|__|_[0-9a-fA-F]{1,6}_)*", body := name.removeprefix(ESCAPED))
    points = [int(code, 16) for code in re.findall(r"(?:__)|_([0-9a-fA-F]{1,6})_", body) if code]
    if pieces is None or any(point > 0x10FFFF or 0xD800 <= point <= 0xDFFF for point in points):
        return name
    return re.sub(r"__|_([0-9a-fA-F]{1,6})_", lambda m: chr(int(m[1], 16)) if m[1] else "_", body)


def _limited(found: Sequence[T], limit: int) -> Response:
    if limit and len(found) > limit:
        return ok(found[:limit], [TRUNCATED])
    return ok(found)
