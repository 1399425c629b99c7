"""Figures of now: one value, ranking, filter, count, aggregate, comparison. Each is one PromQL query, run by a tool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.desk import Desk, cite, rows
from assistant.kinds import state
from assistant.query import Draft, Query
from assistant.wording import values as words
from monitoring.catalog import Concept
from monitoring.errors import BadQuery
from monitoring.units import figure

OPS = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "==": "==", "!=": "!="}
WORST_SHOWN = 3


async def value(query: Query, desk: Desk) -> Draft:
    """The present value of each concept on the asked servers; without servers, the level and the highest few."""
    drafts = [await _value(query, name, desk) for name in query.concepts or ("cpu",)]
    if len(drafts) == 1:
        return drafts[0]
    return Draft(
        "\n".join(d.text for d in drafts),
        drafts[0].status if all(d.status == drafts[0].status for d in drafts) else "answered",
        [item for d in drafts for item in d.evidence],
        [chart for d in drafts for chart in d.charts],
        mentioned=tuple(dict.fromkeys(s for d in drafts for s in d.mentioned)),
    )


async def _value(query: Query, name: str, desk: Desk) -> Draft:
    concept = desk.concept(name)
    wanted = targets(query, desk)
    promql = desk.expression(name, wanted, quantile=quantile(query, concept))
    if promql is None:
        return state.not_reported([name], query, desk)
    result = await desk.ask(promql)
    found = narrowed(rows(result), query.part)
    if not found:
        return await silent(query, [name], desk)
    if not query.servers:
        found.sort(key=lambda row: -row["value"])
        text = words.level(concept, found, query.group, query.language)
        return Draft(text, evidence=cite(result), charts=[bars(concept, found, query)], mentioned=servers(found))
    found.sort(key=lambda row: (query.servers.index(row["server"]), -row["value"]))
    text = words.value(concept, found, statistic(query), query.language)
    missing = [s for s in query.servers if s not in servers(found)]
    if missing:
        text += " " + words.silent(missing, concept, query.language)
    return Draft(text, evidence=cite(result), charts=[bars(concept, found, query)], mentioned=servers(found))


async def rank(query: Query, desk: Desk) -> Draft:
    """The highest or lowest few, best first."""
    name = query.concept or "cpu"
    concept = desk.concept(name)
    promql = desk.expression(name, targets(query, desk), quantile=quantile(query, concept))
    if promql is None:
        return state.not_reported([name], query, desk)
    descending = query.descending is not False
    count = query.limit or WORST_SHOWN
    if not concept.part:
        promql = f"{'topk' if descending else 'bottomk'}({count}, {promql})"
    result = await desk.ask(promql)
    found = sorted(
        (row for row in rows(result) if row["server"]), key=lambda row: (-1 if descending else 1) * row["value"]
    )
    found = one_each(found)[:count]
    if not found:
        return await silent(query, [name], desk)
    text = words.rank(concept, found, query, descending)
    return Draft(text, evidence=cite(result), charts=[bars(concept, found, query)], mentioned=servers(found))


async def filtered(query: Query, desk: Desk) -> Draft:
    """The servers on the asked side of a threshold, or of a status."""
    if not query.thresholds and (query.status or not query.concepts):
        return await state.listed(query, desk)
    found, evidence, conditions = await _matching(query, desk)
    if found is None:
        return state.not_reported([query.concept or "cpu"], query, desk)
    text = words.filtered(found, conditions, query, desk)
    charts = [bars(conditions[0][0], found, query)] if found else []
    return Draft(text, evidence=evidence, charts=charts, mentioned=servers(found))


async def count(query: Query, desk: Desk) -> Draft:
    """How many servers there are, are up, are of a type, or lie on one side of a threshold."""
    if query.thresholds or (query.concepts and query.descending is not None):
        found, evidence, conditions = await _matching(query, desk)
        if found is None:
            return state.not_reported([query.concept or "cpu"], query, desk)
        return Draft(words.count_matching(found, conditions, query), evidence=evidence, mentioned=servers(found))
    result = await desk.call("fleet_summary")
    chosen = targets(query, desk) or list(desk.inventory.servers)
    states = {s["server"]: s["status"] for s in result["details"]["states"]}
    return Draft(words.count(chosen, states, query), evidence=cite(result), mentioned=tuple(chosen[:20]))


async def aggregate(query: Query, desk: Desk) -> Draft:
    """Mean, sum, minimum, maximum or median over servers."""
    name = query.concept or "cpu"
    concept = desk.concept(name)
    promql = desk.expression(name, targets(query, desk))
    if promql is None:
        return state.not_reported([name], query, desk)
    kind = statistic(query) or "avg"
    wrapped = f"quantile(0.{kind[1:]}, {promql})" if kind.startswith("p") else f"{kind}({promql})"
    result = await desk.ask(wrapped)
    spread = await desk.ask(promql)
    found = sorted(rows(spread), key=lambda row: -row["value"])
    if not rows(result) or not found:
        return await silent(query, [name], desk)
    text = words.aggregate(concept, kind, rows(result)[0]["value"], found, query)
    return Draft(text, evidence=cite(result, spread), charts=[bars(concept, found, query)], mentioned=servers(found))


async def compare(query: Query, desk: Desk) -> Draft:
    """Servers side by side: by the asked concepts, or by all that they share."""
    names = query.concepts or tuple(
        name for name in ("cpu", "memory", "disk", "network_in") if desk.expression(name, query.servers)
    )
    texts, evidence, charts = [], [], []
    for name in names:
        concept = desk.concept(name)
        promql = desk.expression(name, query.servers)
        if promql is None:
            return state.not_reported([name], query, desk)
        result = await desk.ask(promql)
        found = one_each(sorted(narrowed(rows(result), query.part), key=lambda row: -row["value"]))
        texts.append(words.compare(concept, found, query.language) if found else "")
        evidence += cite(result)
        charts.append(bars(concept, found, query))
    if not any(texts):
        return await silent(query, list(names), desk)
    return Draft("\n".join(filter(None, texts)), evidence=evidence, charts=charts, mentioned=query.servers)


async def typed(query: Query, desk: Desk) -> Draft:
    """PromQL as typed, or a metric by its own name."""
    text = query.metric or query.text
    try:
        named = text in desk.inventory.metrics  # a metric by its own name may be narrowed to servers
        result = await desk.call("query_metric", metric=text, servers=list(query.servers) if named else None)
    except BadQuery as error:
        return Draft(words.bad_promql(str(error), query.language), "clarify")
    found = rows(result)
    answer = words.typed(result["columns"], found, query.language)
    return Draft(answer, "answered" if found else "no_data", evidence=cite(result))


async def shown(query: Query, desk: Desk) -> Draft:
    """The query that would answer, with its present result."""
    texts, evidence = [], []
    for name in query.concepts or ("cpu",):
        promql = desk.expression(name, targets(query, desk))
        if promql is None:
            return state.not_reported([name], query, desk)
        result = await desk.ask(promql)
        texts.append(words.shown(desk.concept(name), promql, rows(result), query))
        evidence += cite(result)
    return Draft("\n\n".join(texts), evidence=evidence, mentioned=query.servers)


async def silent(query: Query, names: Sequence[str], desk: Desk) -> Draft:
    """Understood, but there is no value now: says who is gone."""
    result = await desk.call("fleet_summary")
    gone = [s for s in result["details"]["states"] if s["status"] == "offline"]
    wanted = [s for s in gone if s["server"] in (targets(query, desk) or [s["server"]])]
    text = words.nothing_now([desk.concept(n) for n in names], wanted, desk, query)
    return Draft(text, "no_data", mentioned=query.servers)


def targets(query: Query, desk: Desk) -> list[str] | None:
    """The servers that a query is about; None for all."""
    if query.servers:
        return list(query.servers)
    return desk.inventory.of_type(query.group) if query.group else None


def quantile(query: Query, concept: Concept) -> float | None:
    """The quantile asked for, where the concept has a histogram."""
    if query.statistic and query.statistic.startswith("p") and any(s.quantile for s in concept.sources):
        return float(query.statistic[1:]) / 100
    return None


def statistic(query: Query) -> str | None:
    """The statistic's PromQL name."""
    names = {"mean": "avg", "average": "avg", "median": "p50", "maximum": "max", "minimum": "min", "total": "sum"}
    return names.get(query.statistic or "", query.statistic)


def narrowed(found: list[dict[str, Any]], part: str | None) -> list[dict[str, Any]]:
    """Rows whose part (mount, volume) is the asked one or holds its word; all where none does."""
    if part is None:
        return found
    exact = [row for row in found if part in row.values()]
    near = [row for row in found if any(part.lower() in str(v).lower() for k, v in row.items() if k not in SKIP)]
    return exact or near or found


SKIP = ("server", "value", "at")


def part_of(row: dict[str, Any]) -> str | None:
    """The part that a row names."""
    return next((str(v) for k, v in row.items() if k not in SKIP and v), None)


def one_each(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first row of each server."""
    first: dict[str, dict[str, Any]] = {}
    for row in found:
        first.setdefault(row["server"], row)
    return list(first.values())


def servers(found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The servers of rows, each once, in order."""
    return tuple(dict.fromkeys(row["server"] for row in found if row.get("server")))


def bars(concept: Concept, found: Sequence[dict[str, Any]], query: Query) -> dict[str, Any]:
    """A chart of values: one figure as such, several as bars."""
    named = [{"name": " ".join(filter(None, (row["server"], part_of(row)))), "value": row["value"]} for row in found]
    kind = "value" if len(named) == 1 else "bars"
    return {
        "kind": kind,
        "title": concept.title[query.language],
        "unit": concept.unit,
        "series": [],
        "rows": named[:10],
    }


async def _matching(
    query: Query, desk: Desk
) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]], list[tuple[Concept, str, str]]]:
    """Rows of the first condition whose servers meet them all; None where a concept is not reported."""
    names = query.concepts or ("cpu",)
    conditions, kept, evidence = [], None, []
    for k, name in enumerate(names):
        concept = desk.concept(name)
        promql = desk.expression(name, targets(query, desk))
        if promql is None:
            return None, [], []
        op, limit = _condition(query, k, concept)
        result = await desk.ask(f"({promql}) {op} {limit:g}")
        evidence += cite(result)
        conditions.append((concept, op, figure(limit, concept.unit, query.language)))
        found = one_each(sorted(rows(result), key=lambda row: -row["value"] if op in (">", ">=") else row["value"]))
        kept = found if kept is None else [row for row in kept if row["server"] in servers(found)]
    return kept or [], evidence, conditions


def _condition(query: Query, k: int, concept: Concept) -> tuple[str, float]:
    if query.thresholds:
        asked = query.thresholds[min(k, len(query.thresholds) - 1)]
        return OPS[asked.op], _scaled(asked.value, asked.unit, concept)
    if query.descending is False:
        return "<", 20.0 if concept.scale == 100 else 0.0
    return ">=", concept.warning if concept.warning is not None else 80.0


def _scaled(value: float, unit: str | None, concept: Concept) -> float:
    """A threshold in the concept's own unit: latencies are in ms, thresholds may be said in seconds."""
    if concept.unit == "milliseconds" and unit in ("s", "seconds"):
        return value * 1000
    return value
