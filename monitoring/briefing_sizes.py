"""Servers held against their use over days: too small, too big, or right, with the figures that say so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from monitoring.briefing_facts import Size
from monitoring.catalog import Catalog
from monitoring.expressions import covered, expression
from monitoring.inventory import Inventory

STEP_S = 1_800
MANY = 190
"""Of more servers than a reading has rows for, the ends are read: the busiest and the idlest."""
IDLE_CPU, IDLE_CPU_PEAK, IDLE_MEMORY = 20.0, 60.0, 40.0
"""Below all three, a server is too big (percent, 95th percentile and maximum)."""
AIM = 60.0
"""Where the 95th percentile of CPU should stand, percent."""
LEAST_S = 6 * 3600.0
"""Less history tells nothing about size."""


def size_queries(catalog: Catalog, inventory: Inventory, servers: Sequence[str], days: int) -> dict[str, str]:
    """Name → PromQL, for the readings that `sizes` judges by."""
    window = f"[{days}d:{STEP_S // 60}m]"
    found = {}
    for name in ("cpu", "memory"):
        query = expression(catalog.concepts[name], inventory, servers or None)
        if query is not None:
            found[f"{name}_p95"] = _ends(f"quantile_over_time(0.95, ({query}){window})", inventory)
            found[f"{name}_max"] = _ends(f"max_over_time(({query}){window})", inventory)
    cpu = expression(catalog.concepts["cpu"], inventory, servers or None)
    if cpu is not None:
        found["measured"] = _ends(f"count_over_time(({cpu}){window}) * {STEP_S}", inventory)
    if (disk := expression(catalog.concepts["disk"], inventory, servers or None)) is not None:
        found["disk"] = _ends(disk, inventory)
    if "node_cpu_seconds_total" in inventory.metrics:
        found["cores"] = _ends('count by (instance) (node_cpu_seconds_total{mode="idle"})', inventory)
    if "node_memory_MemTotal_bytes" in inventory.metrics:
        found["memory_bytes"] = _ends("max by (instance) (node_memory_MemTotal_bytes)", inventory)
    return found


def sizes(found: Mapping[str, Sequence[Mapping[str, Any]]], inventory: Inventory, catalog: Catalog) -> list[Size]:
    """A verdict for each server that was measured long enough; too small first, then too big, then the rest."""
    figures = {name: _by_server(rows) for name, rows in found.items()}
    with_memory = covered(catalog.concepts["memory"], inventory)
    judged = []
    for server in sorted(figures.get("cpu_p95", {})):
        if server in with_memory and server not in figures.get("memory_p95", {}):
            continue  # among so many that its row was left out
        if figures["measured"].get(server, (0.0, None))[0] >= LEAST_S:
            judged.append(_judged(server, figures, inventory, catalog))
    order = {"small": 0, "big": 1, "fits": 2}
    return sorted(judged, key=lambda one: (order[one.verdict], _use(one), one.server))


def _judged(
    server: str, figures: Mapping[str, Mapping[str, tuple[float, str | None]]], inventory: Inventory, catalog: Catalog
) -> Size:
    def value(name: str) -> float | None:
        found = figures.get(name, {}).get(server)
        return None if found is None else found[0]

    cpu, peak, memory, disk, cores = (value(k) for k in ("cpu_p95", "cpu_max", "memory_p95", "disk", "cores"))
    short = [
        name
        for name, use in (("cpu", cpu), ("memory", memory), ("disk", disk))
        if use is not None and catalog.concepts[name].breach(use) is not None
    ]
    idle = (
        cpu is not None
        and cpu < IDLE_CPU
        and (peak is None or peak < IDLE_CPU_PEAK)
        and (memory is None or memory < IDLE_MEMORY)
    )
    verdict: Literal["big", "small", "fits"] = "small" if short else "big" if idle else "fits"
    because = tuple(short) if short else ("cpu", "memory") if idle and memory is not None else ("cpu",) if idle else ()
    return Size(
        server,
        inventory.servers[server].type,
        verdict,
        because,
        cpu,
        peak,
        memory,
        value("memory_max"),
        disk,
        figures.get("disk", {}).get(server, (0.0, None))[1],
        cores,
        value("memory_bytes"),
        value("measured") or 0.0,
        _enough(cores, cpu) if "cpu" in because else None,
    )


def _enough(cores: float | None, p95: float | None) -> int | None:
    """Cores at which the same work would take `AIM` percent.

    >>> _enough(16.0, 6.0), _enough(4.0, 90.0), _enough(1.0, 5.0)
    (2, 6, None)
    """
    if cores is None or p95 is None:
        return None
    wanted = max(1, math.ceil(cores * p95 / AIM))
    return None if wanted == cores else wanted


def _by_server(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, str | None]]:
    """Server → its largest value, and the part (mount) that has it."""
    found: dict[str, tuple[float, str | None]] = {}
    for row in rows:
        server, value = row.get("server"), row.get("value")
        if server is None or value is None or not math.isfinite(value):
            continue
        part = next((str(v) for k, v in row.items() if k not in ("server", "value") and v is not None), None)
        if server not in found or value > found[server][0]:
            found[server] = value, part
    return found


def _ends(query: str, inventory: Inventory) -> str:
    if len(inventory.servers) <= MANY:
        return query
    return f"topk({MANY // 2}, {query}) or bottomk({MANY // 2}, {query})"


def _use(one: Size) -> float:
    highest = max(one.cpu_p95 or 0.0, one.memory_p95 or 0.0, one.disk or 0.0)
    return -highest if one.verdict == "small" else one.cpu_p95 or 0.0
