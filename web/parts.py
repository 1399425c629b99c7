"""The parts of one running application, as routes reach them."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, tzinfo
from functools import cache
from typing import Any, cast

import psutil
from fastapi import Request

from assistant.engine import UnifiedAIEngine
from assistant.mcp_client import ToolClient
from monitoring.alerts_loop import AlertLoop
from monitoring.alerts_record import AlertRecord
from monitoring.backends import Backend
from monitoring.baselines import BaselineRecord
from monitoring.environment import Environment, detect
from monitoring.errors import StoreUnavailable
from monitoring.forecasts import ForecastRecord
from monitoring.ingest.deltas import Totals
from monitoring.ingest.validation import Gate, Road
from monitoring.ingest.written import MetadataBook
from monitoring.listing import SeriesSource
from monitoring.queries import FleetQueries
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey
from web import __version__
from web.alerting import LoneLeader
from web.backends import Remote
from web.cache import Cache
from web.collection import Collection
from web.collector import Collector
from web.live import LiveFleet
from web.performance import Performance
from web.settings import Settings

log = logging.getLogger(__name__)
DAY_S = 86_400
RECENT = 200
PATIENCE_S = 0.3
"""What a reply waits for its answer to be stored."""
RETRY_S = 1.0


class Answers:
    """Past answers by id: the last ones in this process, all of a day in the store."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._recent: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._unwritten: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(RECENT)

    async def keep(self, answer_id: str, body: dict[str, Any]) -> None:
        """Keeps an answer for all processes; while the store is away, in this one until it is back."""
        self._recent[answer_id] = body
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._store.put_json("answer", answer_id, body, DAY_S)
        except (StoreUnavailable, TimeoutError):
            if self._unwritten.full():
                self._unwritten.get_nowait()
            self._unwritten.put_nowait((answer_id, body))

    async def run(self) -> None:
        """Writes what could not be written at once, until cancelled."""
        while True:
            answer_id, body = await self._unwritten.get()
            while True:
                try:
                    await self._store.put_json("answer", answer_id, body, DAY_S)
                    break
                except StoreUnavailable as error:
                    log.warning("answer.not_stored id=%s cause=%s", answer_id, error.cause)
                    await asyncio.sleep(RETRY_S)

    async def get(self, answer_id: str) -> dict[str, Any] | None:
        """A kept answer; None where there is none."""
        if found := self._recent.get(answer_id):
            return found
        stored: dict[str, Any] | None = await self._store.get_json("answer", answer_id)
        return stored


class Sessions:
    """The turns of conversations, in the store (`assistant.conversation.Memory`)."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store

    async def get(self, key: str) -> Any | None:
        """What was kept. Raises StoreUnavailable."""
        return await self._store.get_json("session", key)

    async def put(self, key: str, value: Any, ttl_s: float) -> None:
        """Keeps it for `ttl_s`. Raises StoreUnavailable."""
        await self._store.put_json("session", key, value, ttl_s)


@dataclass(slots=True)
class Parts:
    """Made once in `web.app`, closed there."""

    settings: Settings
    store: SampleStore
    backend: Backend
    listing: SeriesSource
    """What series there are."""
    queries: FleetQueries
    engine: UnifiedAIEngine
    live: LiveFleet
    details: Cache[bytes]
    """Replies about one server or some series, as encoded."""
    answers: Answers
    collection: Collection
    tools: ToolClient
    clock: Callable[[], float]
    gate: Gate
    said: MetadataBook
    """What senders said about metrics."""
    performance: Performance
    record: AlertRecord
    """What fires, and fired."""
    baselines: BaselineRecord
    """What is normal."""
    forecasts: ForecastRecord
    """What was said to come."""
    collector: Collector | None = None
    """None where another process collects (`--no-collect`)."""
    valkey: EmbeddedValkey | None = None
    remote: Remote | None = None
    """The server of `--prometheus`; None where our own store is read."""
    leader: LoneLeader | None = None
    """Evaluates the rules beside the server of `--prometheus`."""
    zone: tzinfo = UTC
    started: float = field(default_factory=time.time)
    ready: bool = False
    totals: Totals = field(default_factory=Totals)

    def alert_loop(self) -> AlertLoop | None:
        """The evaluation of rules of this process; another may lead."""
        if self.collector is not None:
            return self.collector.alerts
        return None if self.leader is None else self.leader.loop

    def mcp_state(self) -> str:
        """How the engine's own MCP route is."""
        return "connected" if self.tools.sessions else "connecting"

    def demo_running(self) -> bool:
        """True while simulated servers are being collected."""
        return self.collection.demo_running()

    def sources(self) -> list[str]:
        """Where samples come from."""
        return self.collection.sources() if self.remote is None else [self.remote.url]

    def environment(self) -> dict[str, Any]:
        """Where we run, the profile of the simulated fleet that goes with it, and how fast it is scraped now."""
        here = _here(self.settings.environment)
        profile = here.profile(self.settings.profile)
        demo = self.collection.generator()
        return {
            "demo": self.demo_running(),
            "sources": self.sources(),
            "profile": profile.name,
            "servers": profile.servers,
            "interval_s": profile.interval_s,
            "manner": profile.manner,
            "current_interval_s": demo.get("current_interval_s"),
            "model": self.engine.understanding.backend,
            **asdict(here),
        }

    def refused(self) -> Counter[tuple[Road, str]]:
        """Samples that this process did not keep, by road and reason."""
        return self.gate.refused + (self.collector.gate.refused if self.collector else Counter())

    def process(self) -> dict[str, Any]:
        """Facts of this process."""
        me = psutil.Process()
        return {
            "pid": os.getpid(),
            "version": __version__,
            "python": platform.python_version(),
            "uptime_s": round(time.time() - self.started, 1),
            "rss_bytes": me.memory_info().rss,
            "threads": me.num_threads(),
        }


@cache
def _here(stage: str) -> Environment:
    return detect(stage)


def parts(request: Request) -> Parts:
    """The parts of the application that a request came to."""
    return cast("Parts", request.app.state.parts)
