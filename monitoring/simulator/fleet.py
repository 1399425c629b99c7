"""The simulated fleet: seeded, the same at the same time for ever, and an exporter like any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

import numpy as np

from monitoring.ingest.targets import Target
from monitoring.model import Batch, Labels, label_key
from monitoring.simulator.exporter import Exporter, line_starts
from monitoring.simulator.scenarios import Incident, incidents
from monitoring.simulator.servers import SERVERS
from monitoring.simulator.shapes import Floats
from monitoring.simulator.timeline import Timeline

EPOCH = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""A Monday, 00:00 UTC. Counters are 0 there; times before it are not simulated."""
_STEPS_AT_ONCE = 60


class SimulatedFleet:
    """Fifteen servers of six types with a daily wave and three recurring incidents. Off until `start`.

    A value is a pure function of seed, epoch, server, series and time, so that a restart continues every counter and
    `backfill` gives the very samples that scraping would have given.
    """

    def __init__(self, seed: int = 1, epoch: float = EPOCH, *, now: Callable[[], float] = time.time) -> None:
        self._epoch = epoch
        self._now = now
        self._timelines = {name: Timeline(server, seed, epoch) for name, server in SERVERS.items()}
        self._starts = {name: line_starts(timeline.page_labels) for name, timeline in self._timelines.items()}
        self._exporter = Exporter({name: partial(self._page_now, name) for name in SERVERS})

    @property
    def running(self) -> bool:
        """True while the exporter serves."""
        return self._exporter.port is not None

    def names(self) -> list[str]:
        """The servers' names."""
        return list(SERVERS)

    def targets(self) -> tuple[Target, ...]:
        """What to scrape: every server while the exporter serves, else nothing."""
        port = self._exporter.port
        if port is None:
            return ()
        return tuple(
            Target(f"http://127.0.0.1:{port}/servers/{name}/metrics", label_key(server.labels))
            for name, server in SERVERS.items()
        )

    async def start(self) -> None:
        """Begins to serve the pages; harmless where they are served already."""
        if not self.running:
            await asyncio.to_thread(self.value, next(iter(SERVERS)), "node_load1", self._now())
            await self._exporter.start()

    async def stop(self) -> None:
        """Ends serving: `targets` is empty then, and what was collected stays."""
        await self._exporter.stop()

    def value(self, server: str, metric: str, t: float, **labels: str) -> float:
        """The value at `t` (Unix seconds) of the first series of that name with these labels. Raises KeyError."""
        timeline = self._timelines[server]
        wanted = {"__name__": metric, **labels}
        for row, shown in enumerate(timeline.page_labels):
            if wanted.items() <= shown.items():
                return float(timeline.at(np.array([t]))[row, 0])
        raise KeyError(f"{server} has no series {wanted}")

    def page(self, server: str, t: float) -> bytes:
        """The page of one server at `t` (Unix seconds), in the text format 0.0.4."""
        values = self._timelines[server].at(np.array([t]))[:, 0].tolist()
        starts = self._starts[server]
        return "".join([f"{start}{value!r}\n" for start, value in zip(starts, values, strict=True)]).encode()

    def backfill(self, end: float, hours: float = 25.0, step_s: float = 60.0) -> Iterator[Batch]:
        """The samples of the `hours` up to `end`, one each `step_s`, `up` included; oldest first, an hour a batch."""
        count = int(hours * 3_600 // step_s)
        times = np.floor(end / step_s) * step_s - step_s * np.arange(count, -1, -1, dtype=np.float64)
        times = times[times >= self._epoch]
        for first in range(0, len(times), _STEPS_AT_ONCE):
            yield self._between(times[first : first + _STEPS_AT_ONCE])

    def incidents(self, start: float, end: float) -> list[Incident]:
        """The truth: every incident that is under way at some time from `start` to `end` (Unix seconds)."""
        return list(incidents(self._epoch, start, end))

    def _between(self, times: Floats) -> Batch:
        series: list[Labels] = []
        values = []
        for name, timeline in self._timelines.items():
            target = SERVERS[name].labels
            series += [{**labels, **target} for labels in timeline.page_labels]
            series.append({"__name__": "up", **target})
            values += [timeline.at(times), np.ones((1, len(times)))]
        index = np.repeat(np.arange(len(series), dtype=np.int32), len(times))
        stamps = np.tile(np.round(times * 1000).astype(np.int64), len(series))
        return Batch(series, index, stamps, np.concatenate(values).reshape(-1))

    def _page_now(self, server: str) -> bytes:
        return self.page(server, self._now())
