"""The state of every server at one time: its values, its status, and why. One pipelined read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple, get_args

from monitoring.backends import Backend
from monitoring.catalog import Catalog
from monitoring.expressions import expression
from monitoring.inventory import Inventory, any_of
from monitoring.model import Vector
from monitoring.reading import Evidence

Status = Literal["critical", "offline", "warning", "unknown", "healthy"]
SEVERITY: tuple[Status, ...] = get_args(Status)
"""Worst first."""

CONCEPTS = (
    "up",
    "cpu",
    "memory",
    "disk",
    "errors",
    "latency",
    "load",
    "network_in",
    "network_out",
    "requests",
    "uptime",
)


IN_THREAD = 200
"""Servers above which a reading is put together beside the event loop (about 5 ms)."""
SILENT_S = 300.0
"""A server is gone after this long without a sample."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A value that reached a threshold. `part` is the mount where the concept has several."""

    concept: str
    value: float
    threshold: float
    level: Literal["warning", "critical"]
    part: str | None = None


@dataclass(slots=True)
class ServerState:
    """One server at the time of the reading. A concept that it does not report is absent from `values`."""

    id: str
    type: str
    type_guessed: bool
    simulated: bool
    status: Status = "unknown"
    reasons: tuple[Reason, ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    """Concept → part (mount) → value."""
    worst_part: dict[str, str] = field(default_factory=dict)
    last_seen: float | None = None
    """Unix seconds of the newest sample that said the server was up; None where it is not known to have been."""


@dataclass(frozen=True, slots=True)
class FleetState:
    """All servers, worst first, and the queries that were run."""

    time: float
    servers: tuple[ServerState, ...]
    evidence: Mapping[str, Evidence]
    """Concept → the query that gave its values."""
    source: str
    age_s: float | None

    def counts(self) -> dict[Status, int]:
        """How many servers have each status."""
        return {status: sum(server.status == status for server in self.servers) for status in SEVERITY}


async def fleet_state(backend: Backend, catalog: Catalog, inventory: Inventory, at: float) -> FleetState:
    """The state of all servers at `at` (Unix seconds)."""
    work = len(inventory.servers) > IN_THREAD
    asked = await asyncio.to_thread(_asked, catalog, inventory) if work else _asked(catalog, inventory)
    answered = await backend.instants([*asked.concepts.values(), *asked.newest], at)
    vectors = dict(zip(asked.concepts, answered, strict=False))
    made = partial(_servers, catalog, inventory, vectors, answered[len(asked.concepts) :], at)
    servers = await asyncio.to_thread(made) if work else made()
    evidence = {name: proof(vector) for name, vector in vectors.items()}
    if offline := [state for state in servers if state.status == "offline"]:
        evidence["last_seen"] = await _last_seen(backend, catalog, inventory, offline, at)
    ages = [vector.age_s for vector in vectors.values() if vector.age_s is not None]
    return FleetState(at, tuple(servers), evidence, backend.source, min(ages, default=None))


class _Asked(NamedTuple):
    concepts: dict[str, str]
    """Concept → its query."""
    newest: list[str]


def _asked(catalog: Catalog, inventory: Inventory) -> _Asked:
    queries = {name: query for name in CONCEPTS if (query := expression(catalog.concepts[name], inventory))}
    return _Asked(queries, _newest(catalog, inventory))


def _servers(
    catalog: Catalog, inventory: Inventory, vectors: Mapping[str, Vector], newest: Sequence[Vector], at: float
) -> list[ServerState]:
    """The servers with their values, worst first."""
    servers = {s.id: ServerState(s.id, s.type, s.type_guessed, s.simulated) for s in inventory.servers.values()}
    for name, vector in vectors.items():
        _fill(name, vector, servers, inventory, catalog)
    for state in servers.values():
        _judge(state, catalog, at)
    _date(servers, newest, inventory)
    return sorted(servers.values(), key=lambda s: (SEVERITY.index(s.status), -_excess(s), s.id))


def proof(vector: Vector) -> Evidence:
    """The evidence that a vector stands for."""
    return Evidence(vector.query, vector.time, source=vector.source, age_s=vector.age_s)


def _fill(
    name: str, vector: Vector, servers: Mapping[str, ServerState], inventory: Inventory, catalog: Catalog
) -> None:
    part_labels = {source.part for source in catalog.concepts[name].sources if source.part}
    for labels, value in zip(vector.labels, vector.values, strict=True):
        state = servers.get(inventory.server_of(labels) or "")
        if state is None or value != value:
            continue
        if part := next((labels[label] for label in part_labels if labels.get(label)), None):
            state.parts.setdefault(name, {}).setdefault(part, value)
        if name not in state.values or ((part or name == "up") and value > state.values[name]):
            state.values[name] = value
            if part:
                state.worst_part[name] = part


def _newest(catalog: Catalog, inventory: Inventory) -> list[str]:
    """The query for the time of each server's newest sample, of the first of `CONCEPTS` that it reports."""
    wanted: dict[tuple[str, str], None] = {}
    left = set(inventory.servers)
    for name in CONCEPTS:
        for source in catalog.concepts[name].sources:
            if left & (covered := inventory.reporting(source).keys()):
                wanted[source.needs, source.by] = None
            left -= covered
    return [f"max by ({by}) (timestamp({metric}))" for metric, by in wanted]


def _date(servers: Mapping[str, ServerState], newest: Iterable[Vector], inventory: Inventory) -> None:
    """Puts the samples' own times in the place of the time of the reading, of servers that are not gone."""
    seen: dict[str, float] = {}
    for vector in newest:
        for labels, time in zip(vector.labels, vector.values, strict=True):
            if server := inventory.server_of(labels):
                seen[server] = max(time, seen.get(server, time))
    for state in servers.values():
        if state.last_seen is not None:
            state.last_seen = seen.get(state.id, state.last_seen)


def _judge(state: ServerState, catalog: Catalog, at: float) -> None:
    up = state.values.pop("up", None)
    if up == 0 or not (state.values or up):
        state.status = "offline"
        state.values.clear()
        state.parts.clear()
        return
    state.last_seen = at
    state.reasons = tuple(sorted(_reasons(state, catalog), key=lambda r: (r.level, -r.value)))
    levels = {reason.level for reason in state.reasons}
    if "critical" in levels:
        state.status = "critical"
    elif "warning" in levels:
        state.status = "warning"
    elif state.values.keys() & {"cpu", "memory", "disk", "errors"}:
        state.status = "healthy"


def _reasons(state: ServerState, catalog: Catalog) -> list[Reason]:
    found = []
    for name, value in state.values.items():
        for part, amount in state.parts.get(name, {None: value}).items():
            if breach := catalog.concepts[name].breach(amount):
                found.append(Reason(name, amount, breach[1], breach[0], part))
    return found


def _excess(state: ServerState) -> float:
    return max((reason.value / reason.threshold for reason in state.reasons), default=0.0)


async def _last_seen(
    backend: Backend, catalog: Catalog, inventory: Inventory, offline: Sequence[ServerState], at: float
) -> Evidence:
    """Fills `last_seen` of servers that are gone, looking back one day.

    One that reports nothing we judge by, but something, is not gone: its status is unknown.
    """
    gone = {state.id: state for state in offline}
    signs, others = signs_of_life(catalog, inventory, gone)
    queries = [
        f"max by ({by}) (max_over_time({_seen(metric, by, sorted(values), condition)}[1d:1m]))"
        for (metric, by, condition), values in signs.items()
    ]
    query = " or ".join(queries) or "vector(0) > 1"
    [vector] = await backend.instants([query], at)
    for labels, seen in zip(vector.labels, vector.values, strict=True):
        if state := gone.get(inventory.server_of(labels) or ""):
            state.last_seen = max(seen, state.last_seen or 0.0)
            if state.id in others and at - state.last_seen <= SILENT_S:
                state.status = "unknown"
    return proof(vector)


def _seen(metric: str, by: str, values: Sequence[str], condition: str) -> str:
    """The times of the samples that fulfil the condition. `timestamp(x == 1)` would be the time of the evaluation."""
    selector = f'{metric}{{{by}=~"{any_of(values)}"}}'
    return f"(timestamp({selector}) and {selector}{condition})" if condition else f"timestamp({selector})"


Signs = dict[tuple[str, str, str], set[str]]


def signs_of_life(catalog: Catalog, inventory: Inventory, gone: Iterable[str]) -> tuple[Signs, set[str]]:
    """(metric, its label for the server, condition) → the label's values: what last said of each server that it lived.

    That is `up` where a server has it, else the first metric that it reports. Second: the servers that report nothing
    of `CONCEPTS`.
    """
    signs: Signs = {}
    left = set(gone)
    for name in CONCEPTS:
        for source in catalog.concepts[name].sources:
            covered = inventory.reporting(source)
            for server in left & covered.keys():
                signs.setdefault((source.needs, source.by, " == 1" * (name == "up")), set()).update(covered[server])
            left -= covered.keys()
    for (label, value), server in inventory.identities.items():
        if server in left:
            signs.setdefault((min(inventory.servers[server].metrics), label, ""), set()).add(value)
    return signs, left
