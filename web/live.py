"""The fleet as the page reads it: made once for all readers, pushed as changes, kept when the store is away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from monitoring.catalog import load
from monitoring.errors import BackendUnavailable, StoreUnavailable
from monitoring.expressions import expression
from monitoring.fleet import FleetState, ServerState
from monitoring.queries import FleetQueries
from monitoring.windows import rfc3339
from web.envelope import encode

log = logging.getLogger(__name__)

FRESH_S = 5.0
SPARK_S, SPARK_STEP_S = 3600, 120
STALE_S = 120.0
"""A reading whose newest sample is older than this is said to be stale."""
QUEUE = 16
"""Deltas that wait for a slow reader; then it is told to fetch anew."""


class LiveFleet:
    """`current()` for requests, `deltas()` for streams. Raises StoreUnavailable only where nothing was ever read."""

    def __init__(self, queries: FleetQueries, stamp: Callable[[], object], clock: Callable[[], float]) -> None:
        self._queries = queries
        self._stamp = stamp
        """Changes when samples came in: a reading from before is not fresh."""
        self._clock = clock
        self._last: dict[str, Any] | None = None
        self._last_stamp: object = None
        self._sparks: dict[str, list[float | None]] = {}
        self._sparks_at = 0.0
        self._making = asyncio.Lock()
        self._readers: set[asyncio.Queue[bytes]] = set()
        self.seq = 0

    async def current(self) -> dict[str, Any]:
        """The dashboard's data. `cached` says whether this request caused no read."""
        async with self._making:
            if self._last and self._is_fresh():
                return {**self._last, "cached": True, "age_s": self._age()}
            try:
                return await self._read()
            except (StoreUnavailable, BackendUnavailable):
                if self._last is None:
                    raise
                return {**self._last, "cached": True, "stale": True, "age_s": self._age()}

    async def watch(self, interval_s: float = 5.0) -> None:
        """Reads again and again and sends what changed to all streams. Runs until cancelled."""
        while True:
            before = self._last
            try:
                after = await self.current()
                self._publish(before, after)
            except (StoreUnavailable, BackendUnavailable) as error:
                log.warning("live.read_failed cause=%s", error.cause)
            await asyncio.sleep(interval_s)

    async def deltas(self, heartbeat_s: float = 15.0) -> AsyncIterator[bytes]:
        """Frames of the stream `/api/servers/realtime`."""
        with self._reader() as queue:
            yield frame("hello", {"seq": self.seq, "timestamp": rfc3339(self._clock())}, self.seq)
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), heartbeat_s)
                except TimeoutError:
                    yield b": alive\n\n"

    @contextmanager
    def _reader(self) -> Any:
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._readers.add(queue)
        try:
            yield queue
        finally:
            self._readers.discard(queue)

    def _is_fresh(self) -> bool:
        assert self._last is not None
        return self._last_stamp == self._stamp() and self._clock() - self._last["_at"] < FRESH_S

    def _age(self) -> float | None:
        assert self._last is not None
        newest = self._last["_newest"]
        return None if newest is None else round(self._clock() - newest, 1)

    async def _read(self) -> dict[str, Any]:
        stamp, now = self._stamp(), self._clock()
        state = await self._queries.state(now)
        if now - self._sparks_at > 60:
            self._sparks, self._sparks_at = await self._spark(now), now
        newest = None if state.age_s is None else now - state.age_s
        self._last = {
            "servers": [server_json(s, state, self._sparks.get(s.id)) for s in state.servers],
            "total": len(state.servers),
            "counts": state.counts(),
            "timestamp": rfc3339(now),
            "cached": False,
            "stale": state.age_s is not None and state.age_s > STALE_S,
            "age_s": state.age_s,
            "_at": now,
            "_newest": newest,
        }
        if not state.servers:
            self._last["message"] = "no servers yet: start with --scrape HOST:PORT, --local or --demo"
        self._last_stamp = stamp
        return self._last

    async def _spark(self, now: float) -> dict[str, list[float | None]]:
        inventory = await self._queries.inventory()
        query = expression(self._queries.catalog.concepts["cpu"], inventory)
        if query is None:
            return {}
        end = now // SPARK_STEP_S * SPARK_STEP_S
        matrix = await self._queries.backend.range(query, end - SPARK_S + SPARK_STEP_S, end, SPARK_STEP_S)
        return {
            server: [None if np.isnan(v) else round(float(v), 1) for v in values]
            for labels, values in zip(matrix.labels, matrix.values, strict=True)
            if (server := inventory.server_of(labels))
        }

    def _publish(self, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
        old = {s["id"]: s for s in before["servers"]} if before else {}
        changed = [s for s in after["servers"] if _shown(old.get(s["id"], {})) != _shown(s)]
        gone = sorted(old.keys() - {s["id"] for s in after["servers"]})
        if not changed and not gone:
            return
        self.seq += 1
        body = {"seq": self.seq, "ts": after["timestamp"], "servers": changed, "gone": gone, "counts": after["counts"]}
        sent = frame("delta", body, self.seq)
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(sent)


def _shown(server: dict[str, Any]) -> dict[str, Any]:
    """A server without its age, which changes at every read."""
    return {name: value for name, value in server.items() if name not in ("age_s", "last_seen", "uptime_s")}


def frame(event: str, data: Any, number: int | None = None) -> bytes:
    """One server-sent event."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + encode(data) + b"\n\n"


def server_json(s: ServerState, state: FleetState, spark: list[float | None] | None = None) -> dict[str, Any]:
    """One server as the page and `/api/servers` show it."""
    value, units = s.values.get, load().concepts
    return {
        "id": s.id,
        "type": s.type,
        "type_guessed": s.type_guessed,
        "status": s.status,
        "simulated": s.simulated,
        "reasons": [
            {
                "concept": r.concept,
                "value": r.value,
                "unit": units[r.concept].unit,
                "threshold": r.threshold,
                "level": r.level,
                "label": r.part,
            }
            for r in s.reasons
        ],
        "cpu": value("cpu"),
        "memory": value("memory"),
        "disk": value("disk"),
        "disk_mount": s.worst_part.get("disk"),
        "network_in": value("network_in"),
        "network_out": value("network_out"),
        "load": value("load"),
        "requests": value("requests"),
        "errors": value("errors"),
        "latency": value("latency"),
        "uptime_s": value("uptime"),
        "last_seen": None if s.last_seen is None else rfc3339(s.last_seen),
        "age_s": None if s.last_seen is None else round(state.time - s.last_seen + (state.age_s or 0.0), 1),
        "spark": spark or [],
    }


def now() -> float:
    """The clock of the process."""
    return time.time()
