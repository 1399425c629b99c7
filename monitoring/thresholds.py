"""The thresholds of the catalogue as alert rules: each with the PromQL that finds what fires by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from monitoring.catalog import Catalog, Concept
from monitoring.expressions import expression
from monitoring.fleet import FleetState, signs_of_life
from monitoring.inventory import Inventory
from monitoring.model import Matrix
from monitoring.queries import FleetQueries
from monitoring.windows import step_for

Severity = Literal["warning", "critical"]
GONE = "up"
"""The concept whose rule says that a server is gone."""
HISTORY_S = 86_400.0
"""How far back it is looked since when something fires; what fires for longer is dated there."""


class ThresholdRule(NamedTuple):
    """A rule that fires as soon as `query` returns something: a row for each server, or part of one."""

    concept: str
    severity: Severity
    query: str
    summary: str

    @property
    def name(self) -> str:
        """As alerts name it, `cpu_critical`."""
        return f"{self.concept}_{self.severity}"


class Firing(NamedTuple):
    """What fires by a rule: one server, or a part of it (a mount). `since` is Unix seconds."""

    rule: ThresholdRule
    server: str
    part: str | None
    value: float
    since: float


def threshold_rules(
    catalog: Catalog, inventory: Inventory, servers: Sequence[str] | None = None
) -> list[ThresholdRule]:
    """The rules for what this fleet reports, or some servers of it, as the catalogue orders them."""
    rules = [rule for concept in catalog.concepts.values() for rule in _of_concept(concept, inventory, servers)]
    gone = _gone(catalog, inventory)
    return [*rules, ThresholdRule(GONE, "critical", gone, "the server is offline")] if gone else rules


async def firing(queries: FleetQueries, state: FleetState) -> list[Firing]:
    """What fires in `state`, by the same rules; one more read tells since when."""
    inventory = await queries.inventory()
    rules = {(rule.concept, rule.severity): rule for rule in threshold_rules(queries.catalog, inventory)}
    found = []
    for server in state.servers:
        if server.status == "offline" and (GONE, "critical") in rules:
            since = server.last_seen or state.time - HISTORY_S
            found.append(Firing(rules[GONE, "critical"], server.id, None, 0.0, since))
        for reason in server.reasons:
            rule = rules[reason.concept, reason.level]
            found.append(Firing(rule, server.id, reason.part, reason.value, state.time))
    return await _dated(found, queries, inventory, state.time)


async def _dated(found: Sequence[Firing], queries: FleetQueries, inventory: Inventory, now: float) -> list[Firing]:
    """The same with the time since when each has been firing without a gap."""
    servers = sorted({one.server for one in found if one.rule.concept != GONE})
    wanted = {one.rule.name for one in found if one.rule.concept != GONE}
    rules = [rule for rule in threshold_rules(queries.catalog, inventory, servers) if rule.name in wanted]
    step = step_for(HISTORY_S)
    matrices = await queries.backend.ranges([(rule.query, now - HISTORY_S, now, step) for rule in rules])
    began: dict[tuple[str, str | None, str | None], float] = {}
    parts = {source.part for rule in rules for source in queries.catalog.concepts[rule.concept].sources} - {None}
    for rule, matrix in zip(rules, matrices, strict=True):
        for labels, since in zip(matrix.labels, _since(matrix), strict=True):
            part = next((labels[name] for name in parts if name and labels.get(name)), None)
            began.setdefault((rule.name, inventory.server_of(labels), part), since)
    return [one._replace(since=began.get((one.rule.name, one.server, one.part), one.since)) for one in found]


def _since(matrix: Matrix) -> list[float]:
    """For each row, the time of the first value of its last unbroken run."""
    there = ~np.isnan(matrix.values)
    steps = there.shape[1]
    run = np.where(there.all(axis=1), steps, np.argmin(there[:, ::-1], axis=1))
    return [float(time) for time in matrix.times[np.clip(steps - run, 0, steps - 1)]]


def _of_concept(concept: Concept, inventory: Inventory, servers: Sequence[str] | None) -> list[ThresholdRule]:
    query = expression(concept, inventory, servers)
    rules = []
    if query is not None and concept.critical is not None:
        limit = f"{concept.critical:g}"
        rules.append(_rule(concept, "critical", f"({query}) >= {limit}", limit))
    if query is not None and concept.warning is not None:
        below = "" if concept.critical is None else f" < {concept.critical:g}"
        limit = f"{concept.warning:g}"
        rules.append(_rule(concept, "warning", f"({query}) >= {limit}{below}", limit))
    return rules


def _rule(concept: Concept, severity: Severity, query: str, limit: str) -> ThresholdRule:
    unit = " %" if concept.unit == "percent" else ""
    return ThresholdRule(concept.name, severity, query, f"{concept.title['en']} is at {limit}{unit} or above")


def _gone(catalog: Catalog, inventory: Inventory) -> str:
    """Servers that were seen within a day and do not live now, each with the value 0."""
    signs, _ = signs_of_life(catalog, inventory, inventory.servers)
    return " or ".join(
        f"0 * count by ({by}) (present_over_time({metric}[1d])) unless count by ({by}) ({metric}{condition})"
        for metric, by, condition in signs
    )
