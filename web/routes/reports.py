"""The route of reports: incident, day, hand-over and capacity, as Markdown, as one HTML page, or as JSON."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from assistant.document import Document
from assistant.wording.report_phrases import Voice
from assistant.wording.report_sections import document
from monitoring.briefing import DAY_S, Sources, gather, last_incident, reader
from monitoring.briefing_facts import Asked, Facts, ReportKind
from monitoring.errors import BadQuery
from monitoring.forecasts import said_coming
from monitoring.windows import moment
from web.envelope import success
from web.parts import Parts, parts
from web.reports.markdown import markdown
from web.reports.page import CSP, page

router = APIRouter(prefix="/api/reports")
SHIFT_S = 8 * 3600.0
LONGEST_S = 31 * DAY_S
FILES = ("text/html", "text/markdown")
Time = Annotated[str | None, Query(max_length=40)]


@router.get("", responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in FILES}}})
async def report(
    request: Request,
    kind: Annotated[ReportKind, Query()] = "daily",
    format: Annotated[Literal["md", "html", "json"], Query()] = "html",  # noqa: A002 - the parameter's name
    start: Time = None,
    end: Time = None,
    now: Time = None,
    lang: Annotated[Literal["en", "ko"], Query()] = "en",
    timezone: Annotated[str | None, Query(max_length=60)] = None,
    server: Annotated[list[str] | None, Query(max_length=50)] = None,
) -> Response:
    """A report of a time, of all servers or of some, as of `now`: the same at the same `now`."""
    p = parts(request)
    zone = _zone(timezone, p.zone)
    facts = await _facts(p, kind, start, end, now, server or [])
    p.forecasts.note(said_coming(one, facts.asked.end) for one in facts.coming)
    told = document(facts, Voice(lang, zone, facts.asked.now, p.queries.catalog))
    if format == "json":
        shown = {**asdict(replace(facts, evidence=[])), "document": asdict(told)}
        shown.pop("evidence")
        return success(shown)
    return _file(told, format, zone)


async def _facts(
    p: Parts, kind: ReportKind, start: str | None, end: str | None, now: str | None, names: list[str]
) -> Facts:
    """What the report says. Raises BadQuery, UnknownServer."""
    at = p.clock() if now is None else moment(now)
    last = min(at if end is None else moment(end), at)
    first = last - (SHIFT_S if kind == "handover" else DAY_S) if start is None else moment(start)
    if first >= last:
        raise BadQuery("the report ends before it starts")
    if last - first > LONGEST_S:
        raise BadQuery("a report is about 31 days at most")
    inventory = await p.queries.inventory()
    servers = tuple(dict.fromkeys(inventory.resolve(name).id for name in names))
    asked = Asked(kind, first, last, at, servers)
    sources = Sources(reader(p.queries, at), inventory, p.queries.catalog)
    if kind == "incident" and start is None:
        asked = await last_incident(asked, sources)
    return await gather(asked, sources)


def _file(told: Document, form: str, zone: tzinfo) -> Response:
    name = f"{told.kind}-{told.subtitle[:10]}.{form}"
    headers = {"Cache-Control": "no-cache", "Content-Disposition": f'inline; filename="{name}"'}
    if form == "md":
        return Response(markdown(told), headers=headers, media_type="text/markdown; charset=utf-8")
    headers["Content-Security-Policy"] = CSP
    return Response(page(told, zone), headers=headers, media_type="text/html; charset=utf-8")


def _zone(name: str | None, other: tzinfo) -> tzinfo:
    if name is None:
        return other
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadQuery(f"no time zone '{name}'; write an IANA name such as Asia/Seoul") from None
