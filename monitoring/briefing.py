"""Facts for a report, read by the tools that answer questions: the same figures and fallbacks, each with its query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from monitoring.briefing_cause import impact, suspects
from monitoring.briefing_facts import Asked, Coming, Course, Departure, Facts, Fired, Notes, Proof
from monitoring.briefing_sizes import size_queries, sizes
from monitoring.catalog import Catalog
from monitoring.causes import DEPENDS, EDGES
from monitoring.errors import QueryTooExpensive
from monitoring.expressions import expression
from monitoring.fleet import CONCEPTS
from monitoring.inventory import Inventory
from monitoring.queries import FleetQueries
from monitoring.thresholds import GONE
from monitoring.windows import moment

Json = dict[str, Any]
Read = Callable[..., Awaitable[Json]]
"""A method of `FleetQueries` by its name, with its arguments; returns what `Reading.to_json` gives."""
DAY_S = 86_400.0
LEAD_S = 1_800.0
"""An incident is told from this long before its first sign, to this long after its last."""
APART_S = 1_800.0
"""Alerts that begin further apart belong to different incidents."""
SETTLED_S = 300.0
"""Up to this long ago is the present."""
AHEAD_S = 7 * DAY_S
POINTS = 120
MOST = 100


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts come from."""

    read: Read
    inventory: Inventory
    catalog: Catalog


def reader(queries: FleetQueries, now: float) -> Read:
    """`Read` straight from the queries, as of `now`. Raises what they raise."""

    async def read(tool: str, **arguments: Any) -> Json:
        given = {name: value for name, value in {"at": now, **arguments}.items() if value is not None}
        reading = await getattr(queries, tool)(**given)
        body: Json = reading.to_json()
        return body

    return read


async def gather(asked: Asked, sources: Sources, *, whole: bool = True) -> Facts:
    """The facts of a report; not `whole`: without what only a document shows, such as series to be drawn."""
    facts = Facts(asked)
    if asked.kind == "incident":
        await _incident(facts, sources)
        if whole:
            await _drawn_incident(facts, sources)
    elif asked.kind == "capacity":
        await _sizes(facts, sources)
        if whole:
            await _coming(facts, sources, 30 * DAY_S)
    else:
        await _state(facts, sources)
        await _fired(facts, sources)
        await _departures(facts, sources)
        await _coming(facts, sources, AHEAD_S if asked.kind == "daily" else 2 * DAY_S)
        if asked.kind == "handover":
            await _firing(facts, sources)
        elif whole:
            await _sizes(facts, sources)
        if whole:
            await _drawn_fleet(facts, sources)
    return facts


async def last_incident(asked: Asked, sources: Sources) -> Asked:
    """The report narrowed to the last incident within its time, by when alerts began; as it is where none did."""
    result = await sources.read("list_alerts", state="all", window=asked.window, limit=MOST)
    found = [one for one in _fired_rows(result, Facts(asked), sources) if asked.about(one.server)]
    began = [(one.since, one.until or asked.end) for one in found if one.since is not None and one.since > asked.start]
    if not began:
        return asked
    start, end = max(began)
    for since, until in sorted(began, reverse=True):
        if since < start - APART_S:
            break
        start, end = since, max(end, until)
    return replace(asked, start=max(asked.start, start - LEAD_S), end=min(asked.end, end + LEAD_S))


async def _incident(facts: Facts, sources: Sources) -> None:
    await _departures(facts, sources)
    await _fired(facts, sources)
    if facts.asked.end >= facts.asked.now - SETTLED_S:
        await _gone(facts, sources)
    facts.departures.sort(key=lambda one: (one.since, one.server, one.concept))
    facts.impact = impact(facts.departures, facts.fired, facts.asked.end, sources.catalog)
    edges = None
    if DEPENDS in sources.inventory.metrics:
        known = await sources.read("query_metric", metric=EDGES)
        note(facts, known)
        edges = [(row["server"], row["on"]) for row in rows(known) if row.get("server")]
    facts.suspects = suspects(facts.departures, edges)


async def _state(facts: Facts, sources: Sources) -> None:
    result = await sources.read("fleet_summary", at=facts.asked.end)
    details = result["details"]
    facts.bad = [one for one in details["states"] if facts.asked.about(one["server"])]
    facts.servers, facts.counts, facts.means = details["servers"], details["counts"], details["means"]
    seen = note(facts, result)
    facts.state_notes = {name: _about(seen, facts, sources, (name,)) for name in CONCEPTS}


async def _fired(facts: Facts, sources: Sources) -> None:
    result = await sources.read("list_alerts", state="all", window=facts.asked.window, limit=MOST)
    facts.fired = [one for one in _fired_rows(result, facts, sources) if facts.asked.about(one.server)]


async def _firing(facts: Facts, sources: Sources) -> None:
    result = await sources.read("list_alerts", at=facts.asked.end, limit=MOST)
    facts.firing = [one for one in _fired_rows(result, facts, sources) if facts.asked.about(one.server)]
    facts.silences = result.get("details", {}).get("silences", [])


async def _gone(facts: Facts, sources: Sources) -> None:
    """Adds the servers that are offline now and fell silent within the time, which no rule may have seen yet."""
    known = {(one.server, one.concept) for one in facts.fired if one.until is None}
    result = await sources.read("list_alerts", at=facts.asked.end, severity="critical", limit=MOST)
    for one in _fired_rows(result, facts, sources):
        new = one.concept == GONE and (one.server, one.concept) not in known and facts.asked.about(one.server)
        if new and one.since is not None and one.since >= facts.asked.start:
            facts.fired.append(one)
    facts.fired.sort(key=lambda one: (one.since or 0.0, one.server or "", one.alert, one.part or ""))


def _fired_rows(result: Json, facts: Facts, sources: Sources) -> list[Fired]:
    seen = note(facts, result)
    korean = result.get("details", {}).get("korean", {})
    found = []
    for row in rows(result):
        since, until = (None if row.get(k) is None else moment(row[k]) for k in ("since", "until"))
        summary = row.get("summary")
        found.append(
            Fired(
                row["server"],
                row["concept"],
                row["part"],
                row["severity"],
                row["value"],
                row["threshold"],
                since,
                until,
                row["alert"] if "alert" in row else f"{row['concept']}_{row['severity']}",
                summary,
                korean.get(summary, summary),
                row.get("note"),
                _about(seen, facts, sources, (row["concept"],)),
            )
        )
    return sorted(found, key=lambda one: (one.since or 0.0, one.server or "", one.alert, one.part or ""))


async def _departures(facts: Facts, sources: Sources) -> None:
    asked = facts.asked
    named = list(asked.servers) or None
    result = await sources.read("find_anomalies", window=asked.window, servers=named, limit=MOST)
    seen = note(facts, result)
    for row in rows(result):
        since = moment(row["start"])
        if asked.start <= since <= asked.end:
            until = None if row["end"] is None else moment(row["end"])
            proofs = _about(seen, facts, sources, (row["concept"],), asked.servers)
            figures = (row["value"], row["expected"], row["score"])
            facts.departures.append(
                Departure(row["server"], row["concept"], row["part"], since, until, *figures, proofs)
            )


async def _coming(facts: Facts, sources: Sources, ahead_s: float) -> None:
    """Disks that fill up within a time, soonest first."""
    concept = sources.catalog.concepts["disk"]
    query = expression(concept, sources.inventory, facts.asked.servers or None)
    if query is None:
        return
    horizon = f"{ahead_s:.0f}"
    result = await sources.read(
        "forecast_metric", metric=query, horizon=horizon, threshold=concept.scale, at=facts.asked.end
    )
    seen = note(facts, result)
    for row in rows(result):
        if row["evidence"] == "too_little":
            facts.unsure += 1
        if row["evidence"] == "ok" and row["at"] is not None and row["server"]:
            times = [None if row[k] is None else moment(row[k]) for k in ("at", "low", "high")]
            at, low, high = times
            figures = (row["value"], row["limit"])
            facts.coming.append(
                Coming(
                    row["server"],
                    "disk",
                    row["part"],
                    *figures,
                    at or 0.0,
                    low,
                    high,
                    row["rate_per_hour"],
                    row["method"],
                    tuple(seen),
                )
            )


async def _sizes(facts: Facts, sources: Sources) -> None:
    asked, found = facts.asked, {}
    for days in (7, 1):
        try:
            for name, query in size_queries(sources.catalog, sources.inventory, asked.servers, days).items():
                result = await sources.read("query_metric", metric=query, at=asked.end)
                facts.size_notes[name] = tuple(note(facts, result))
                found[name] = rows(result)
            break
        except QueryTooExpensive:
            if days == 1:
                raise
    facts.sizes = sizes(found, sources.inventory, sources.catalog)


async def _drawn_incident(facts: Facts, sources: Sources) -> None:
    """The first suspect, and what was hit worst apart from it."""
    first = [one.departure for one in facts.suspects[:1]]
    wanted = [(one.server, one.concept, one.part) for one in first]
    wanted += [(one.server, one.concept, one.part) for one in facts.impact]
    hit = {(one.server, one.concept, one.part): one for one in facts.impact}
    for server, concept, part in list(dict.fromkeys(wanted))[:4]:
        query = expression(sources.catalog.concepts[concept], sources.inventory, [server], part=part)
        one = hit.get((server, concept, part))
        marked = None if one is None else (one.since, one.until or facts.asked.end)
        await _draw(facts, sources, query, (server, concept, part), facts.asked.window, marked)


async def _drawn_fleet(facts: Facts, sources: Sources) -> None:
    """The means of all servers over the day, and what fills up first."""
    for name in ("cpu", "memory"):
        query = expression(sources.catalog.concepts[name], sources.inventory, facts.asked.servers or None)
        if query is not None:
            await _draw(facts, sources, f"avg({query})", (None, name, None), facts.asked.window, None)
    for one in facts.coming[:2]:
        query = expression(sources.catalog.concepts[one.concept], sources.inventory, [one.server], part=one.part)
        await _draw(facts, sources, query, (one.server, one.concept, one.part), facts.asked.window, None)


async def _draw(
    facts: Facts,
    sources: Sources,
    query: str | None,
    what: tuple[str | None, str, str | None],
    window: str,
    marked: tuple[float, float] | None,
) -> None:
    if query is None:
        return
    result = await sources.read("query_metric", metric=query, window=window, points=POINTS)
    seen = note(facts, result)
    concept = sources.catalog.concepts[what[1]]
    limit = concept.warning if concept.worse == "high" else None
    for one in result.get("series", [])[:1]:
        points = tuple((float(t), v) for t, v in one["points"])
        facts.courses.append(Course(*what, points, limit, marked, tuple(seen)))


def rows(result: Json) -> list[Json]:
    """The rows of a tool's result as dictionaries by column."""
    return [dict(zip(result["columns"], row, strict=True)) for row in result.get("rows", [])]


def note(facts: Facts, result: Json) -> list[int]:
    """Enters the queries of a result among the proofs; returns their places."""
    facts.evidence.append(result)
    first = result["evidence"]
    places = []
    for item in (first, *first.get("also", ())):
        if "query" not in item:
            continue
        proof = Proof(item["query"], *(item.get(name) for name in ("time", "start", "end", "step")))
        if proof not in facts.proofs:
            facts.proofs.append(proof)
        places.append(facts.proofs.index(proof))
    return places


def _about(
    seen: Iterable[int], facts: Facts, sources: Sources, concepts: Iterable[str], servers: tuple[str, ...] = ()
) -> Notes:
    """Of the queries just noted, those that read one of the concepts; where none does, the first."""
    known = [sources.catalog.concepts[name] for name in concepts if name in sources.catalog.concepts]
    texts = [expression(concept, sources.inventory, servers or None) for concept in known]
    places = tuple(seen)
    found = tuple(k for k in places if any(text and text in facts.proofs[k].query for text in texts))
    return (found or places)[:3]
