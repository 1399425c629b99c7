"""The thresholds of the catalogue as alert rules: each with the PromQL that finds what fires by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from monitoring.catalog import Catalog, Concept
from monitoring.expressions import expression
from monitoring.fleet import signs_of_life
from monitoring.inventory import Inventory

Severity = Literal["warning", "critical"]
GONE = "up"
"""The concept whose rule says that a server is gone."""


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


def threshold_rules(
    catalog: Catalog, inventory: Inventory, servers: Sequence[str] | None = None
) -> list[ThresholdRule]:
    """The rules for what this fleet reports, or some servers of it, as the catalogue orders them."""
    rules = [rule for concept in catalog.concepts.values() for rule in _of_concept(concept, inventory, servers)]
    gone = _gone(catalog, inventory)
    return [*rules, ThresholdRule(GONE, "critical", gone, "the server is offline")] if gone else rules


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
