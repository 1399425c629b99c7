"""Readings that compute over history: what is unusual, when something is full, what moved together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.anomaly import anomalies as unusual
from engines.correlation import Correlation
from engines.correlation import correlate as together
from engines.forecast import level_at, time_to
from engines.growth import SHORTEST_S
from monitoring.backends import Backend
from monitoring.baselines import floor
from monitoring.catalog import Catalog, Concept
from monitoring.expressions import expression
from monitoring.inventory import IDENTITY, Inventory
from monitoring.model import Labels, Matrix
from monitoring.ranges import proof_of
from monitoring.reading import Cell, Evidence, Reading
from monitoring.units import figure
from monitoring.windows import rfc3339, step_for

WATCHED = (
    "cpu",
    "memory",
    "disk",
    "network_in",
    "network_out",
    "network_errors",
    "errors",
    "latency",
    "requests",
    "connections",
    "queue",
    "iowait",
    "transactions",
)
HABIT_S = 50 * 3600
"""History that tells what is normal: two days and the window itself."""
FORECAST_S = 10 * 86_400
"""History that a forecast is made of: the days of `engines.growth`."""
FORECAST_MANY_S = 3 * 86_400
FEW = 12
"""Of more series, forecasts are made of fewer days: reading ten of a fleet would take too long."""
STEP_S = 300


class Track(NamedTuple):
    """One series of a matrix with whom it speaks of."""

    server: str | None
    concept: str
    part: str | None
    times: NDArray[np.float64]
    values: NDArray[np.float64]


async def anomalies(
    backend: Backend,
    catalog: Catalog,
    inventory: Inventory,
    start: float,
    end: float,
    servers: Sequence[str] | None,
    limit: int,
    describe: Callable[[Sequence[Track]], dict[str, Any]] = lambda _: {},
) -> Reading:
    """Departures from the habit of the two days before, and servers that went down, strongest first.

    What `describe` says of the series (in a thread) stands among the details.
    """
    tracks, evidence = await histories(backend, catalog, inventory, WATCHED, end - HABIT_S, end, servers)
    rows = await asyncio.to_thread(departures, tracks, catalog, start, end)
    said = await asyncio.to_thread(describe, tracks)
    downs, proof = await outages(backend, catalog, inventory, start, end, servers)
    rows = downs + sorted(rows, key=lambda row: -float(row[8] or 0))
    text = "; ".join(f"{r[0]} {r[1]}{f' {r[2]}' if r[2] else ''} since {r[3]}" for r in rows[:8])
    return Reading(
        f"{len(rows)} unusual from {rfc3339(start)} to {rfc3339(end)}" + (f": {text}." if rows else "."),
        (*evidence, *proof),
        ("server", "concept", "part", "start", "end", "value", "expected", "direction", "score", "low", "high"),
        tuple(rows[:limit]),
        total=len(rows),
        details={"series_checked": len(tracks), "history_s": HABIT_S, **said},
    )


async def forecast(
    backend: Backend,
    query: str,
    concept: Concept | None,
    inventory: Inventory,
    now: float,
    end: float,
    threshold: float | None,
) -> Reading:
    """When each series reaches the threshold (default: its largest value), soonest first, and its level at `end`."""
    [present] = await backend.instants([query], now)
    history_s = FORECAST_S if len(present.labels) <= FEW else FORECAST_MANY_S
    matrix = await backend.range(query, now - history_s, now, step_for(history_s, history_s // STEP_S))
    limit = threshold if threshold is not None else concept.scale if concept else None
    tracks = _tracks(matrix, concept.name if concept else query, inventory)
    rows = await asyncio.to_thread(_forecasts, tracks, limit, now, end)
    rows.sort(key=lambda row: (row[4] is None, str(row[4] or ""), -float(row[2] or 0)))
    unit = concept.unit if concept else "number"
    soon = [row for row in rows if row[4] is not None]
    text = "; ".join(f"{r[0]}{f' {r[1]}' if r[1] else ''} at {r[4]}" for r in soon[:8])
    what = f"{figure(limit, unit)}" if limit is not None else "a limit"
    return Reading(
        f"{len(soon)} of {len(rows)} series reach {what} by {rfc3339(end)}" + (f": {text}." if soon else "."),
        (proof_of(matrix),),
        (
            "server",
            "part",
            "value",
            "limit",
            "at",
            "low",
            "high",
            "rate_per_hour",
            "evidence",
            "level",
            "level_low",
            "level_high",
            "method",
            "level_method",
        ),
        tuple(rows[:200]),
        total=len(rows),
        details={"unit": unit, "horizon_end": rfc3339(end), "history_s": history_s},
    )


async def correlate(
    backend: Backend,
    catalog: Catalog,
    inventory: Inventory,
    server: str,
    query: str,
    concept: Concept | None,
    start: float,
    end: float,
    limit: int,
) -> Reading:
    """What moved together with one series: every watched concept of every server, strongest first."""
    step = step_for(end - start)
    target = await backend.range(query, start, end, step)
    mine = _tracks(target, concept.name if concept else query, inventory)
    tracks, evidence = await histories(backend, catalog, inventory, WATCHED, start, end, None)
    rows: list[tuple[Cell, ...]] = []
    if mine:
        others = [t for t in tracks if (t.server, t.concept, t.part) != (server, mine[0].concept, mine[0].part)]
        rows = await asyncio.to_thread(_together, mine[0], others)
    text = "; ".join(f"{r[0]} {r[1]} r {float(r[3] or 0):.2f}" for r in rows[:5])
    return Reading(
        f"{len(rows)} series moved together with {server} {mine[0].concept if mine else query}"
        + (f": {text}." if rows else "."),
        (proof_of(target), *evidence),
        ("server", "concept", "part", "r", "lag_s", "n", "strength"),
        tuple(rows[:limit]),
        total=len(rows),
    )


async def outages(
    backend: Backend,
    catalog: Catalog,
    inventory: Inventory,
    start: float,
    end: float,
    servers: Sequence[str] | None,
) -> tuple[list[tuple[Cell, ...]], list[Evidence]]:
    """Servers that went down within the window, as anomaly rows."""
    query = expression(catalog.concepts["up"], inventory, servers)
    if query is None:
        return [], []
    matrix = await backend.range(query, start - 3600, end, 60)
    best: dict[str, NDArray[np.float64]] = {}
    for labels, values in zip(matrix.labels, matrix.values, strict=True):
        if server := inventory.server_of(labels):
            best[server] = np.fmax(best.get(server, values), values)
    rows: list[tuple[Cell, ...]] = []
    for server, values in sorted(best.items()):
        down = (values == 0) | np.isnan(values)
        fell = np.flatnonzero(down[1:] & ~down[:-1]) + 1
        for k in fell[matrix.times[fell] > start].tolist():
            back = np.flatnonzero(~down[k:])
            until = rfc3339(matrix.times[k + int(back[0])]) if len(back) else None
            rows.append((server, "up", None, rfc3339(matrix.times[k]), until, 0.0, 1.0, "low", 100.0, 1.0, 1.0))
    return rows, [proof_of(matrix)]


async def histories(
    backend: Backend,
    catalog: Catalog,
    inventory: Inventory,
    names: Sequence[str],
    start: float,
    end: float,
    servers: Sequence[str] | None,
    step: int | None = None,
) -> tuple[list[Track], list[Evidence]]:
    """The series of some concepts (catalogue names) over a time, with the queries; `step` in seconds."""
    tracks: list[Track] = []
    evidence: list[Evidence] = []
    step = step or step_for(end - start, 1500)
    for name in names:
        if query := expression(catalog.concepts[name], inventory, servers):
            matrix = await backend.range(query, start, end, step)
            tracks += _tracks(matrix, name, inventory)
            evidence.append(proof_of(matrix))
    return tracks, evidence


def _tracks(matrix: Matrix, concept: str, inventory: Inventory) -> list[Track]:
    times = matrix.times
    return [
        Track(inventory.server_of(labels), concept, part_of(labels), times, values)
        for labels, values in zip(matrix.labels, matrix.values, strict=True)
    ]


def departures(tracks: Sequence[Track], catalog: Catalog, start: float, end: float) -> list[tuple[Cell, ...]]:
    """A row for each stretch in which a series left its habit: the columns of `anomalies`."""
    rows: list[tuple[Cell, ...]] = []
    for track in tracks:
        level = float(np.nanmedian(track.values)) if np.isfinite(track.values).any() else 0.0
        least = floor(track.concept, catalog, level)
        for a in unusual(track.times, track.values, start, end, floor=least):
            until = None if a.end is None else rfc3339(a.end)
            key = (track.server, track.concept, track.part, rfc3339(a.start), until)
            rows.append((*key, a.value, a.expected, a.direction, a.score, a.low, a.high))
    return rows


def _forecasts(tracks: Sequence[Track], limit: float | None, now: float, end: float) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for track in tracks:
        known = track.values[~np.isnan(track.values)]
        if not len(known) or np.isnan(track.values[-5:]).all():
            continue
        level = level_at(track.times, track.values, end)
        row: list[Cell] = [track.server, track.part, float(known[-1]), limit]
        if limit is None:
            row += [None, None, None, None, "no limit"]
        else:
            c = time_to(track.times, track.values, limit, end - now)
            row += [None if t is None else rfc3339(round(t)) for t in (c.at, c.low, c.high)]
            row += [c.rate_per_hour, c.evidence]
        measured = track.times[~np.isnan(track.values)]
        method = "profile" if measured[-1] - measured[0] >= SHORTEST_S else "line"
        rows.append((*row, level.value, level.low, level.high, method, level.method))
    return rows


def _together(target: Track, others: Sequence[Track]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for other in others:
        c: Correlation = together(target.times, target.values, other.times, other.values, 900.0)
        if c.strength in ("strong", "moderate", "weak"):
            rows.append((other.server, other.concept, other.part, c.r, c.lag_s, c.n, c.strength))
    return sorted(rows, key=lambda row: -abs(float(row[3] or 0)))


def part_of(labels: Labels) -> str | None:
    """What a row speaks of beside its server: a mount, or None."""
    return next((v for k, v in sorted(labels.items()) if k not in IDENTITY and k != "__name__"), None)
