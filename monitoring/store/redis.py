"""Samples in Redis, with a copy in this process. A method is one round trip unless it says otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import orjson

from monitoring.errors import StoreUnavailable
from monitoring.model import Batch, Labels, Matcher, Selection, Series
from monitoring.store import life, longrange, scripts, upkeep
from monitoring.store.cold_rows import Catalogued, Segment
from monitoring.store.cold_tables import ColdStore
from monitoring.store.connection import Connection
from monitoring.store.longrange import RolledDays
from monitoring.store.process_copy import Held, Missing, ProcessCopy, State, Window
from monitoring.store.segments import GROUP, HOUR_MS
from monitoring.store.senders import Senders, by_hour
from monitoring.store.series_index import Entry, Found, to_text

_IN_THREAD_BYTES, _IN_THREAD_SERIES = 65_536, 1_000
"""Sealed bytes and series above which gathering leaves the event loop."""
_TRIES = 5
"""How often work is redone because another process changed the catalogue meanwhile."""


class SampleStore:
    """Samples of any series in the Redis or Valkey at `redis_url`, shared by all processes that use it.

    What was read or written stays in this process within `cache_bytes`, so that reading again fetches only what is
    new, and `remembered` still answers while Redis is away. All methods but `remembered*` raise StoreUnavailable.
    """

    def __init__(
        self, redis_url: str, *, cold: ColdStore | None = None, cache_bytes: int = 512 << 20, timeout_s: float = 5.0
    ) -> None:
        """Without a `cold` layer everything stays in Redis."""
        self.connection = Connection(redis_url, timeout_s)
        self.cold = cold
        self.copy = ProcessCopy(cache_bytes)
        self.samples_appended = 0
        self.evicted_before: int | None = None
        """Hours before this one were looked at for eviction by this process."""
        self.trimmed_before: int | None = None
        self.unrolled = True
        """Whether hours came to the cold layer since days were last rolled up."""
        self._senders = Senders()
        self.rolled_days = RolledDays()

    async def close(self) -> None:
        """Close the connections; what is remembered stays readable."""
        await self.connection.close()

    @property
    def catalog_version(self) -> int:
        """Grows when this process learns of a series, or that one is gone."""
        return self.copy.index.version

    def newest_ms(self) -> int | None:
        """Time of the newest sample that this process wrote or read."""
        return self.copy.newest_ms

    # -- writing

    async def append(self, batch: Batch, fence: int | None = None) -> int:
        """Keep all samples of `batch` and return how many; they are on disk then.

        Series first seen cost one more round trip. Writing the same again is harmless: a failed append may be
        repeated. With the `fence` of a lease, a newer lease makes it raise StoreUnavailable("fenced").
        """
        if not len(batch):
            return 0
        for _ in range(_TRIES):
            if await self._append(batch, fence):
                self.samples_appended += len(batch)
                return len(batch)
            await self.sync()
        raise StoreUnavailable("closed", "the catalogue of series keeps changing; the samples were not kept")

    async def _append(self, batch: Batch, fence: int | None) -> bool:
        """False where series were taken out of the catalogue meanwhile, so that ids may be void."""
        sender = self._senders.known(batch.series, self.copy.index)
        if sender is None:
            await self._assign(batch.series)
            sender = self._senders.known(batch.series, self.copy.index)
            if sender is None:
                return False
        state = self.copy.state
        parts, body = by_hour(batch, sender)
        wider = self.copy.spans.wider(sender.ids[batch.index], batch.times_ms // HOUR_MS)
        fenced = "" if fence is None else fence
        facts = state.born, state.drops, orjson.dumps(parts), orjson.dumps(wider)
        reply = await self.connection.write(scripts.APPEND, *facts, body, fenced, self.connection.name)
        if isinstance(reply[0], int):
            raise StoreUnavailable("fenced", f"another collector took over (lease {reply[0]}, ours was {fence})")
        if len(reply) == 1:
            return False
        self.copy.wrote(State.of(reply[0]), wider, newest_ms=int(batch.times_ms.max()))
        start = 0
        for (metric, hour, size), (length, generation) in zip(parts, reply[1:], strict=True):
            self.copy.wrote_rows(metric, hour, body[start : start + size], length, generation)
            start += size
        return True

    async def _assign(self, series: Sequence[Labels]) -> None:
        """Give ids to the series that this process does not know; begins the store's life where it has none."""
        new = self._senders.unknown(series, self.copy.index)
        words = [word for key in new for word in (dict(key).get("__name__", ""), to_text(key))]
        reply = await self.connection.write(scripts.ASSIGN, GROUP, *words)
        if not (state := State.of(reply[0])).born:
            await life.begin(self)
            reply = await self.connection.write(scripts.ASSIGN, GROUP, *words)
            state = State.of(reply[0])
        life.refuse_other_layout(state)
        if (state.born, state.drops) != (self.copy.state.born, self.copy.state.drops):
            await self.sync()
        self.copy.index.add(Entry(i, group, dict(key)) for (i, group), key in zip(reply[1:], new, strict=True))

    # -- reading

    async def select(self, selections: Sequence[Selection]) -> list[Sequence[Series]]:
        """The series of each selection, by time, with the samples in start < t ≤ end; stale markers are among them.

        A selection that leaves the metric's name open takes a second round trip when new metrics have come up; one
        that may be rolled up takes some more.
        """
        if self.cold is not None and any(selection.rollup for selection in selections):
            return [await self._rolled(self.cold, selection) for selection in selections]
        asked = self.copy.windows(selections)
        held = await self.sync(asked)
        while more := self.copy.windows(selections) - asked:
            born = self.copy.state.born
            newer = await self.sync(more)
            if self.copy.state.born != born:  # emptied between the two
                return await self.select(selections)
            for metric, hours in newer.items():
                held.setdefault(metric, {}).update(hours)
            asked |= more
        found = [self.copy.find(selection) for selection in selections]
        if is_work(held, found):
            return await asyncio.to_thread(self._gather, selections, held, found)
        return self._gather(selections, held, found)

    def _gather(
        self, selections: Sequence[Selection], held: Held, found: Sequence[Sequence[Found]]
    ) -> list[Sequence[Series]]:
        return [self.copy.gather(one, held, series) for one, series in zip(selections, found, strict=True)]

    async def _rolled(self, cold: ColdStore, selection: Selection) -> Sequence[Series]:
        if selection.rollup:
            return await longrange.select(self, cold, selection)
        return (await self.select([selection]))[0]

    def remembered(self, selections: Sequence[Selection]) -> list[Sequence[Series]]:
        """The same as `select`, from what this process holds; never touches Redis."""
        held = self.copy.held(self.copy.windows(selections))
        return [self.copy.gather(selection, held) for selection in selections]

    async def labels(
        self, matchers: Sequence[Matcher] = (), start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Labels]:
        """Series that match; with a time, those whose first and last hour of samples enclose some of it."""
        await self.sync(spans=start_ms is not None or end_ms is not None)
        return self.copy.labels(matchers, start_ms, end_ms)

    def remembered_labels(self, matchers: Sequence[Matcher] = ()) -> list[Labels]:
        """Series that match, of those this process knows; never touches Redis."""
        return self.copy.labels(matchers, None, None)

    async def sync(self, windows: Iterable[Window] = (), *, spans: bool = False) -> Held:
        """Bring the catalogue and the `windows` up to date in this process; returns the hours of the windows."""
        question = self.copy.question(windows, spans=spans)
        reply = await self.connection.read(scripts.READ, question.body)
        held, missing = self.copy.follow(question, reply)
        life.refuse_other_layout(self.copy.state)
        if missing:
            await self._fill(held, missing)
        return held

    async def _fill(self, held: Held, missing: Sequence[Missing]) -> None:
        """Read from the cold layer what left Redis."""
        if self.cold is None:
            raise StoreUnavailable("closed", "older samples are in a cold layer that this process does not have")
        bodies: dict[tuple[str, int], dict[int, bytes]] = {}
        for segment in await self.cold.get(missing):
            bodies.setdefault((segment.metric, segment.hour), {})[segment.group] = segment.body
        self.copy.fill(held, missing, bodies)

    # -- upkeep, in the background; several round trips

    async def delete(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """Remove samples with start ≤ t ≤ end; returns how many. Series left without samples leave the catalogue."""
        return await upkeep.delete(self, matchers, start_ms, end_ms)

    async def begin(self) -> None:
        """Begin the life of an empty store with what its cold layer remembers; a store that lives is left alone."""
        await life.begin(self)

    async def seal(self, now: float) -> int:
        """Compress hours that are over at `now` (Unix seconds), and what has grown large; returns how many."""
        return await upkeep.seal(self, now)

    async def archive(self, now: float) -> int:
        """Bring sealed hours to the cold layer, and let go of those older than a day; returns how many hours came."""
        return await upkeep.archive(self, now)

    async def roll_up(self, now: float) -> int:
        """Roll up the days that are over at `now`, for long ranges; returns how many."""
        return 0 if self.cold is None else await longrange.roll_up(self, self.cold, now)

    async def catalogue(self) -> list[Catalogued]:
        """All series with the hours of their first and last sample."""
        return await life.catalogue(self)

    def export(self) -> AsyncIterator[list[Segment]]:
        """Every sample of the store, sealed, a few hours at a time."""
        return life.export(self)

    async def adopt(self, catalogue: Sequence[Catalogued], segments: AsyncIterator[list[Segment]]) -> int:
        """Fill an empty store with what another exported; returns the samples. Raises StoreUnavailable("busy")."""
        return await life.adopt(self, catalogue, segments)

    async def trim(self, retention_s: float, rollup_retention_s: float, now: float) -> int:
        """Drop hours, and rolled up days, that ended so long before `now`; returns how many hours."""
        return await upkeep.trim(self, retention_s, rollup_retention_s, now)

    # -- JSON values, and the state of Redis

    async def put_json(self, kind: str, key: str, value: Any, ttl_s: float | None = None) -> None:
        """Keep one JSON value, for `ttl_s` seconds or for good."""
        redis, name, body = self.connection.redis, scripts.json_key(kind, key), orjson.dumps(value)
        px = None if ttl_s is None else max(1, round(ttl_s * 1000))
        await self.connection.guarded(lambda: redis.set(name, body, px=px))

    async def get_json(self, kind: str, key: str) -> Any | None:
        """The value that `put_json` kept, or None."""
        redis, name = self.connection.redis, scripts.json_key(kind, key)
        body = await self.connection.guarded(lambda: redis.get(name))
        return None if body is None else orjson.loads(body)

    async def status(self) -> dict[str, Any]:
        """How Redis is, for `/api/redis/status`; says so instead of raising when it is away."""
        connection, facts = self.connection, dict[str, Any]()
        started = time.perf_counter()
        try:
            await connection.guarded(connection.redis.ping)
            facts["ping_ms"] = round((time.perf_counter() - started) * 1000, 3)
            info = await connection.guarded(connection.redis.info)
            facts |= {
                "used_memory_bytes": info["used_memory"],
                "version": info.get("valkey_version", info["redis_version"]),
            }
        except StoreUnavailable as exc:
            facts["cause"] = exc.cause
        return facts | {
            "connected": "cause" not in facts,
            "connected_since": connection.connected_since,
            "last_error": connection.last_error,
            "series": len(self.copy.index),
            "samples_appended": self.samples_appended,
            "newest_ms": self.newest_ms(),
            "copy_bytes": self.copy.hours.nbytes,
        }


def is_work(held: Held, found: Sequence[Sequence[Found]]) -> bool:
    """Whether gathering takes more than about 5 ms: blocks are to be decoded, or there are many series."""
    hours = (hour for hours in held.values() for hour in hours.values())
    undecoded = sum(len(body) for hour in hours for body in hour.known().values() if isinstance(body, bytes))
    return undecoded > _IN_THREAD_BYTES or sum(len(one.ids) for some in found for one in some) > _IN_THREAD_SERIES
