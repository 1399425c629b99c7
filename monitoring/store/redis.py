"""Samples in Redis, with a copy in this process. A method is one round trip unless it says otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from monitoring.errors import StoreUnavailable
from monitoring.model import Batch, LabelKey, Labels, Matcher, Selection, Series
from monitoring.store import scripts, upkeep
from monitoring.store.connection import Connection
from monitoring.store.process_copy import Held, ProcessCopy, State, Window
from monitoring.store.segments import HOUR_MS, ROW, Rows
from monitoring.store.series_index import Ids, identity, to_text

_TRIES = 5
"""How often work is redone because another process changed the catalogue meanwhile."""


class SampleStore:
    """Samples of any series in the Redis or Valkey at `redis_url`, shared by all processes that use it.

    What was read or written stays in this process within `cache_bytes`, so that reading again fetches only what is
    new, and `remembered` still answers while Redis is away. All methods but `remembered*` raise StoreUnavailable.
    """

    def __init__(self, redis_url: str, *, cache_bytes: int = 512 << 20, timeout_s: float = 5.0) -> None:
        self.connection = Connection(redis_url, timeout_s)
        self.copy = ProcessCopy(cache_bytes)
        self.samples_appended = 0

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

    async def append(self, batch: Batch) -> int:
        """Keep all samples of `batch` and return how many; they are on disk then.

        Series first seen cost one more round trip. Writing the same again is harmless: a failed append may be
        repeated.
        """
        if not len(batch):
            return 0
        keys = [identity(labels) for labels in batch.series]
        for _ in range(_TRIES):
            if await self._append(batch, keys):
                self.samples_appended += len(batch)
                return len(batch)
            await self.sync()
        raise StoreUnavailable("closed", "the catalogue of series keeps changing; the samples were not kept")

    async def _append(self, batch: Batch, keys: Sequence[LabelKey]) -> bool:
        """False where series were taken out of the catalogue meanwhile, so that ids may be void."""
        ids = await self._assign(keys)
        state = self.copy.state
        parts, rows = by_hour(batch, ids, [dict(key).get("__name__", "") for key in keys])
        wider = self.copy.wider_spans(rows)
        body = rows.tobytes()
        reply = await self.connection.write(
            scripts.APPEND, state.born, state.drops, orjson.dumps(parts), orjson.dumps(wider), body
        )
        if len(reply) == 1:
            return False
        self.copy.wrote(State.of(reply[0]), wider, newest_ms=int(batch.times_ms.max()))
        start = 0
        for (metric, hour, size), (length, generation) in zip(parts, reply[1:], strict=True):
            self.copy.wrote_rows(metric, hour, body[start : start + size], length, generation)
            start += size
        return True

    async def _assign(self, keys: Sequence[LabelKey]) -> Ids:
        index = self.copy.index
        new = list({key: None for key in keys if index.id_of(key) is None})
        if new:
            reply = await self.connection.write(scripts.ASSIGN, *map(to_text, new))
            state = State.of(reply[0])
            if (state.born, state.drops) != (self.copy.state.born, self.copy.state.drops):
                await self.sync()
            index.add((series_id, dict(key)) for series_id, key in zip(reply[1:], new, strict=True))
        return np.array([index.id_of(key) or 0 for key in keys], dtype=np.uint32)

    # -- reading

    async def select(self, selections: Sequence[Selection]) -> list[list[Series]]:
        """The series of each selection, by time, with the samples in start < t ≤ end; stale markers are among them.

        A selection that leaves the metric's name open takes a second round trip when new metrics have come up.
        """
        asked = self.copy.windows(selections)
        held = await self.sync(asked)
        while more := self.copy.windows(selections) - asked:
            born = self.copy.state.born
            found = await self.sync(more)
            if self.copy.state.born != born:  # emptied between the two
                return await self.select(selections)
            for metric, hours in found.items():
                held.setdefault(metric, {}).update(hours)
            asked |= more
        return [self.copy.gather(selection, held) for selection in selections]

    def remembered(self, selections: Sequence[Selection]) -> list[list[Series]]:
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
        return self.copy.follow(question, reply)

    # -- upkeep, in the background; several round trips

    async def delete(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """Remove samples with start ≤ t ≤ end; returns how many. Series left without samples leave the catalogue."""
        return await upkeep.delete(self, matchers, start_ms, end_ms)

    async def seal(self, now: float) -> int:
        """Compress hours that have been over for a while at `now` (Unix seconds); returns how many."""
        return await upkeep.seal(self, now)

    async def trim(self, retention_s: float, now: float) -> int:
        """Drop hours that ended more than `retention_s` before `now`; returns how many."""
        return await upkeep.trim(self, retention_s, now)

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


def by_hour(batch: Batch, ids: Ids, metrics: Sequence[str]) -> tuple[list[tuple[str, int, int]], Rows]:
    """Rows grouped by metric and hour, in the order of writing, and (metric, hour, bytes) of each group."""
    numbers = {metric: number for number, metric in enumerate(dict.fromkeys(metrics))}
    names = list(numbers)
    metric = np.array([numbers[name] for name in metrics], dtype=np.int64)[batch.index]
    hour = batch.times_ms // HOUR_MS
    order = np.lexsort((hour, metric))
    metric, hour = metric[order], hour[order]
    rows: NDArray[np.void] = np.empty(len(batch), ROW)
    rows["id"], rows["t"], rows["v"] = ids[batch.index][order], batch.times_ms[order], batch.values[order]
    edges = np.flatnonzero((metric[1:] != metric[:-1]) | (hour[1:] != hour[:-1])) + 1
    starts = np.concatenate([[0], edges])
    sizes = np.diff(np.concatenate([starts, [len(batch)]])) * ROW.itemsize
    groups = zip(metric[starts].tolist(), hour[starts].tolist(), sizes.tolist(), strict=True)
    return [(names[m], h, size) for m, h, size in groups], rows
