"""What is unusual, what changed and since when, why, what moved together, and when something is full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.desk import Desk, cite, rows, series
from assistant.kinds import state
from assistant.kinds.history import arrays, bounds, lines, nothing_then
from assistant.kinds.values import narrowed, targets
from assistant.query import Draft, Query
from assistant.wording import insight as words
from engines.changepoint import since
from engines.correlation import correlate as together
from engines.rootcause import Edge
from monitoring.causes import DEPENDS, EDGES, Moved, began, likeliest
from monitoring.forecasts import SERIES, said_full, said_level
from monitoring.store.cold_rows import ForecastRow
from monitoring.windows import moment

HOUR = 3600


async def forecast(query: Query, desk: Desk) -> Draft:
    """When disks (or another concept) reach their limit, or the level at the asked time."""
    name = query.concept or "disk"
    concept = desk.concept(name)
    promql = desk.expression(name, targets(query, desk))
    if promql is None:
        return state.not_reported([name], query, desk)
    asked = query.time if query.time and query.time.kind == "horizon" else None
    horizon = None if asked is None else asked.end or asked.start
    end = horizon.timestamp() if horizon else desk.question.now + (30 * 24 * HOUR if query.servers else 7 * 24 * HOUR)
    threshold = query.thresholds[0].value if query.thresholds else None
    result = await desk.call(
        "forecast_metric", metric=promql, horizon=f"{end - desk.question.now:.0f}", threshold=threshold or concept.scale
    )
    found = narrowed(rows(result), query.part)
    if not found:
        start = desk.question.now - HOUR
        return await nothing_then(query, concept, promql, start, desk.question.now, desk)
    hits = [row for row in found if row["at"] is not None and row["evidence"] in ("ok", "reached")]
    asked_level = horizon is not None and concept.name != "disk"
    text = words.forecast(concept, hits, found, end, query, desk, level=asked_level)
    stated = _stated(concept.name, hits, found, end, query, desk, level=asked_level)
    evidence = cite(result)
    if stated and SERIES in desk.inventory.metrics:
        kept = await desk.ask(f'sum by (verdict) ({SERIES}{{concept="{concept.name}",kind="{stated[0].kind}"}})')
        if record := words.track_record(rows(kept), query.language):
            text, evidence = f"{text} {record}", [*evidence, *cite(kept)]
    return Draft(text, evidence=evidence, mentioned=_servers(hits or found[:1]))


def _stated(
    concept: str,
    hits: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    end: float,
    query: Query,
    desk: Desk,
    *,
    level: bool,
) -> list[ForecastRow]:
    """The forecasts that the answer states, as they are kept to be judged."""
    now = desk.question.now
    if level and query.servers:
        said = [said_level(row, concept, end, now) for row in found if row["server"] and row["level"] is not None]
    else:
        said = [said_full(row, concept, now) for row in hits[:10] if row["server"] and row["evidence"] == "ok"]
    if desk.forecasts is not None:
        desk.forecasts.note(said)
    return said


async def anomaly(query: Query, desk: Desk) -> Draft:
    """What departs from its habit, of the fleet or of the asked servers."""
    start, end = _recent(query, desk)
    result = await _unusual(query, desk, start, end)
    found = [row for row in rows(result) if not query.concepts or row["concept"] in query.concepts]
    text = words.anomaly(found, (start, end), query, desk)
    bands = _bands(result, query)
    told = words.normal(bands, end, query, desk)
    asked = any(words.asked(query, desk.concept(row["concept"])) is not None for row in bands)
    text = "\n".join([*told, text] if asked else [text, *told])
    return Draft(text, evidence=[*cite(result), *_proofs(bands, result, desk)], mentioned=_servers(found))


def _bands(result: dict[str, Any], query: Query) -> list[dict[str, Any]]:
    """What is normal for the asked concepts of the asked servers."""
    known: list[dict[str, Any]] = result.get("details", {}).get("normal", [])
    return [row for row in known if row["concept"] in query.concepts and query.part in (None, row["part"])]


def _proofs(bands: list[dict[str, Any]], result: dict[str, Any], desk: Desk) -> list[dict[str, Any]]:
    """The bands as evidence: the history of each concept with what is normal by it."""
    found = []
    for name in dict.fromkeys(row["concept"] for row in bands):
        promql = desk.expression(name, list(dict.fromkeys(row["server"] for row in bands if row["concept"] == name)))
        for item in (result["evidence"], *result["evidence"].get("also", [])):
            if item.get("query") == promql:
                rows_ = [list(row.values()) for row in bands if row["concept"] == name]
                facts = {key: value for key, value in item.items() if key not in ("also", "as_of")}
                found.append({**facts, "columns": list(bands[0]), "rows": rows_})
                break
    return found


async def changed(query: Query, desk: Desk) -> Draft:
    """What changed in the asked time; with one server and concept (or an outage), since when."""
    if query.servers and (query.concepts or query.status == "offline"):
        return await since_when(query, desk)
    start, end = _recent(query, desk)
    result = await _unusual(query, desk, start, end)
    text = words.changed(rows(result), (start, end), query, desk)
    return Draft(text, evidence=cite(result), mentioned=_servers(rows(result)))


async def since_when(query: Query, desk: Desk) -> Draft:
    """The onset of the present level of a server's concept, or of its outage."""
    server = query.servers[0]
    if query.status == "offline" or query.concept == "up":
        result = await desk.call("list_alerts", severity="critical", limit=100)
        gone = [r for r in rows(result) if r["concept"] == "up" and r["server"] == server]
        return Draft(words.down_since(server, gone, desk, query), evidence=cite(result), mentioned=(server,))
    name = query.concept or "cpu"
    concept = desk.concept(name)
    promql = desk.expression(name, [server])
    if promql is None:
        return state.not_reported([name], query, desk)
    now = desk.question.now
    found = None
    for hours in (3, 24):
        result = await desk.ask(promql, window=f"{now - hours * HOUR:.0f}/{now:.0f}", points=180)
        for one in narrowed(series(result), query.part):
            times, values = arrays(one["points"])
            found = since(times, values, scale=concept.scale) or found
        if found:
            break
    if not series(result):
        return await nothing_then(query, concept, promql, now - HOUR, now, desk)
    text = words.since(server, concept, found, query, desk)
    return Draft(text, evidence=cite(result), charts=[lines(concept, result, query)], mentioned=(server,))


async def cause(query: Query, desk: Desk) -> Draft:
    """What moved first and most among all servers around the symptom."""
    now = desk.question.now
    if query.time is None:
        start, end = now - 2 * HOUR, now
    elif query.time.kind == "moment":
        start, end = query.time.start.timestamp() - HOUR, query.time.start.timestamp() + HOUR / 2
    else:
        start, end = bounds(query.time, desk)
        start -= HOUR / 2
    end = min(end, now)
    result = await desk.call("find_anomalies", window=f"{start:.0f}/{end:.0f}", limit=100)
    found = rows(result)
    symptoms = [row for row in found if _is_symptom(row, query, desk)]
    present = await _present(query, desk) if query.time is None else None
    if not symptoms:
        text = words.no_symptom(query, (start, end), present, desk)
        return Draft(text, evidence=cite(result, *([present] if present else [])), mentioned=query.servers)
    others, felt = [row for row in found if row not in symptoms], [moved(row) for row in symptoms]
    known = await desk.ask(EDGES) if DEPENDS in desk.inventory.metrics else None
    ranked = likeliest([moved(row) for row in others], felt, None if known is None else edges(known))
    causes = [(c, next(r for r in others if (r["server"], r["concept"]) == (c.server, c.concept))) for c in ranked[:3]]
    text = words.cause(symptoms, causes, began(felt), query, desk, present)
    mentioned = _servers(symptoms[:3]) + tuple(c.server for c, _ in causes)
    cited = cite(result, *([present] if present else []), *([known] if known else []))
    return Draft(text, evidence=cited, mentioned=mentioned)


def edges(known: dict[str, Any]) -> list[Edge]:
    """The edges that the query `EDGES` gives, callers first."""
    return [(row["server"], row["on"]) for row in rows(known) if row.get("server")]


async def correlate(query: Query, desk: Desk) -> Draft:
    """Whether two named series moved together, or what moved with one."""
    server = query.servers[0] if query.servers else None
    start, end = bounds(query.time, desk)
    if len(query.concepts) > 1 or len(query.servers) > 1 or (query.group and server):
        return await _pair(query, desk, start, end)
    if server is None:
        return Draft(words.which_server(query.language), "clarify")
    name = query.concept or "cpu"
    result = await desk.call("correlate", server=server, metric=name, window=f"{start:.0f}/{end:.0f}", limit=5)
    text = words.moved_together(server, desk.concept(name), rows(result), query, desk)
    return Draft(text, evidence=cite(result), mentioned=(server, *_servers(rows(result))))


async def _pair(query: Query, desk: Desk, start: float, end: float) -> Draft:
    sides = _sides(query, desk)
    results, tracks = [], []
    for _, promql in sides:
        if promql is None:
            return state.not_reported(list(query.concepts), query, desk)
        result = await desk.ask(promql, window=f"{start:.0f}/{end:.0f}", points=200)
        results.append(result)
        tracks.append(arrays(series(result)[0]["points"]) if series(result) else None)
    if tracks[0] is None or tracks[1] is None:
        return Draft(words.nothing_to_compare(query.language), "no_data", evidence=cite(*results))
    found = together(*tracks[0], *tracks[1], 900.0)
    text = words.pair((sides[0][0], sides[1][0]), found, (start, end), query, desk)
    charts = [
        lines(desk.concept(query.concepts[min(k, len(query.concepts) - 1)]), r, query) for k, r in enumerate(results)
    ]
    return Draft(text, evidence=cite(*results), charts=charts, mentioned=query.servers)


def _sides(query: Query, desk: Desk) -> list[tuple[str, str | None]]:
    """The two series asked about, each with its name and PromQL. The group goes with the concept it reports."""
    first, second = query.concepts[0], query.concepts[-1]
    who: list[list[str]] = [[s] for s in query.servers]
    if query.group:
        who.insert(0, desk.inventory.of_type(query.group))
    if len(who) == 1:
        who *= 2
    if len(who) > 1 and not desk.expression(first, who[0]) and desk.expression(first, who[1]):
        who[0], who[1] = who[1], who[0]
    names = [query.group if len(ids) > 1 and query.group else ids[0] for ids in who[:2]]
    sides: list[tuple[str, str | None]] = []
    for name, ids, concept in zip(names, who, (first, second), strict=False):
        promql = desk.expression(concept, ids)
        if promql and len(ids) > 1:
            promql = f"avg({promql})"
        elif promql and desk.concept(concept).part:
            promql = f"max({promql})"
        sides.append((f"{name} {desk.concept(concept).title[query.language]}", promql))
    return sides


async def _unusual(query: Query, desk: Desk, start: float, end: float) -> dict[str, Any]:
    wanted = targets(query, desk)
    chosen = wanted if wanted and len(wanted) <= 20 else None
    return await desk.call("find_anomalies", window=f"{start:.0f}/{end:.0f}", servers=chosen, limit=50)


def _recent(query: Query, desk: Desk) -> tuple[float, float]:
    """The asked span; an hour where none was said, three hours where one server was named."""
    if query.time is not None and query.time.kind == "span":
        return bounds(query.time, desk)
    now = desk.question.now
    if query.time is not None and query.time.kind == "moment":
        return query.time.start.timestamp() - HOUR / 2, min(query.time.start.timestamp() + HOUR, now)
    return now - (3 if query.servers else 1) * HOUR, now


async def _present(query: Query, desk: Desk) -> dict[str, Any] | None:
    if not (query.servers and query.concepts):
        return None
    promql = desk.expression(query.concepts[0], list(query.servers))
    return await desk.ask(promql) if promql else None


def _is_symptom(row: dict[str, Any], query: Query, desk: Desk) -> bool:
    if query.servers and row["server"] not in query.servers:
        return False
    if query.group and row["server"] not in desk.inventory.of_type(query.group):
        return False
    if not query.concepts:
        return bool(query.servers or query.group)
    return row["concept"] in query.concepts


def moved(row: dict[str, Any]) -> Moved:
    """A row of `find_anomalies` as one that may be a cause."""
    return Moved(row["server"], row["concept"], moment(row["start"]), row["value"], row["expected"], row["score"])


def _servers(found: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row["server"] for row in found if row["server"]))
