"""Reports as answers: an incident told from the record, the day, a hand-over, and what is too big or too small.

An answer says the first lines; the whole report is a document at `Draft.report`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlencode

from assistant.desk import Desk, cite
from assistant.kinds import values
from assistant.query import Draft, Query
from assistant.wording import report as words
from assistant.wording.phrases import each
from assistant.wording.report_phrases import Voice
from assistant.wording.state import nothing_connected
from monitoring.briefing import DAY_S, LEAD_S, Sources, gather, last_incident
from monitoring.briefing_facts import Asked, Facts, ReportKind
from monitoring.forecasts import said_coming

SHIFT_S = 8 * 3600.0
SAID: tuple[tuple[ReportKind, re.Pattern[str]], ...] = (
    ("handover", re.compile(r"hand-?\s?over|\bshift\b|인수\s?인계|교대", re.IGNORECASE)),
    ("incident", re.compile(r"incident|outage|post-?\s?mortem|what happened|장애|사고|무슨 ?일", re.IGNORECASE)),
    ("capacity", re.compile(r"capacity|sizing|용량|사이징", re.IGNORECASE)),
    ("daily", re.compile(r"dail|today|morning|일일|데일리|하루|오늘|아침|점검", re.IGNORECASE)),
)
BIG = re.compile(
    r"over-?\s?(?:provision|siz)|too (?:big|large)|wast|under-?\s?util|shrink|downsiz"
    r"|과잉|과다|남는|낭비|놀고|오버스펙|너무 ?큰",
    re.IGNORECASE,
)
SMALL = re.compile(
    r"under-?\s?(?:provision|siz)|too small|\bmore\b|bigger|larger|upsiz|증설|부족|모자|너무 ?작", re.IGNORECASE
)


async def report(query: Query, desk: Desk) -> Draft:
    """The report that was asked for, or the one that fits the time."""
    kind = kind_of(query)
    asked = _asked(kind, query, desk)
    sources = Sources(desk.call, desk.inventory, desk.catalog)
    if kind == "incident" and query.time is None:
        asked = await last_incident(asked, sources)
    facts = await gather(asked, sources, whole=False)
    if desk.forecasts is not None:
        desk.forecasts.note(said_coming(one, asked.end) for one in facts.coming)
    return _drafted(facts, query, desk)


async def capacity(query: Query, desk: Desk) -> Draft:
    """Servers that are too big or too small; where none is, those nearest to it."""
    asked = _asked("capacity", query, desk)
    facts = await gather(asked, Sources(desk.call, desk.inventory, desk.catalog), whole=False)
    if not facts.sizes:
        return _drafted(facts, query, desk)
    count = len(facts.sizes)
    wanted = {"big"} if BIG.search(query.text) else {"small"} if SMALL.search(query.text) else {"big", "small"}
    group = set(desk.inventory.of_type(query.group)) if query.group else None
    facts.sizes = [one for one in facts.sizes if group is None or one.server in group]
    if query.concepts != ("cpu",):  # what stands there where nothing was said
        facts.sizes = [one for one in facts.sizes if one.verdict != "small" or {*one.because} & {*query.concepts}]
    if not any(one.verdict in wanted for one in facts.sizes):
        nearest = await values.rank(query.but(descending="big" not in wanted), desk)
        text = words.none_sized(wanted, count, _voice(query, desk))
        return replace(nearest, text=f"{text}\n{nearest.text}", report=_link(asked, query, desk))
    facts.sizes = [one for one in facts.sizes if one.verdict in wanted]
    return _drafted(facts, query, desk)


def kind_of(query: Query) -> ReportKind:
    """Which report a question asks for: by its words, else by its time."""
    said = next((kind for kind, pattern in SAID if pattern.search(query.text)), None)
    if said is not None:
        return said
    return "daily" if query.time is None else "incident"


def _asked(kind: ReportKind, query: Query, desk: Desk) -> Asked:
    """The time of the report, by its kind and what was said."""
    now = desk.question.now
    servers = query.servers
    if not servers and query.group:
        servers = tuple(desk.inventory.of_type(query.group))
    if query.time is None or query.time.kind == "horizon" or kind == "capacity":
        length = SHIFT_S if kind == "handover" else DAY_S
        return Asked(kind, now - length, now, now, servers)
    start = query.time.start.timestamp()
    if kind == "incident":
        end = query.time.end.timestamp() if query.time.end else start + 3 * LEAD_S
        return Asked(kind, start - LEAD_S, max(min(end, now), start), now, servers)
    end = min(query.time.end.timestamp() if query.time.end else now, now)
    if start >= now or end - start < 3600:
        start, end = now - (SHIFT_S if kind == "handover" else DAY_S), now
    if kind == "daily" and end == now:
        start = min(start, now - DAY_S)
    return Asked(kind, start, end, now, servers)


def _drafted(facts: Facts, query: Query, desk: Desk) -> Draft:
    voice = _voice(query, desk)
    if not desk.inventory.servers:
        return Draft(nothing_connected(query.language), "no_data")
    text = " ".join(line.text for line in words.lead(facts, voice))
    for title, lines in words.key_lines(facts, voice):
        text += f"\n{title}:\n" + each([line.text for line in lines], query.language, 10)
    link = _link(facts.asked, query, desk)
    return Draft(text, evidence=cite(*facts.evidence), mentioned=words.mentioned(facts), report=link)


def _link(asked: Asked, query: Query, desk: Desk) -> dict[str, str]:
    """Where the whole report is, of the same time and as of the same moment."""
    given = {
        "kind": asked.kind,
        "start": f"{asked.start:.3f}",
        "end": f"{asked.end:.3f}",
        "now": f"{asked.now:.3f}",
        "lang": query.language,
        "timezone": str(desk.question.zone),
    }
    named = [("server", one) for one in asked.servers[:50]]
    url = f"/api/reports?{urlencode([*given.items(), *named])}"
    return {"kind": asked.kind, "url": f"{url}&format=html", "markdown": f"{url}&format=md"}


def _voice(query: Query, desk: Desk) -> Voice:
    return Voice(query.language, desk.question.zone, desk.question.now, desk.catalog)
