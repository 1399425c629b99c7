"""The past: a moment, a mean, an extreme and when, a percentile, a trend, and comparison with another time."""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.desk import Desk, cite, rows, series
from assistant.kinds import state, values
from assistant.kinds.values import narrowed, one_each, part_of, quantile, servers, statistic, targets
from assistant.query import Draft, Query
from assistant.wording import history as words
from engines.baseline import Floats
from engines.changepoint import changes
from engines.timespan import TimeSpan
from engines.trend import trend as line_through
from monitoring.catalog import Concept

DEFAULT_SPAN_S = 6 * 3600
SAME_S = 300


async def past(query: Query, desk: Desk) -> Draft:
    """A value at a moment or over a span, by the asked statistic."""
    name = query.concept or "cpu"
    concept = desk.concept(name)
    promql = desk.expression(name, targets(query, desk), quantile=quantile(query, concept))
    if promql is None:
        return state.not_reported([name], query, desk)
    if query.time is not None and query.time.kind == "moment":
        return await _moment(query, concept, promql, query.time.start.timestamp(), desk)
    start, end = bounds(query.time, desk)
    window = f"{start:.0f}/{end:.0f}"
    kind = statistic(query)
    if kind == "avg" and not query.servers:
        promql = f"avg({promql})"
    if kind in ("min", "max", "p50", "p90", "p95", "p99", "sum", "avg"):
        result = await desk.ask(promql, window=window, agg=kind)
        found = narrowed(rows(result), query.part)
        if not found:
            return await nothing_then(query, concept, promql, start, end, desk)
        drawn = await desk.ask(promql, window=window, points=120)
        found.sort(key=lambda row: row["value"], reverse=kind != "min")
        text = words.extreme(concept, kind, found, (start, end), query, desk)
        return Draft(
            text, evidence=cite(result, drawn), charts=[lines(concept, drawn, query)], mentioned=servers(found)
        )
    result = await desk.ask(promql, window=window, points=120)
    known = _summaries(result, query.part)
    if not known:
        return await nothing_then(query, concept, promql, start, end, desk)
    text = words.over(concept, known, (start, end), query, desk)
    return Draft(text, evidence=cite(result), charts=[lines(concept, result, query)], mentioned=servers(known))


async def _moment(query: Query, concept: Concept, promql: str, at: float, desk: Desk) -> Draft:
    result = await desk.ask(promql, at=at)
    found = narrowed(rows(result), query.part)
    if not found:
        return await nothing_then(query, concept, promql, at - 3600, at, desk)
    found = one_each(sorted(found, key=lambda row: -row["value"])) if not query.servers else found
    text = words.at(concept, found, at, query, desk)
    return Draft(text, evidence=cite(result), mentioned=servers(found))


async def trend(query: Query, desk: Desk) -> Draft:
    """Whether it rises, falls or stays, per server (at most five) or for the mean of many."""
    name = query.concept or "cpu"
    concept = desk.concept(name)
    wanted = targets(query, desk)
    promql = desk.expression(name, wanted)
    if promql is None:
        return state.not_reported([name], query, desk)
    if wanted is None or len(wanted) > 5:
        promql = f"avg({promql})"
    start, end = bounds(query.time, desk)
    result = await desk.ask(promql, window=f"{start:.0f}/{end:.0f}", points=180)
    told = []
    for one in series(result):
        times, levels = _since_last_step(*arrays(one["points"]), concept)
        line = line_through(times, levels, scale=concept.scale)
        told.append(
            (one["server"], next(iter(one["labels"].values()), None), line, (float(times[0]), float(times[-1])))
        )
    told = [t for t in told if t[2].direction != "unknown"]
    if not told:
        return await nothing_then(query, concept, promql, start, end, desk)
    text = words.trend(concept, told, query, desk)
    return Draft(text, evidence=cite(result), charts=[lines(concept, result, query)], mentioned=query.servers)


def _since_last_step(times: Floats, levels: Floats, concept: Concept) -> tuple[Floats, Floats]:
    """The part after the last change of level: a line through a jump would say neither side."""
    steps = [c.time for c in changes(times, levels, scale=concept.scale) if c.kind == "step"]
    after = times >= steps[-1] if steps else np.ones(len(times), bool)
    return (times[after], levels[after]) if after.sum() >= 10 else (times, levels)


async def compare(query: Query, desk: Desk) -> Draft:
    """Servers side by side, or one time against another."""
    if len(query.servers) > 1 and query.time is None:
        return await values.compare(query, desk)
    return await compare_times(query, desk) if query.time is not None else await values.value(query, desk)


async def compare_times(query: Query, desk: Desk) -> Draft:
    """Now (or one time) against another time: the difference, per server or as the mean of many."""
    name = query.concept or "cpu"
    concept = desk.concept(name)
    wanted = targets(query, desk)
    promql = desk.expression(name, wanted)
    if promql is None:
        return state.not_reported([name], query, desk)
    if wanted is None or len(wanted) > 3:
        promql = f"avg({promql})"
    first, second = query.time, query.other_time
    if second is None:
        first, second = None, query.time
    now, before = await _mean_of(promql, first, desk), await _mean_of(promql, second, desk)
    pairs = words.pairs(rows(now), rows(before))
    if not pairs:
        there = second.start.timestamp() if second else desk.question.now
        return await nothing_then(query, concept, promql, there - 3600, there, desk)
    text = words.compared(concept, pairs, (first, second), query, desk)
    return Draft(text, evidence=cite(now, before), mentioned=query.servers)


async def _mean_of(promql: str, span: TimeSpan | None, desk: Desk) -> dict[str, Any]:
    if span is None:
        return await desk.ask(promql)
    if span.kind == "moment" or span.end is None:
        return await desk.ask(promql, at=span.start.timestamp())
    return await desk.ask(promql, window=f"{span.start.timestamp():.0f}/{span.end.timestamp():.0f}", agg="avg")


async def nothing_then(query: Query, concept: Concept, promql: str, start: float, end: float, desk: Desk) -> Draft:
    """Understood, but nothing was measured then: says from when to when there is something."""
    now = desk.question.now
    result = await desk.ask(f"count({promql})", window=f"{now - 30 * 86400:.0f}/{now:.0f}", points=200)
    times = [t for one in series(result) for t, v in one["points"] if v]
    step = times[1] - times[0] if len(times) > 1 else 0.0
    known = (min(times), now if now - max(times) < step else max(times)) if times else None
    return Draft(words.nothing_then(concept, known, (start, end), query, desk), "no_data", mentioned=query.servers)


def bounds(span: TimeSpan | None, desk: Desk) -> tuple[float, float]:
    """Start and end of a span in Unix seconds; the last six hours where none was said."""
    now = desk.question.now
    if span is None:
        return now - DEFAULT_SPAN_S, now
    end = now if span.end is None else min(span.end.timestamp(), now)
    return min(span.start.timestamp(), end - 60), end


def arrays(points: list[list[float | None]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Times and values (NaN for gaps) of a series' points."""
    return np.array([p[0] for p in points], dtype=float), np.array([p[1] for p in points], dtype=float)


def lines(concept: Concept, result: dict[str, Any], query: Query) -> dict[str, Any]:
    """A line chart of at most eight series."""
    named = [
        {
            "name": " ".join(filter(None, (one["server"], next(iter(one["labels"].values()), None)))),
            "points": one["points"],
        }
        for one in series(result)[:8]
    ]
    return {"kind": "line", "title": concept.title[query.language], "unit": concept.unit, "series": named}


def _summaries(result: dict[str, Any], part: str | None) -> list[dict[str, Any]]:
    found = []
    for one in series(result):
        times, levels = arrays(one["points"])
        if np.isnan(levels).all():
            continue
        k = int(np.nanargmax(levels))
        row = {"server": one["server"], **one["labels"], "value": float(np.nanmean(levels))}
        found.append(
            row | {"at": None, "_max": float(levels[k]), "_max_at": float(times[k]), "_min": float(np.nanmin(levels))}
        )
    plain = narrowed([{k: v for k, v in row.items() if k[0] != "_"} for row in found], part)
    kept = {(row["server"], part_of(row)) for row in plain}
    return [row for row in found if (row["server"], part_of({k: v for k, v in row.items() if k[0] != "_"})) in kept]
