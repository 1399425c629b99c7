"""PromQL for a concept: the sources that the fleet really has, narrowed to servers and parts, joined by `or`."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.catalog import Concept, Source
from monitoring.inventory import Inventory, escape


def expression(
    concept: Concept,
    inventory: Inventory,
    servers: Sequence[str] | None = None,
    *,
    part: str | None = None,
    quantile: float | None = None,
) -> str | None:
    """One value per server (and part) for `servers`, or all; None where none of them reports the concept."""
    wanted = list(inventory.servers) if servers is None else servers
    queries = []
    for source in sources(concept, inventory):
        matchers = inventory.matchers(source, wanted)
        if matchers is None:
            continue
        if part is not None:
            matchers = _also(matchers, source, part)
        queries.append(source.promql(matchers, quantile))
    return " or ".join(queries) or None


def sources(concept: Concept, inventory: Inventory) -> list[Source]:
    """The sources in use, without those whose servers an earlier one covers already."""
    used: list[Source] = []
    covered: set[str] = set()
    for source in concept.sources:
        servers = set(inventory.reporting(source))
        if servers - covered:
            used.append(source)
            covered |= servers
    return used


def covered(concept: Concept, inventory: Inventory) -> set[str]:
    """The servers that report the concept."""
    return {server for source in concept.sources for server in inventory.reporting(source)}


def _also(matchers: str, source: Source, part: str) -> str:
    return ",".join(filter(None, (matchers, f'{source.part}="{escape(part)}"' if source.part else "")))
