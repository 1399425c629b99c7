"""The parts of one running application, as routes reach them."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, cast

import psutil
from fastapi import Request

from assistant.engine import UnifiedAIEngine
from assistant.mcp_client import ToolClient
from monitoring.backends import LocalBackend
from monitoring.errors import BadQuery, StoreUnavailable
from monitoring.ingest.scrape import ScrapeLoop
from monitoring.ingest.validation import Gate
from monitoring.ingest.written import MetadataBook
from monitoring.queries import FleetQueries
from monitoring.simulator import SimulatedFleet
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey
from monitoring.windows import rfc3339
from web import __version__
from web.live import LiveFleet
from web.settings import Settings

log = logging.getLogger(__name__)
DAY_S = 86_400


class Answers:
    """Past answers by id: the last ones in this process, all of a day in the store."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._recent: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._unwritten: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(1_000)

    def keep(self, answer_id: str, body: dict[str, Any]) -> None:
        """Keeps an answer at once in this process; `run` brings it to the store, which nobody waits for."""
        self._recent[answer_id] = body
        while len(self._recent) > 1_000:
            self._recent.popitem(last=False)
        if self._unwritten.full():
            self._unwritten.get_nowait()
        self._unwritten.put_nowait((answer_id, body))

    async def run(self) -> None:
        """Writes kept answers until cancelled. Without the store they stay in this process only."""
        while True:
            answer_id, body = await self._unwritten.get()
            try:
                await self._store.put_json("answer", answer_id, body, DAY_S)
            except StoreUnavailable as error:
                log.warning("answer.not_stored id=%s cause=%s", answer_id, error.cause)

    async def get(self, answer_id: str) -> dict[str, Any] | None:
        """A kept answer; None where there is none."""
        if found := self._recent.get(answer_id):
            return found
        stored: dict[str, Any] | None = await self._store.get_json("answer", answer_id)
        return stored


@dataclass(slots=True)
class Parts:
    """Made once in `web.app`, closed there."""

    settings: Settings
    store: SampleStore
    backend: LocalBackend
    queries: FleetQueries
    engine: UnifiedAIEngine
    live: LiveFleet
    answers: Answers
    scrape: ScrapeLoop
    tools: ToolClient
    clock: Callable[[], float]
    gate: Gate
    valkey: EmbeddedValkey | None = None
    fleet: SimulatedFleet | None = None
    zone: tzinfo = UTC
    started: float = field(default_factory=time.time)
    ready: bool = False
    demo: bool = False
    said: MetadataBook = field(default_factory=MetadataBook)
    """What senders said about metrics."""

    def demo_running(self) -> bool:
        """True while simulated servers are being collected."""
        return self.demo

    async def start_demo(self) -> None:
        """Starts the simulated fleet's exporter; the scrape loop finds its targets. Raises BadQuery without --demo."""
        if self.fleet is None:
            raise BadQuery("the simulated fleet is off; start with --demo")
        if not self.demo:
            await self.fleet.start()
            self.demo = True

    async def stop_demo(self) -> None:
        """Stops it: its samples stay in the store, its servers go offline."""
        if self.fleet is not None and self.demo:
            self.demo = False
            await self.fleet.stop()

    def mcp_state(self) -> str:
        """How the engine's own MCP route is."""
        return "connected" if self.tools.sessions else "connecting"

    def sources(self) -> list[str]:
        """Where samples come from."""
        found = ["remote_write"]
        if self.settings.local:
            found.append("local")
        if self.demo_running():
            found.append("demo")
        return [*found, *(t.target.url for t in self.scrape.targets())]

    def targets(self) -> list[dict[str, Any]]:
        """Scrape targets in Prometheus' shape."""
        return [
            {
                "discoveredLabels": {},
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
            for health in self.scrape.targets()
        ]

    def metadata(self) -> dict[str, list[dict[str, str]]]:
        """Metric name → type, help and unit, from the scraped pages and the senders."""
        return {
            name: [{"type": found.type, "help": found.help, "unit": found.unit}]
            for name, found in sorted((dict(self.said) | self.scrape.metadata()).items())
        }

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


def parts(request: Request) -> Parts:
    """The parts of the application that a request came to."""
    return cast("Parts", request.app.state.parts)
