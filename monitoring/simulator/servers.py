"""The simulated servers, what they are made of and who depends on whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal["web", "api", "db", "cache", "queue", "batch"]
GIB = 2.0**30


@dataclass(frozen=True, slots=True)
class SimulatedServer:
    """One server. `disks` are (device, mount point, bytes)."""

    name: str
    role: Role
    cores: int
    memory_bytes: float
    disks: tuple[tuple[str, str, float], ...]

    @property
    def labels(self) -> dict[str, str]:
        """The labels that every series of it carries."""
        return {"instance": f"{self.name}:9100", "job": "simulated", "role": self.role, "simulated": "true"}


def _servers(role: Role, count: int, cores: int, memory_gib: float, **mounts: float) -> list[SimulatedServer]:
    root = ("/dev/sda1", "/", 40 * GIB)
    disks = (root, *(("/dev/sdb1", f"/{mount}", size * GIB) for mount, size in mounts.items()))
    return [SimulatedServer(f"{role}-{k:02}", role, cores, memory_gib * GIB, disks) for k in range(1, count + 1)]


SERVERS: Mapping[str, SimulatedServer] = {
    server.name: server
    for server in (
        *_servers("web", 3, 2, 8),
        *_servers("api", 3, 4, 16),
        *_servers("db", 2, 8, 64, data=500),
        *_servers("cache", 2, 2, 32),
        *_servers("queue", 2, 2, 16, data=100),
        *_servers("batch", 3, 4, 32, data=200),
    )
}

DEPENDS: Mapping[str, tuple[str, ...]] = {
    server.name: tuple(
        other.name
        for other in SERVERS.values()
        if other.role
        in {"web": ("api",), "api": ("db", "cache", "queue"), "batch": ("queue", "db")}.get(server.role, ())
    )
    for server in SERVERS.values()
}
"""Server → the servers that it calls: web → api → db, cache and queue; batch → queue and db."""
