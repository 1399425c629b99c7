"""Three incidents that come back on a schedule, with the truth about each, so that answers can be checked.

Their periods divide the week but not the day, so none becomes an hour's habit; at least one is always under way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monitoring.simulator.shapes import Floats, Minutes


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of incident. Times are minutes; the first one starts `offset` after the epoch."""

    name: str
    server: str
    concept: str
    """The concept, as the catalogue names it, in which the cause shows."""
    affected: tuple[tuple[str, str], ...]
    """(server, concept) of all that suffers, in the order in which it shows."""
    truth: str
    period: int
    offset: int
    duration: int

    def progress(self, minutes: Minutes) -> Floats:
        """0 at the start of an occurrence to 1 at its end; 0 outside."""
        since = (minutes - self.offset) % self.period
        return np.where(since < self.duration, since / self.duration, 0.0)

    def strength(self, minutes: Minutes, passage: float = 5.0) -> Floats:
        """1 while it is under way, rising and falling within `passage` minutes; 0 outside."""
        since = ((minutes - self.offset) % self.period).astype(np.float64)
        return np.minimum(since / passage, (self.duration - since) / passage).clip(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Incident:
    """One occurrence of a scenario, in Unix seconds: what a perfect answer would say."""

    scenario: Scenario
    start: float
    end: float


HOUR = 60
MEMORY_LEAK = Scenario(
    "memory_leak",
    "api-02",
    "memory",
    (("api-02", "memory"),),
    "A process on api-02 leaks memory until it is restarted.",
    period=630,
    offset=0,
    duration=9 * HOUR,
)
DISK_FILL = Scenario(
    "disk_fill",
    "batch-01",
    "disk",
    (("batch-01", "disk"),),
    "Job output fills /data on batch-01 until it is cleaned up.",
    period=21 * HOUR,
    offset=9 * HOUR,
    duration=14 * HOUR,
)
DB_SATURATION = Scenario(
    "db_saturation",
    "db-01",
    "connections",
    (
        ("db-01", "connections"),
        ("db-01", "cpu"),
        *((f"api-0{k}", "latency") for k in (1, 2, 3)),
        *((f"web-0{k}", "errors") for k in (1, 2, 3)),
    ),
    "db-01 runs out of connections; the api servers wait for it and the web servers answer with errors.",
    period=7 * HOUR,
    offset=2 * HOUR,
    duration=50,
)
SCENARIOS = (MEMORY_LEAK, DISK_FILL, DB_SATURATION)


def incidents(epoch: float, start: float, end: float) -> Iterator[Incident]:
    """Every occurrence that is under way at some time from `start` to `end` (Unix seconds), by scenario and time."""
    for scenario in SCENARIOS:
        first = epoch + scenario.offset * 60
        period, duration = scenario.period * 60, scenario.duration * 60
        number = (start - duration - first) // period + 1
        while (begins := first + number * period) <= end:
            if begins >= epoch:
                yield Incident(scenario, begins, begins + duration)
            number += 1
