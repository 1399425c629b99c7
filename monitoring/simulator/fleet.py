"""The simulated fleet: seeded, the same at the same time for ever, and an exporter like any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from monitoring.ingest.targets import Target
from monitoring.model import Batch, Labels, label_key
from monitoring.simulator.exporter import Exporter
from monitoring.simulator.registry import MetricSpec, shipped
from monitoring.simulator.savings import PageWriter, Savings
from monitoring.simulator.scenarios import Incident, Play, Stage
from monitoring.simulator.servers import SIZE, fleet_of
from monitoring.simulator.shapes import EPOCH, Floats
from monitoring.simulator.timeline import DAY_S, KEPT_DAYS, Timeline

_STEPS_AT_ONCE = 60


class SimulatedFleet:
    """Servers of six types with daily, weekly and nightly habits, a schedule of incidents, and those that are started.
    Off until `start`.

    A value is a pure function of seed, epoch, size, registry, plays and time, so that a restart continues every counter
    and `backfill` gives the very samples that scraping would have given.
    """

    def __init__(
        self,
        seed: int = 1,
        epoch: float = EPOCH,
        *,
        size: int = SIZE,
        schedule: bool = True,
        topology: Iterable[tuple[str, str]] | None = None,
        registry: Sequence[MetricSpec] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """`schedule`: play the incidents that come back. `topology`: the (caller, callee) to tell of, all where it
        is None. `registry`: more metrics. Raises ValueError where `size` is below one server of each type."""
        self.seed, self.size, self.schedule = seed, size, schedule
        self.stage = Stage(fleet_of(size))
        self.topology = tuple(self.stage.edges if topology is None else topology)
        self.registry = tuple(registry)
        self.plays: tuple[Play, ...] = ()
        """What was started, beside the schedule."""
        self.lean = True
        """Pages are made from a baseline and differences; without it each is computed anew. The bytes are the same."""
        self.savings = Savings()
        self.versions: tuple[int, ...] = ()
        """Of the baseline, the newest last: days since the epoch whose curves are kept."""
        self._epoch, self._now = epoch, now
        self._timelines = {
            name: Timeline(
                server,
                self.stage,
                seed,
                epoch,
                schedule=schedule,
                registry=(*shipped(), *registry),
                calls=[on for caller, on in self.topology if caller == name],
            )
            for name, server in self.stage.servers.items()
        }
        self._writers = {name: PageWriter(timeline, self.savings) for name, timeline in self._timelines.items()}
        self._exporter = Exporter({name: partial(self._page_now, name) for name in self._timelines})

    @property
    def running(self) -> bool:
        """True while the exporter serves."""
        return self._exporter.port is not None

    def names(self) -> list[str]:
        """The servers' names."""
        return list(self._timelines)

    def targets(self) -> tuple[Target, ...]:
        """What to scrape: every server while the exporter serves, else nothing."""
        port = self._exporter.port
        if port is None:
            return ()
        return tuple(
            Target(f"http://127.0.0.1:{port}/servers/{name}/metrics", label_key(server.labels))
            for name, server in self.stage.servers.items()
        )

    async def start(self) -> None:
        """Begins to serve the pages; harmless where they are served already."""
        if not self.running:
            await asyncio.to_thread(self.prepare, self._now())
            await self._exporter.start()

    def prepare(self, t: float) -> None:
        """Makes the baseline's curves of the day of `t` (Unix seconds), where they are not made yet.

        They are the baseline's next version; those of two days before it are kept.
        """
        day = int((t - self._epoch) // DAY_S)
        if day not in self.versions:
            self.versions = (*self.versions, day)[-KEPT_DAYS:]
        for timeline in self._timelines.values():
            timeline.at(np.array([t]))

    async def stop(self) -> None:
        """Ends serving: `targets` is empty then, and what was collected stays."""
        await self._exporter.stop()

    def play(self, plays: Iterable[Play]) -> None:
        """From now on these were started, and no others. Raises BadQuery for one that cannot be."""
        wanted = tuple(sorted(plays, key=lambda play: (play.start, play.id)))
        for play in wanted:
            self.stage.check(play)
        self.plays = wanted
        for timeline in self._timelines.values():
            timeline.play(wanted)

    def begin(self, kind: str, start: float, server: str | None = None, minutes: float | None = None) -> Play:
        """Lets a scenario begin at the first whole minute from `start` on; without `server` on the usual one.

        Raises BadQuery.
        """
        play = self.stage.started(kind, start, server, minutes)
        self.play((*self.plays, play))
        return play

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
        writer = self._writers[server]
        return writer.page(t) if self.lean else writer.anew(t)

    def down(self, server: str, t: float) -> bool:
        """True where a server does not answer at `t` (Unix seconds)."""
        return bool(self._timelines[server].down(np.array([t]))[0])

    def curve_bytes(self) -> int:
        """What the curves of one day take in memory, for all servers."""
        return sum(timeline.kept_bytes() for timeline in self._timelines.values())

    def backfill(
        self, end: float, hours: float = 25.0, step_s: float = 60.0, *, names: Collection[str] | None = None
    ) -> Iterator[Batch]:
        """The samples of the `hours` up to `end`, one each `step_s`, `up` included; oldest first, an hour a batch.

        With `names` only of these servers.
        """
        count = int(hours * 3_600 // step_s)
        times = np.floor(end / step_s) * step_s - step_s * np.arange(count, -1, -1, dtype=np.float64)
        times = times[times >= self._epoch]
        for first in range(0, len(times), _STEPS_AT_ONCE):
            yield self._between(times[first : first + _STEPS_AT_ONCE], self.names() if names is None else names)

    def incidents(self, start: float, end: float) -> list[Incident]:
        """The truth: every incident under way at some time from `start` to `end` (Unix seconds), by its start."""
        scheduled = self.stage.recurring(start, end, self._epoch) if self.schedule else ()
        begun = [play for play in scheduled if play.start >= self._epoch]
        begun += [play for play in self.plays if play.start <= end and play.end >= start]
        return [self.stage.incident(play) for play in sorted(begun, key=lambda play: (play.start, play.id))]

    def _between(self, times: Floats, names: Collection[str]) -> Batch:
        series: list[Labels] = []
        values = []
        answered = []
        for name in names:
            timeline = self._timelines[name]
            target = self.stage.servers[name].labels
            series += [{**labels, **target} for labels in timeline.page_labels]
            series.append({"__name__": "up", **target})
            up = ~timeline.down(times)
            values += [timeline.at(times), up[np.newaxis].astype(np.float64)]
            answered += [
                np.broadcast_to(up, (len(timeline.page_labels), len(times))),
                np.ones((1, len(times)), np.bool_),
            ]
        kept = np.concatenate(answered).reshape(-1)
        index = np.repeat(np.arange(len(series), dtype=np.int32), len(times))
        stamps = np.tile(np.round(times * 1000).astype(np.int64), len(series))
        return Batch(series, index[kept], stamps[kept], np.concatenate(values).reshape(-1)[kept])

    def _page_now(self, server: str) -> bytes | None:
        """The page as of now; None where the server is down."""
        now = self._now()
        return None if self.down(server, now) else self.page(server, now)
