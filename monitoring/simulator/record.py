"""What the simulated fleet is made of and what it played, as rows of the cold store: the truth to check answers by."""

from __future__ import annotations

from monitoring.simulator.fleet import SimulatedFleet
from monitoring.simulator.scenarios import Incident
from monitoring.simulator.servers import DEPENDS, SERVERS, SimulatedServer
from monitoring.store.cold_rows import ScenarioRun, ServerTemplate
from monitoring.store.cold_tables import ColdStore

BACKFILLED_S = 25 * 3_600.0
"""What was played before the first record: the day that the fleet is given at its start."""


class FleetRecord:
    """Keeps the record of one fleet in `cold`. What is written again is the same row."""

    def __init__(self, fleet: SimulatedFleet, cold: ColdStore) -> None:
        self._fleet, self._cold = fleet, cold
        self._until: float | None = None

    async def write(self, now: float) -> None:
        """Write what was played up to `now` (Unix seconds), the servers at first. Raises StoreUnavailable."""
        if self._until is None:
            await self._cold.put_templates([template(server) for server in SERVERS.values()])
        start = now - BACKFILLED_S if self._until is None else self._until
        await self._cold.put_runs([run(incident, now) for incident in self._fleet.incidents(start, now)])
        self._until = now


def template(server: SimulatedServer) -> ServerTemplate:
    """The definition of one server.

    >>> template(SERVERS["web-01"]).spec["depends"]
    ['api-01', 'api-02', 'api-03']
    """
    spec = {
        "cores": server.cores,
        "memory_bytes": server.memory_bytes,
        "disks": [{"device": device, "mount": mount, "bytes": size} for device, mount, size in server.disks],
        "labels": server.labels,
        "depends": list(DEPENDS[server.name]),
    }
    return ServerTemplate(server.name, server.role, spec)


def run(incident: Incident, now: float) -> ScenarioRun:
    """The row of one incident; without an end while it is under way at `now`."""
    scenario = incident.scenario
    return ScenarioRun(
        id=f"{scenario.name}@{incident.start:.0f}",
        scenario=scenario.name,
        started=incident.start,
        ended=incident.end if incident.end <= now else None,
        parameters={"period_minutes": scenario.period, "duration_minutes": scenario.duration},
        ground_truth={
            "server": scenario.server,
            "concept": scenario.concept,
            "affected": [list(pair) for pair in scenario.affected],
            "truth": scenario.truth,
        },
    )
