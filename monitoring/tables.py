"""Readings of one moment: the state of the fleet, a list of servers, one server, a vector, what is firing."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from engines.matching import closest
from monitoring.catalog import Catalog, Concept
from monitoring.errors import BadQuery, UnknownServer
from monitoring.fleet import FleetState, Reason, ServerState, proof
from monitoring.inventory import IDENTITY, Inventory
from monitoring.model import Vector
from monitoring.reading import Cell, Reading
from monitoring.units import duration, figure
from monitoring.windows import rfc3339

COLUMNS = ("cpu", "memory", "disk", "network_in", "network_out", "load", "uptime", "requests", "errors", "latency")
MOST_ROWS = 200


def summary(state: FleetState, catalog: Catalog) -> Reading:
    """Counts by status in `details`, and a row for each server that is not healthy."""
    counts = state.counts()
    bad = [server for server in state.servers if server.status not in ("healthy", "unknown")]
    rows = tuple(
        (s.id, s.type, s.status, "; ".join(reason_text(r, catalog) for r in s.reasons) or gone_text(s, state.time))
        for s in bad
    )
    words = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
    worst = "; ".join(f"{row[0]} {row[2]}: {row[3]}" for row in rows[:5])
    return Reading(
        f"{len(state.servers)} servers: {words or 'none'}." + (f" {worst}." if worst else ""),
        tuple(state.evidence.values()),
        ("server", "type", "status", "why"),
        rows[:MOST_ROWS],
        total=len(rows),
        details={
            "servers": len(state.servers),
            "counts": dict(counts),
            "states": [_state(s) for s in bad[:MOST_ROWS]],
            "means": _means(state),
        },
    )


def servers(
    state: FleetState, sort: str, status: str | None, match: str | None, limit: int, cursor: str | None
) -> Reading:
    """A page of servers. `match` is a part of a name, or a type."""
    found = [
        s
        for s in state.servers
        if (status is None or s.status == status)
        and (match is None or match.lower() in s.id.lower() or match.lower() == s.type.lower())
    ]
    if sort == "name":
        found.sort(key=lambda s: s.id)
    elif sort != "severity":
        found = sorted((s for s in found if sort in s.values), key=lambda s: -s.values[sort])
    first = _decode(cursor)
    page = found[first : first + limit]
    after = first + len(page)
    return Reading(
        f"{len(found)} servers" + (f", {first + 1} to {after} shown" if len(page) < len(found) else "") + ".",
        tuple(state.evidence.values()),
        ("server", "type", "status", *COLUMNS),
        tuple((s.id, s.type, s.status, *(s.values.get(c) for c in COLUMNS)) for s in page),
        total=len(found),
        next_cursor=base64.urlsafe_b64encode(str(after).encode()).decode() if after < len(found) else None,
        details={"units": "percent; network bytes/s; uptime s; latency ms; requests per s"},
    )


def server(state: FleetState, server_id: str, catalog: Catalog, inventory: Inventory) -> Reading:
    """One server: a row for each value (each mount), with unit and threshold."""
    found = next((s for s in state.servers if s.id == server_id), None)
    if found is None:
        raise UnknownServer(server_id, tuple(closest(server_id, [s.id for s in state.servers])))
    rows: list[tuple[Cell, ...]] = []
    for name in COLUMNS:
        if name not in found.values:
            continue
        concept = catalog.concepts[name]
        for part, value in found.parts.get(name, {None: found.values[name]}).items():
            breach = concept.breach(value)
            rows.append((name, part, value, concept.unit, breach[0] if breach else None))
    why = "; ".join(reason_text(reason, catalog) for reason in found.reasons) or gone_text(found, state.time)
    text = ", ".join(f"{r[0]}{f' {r[1]}' if r[1] else ''} {figure(float(r[2] or 0), str(r[3]))}" for r in rows)
    used = {name: item for name, item in state.evidence.items() if name in found.values or name in ("up", "last_seen")}
    return Reading(
        f"{server_id} ({found.type}) is {found.status}"
        + (f" ({why})" if why else "")
        + (f": {text}." if text else "."),
        tuple(used.values()),
        ("concept", "part", "value", "unit", "level"),
        tuple(rows),
        total=len(rows),
        details={**_state(found), "addresses": sorted(inventory.servers[server_id].addresses)},
    )


def vector(found: Vector, inventory: Inventory, concept: Concept | None) -> Reading:
    """The rows of an instant vector, with the server that each speaks of."""
    names = sorted({name for labels in found.labels for name in labels if name not in IDENTITY} - {"__name__"})
    named = any(inventory.server_of(labels) for labels in found.labels)
    columns = (*(("server",) if named else ()), *names, "value")
    rows = [
        (*((inventory.server_of(labels),) if named else ()), *(labels.get(name) for name in names), value)
        for labels, value in zip(found.labels, found.values, strict=True)
    ]
    if named and concept is not None:
        rows = _once(rows)
    unit = concept.unit if concept else "number"
    text = ", ".join(
        f"{' '.join(str(c) for c in row[:-1] if c)} {figure(float(row[-1] or 0), unit)}".strip() for row in rows[:10]
    )
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    return Reading(
        f"{text}{more}." if rows else f"Nothing was measured for this query at {rfc3339(found.time)}.",
        (proof(found),),
        columns,
        tuple(rows[:MOST_ROWS]),
        total=len(rows),
        details={"unit": unit},
    )


def alert_rows(state: FleetState) -> list[tuple[Cell, ...]]:
    """Server, concept, part, severity, value, threshold, "firing", since."""
    rows: list[tuple[Cell, ...]] = []
    for s in state.servers:
        if s.status == "offline":
            seen = None if s.last_seen is None else rfc3339(s.last_seen)
            rows.append((s.id, "up", None, "critical", 0.0, None, "firing", seen))
        rows += [(s.id, r.concept, r.part, r.level, r.value, r.threshold, "firing", None) for r in s.reasons]
    return rows


def alerts(state: FleetState, severity: str | None, limit: int) -> Reading:
    """One row for each threshold that is reached and each server that is gone."""
    rows = [row for row in alert_rows(state) if severity in (None, row[3])]
    text = "; ".join(f"{row[0]} {row[1]}{f' {row[2]}' if row[2] else ''} {row[3]}" for row in rows[:10])
    return Reading(
        f"{len(rows)} alerts firing" + (f": {text}." if rows else "."),
        tuple(state.evidence.values()),
        ("server", "concept", "part", "severity", "value", "threshold", "state", "since"),
        tuple(rows[:limit]),
        total=len(rows),
    )


def reason_text(reason: Reason, catalog: Catalog) -> str:
    """A reason in English: ``disk /var/log 97.2 % (critical from 90 %)``."""
    concept = catalog.concepts[reason.concept]
    part = f" {reason.part}" if reason.part else ""
    limit = figure(reason.threshold, concept.unit)
    return f"{concept.title['en']}{part} {figure(reason.value, concept.unit)} ({reason.level} from {limit})"


def gone_text(state: ServerState, now: float) -> str:
    """Since when a server is gone; empty where it is not."""
    if state.status != "offline":
        return ""
    if state.last_seen is None:
        return "no sample for more than a day"
    return f"last seen {duration(now - state.last_seen)} ago"


def _state(s: ServerState) -> dict[str, object]:
    return {
        "server": s.id,
        "type": s.type,
        "type_guessed": s.type_guessed,
        "simulated": s.simulated,
        "status": s.status,
        "last_seen": s.last_seen,
        "reasons": [
            {"concept": r.concept, "part": r.part, "value": r.value, "threshold": r.threshold, "level": r.level}
            for r in s.reasons
        ],
    }


def _means(state: FleetState) -> dict[str, float]:
    means = {}
    for name in ("cpu", "memory", "disk"):
        values = [s.values[name] for s in state.servers if name in s.values]
        if values:
            means[name] = sum(values) / len(values)
    return means


def _once(rows: Sequence[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    """Rows without those that an earlier source gave already."""
    seen: dict[tuple[Cell, ...], tuple[Cell, ...]] = {}
    for row in rows:
        seen.setdefault(row[:-1], row)
    return list(seen.values())


def _decode(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError:
        raise BadQuery(f"the cursor '{cursor}' is not one of ours; begin without a cursor") from None
