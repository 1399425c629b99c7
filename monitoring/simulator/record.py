"""What the simulated fleet is made of and what it played, as rows of the cold store: the truth to check answers by."""

from __future__ import annotations

from typing import Any

from monitoring.simulator.fleet import SimulatedFleet
from monitoring.simulator.scenarios import Incident, Play
from monitoring.simulator.servers import SimulatedServer
from monitoring.store.cold_rows import ScenarioRun, ServerTemplate
from monitoring.store.cold_tables import ColdStore

BACKFILLED_S = 25 * 3_600.0
"""What was played before the first record: the day that the fleet is given at its start."""


class FleetRecord:
    """Keeps the record of one fleet in `cold`. What is written again is the same row."""

    def __init__(self, fleet: SimulatedFleet, cold: ColdStore) -> None:
        self._fleet, self._cold = fleet, cold
        self._until: float | None = None

    async def restore(self) -> None:
        """Lets the fleet have what was started on one of the same seed and size before. Raises StoreUnavailable."""
        self._fleet.play(
            play for run in await self._cold.runs() if (play := _started(run, self._fleet.seed, self._fleet.size))
        )

    async def write(self, now: float) -> None:
        """Write what was played up to `now` (Unix seconds), the servers at first. Raises StoreUnavailable."""
        if self._until is None:
            on: dict[str, list[str]] = {name: [] for name in self._fleet.names()}
            for caller, callee in self._fleet.stage.edges:
                on[caller].append(callee)
            await self._cold.put_templates([template(s, on[s.name]) for s in self._fleet.stage.servers.values()])
        start = now - BACKFILLED_S if self._until is None else self._until
        await self._cold.put_runs([self._run(incident, now) for incident in self._fleet.incidents(start, now)])
        self._until = now

    def _run(self, incident: Incident, now: float) -> ScenarioRun:
        by_hand = incident.play in self._fleet.plays
        return run(incident, now, {"seed": self._fleet.seed, "size": self._fleet.size, "by_hand": by_hand})


def template(server: SimulatedServer, depends: list[str]) -> ServerTemplate:
    """The definition of one server.

    >>> template(SimulatedServer("web-01", "web", 2, 8e9, ()), ["api-01"]).spec["depends"]
    ['api-01']
    """
    spec = {
        "cores": server.cores,
        "memory_bytes": server.memory_bytes,
        "disks": [{"device": device, "mount": mount, "bytes": size} for device, mount, size in server.disks],
        "labels": server.labels,
        "depends": depends,
    }
    return ServerTemplate(server.name, server.role, spec)


def run(incident: Incident, now: float, fleet: dict[str, Any]) -> ScenarioRun:
    """The row of one incident; without an end while it is under way at `now`."""
    play = incident.play
    return ScenarioRun(
        id=play.id,
        scenario=play.kind,
        started=play.start,
        ended=play.end if play.end <= now else None,
        parameters={"duration_s": play.duration_s, "strength": play.strength, "stopped": play.ended, **fleet},
        ground_truth=truth(incident),
    )


def truth(incident: Incident) -> dict[str, Any]:
    """What a perfect answer would say about an incident, as JSON has it. Unix seconds."""
    return {
        "server": incident.play.server,
        "concept": incident.kind.concept,
        "causes": [list(cause) for cause in incident.causes],
        "affected": [[event.server, event.concept] for event in incident.events],
        "events": [event._asdict() for event in incident.events],
        "truth": incident.truth,
    }


def _started(run: ScenarioRun, seed: int, size: int) -> Play | None:
    """What somebody started on such a fleet; None for a row of the schedule, or of another fleet."""
    given = run.parameters
    if not given.get("by_hand") or (given.get("seed"), given.get("size")) != (seed, size):
        return None
    server, duration_s = run.ground_truth["server"], given["duration_s"]
    return Play(run.scenario, server, run.started, duration_s, given["strength"], given["stopped"])
