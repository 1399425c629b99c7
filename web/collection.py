"""The collection as any process sees it: its own, or what the collecting process tells through the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from monitoring.errors import DemoOff, StoreUnavailable
from monitoring.ingest.exposition import Metadata
from monitoring.ingest.written import MetadataBook
from monitoring.store.families import Families
from monitoring.store.redis import SampleStore
from web.collector import KIND, Collector
from web.demo import KEY as DEMO_KEY
from web.demo import KIND as DEMO_KIND

log = logging.getLogger(__name__)
FOLLOW_S = 5.0
SILENT_S = 30.0
"""A collector that told nothing for so long is taken to be gone."""


class Collection:
    """Targets, metadata and the simulated fleet. `refresh` asks the store; the rest is what it last said."""

    def __init__(
        self, store: SampleStore, collector: Collector | None, said: MetadataBook, clock: Callable[[], float]
    ) -> None:
        """`said` is what senders told this process; the others learn of it."""
        self._store, self._collector, self._said, self._clock = store, collector, said, clock
        self._state: dict[str, Any] = {}
        self._families = Families(store.connection)
        self._on: bool | None = None
        """What the switch of the simulated fleet last said."""

    async def run(self) -> None:
        """Follows the collecting process until cancelled."""
        while True:
            try:
                await self.refresh()
                await self._families.tell(self._own(), self._clock())
            except StoreUnavailable as error:
                log.warning("collection.not_read cause=%s", error.cause)
            await asyncio.sleep(FOLLOW_S)

    async def refresh(self) -> None:
        """Brings what is known up to date. Raises StoreUnavailable where another process collects."""
        if self._collector is not None and self._collector.leading:
            self._state, self._on = self._collector.state(), None
            return
        state, demo = await asyncio.gather(*(self._store.get_json(KIND, key) for key in ("state", DEMO_KEY)))
        self._state = state or (self._collector.state() if self._collector else {})
        self._on = (demo or {}).get("on")

    async def metadata(self) -> dict[str, list[dict[str, str]]]:
        """Metric name → type, help and unit, as exporters and senders gave them to any process."""
        try:
            await self._exchange()
        except StoreUnavailable as error:
            log.warning("metadata.not_read cause=%s", error.cause)
        found = self._families.known | self._own()
        return {name: [{"type": m.type, "help": m.help, "unit": m.unit}] for name, m in sorted(found.items())}

    async def _exchange(self) -> None:
        await self._families.tell(self._own(), self._clock())
        await self._families.read(self._clock())

    def _own(self) -> dict[str, Metadata]:
        return dict(self._said) | (self._collector.metadata() if self._collector else {})

    def silent_s(self) -> float | None:
        """Seconds since the collector was heard of; None where none ever was."""
        return max(0.0, self._clock() - self._state["at"]) if self._state else None

    def targets(self) -> list[dict[str, Any]]:
        """Scrape targets in Prometheus' shape; of unknown health where no collector reports any more."""
        found: list[dict[str, Any]] = self._state.get("targets", [])
        silent = self.silent_s() or 0.0
        if silent <= SILENT_S:
            return found
        error = f"no collector has reported for {silent:.0f} s; start `openmanager collect`"
        return [{**one, "health": "unknown", "lastError": error} for one in found]

    def dropped_targets(self) -> list[dict[str, Any]]:
        """Targets that relabelling drops, in Prometheus' shape."""
        found: list[dict[str, Any]] = self._state.get("dropped", [])
        return found

    def sources(self) -> list[str]:
        """Where samples come from."""
        local = ["local"] if self._state.get("local") else []
        demo = ["demo"] if self.demo_running() else []
        return ["remote_write", *local, *demo, *(one["scrapeUrl"] for one in self._state.get("targets", []))]

    def demo_running(self) -> bool:
        """True while simulated servers are being collected."""
        demo = self._state.get("demo") or {"running": False}
        return bool(demo["running"] if self._on is None or self._state.get("demo") is None else self._on)

    def generator(self) -> dict[str, Any]:
        """The simulated fleet, for `/api/data-generator`."""
        demo: dict[str, Any] = self._state.get("demo") or {"servers": [], "interval_s": self._state.get("interval_s")}
        return demo | {"running": self.demo_running(), "simulated": True}

    async def switch(self, change: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]) -> None:
        """Changes what is wished of the simulated fleet, in whichever process collects.

        `change` gets what is wished so far and the fleet's state, and returns what to wish from now on. Raises DemoOff
        where that process was started without --demo, StoreUnavailable where it cannot be told.
        """
        await self.refresh()
        state = self._state.get("demo")
        if state is None:
            raise DemoOff("there is no simulated fleet here; start the collecting process with --demo")
        said = await self._store.get_json(DEMO_KIND, DEMO_KEY) or {}
        await self._store.put_json(DEMO_KIND, DEMO_KEY, change(said, state))
        if self._collector is not None and self._collector.leading:
            await self._collector.obey()
        await self.refresh()
