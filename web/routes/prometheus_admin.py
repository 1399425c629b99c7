"""Prometheus' admin API: deletes, and a snapshot, where `--admin-api` allows it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from monitoring.errors import BadQuery
from monitoring.listing import selector
from monitoring.store.backup import backup
from web.parts import Parts, parts
from web.routes.prometheus_parameters import END, FAR_S, MATCH, START, given, invalid, truth
from web.routes.prometheus_replies import Parameter, offer, ok, refused

router = APIRouter(prefix="/api/v1/admin/tsdb")
CHANGES: Sequence[str] = ("POST", "PUT")
FOLDER = "snapshots"
NAME: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}


@offer(
    router,
    "/delete_series",
    methods=CHANGES,
    given=(MATCH._replace(required=True), START, END),
    data=None,
    refuses=True,
)
async def delete_series(request: Request) -> Response:
    """Deletes samples of the series that match, for good."""
    p = parts(request)
    if not p.settings.admin_api:
        return _disabled()
    found = await given(request)
    if not found.getlist("match[]"):
        raise BadQuery("no match[] parameter provided")
    start, end = found.time("start", -FAR_S), found.time("end", FAR_S)
    try:
        wanted = [selector(text) for text in found.getlist("match[]")]
    except BadQuery as error:
        raise invalid("match[]", str(error)) from None
    for matchers in wanted:
        await p.store.delete(matchers, round(start * 1000), round(end * 1000))
    return Response(status_code=204)


@offer(router, "/clean_tombstones", methods=CHANGES, data=None, refuses=True)
async def clean_tombstones(request: Request) -> Response:
    """Nothing is left to clean: what was deleted is gone already."""
    return Response(status_code=204) if parts(request).settings.admin_api else _disabled()


@offer(
    router,
    "/snapshot",
    methods=CHANGES,
    given=(Parameter("skip_head", "not supported: a snapshot holds everything", {"type": "boolean"}),),
    data=NAME,
    refuses=True,
)
async def snapshot(request: Request) -> Response:
    """Backs up everything into `DATA_DIR/snapshots/NAME`, a file for `openmanager restore`."""
    p = parts(request)
    if not p.settings.admin_api:
        return _disabled()
    text = (await given(request)).get("skip_head") or "false"
    if truth(text) is None:
        raise invalid("skip_head", f'unable to parse boolean: strconv.ParseBool: parsing "{text}": invalid syntax')
    if truth(text):
        raise invalid("skip_head", "a snapshot always holds the newest samples too")
    return ok({"name": await _snapshot(p)})


async def _snapshot(p: Parts) -> str:
    if p.store.cold is None:
        raise BadQuery("there is no history to back up")
    folder = p.settings.data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
    await backup(p.store, p.store.cold, folder / name)
    return name


def _disabled() -> Response:
    return refused(403, "unavailable", "admin APIs disabled; start with --admin-api")
