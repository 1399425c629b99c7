"""Readings over a stretch of time: series, aggregates with the moment of an extreme, comparisons, past alerts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitoring.backends import Backend
from monitoring.catalog import Catalog, Concept
from monitoring.errors import BadQuery
from monitoring.expressions import expression
from monitoring.fleet import proof
from monitoring.inventory import IDENTITY, Inventory
from monitoring.model import Labels, Matrix, Vector
from monitoring.reading import Cell, Evidence, Reading
from monitoring.units import figure
from monitoring.windows import duration, rfc3339, seconds, step_for

AGGREGATES = {
    "avg": "avg_over_time({})",
    "min": "min_over_time({})",
    "max": "max_over_time({})",
    "sum": "sum_over_time({})",
    "count": "count_over_time({})",
    "last": "last_over_time({})",
    "stddev": "stddev_over_time({})",
    "p50": "quantile_over_time(0.5, {})",
    "p90": "quantile_over_time(0.9, {})",
    "p95": "quantile_over_time(0.95, {})",
    "p99": "quantile_over_time(0.99, {})",
}


async def over(
    backend: Backend,
    query: str,
    start: float,
    end: float,
    agg: str | None,
    points: int,
    inventory: Inventory,
    concept: Concept | None,
) -> Reading:
    """The query over a window: as series of at most `points` points, or one aggregate per series."""
    if agg is None:
        step = step_for(end - start, points, least=15)
        matrix = await backend.range(query, _aligned(start, step), end, step)
        return series(matrix, inventory, concept)
    if agg not in AGGREGATES:
        raise BadQuery(f"no aggregate '{agg}'; there are {', '.join(AGGREGATES)}")
    step = step_for(end - start)
    wrapped = AGGREGATES[agg].format(f"({query})[{duration(end - start)}:{duration(step)}]")
    [vector] = await backend.instants([wrapped], end)
    extremes: dict[tuple[tuple[str, str], ...], float] = {}
    evidence = [proof(vector)]
    if agg in ("min", "max") and vector.labels:
        matrix = await backend.range(query, _aligned(start, step), end, step)
        extremes = _moments(matrix, agg)
        evidence.append(proof_of(matrix))
    return _aggregate(vector, agg, extremes, evidence, inventory, concept, (start, end))


def series(matrix: Matrix, inventory: Inventory, concept: Concept | None) -> Reading:
    """The series of a matrix with their servers; at most 50, the rest counted in `total`."""
    unit = concept.unit if concept else "number"
    times = matrix.times
    shown: list[dict[str, object]] = [
        {"server": inventory.server_of(labels), "labels": _rest(labels), "points": _points(times, values)}
        for labels, values in zip(matrix.labels, matrix.values, strict=True)
    ]
    text = "; ".join(_described(row, unit) for row in shown[:5])
    when = f"from {rfc3339(matrix.start)} to {rfc3339(matrix.end)}"
    return Reading(
        f"{len(shown)} series {when}: {text}." if shown else f"Nothing was measured for this query {when}.",
        (proof_of(matrix),),
        series=tuple(shown[:50]),
        total=len(shown),
        details={"unit": unit},
    )


async def compare(
    backend: Backend,
    catalog: Catalog,
    inventory: Inventory,
    servers: Sequence[str],
    start: float,
    end: float,
    baseline: str | None,
) -> Reading:
    """Means over the window by concept and server; with `baseline` also that long ago, and the difference."""
    names, queries = [], []
    window = f"[{duration(end - start)}:{duration(step_for(end - start))}]"
    for name, concept in catalog.concepts.items():
        query = expression(concept, inventory, servers)
        if query is None or name in ("up", "uptime"):
            continue
        names.append(name)
        queries.append(f"avg_over_time(({query}){window})")
        if baseline:
            queries.append(f"avg_over_time(({query}){window} offset {duration(seconds(baseline))})")
    vectors = await backend.instants(queries, end)
    rows: list[tuple[Cell, ...]] = []
    for k, name in enumerate(names):
        now, before = (vectors[2 * k], vectors[2 * k + 1]) if baseline else (vectors[k], None)
        then = {_row_key(labels): v for labels, v in zip(before.labels, before.values, strict=True)} if before else {}
        for labels, value in zip(now.labels, now.values, strict=True):
            past = then.get(_row_key(labels))
            part = next(iter(_rest(labels).values()), None)
            row: tuple[Cell, ...] = (inventory.server_of(labels), name, part, value, catalog.concepts[name].unit)
            rows.append((*row, past, None if past is None else value - past) if baseline else row)
    columns = ("server", "concept", "part", "mean", "unit", *(("baseline", "difference") if baseline else ()))
    text = "; ".join(f"{r[0]} {r[1]} {figure(float(r[3] or 0), str(r[4]))}" for r in rows[:8])
    return Reading(f"Means: {text}.", tuple(map(proof, vectors)), columns, tuple(rows), total=len(rows))


async def past_alerts(
    backend: Backend,
    catalog: Catalog,
    inventory: Inventory,
    start: float,
    end: float,
    state: str,
    severity: str | None,
    limit: int,
) -> Reading:
    """Stretches of the window in which a threshold was reached or a server was down, newest first."""
    step = step_for(end - start)
    rows: list[tuple[Cell, ...]] = []
    evidence: list[Evidence] = []
    for name, concept in catalog.concepts.items():
        query = expression(concept, inventory)
        if query is None or (concept.warning is None and name != "up"):
            continue
        condition = f"({query}) == 0" if name == "up" else f"({query}) >= {concept.warning:g}"
        matrix = await backend.range(condition, _aligned(start, step), end, step)
        evidence.append(proof_of(matrix))
        for labels, values in zip(matrix.labels, matrix.values, strict=True):
            rows += _episodes(labels, values, matrix, name, concept, inventory)
    rows = [r for r in rows if severity in (None, r[3]) and state in ("all", r[6])]
    rows.sort(key=lambda r: str(r[7]), reverse=True)
    firing = sum(row[6] == "firing" for row in rows)
    return Reading(
        f"{len(rows)} alerts from {rfc3339(start)} to {rfc3339(end)}, {firing} still firing.",
        tuple(evidence),
        ("server", "concept", "part", "severity", "value", "threshold", "state", "since", "until"),
        tuple(rows[:limit]),
        total=len(rows),
    )


def proof_of(matrix: Matrix) -> Evidence:
    """The evidence that a matrix stands for."""
    return Evidence(matrix.query, None, matrix.start, matrix.end, matrix.step, matrix.source, matrix.age_s)


def _episodes(
    labels: Labels,
    values: NDArray[np.float64],
    matrix: Matrix,
    name: str,
    concept: Concept,
    inventory: Inventory,
) -> list[tuple[Cell, ...]]:
    there = np.concatenate(([False], ~np.isnan(values), [False]))
    begins, ends = np.flatnonzero(there[1:] & ~there[:-1]), np.flatnonzero(there[:-1] & ~there[1:]) - 1
    part = next(iter(_rest(labels).values()), None)
    rows: list[tuple[Cell, ...]] = []
    for i, j in zip(begins.tolist(), ends.tolist(), strict=True):
        peak = float(values[i : j + 1].max())
        level, threshold = ("critical", 0.0) if name == "up" else concept.breach(peak) or ("warning", concept.warning)
        on = j == len(values) - 1
        since, until = rfc3339(matrix.times[i]), None if on else rfc3339(matrix.times[j])
        state = "firing" if on else "resolved"
        rows.append((inventory.server_of(labels), name, part, level, peak, threshold, state, since, until))
    return rows


def _aggregate(
    vector: Vector,
    agg: str,
    extremes: dict[tuple[tuple[str, str], ...], float],
    evidence: Sequence[Evidence],
    inventory: Inventory,
    concept: Concept | None,
    window: tuple[float, float],
) -> Reading:
    unit = concept.unit if concept else "number"
    names = sorted({name for labels in vector.labels for name in _rest(labels)})
    rows: list[tuple[Cell, ...]] = []
    for labels, value in zip(vector.labels, vector.values, strict=True):
        at = extremes.get(_row_key(labels))
        cells = (inventory.server_of(labels), *(labels.get(name) for name in names), value)
        rows.append((*cells, None if at is None else rfc3339(at)) if extremes else cells)
    text = "; ".join(f"{row[0] or ''} {figure(float(row[1 + len(names)] or 0), unit)}".strip() for row in rows[:10])
    when = f"from {rfc3339(window[0])} to {rfc3339(window[1])}"
    return Reading(
        f"{agg} {when}: {text}." if rows else f"Nothing was measured for this query {when}.",
        tuple(evidence),
        ("server", *names, "value", *(("at",) if extremes else ())),
        tuple(rows[:200]),
        total=len(rows),
        details={"unit": unit, "agg": agg},
    )


def _moments(matrix: Matrix, agg: str) -> dict[tuple[tuple[str, str], ...], float]:
    pick = np.nanargmin if agg == "min" else np.nanargmax
    return {
        _row_key(labels): float(matrix.times[int(pick(values))])
        for labels, values in zip(matrix.labels, matrix.values, strict=True)
        if not np.isnan(values).all()
    }


def _points(times: NDArray[np.float64], values: NDArray[np.float64]) -> list[list[float | None]]:
    return [[t, None if math.isnan(v) else v] for t, v in zip(times.tolist(), values.tolist(), strict=True)]


def _described(row: dict[str, object], unit: str) -> str:
    points = row["points"]
    known = [v for _, v in points if v is not None] if isinstance(points, list) else []
    if not known:
        return f"{row['server'] or ''} no value".strip()
    mean = sum(known) / len(known)
    low, high, last = (figure(v, unit) for v in (min(known), max(known), known[-1]))
    return f"{row['server'] or ''} mean {figure(mean, unit)}, min {low}, max {high}, last {last}".strip()


def _rest(labels: Labels) -> dict[str, str]:
    return {name: value for name, value in sorted(labels.items()) if name not in IDENTITY and name != "__name__"}


def _row_key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in labels.items() if name != "__name__"))


def _aligned(start: float, step: float) -> float:
    """The first multiple of `step` after `start`: where a subquery would evaluate too."""
    return math.floor(start / step) * step + step
