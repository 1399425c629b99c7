"""The simulated servers, what they are made of and who depends on whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["web", "api", "db", "cache", "queue", "batch"]
ROLES: tuple[Role, ...] = get_args(Role)
GIB = 2.0**30
SIZE = 15
"""Servers of the fleet where nobody says how many."""
CELL = 15
"""A fleet of twice as many servers is two cells: a server calls only those of its own cell."""
_SHARES: Mapping[Role, int] = {"web": 3, "api": 3, "db": 2, "cache": 2, "queue": 2, "batch": 3}
"""How many of fifteen servers have each role."""
_CALLS: Mapping[Role, tuple[Role, ...]] = {"web": ("api",), "api": ("db", "cache", "queue"), "batch": ("queue", "db")}
_HARDWARE: Mapping[Role, tuple[int, float, dict[str, float]]] = {
    "web": (2, 8, {}),
    "api": (4, 16, {}),
    "db": (8, 64, {"data": 500}),
    "cache": (2, 32, {}),
    "queue": (2, 16, {"data": 100}),
    "batch": (4, 32, {"data": 200}),
}
"""Cores, GiB of memory, and GiB of each mount beside the root."""


@dataclass(frozen=True, slots=True)
class SimulatedServer:
    """One server. `disks` are (device, mount point, bytes)."""

    name: str
    role: Role
    cores: int
    memory_bytes: float
    disks: tuple[tuple[str, str, float], ...]
    cell: int = 0

    @property
    def labels(self) -> dict[str, str]:
        """The labels that every series of it carries."""
        return {"instance": f"{self.name}:9100", "job": "simulated", "role": self.role, "simulated": "true"}


def fleet_of(size: int) -> dict[str, SimulatedServer]:
    """`size` servers by name, at least one of each role. Raises ValueError where that cannot be.

    >>> [name for name in fleet_of(8)]
    ['web-01', 'web-02', 'api-01', 'api-02', 'db-01', 'cache-01', 'queue-01', 'batch-01']
    """
    if size < len(ROLES):
        raise ValueError(f"a simulated fleet has at least {len(ROLES)} servers, one of each type, not {size}")
    cells = max(1, round(size / CELL))
    made = [_server(role, k, cells) for role, count in _counts(size).items() for k in range(count)]
    return {server.name: server for server in made}


def edges(servers: Mapping[str, SimulatedServer]) -> list[tuple[str, str]]:
    """Who calls whom, within each cell: web → api → db, cache and queue; batch → queue and db.

    >>> edges(fleet_of(6))[:2]
    [('web-01', 'api-01'), ('api-01', 'db-01')]
    """
    return [
        (one.name, other.name)
        for one in servers.values()
        for other in servers.values()
        if other.role in _CALLS.get(one.role, ()) and other.cell == one.cell
    ]


def _counts(size: int) -> dict[Role, int]:
    """Servers of each role: its share of the size, the largest remainders rounded up."""
    exact = {role: size * share / SIZE for role, share in _SHARES.items()}
    counts: dict[Role, int] = {role: max(1, int(number)) for role, number in exact.items()}
    while (missing := size - sum(counts.values())) != 0:
        step = 1 if missing > 0 else -1
        open_to: Sequence[Role] = [role for role in ROLES if counts[role] + step >= 1]
        counts[max(open_to, key=lambda role: step * (exact[role] - counts[role]))] += step
    return counts


def _server(role: Role, k: int, cells: int) -> SimulatedServer:
    cores, memory_gib, mounts = _HARDWARE[role]
    root = ("/dev/sda1", "/", 40 * GIB)
    disks = (root, *(("/dev/sdb1", f"/{mount}", size * GIB) for mount, size in mounts.items()))
    return SimulatedServer(f"{role}-{k + 1:02}", role, cores, memory_gib * GIB, disks, k % cells)
