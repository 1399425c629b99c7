"""The simulated fleet where it is collected: made as asked for, given a past, recorded, and scraped at its own pace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

import psutil

from monitoring.environment import detect
from monitoring.errors import BadQuery, StoreUnavailable
from monitoring.ingest.targets import Target
from monitoring.model import Batch, Matcher
from monitoring.plugins import FleetData, Plugins
from monitoring.simulator import Play, SimulatedFleet
from monitoring.simulator.pace import Pace
from monitoring.simulator.record import FleetRecord, truth
from monitoring.simulator.registry import read
from monitoring.simulator.servers import fleet_of
from monitoring.store.redis import SampleStore
from web.settings import Settings

log = logging.getLogger(__name__)
LOOK_S = 1.0
MINUTE_S = 60.0
PACE_S = 5.0
HOUR_MS = 3_600_000

KIND, KEY = "collector", "demo"
"""The JSON value in the store by which web processes say what they wish."""


class Demo:
    """One simulated fleet in the collecting process. It follows what `POST /api/data-generator` said last."""

    def __init__(
        self,
        settings: Settings,
        store: SampleStore,
        append: Callable[[Batch], Awaitable[int]],
        clock: Callable[[], float],
    ) -> None:
        """Reads the file of further metrics at once. Raises BadSetting."""
        self.environment = detect(settings.environment)
        self.profile = self.environment.profile(settings.profile)
        self.pace = Pace(self.profile.interval_s)
        self.plugins = Plugins(settings.disabled_plugins)
        self.fleet: SimulatedFleet | None = None
        self._store, self._append, self._clock = store, append, clock
        self._seed = settings.demo_seed
        self._registry = () if settings.demo_metrics is None else read(settings.demo_metrics)
        self._record: FleetRecord | None = None
        self._past_due = False
        self._lock = asyncio.Lock()
        self._begun = False

    @property
    def running(self) -> bool:
        """True while the fleet is served."""
        return self.fleet is not None and self.fleet.running

    def targets(self) -> tuple[Target, ...]:
        """What to scrape now."""
        return () if self.fleet is None else self.fleet.targets()

    async def run(self) -> None:
        """Follows the wishes until cancelled; then nothing is served any more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repeat(self.obey, LOOK_S), name="demo")
                tasks.create_task(self._repeat(self._give_past, LOOK_S), name="demo past")
                tasks.create_task(self._repeat(self._tick, MINUTE_S), name="demo minute")
                tasks.create_task(self._repeat(self._observe, PACE_S), name="demo pace")
        finally:
            await self.close()

    async def close(self) -> None:
        """Stops serving, and lets the plugins close what they opened."""
        if self.fleet is not None:
            await self.fleet.stop()
        await self.plugins.cleanup()
        self._begun = False

    async def obey(self) -> None:
        """Makes, starts or stops the fleet as was said last; without a word it runs. Raises StoreUnavailable."""
        said: dict[str, Any] = await self._store.get_json(KIND, KEY) or {}
        async with self._lock:
            if not self._begun:
                self._begun = True
                await self.plugins.initialize()
            fleet = await self._made(said.get("seed") or self._seed, said.get("size") or self.profile.servers)
            fleet.lean = said.get("lean", True)
            await self._play(fleet, [Play(**one) for one in said.get("plays", ())])
            if (said.get("on") is not False) != fleet.running:
                await (fleet.stop() if fleet.running else fleet.start())

    async def forget_stop(self) -> None:
        """A fleet that was stopped by hand runs again after a restart; seed, size and plays stay."""
        said: dict[str, Any] = await self._store.get_json(KIND, KEY) or {}
        await self._store.put_json(KIND, KEY, said | {"on": None})

    def state(self) -> dict[str, Any]:
        """What every process may know of it."""
        fleet, now = self.fleet, self._clock()
        about: dict[str, Any] = {
            "running": self.running,
            "servers": [] if fleet is None else fleet.names(),
            "profile": self.profile.name,
            "interval_s": self.profile.interval_s,
            "current_interval_s": round(self.pace.interval_s, 2),
            "plugins": self.plugins.report(),
            "plugin_failures": {f"{name}/{at}": n for (name, at), n in sorted(self.plugins.failures.items())},
        }
        if fleet is None:
            return about
        return about | {
            "seed": fleet.seed,
            "size": fleet.size,
            "schedule": fleet.schedule,
            "mode": "baseline+delta" if fleet.lean else "anew",
            "baseline": {"version": fleet.versions[-1], "kept": fleet.versions[:-1]} if fleet.versions else None,
            "edges": len(fleet.topology),
            "by_hand": [asdict(play) for play in fleet.plays if play.end > now],
            "under_way": [
                {"scenario": one.play.kind, "id": one.play.id, "started": one.start, "until": one.end, **truth(one)}
                for one in fleet.incidents(now, now)
            ],
            "savings": fleet.savings.report() | {"curve_bytes": fleet.curve_bytes()},
        }

    async def _made(self, seed: int, size: int) -> SimulatedFleet:
        """The fleet in force, or a new one of that seed and size."""
        before = self.fleet
        if before is not None and (before.seed, before.size) == (seed, size):
            return before
        data = await self._shaped(seed, size, ())
        return await self._replaced(data, seed, size)

    async def _replaced(self, data: FleetData, seed: int, size: int) -> SimulatedFleet:
        before = self.fleet
        fleet = await asyncio.to_thread(_fleet, data, seed, size, self._clock)
        self._record = None if self._store.cold is None else FleetRecord(fleet, self._store.cold)
        if self._record is not None:
            try:
                await self._record.restore()
            except (StoreUnavailable, BadQuery) as error:
                log.warning("plays.not_restored error=%s", error)
        await asyncio.to_thread(fleet.prepare, self._clock())
        if before is not None:
            await before.stop()
        self.fleet, self._past_due = fleet, True
        return fleet

    async def _shaped(self, seed: int, size: int, plays: tuple[Play, ...]) -> FleetData:
        """What the plugins make of a fleet."""
        data = FleetData(self._clock(), fleet_of(size), registry=self._registry, plays=plays)
        return await self.plugins.process(data)

    async def _play(self, fleet: SimulatedFleet, wished: list[Play]) -> None:
        """Adds what was wished since, or stopped, to what is played; a new play is recorded at once."""
        plays = {play.id: play for play in (*fleet.plays, *wished)}
        known = [play for play in plays.values() if play.server in fleet.stage.servers]
        if {*known} == {*fleet.plays}:
            return
        await asyncio.to_thread(fleet.play, known)
        await self._write()

    async def _tick(self) -> None:
        """Once a minute: the plugins' turn, tomorrow's curves, the record."""
        async with self._lock:
            fleet = self.fleet
            if fleet is None:
                return
            data = await self._shaped(fleet.seed, fleet.size, fleet.plays)
            if (tuple(data.edges), data.schedule, tuple(data.registry)) != (
                fleet.topology,
                fleet.schedule,
                fleet.registry,
            ):
                was = fleet.running
                fleet = await self._replaced(data, fleet.seed, fleet.size)
                if was:
                    await fleet.start()
            await self._play(fleet, list(data.plays))
            if data.curves_until:
                await asyncio.to_thread(fleet.prepare, data.curves_until)
            if fleet.running:
                await self._write()

    async def _write(self) -> None:
        if self._record is not None:
            await self._record.write(self._clock())

    async def _observe(self) -> None:
        self.pace.observe(psutil.cpu_percent(None) / 100)

    async def _give_past(self) -> None:
        """Gives servers the day that they would have had, where the store does not have it yet."""
        fleet, now = self.fleet, self._clock()
        if fleet is None or not fleet.running or not self._past_due:
            return
        yesterday = round(now * 1000) - 25 * HOUR_MS, round(now * 1000) - 20 * HOUR_MS
        found = await self._store.labels(
            (Matcher("simulated", "=", "true"), Matcher("__name__", "=", "up")), *yesterday
        )
        have = {labels["instance"].partition(":")[0] for labels in found}
        missing = [name for name in fleet.names() if name not in have]
        batches = fleet.backfill(now, names=missing)
        while missing and (batch := await asyncio.to_thread(next, batches, None)) is not None:
            await self._append(batch)
        self._past_due = self._past_due and fleet is not self.fleet

    async def _repeat(self, act: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await act()
            except StoreUnavailable as error:
                log.warning("demo.skipped cause=%s", error.cause)
            except Exception:  # one bad round must not end the collection
                log.warning("demo.failed", exc_info=True)
            await asyncio.sleep(every_s)


def as_wish(play: Play) -> dict[str, Any]:
    """A play as the store's JSON has it."""
    return asdict(play)


def stopped(play: dict[str, Any], now: float) -> dict[str, Any]:
    """The same play, ended at `now` (Unix seconds)."""
    return asdict(replace(Play(**play), ended=now))


def _fleet(data: FleetData, seed: int, size: int, clock: Callable[[], float]) -> SimulatedFleet:
    return SimulatedFleet(
        seed, size=size, schedule=data.schedule, topology=data.edges, registry=data.registry, now=clock
    )
