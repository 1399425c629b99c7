"""Reports: an incident told from the record (impact, likely cause, timeline), and the state of the day."""

from __future__ import annotations

from assistant.desk import Desk, cite, rows
from assistant.kinds import insight, state
from assistant.query import Draft, Query
from assistant.wording import insight as words
from engines.rootcause import rank_causes
from monitoring.windows import moment

HOUR = 3600
SYMPTOMS = ("errors", "latency", "up")


async def report(query: Query, desk: Desk) -> Draft:
    """An incident report where a time in the past is named, else the state of the fleet with what comes."""
    if query.time is None or query.time.text.lower() in ("today", "오늘"):
        return await _daily(query, desk)
    start = query.time.start.timestamp() - HOUR / 2
    end = query.time.end.timestamp() if query.time.end else query.time.start.timestamp() + 1.5 * HOUR
    end = min(end, desk.question.now)
    result = await desk.call("find_anomalies", window=f"{start:.0f}/{end:.0f}", limit=100)
    found = sorted(
        (row for row in rows(result) if start <= moment(row["start"]) <= end), key=lambda row: str(row["start"])
    )
    if not found:
        return Draft(words.changed([], (start, end), query, desk), evidence=cite(result))
    felt = [row for row in found if row["concept"] in SYMPTOMS] or found
    onset = min(moment(row["start"]) for row in felt)
    known = await insight.depends(desk)
    ranked = rank_causes(onset, [insight.candidate(row) for row in found], insight.edges(known))
    first = next((r for c in ranked for r in found if (r["server"], r["concept"]) == (c.server, c.concept)), None)
    text = words.incident(found, first, (start, end), query, desk)
    cited = cite(result, *([known] if known else []))
    return Draft(text, evidence=cited, mentioned=tuple(dict.fromkeys(row["server"] for row in found)))


async def _daily(query: Query, desk: Desk) -> Draft:
    now = await state.overview(query, desk)
    coming = await insight.forecast(query.but(concepts=("disk",), time=None, servers=()), desk)
    return Draft(f"{now.text}\n{coming.text}", now.status, [*now.evidence, *coming.evidence], mentioned=now.mentioned)
