"""The loop that collects: every target on its own schedule, this machine and other sources, all into one outbox."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Protocol

import aiohttp

from monitoring.errors import BackendUnavailable, BadSample, StoreUnavailable
from monitoring.ingest.exposition import Metadata
from monitoring.ingest.outbox import Append, Outbox
from monitoring.ingest.targets import Target, TargetHealth
from monitoring.ingest.watch import Limits, Presence, Watch, stale
from monitoring.model import Batch

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the list of targets is looked at."""
FIRST_S = 1.0
"""The first scrapes of new targets are spread over this long, so that a server shows up soon after its start."""


class Feed(Protocol):
    """A source that is asked for its samples, beside the targets."""

    name: str
    interval_s: float

    async def collect(self, now: float) -> Batch:
        """What there is to write at `now` (Unix seconds); StoreUnavailable or BackendUnavailable where it is away."""
        ...

    async def close(self) -> None:
        """Closes what it opened."""
        ...


class ScrapeLoop:
    """Scrapes whatever `targets` returns at the time, reads `local` (this machine) on the same interval, and asks the
    `feeds`. `discover` runs beside, and keeps the list of targets fresh.

    A slow target delays nobody: each has its own task, its own timeout (shorter than the interval) and its own place
    within the interval, given by a hash of its labels.
    """

    def __init__(
        self,
        append: Append,
        targets: Callable[[], Iterable[Target]] = tuple,
        *,
        local: Callable[[float], Batch] | None = None,
        feeds: Sequence[Feed] = (),
        discover: Callable[[], Coroutine[None, None, None]] | None = None,
        interval_s: float = 15.0,
        timeout_s: float = 10.0,
        body_limit: int = 64 * 1024 * 1024,
        waiting_limit: int = 1_000_000,
        pace: Callable[[Target], float | None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`pace` gives the interval that holds for a target now, where it is not a fixed one."""
        self.outbox = Outbox(append, waiting_limit)
        self.failures: Counter[str] = Counter()
        """Scrapes that failed, by cause: `down`, `bad_page`, or `error` (ours); and feeds by their name."""
        self.feeds = tuple(feeds)
        self._away: dict[str, str] = {}
        """Feeds that fail, by name, with the cause: the beginning and the end are logged."""
        self._wanted = targets
        self._discover = discover
        self._local = local
        self._local_presence = Presence()
        self._limits = Limits(interval_s, min(timeout_s, 0.9 * interval_s), body_limit)
        self._pace = pace
        self._now = now
        self._watches: dict[Target, Watch] = {}
        self._tasks: dict[Target, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Collects until cancelled."""
        async with _session() as session, asyncio.TaskGroup() as group:
            group.create_task(self.outbox.run(), name="outbox")
            if self._local is not None:
                group.create_task(
                    self._repeat(self.read_local, lambda: self._limits.interval_s, 0.0, 0.0), name="local"
                )
            for one in self.feeds:
                group.create_task(
                    self._repeat(partial(self._ask, one), partial(_own_interval_s, one), 0.0, 0.0), name=one.name
                )
            if self._discover is not None:
                group.create_task(self._discover(), name="discover")
            while True:
                self._follow(group, session)
                await asyncio.sleep(LOOK_S)

    async def scrape_once(self) -> None:
        """Scrapes everything once, now, and writes it; what cannot be written stays in the outbox."""
        async with _session() as session, asyncio.TaskGroup() as group:
            self._forget_unwanted()
            for watch in self._watches.values():
                group.create_task(self._scrape(watch, session))
            if self._local is not None:
                group.create_task(self.read_local())
            for one in self.feeds:
                group.create_task(self._ask(one))
        await self.outbox.flush()

    async def read_local(self) -> None:
        """Puts this machine's samples into the outbox."""
        assert self._local is not None
        now = self._now()
        batch = await asyncio.to_thread(self._local, now)
        self.outbox.put(batch)
        if gone := self._local_presence.vanished(batch.series):
            self.outbox.put(stale(gone, now))

    def targets(self) -> list[TargetHealth]:
        """Every target and how it is, sorted by job and instance."""
        found = [watch.health for watch in self._watches.values()]
        return sorted(found, key=lambda health: (health.target.labels["job"], health.target.labels["instance"]))

    def metadata(self) -> dict[str, Metadata]:
        """What the scraped pages say about each metric family."""
        return {name: said for watch in self._watches.values() for name, said in watch.metadata.items()}

    def _follow(self, group: asyncio.TaskGroup, session: aiohttp.ClientSession) -> None:
        """Begins to scrape new targets and ends with those that are gone from the list."""
        self._forget_unwanted()
        for target, watch in self._watches.items():
            if target not in self._tasks:
                place = zlib.crc32(repr(target).encode()) / 2**32
                once = partial(self._scrape, watch, session)
                scrape = self._repeat(once, partial(self._interval_s, watch), place * FIRST_S, place)
                self._tasks[target] = group.create_task(scrape, name=f"scrape {target.url}")

    def _forget_unwanted(self) -> None:
        wanted = dict.fromkeys(self._wanted())
        for target in [target for target in self._watches if target not in wanted]:
            if (task := self._tasks.pop(target, None)) is not None:
                task.cancel()
            self.outbox.put(self._watches.pop(target).end(self._now()))
        for target in wanted.keys() - self._watches.keys():
            self._watches[target] = Watch(target, self._limits)

    def _interval_s(self, watch: Watch) -> float:
        paced = self._pace(watch.target)
        if paced is not None and paced != watch.limits.interval_s:
            watch.limits = watch.limits._replace(interval_s=paced, timeout_s=min(self._limits.timeout_s, 0.9 * paced))
        return watch.limits.interval_s

    async def _scrape(self, watch: Watch, session: aiohttp.ClientSession) -> None:
        batch, failure = await watch.scrape(session, self._now())
        if failure is not None:
            self.failures["bad_page" if isinstance(failure, BadSample) else "down"] += 1
        self.outbox.put(batch)

    async def _ask(self, feed: Feed) -> None:
        try:
            batch = await feed.collect(self._now())
        except (StoreUnavailable, BackendUnavailable) as error:
            self.failures[feed.name] += 1
            if self._away.get(feed.name) != error.cause:
                log.warning("collect.failed source=%s cause=%s error=%s", feed.name, error.cause, error)
            self._away[feed.name] = error.cause
            return
        if self._away.pop(feed.name, None):
            log.info("collect.recovered source=%s", feed.name)
        if len(batch):
            self.outbox.put(batch)

    async def _repeat(
        self, act: Callable[[], Awaitable[None]], every: Callable[[], float], first_s: float, place: float
    ) -> None:
        """Runs `act` after `first_s`, then at the same `place` (0 to 1) of every interval, asked for each time."""
        await asyncio.sleep(first_s)
        while True:
            try:
                await act()
            except Exception:  # one bad round must not end the collection
                self.failures["error"] += 1
                log.warning("collect.failed", exc_info=True)
            interval_s = every()
            await asyncio.sleep(interval_s - (time.time() - place * interval_s) % interval_s)


def _own_interval_s(feed: Feed) -> float:
    return feed.interval_s


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"User-Agent": "OpenManager"}, connector=aiohttp.TCPConnector(limit=0), trust_env=False
    )
