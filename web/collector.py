"""What the one collecting process does: scrape, read this machine, run the simulated fleet, keep the store in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from monitoring import catalog as catalogue
from monitoring.backends import LocalBackend
from monitoring.baselines import BaselineRecord
from monitoring.baselines_loop import BaselineLoop
from monitoring.detection import DetectionLoop
from monitoring.errors import StoreUnavailable
from monitoring.forecasts_judge import ForecastJudge
from monitoring.ingest import host
from monitoring.ingest.exposition import Metadata
from monitoring.ingest.scrape import ScrapeLoop
from monitoring.ingest.targets import DroppedTarget, Target, TargetHealth, target
from monitoring.ingest.targets_file import TargetsFile
from monitoring.ingest.validation import Gate
from monitoring.model import Batch
from monitoring.queries import FleetQueries
from monitoring.store.families import Families
from monitoring.store.lease import Lease
from monitoring.store.redis import SampleStore
from monitoring.store.steady import SteadyClock
from monitoring.windows import rfc3339
from web.alerting import alert_loop
from web.demo import Demo
from web.feeds import feeds
from web.settings import Settings

log = logging.getLogger(__name__)
UPKEEP_S = 60.0
PUBLISH_S = 2.0
KEPT_S = 86_400.0
"""What a collector published is shown for so long after it fell silent, with its age."""

KIND = "collector"
"""The kind of JSON value in the store through which the collector and the web processes speak."""


class Collector:
    """Collects for as long as the lease is ours; of several collectors on one store, the others wait.

    Every sample carries the lease's number, so that a collector that slept through its lease writes nothing.
    """

    def __init__(self, settings: Settings, store: SampleStore, clock: Callable[[], float]) -> None:
        """Reads the targets file at once. Raises BadSetting."""
        self.demo = Demo(settings, store, self.append, clock) if settings.demo else None
        self.scrape: ScrapeLoop | None = None
        """The loop while we lead."""
        self.lease = Lease(store.connection, settings.lease_ttl)
        self.gate = Gate(self.append, clock, settings.retention_s)
        queries = FleetQueries(LocalBackend(store), catalogue.load(), clock)
        self.alerts = alert_loop(settings, store, queries, clock, self.lease, self.append)
        record = BaselineRecord(store.cold)
        self.baselines = BaselineLoop(queries, record, clock, settings.baseline_interval_s)
        self.detection = DetectionLoop(queries, record, self.baselines, clock, self.append, settings.detect_interval)
        self.judge = ForecastJudge(queries, store.cold, clock, self.append)
        self._families = Families(store.connection)
        self._settings, self._store, self._clock = settings, store, clock
        self._begun_since: float | None = None
        self._fixed = [target(address) for address in settings.scrape]
        self._file = TargetsFile(Path(settings.targets)) if settings.targets else None
        self._feeds = feeds(settings, store.connection, self.gate)

    @property
    def leading(self) -> bool:
        """True while this process collects."""
        return self.scrape is not None

    async def run(self) -> None:
        """Waits for the lease, collects while it is ours. Runs until cancelled."""
        try:
            await self.lease.lead(self._term)
        finally:
            for feed in self._feeds:
                await feed.close()

    async def append(self, batch: Batch) -> int:
        """Keeps a batch under the lease's number. Raises StoreUnavailable("fenced") when another took over."""
        fence = self.lease.fence
        if fence is None:
            raise StoreUnavailable("fenced", "another collector took over; this one writes nothing more")
        try:
            return await self._store.append(batch, fence)
        except StoreUnavailable as error:
            if error.cause == "fenced":
                self.lease.lose()
            raise

    async def obey(self) -> None:
        """Has the simulated fleet follow at once what was wished."""
        if self.demo is not None:
            await self.demo.obey()

    def state(self) -> dict[str, Any]:
        """What every process may know: where samples come from, the targets, the simulated fleet."""
        return {
            "at": self._clock(),
            "local": self._settings.local,
            "interval_s": self._settings.scrape_interval,
            "demo": None if self.demo is None else self.demo.state(),
            "targets": [] if self.scrape is None else [target_json(health) for health in self.scrape.targets()],
            "dropped": [{"discoveredLabels": dict(one.discovered)} for one in self._dropped()],
        }

    def metadata(self) -> dict[str, Metadata]:
        """What the scraped pages say about each metric family."""
        return {} if self.scrape is None else self.scrape.metadata()

    async def _term(self, fence: int) -> None:
        log.info("collector.leads fence=%d", fence)
        scrape = self.scrape = self._loop()
        self.lease.settled.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(scrape.run(), name="scrape")
                tasks.create_task(self._upkeep(), name="upkeep")
                tasks.create_task(self._publish(), name="publish")
                tasks.create_task(self.alerts.run(), name="alerts")
                if self._settings.detect:
                    tasks.create_task(self.baselines.run(), name="baselines")
                    tasks.create_task(self.detection.run(), name="detection")
                tasks.create_task(self.judge.run(), name="forecast-judge")
                if self.demo is not None:
                    tasks.create_task(self.demo.run(), name="demo")
        finally:
            self.scrape = None
            if self.lease.ending:
                await self._forget_switch()

    async def _forget_switch(self) -> None:
        """A fleet that was stopped by hand runs again after a restart; not after a crash or a takeover."""
        if self.demo is None:
            return
        try:
            async with asyncio.timeout(1.0):
                await self.demo.forget_stop()
        except (StoreUnavailable, TimeoutError) as error:
            log.info("demo.switch_kept error=%s", error)

    def _loop(self) -> ScrapeLoop:
        settings = self._settings
        return ScrapeLoop(
            self.gate.outlet("scrape"),
            self._wanted,
            local=host.collect if settings.local else None,
            interval_s=settings.scrape_interval,
            timeout_s=min(settings.scrape_timeout, settings.scrape_interval * 0.9),
            feeds=self._feeds,
            discover=self._file.run if self._file else None,
            pace=self._pace,
            now=self._clock,
        )

    def _wanted(self) -> Iterable[Target]:
        simulated = () if self.demo is None else self.demo.targets()
        return [*self._fixed, *(self._file.current() if self._file else ()), *simulated]

    def _pace(self, target: Target) -> float | None:
        """Seconds between two scrapes of a simulated server; None for all others, which have their own."""
        simulated = self.demo is not None and ("simulated", "true") in target.labels_key
        return self.demo.pace.interval_s if self.demo is not None and simulated else None

    def _dropped(self) -> Iterable[DroppedTarget]:
        return self._file.dropped if self._file else ()

    async def _upkeep(self) -> None:
        """Seals hours that are over, archives, rolls up, and drops what is past retention, once a minute."""
        steady = SteadyClock(self._clock)
        while True:
            try:
                await self._keep_up(self._clock(), steady)
            except StoreUnavailable as error:
                log.warning("upkeep.skipped cause=%s", error.cause)
            await asyncio.sleep(UPKEEP_S)

    async def _keep_up(self, now: float, steady: SteadyClock) -> None:
        newest = self._store.newest_ms()
        if self._begun_since != self._store.connection.connected_since:  # Redis was away: it may have lost something
            await self._store.begin()
            self._begun_since = self._store.connection.connected_since
        await self._store.seal(now)
        await self._store.archive(now)
        await self._store.roll_up(now)
        if steady.steady(None if newest is None else newest / 1000):
            await self._store.trim(self._settings.retention_s, self._settings.rollup_retention_s, now)

    async def _publish(self) -> None:
        """Tells all processes about targets and metrics, every few seconds."""
        while True:
            try:
                await self._store.put_json(KIND, "state", self.state(), KEPT_S)
                await self._families.tell(self.metadata(), self._clock())
            except StoreUnavailable as error:
                log.warning("collector.not_published cause=%s", error.cause)
            await asyncio.sleep(PUBLISH_S)


def target_json(health: TargetHealth) -> dict[str, Any]:
    """One scrape target in Prometheus' shape."""
    return {
        "discoveredLabels": dict(health.target.discovered),
        "labels": dict(health.target.labels),
        "scrapePool": health.target.labels.get("job", ""),
        "scrapeUrl": health.target.url,
        "globalUrl": health.target.url,
        "lastError": health.last_error,
        "lastScrape": rfc3339(health.last_scrape or 0),
        "lastScrapeDuration": health.last_duration_s,
        "health": health.health,
        "scrapeInterval": f"{health.interval_s:g}s",
        "scrapeTimeout": f"{health.timeout_s:g}s",
    }
