"""Backup and restore: the whole store as one SQLite file with the tables of the cold store."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.store import sqlite_file
from monitoring.store.cold_rows import Segment, Value
from monitoring.store.cold_sqlite import SqliteArchive, SqliteStore
from monitoring.store.cold_tables import ColdStore
from monitoring.store.redis import SampleStore
from monitoring.store.scripts import META, json_key

_LEADER = f"{META.removesuffix('meta')}leader"
_PASSING = ("collector",)
"""Kinds of JSON values that hold only for the running collector."""
_HOURS_AT_ONCE = 64
_DIGEST = "backup_digest"
"""The fact that tells damage inside of blocks, which SQLite cannot see."""
_KEYS_AT_ONCE = 500
_EVER_S, _MOST_ALERTS = 1e12, 10_000_000
_ALL_HOURS = -(1 << 31), 1 << 31
_KINDS_OF_KEYS = (
    *("series", "ids", "sizes", "spans", "hours:*", "open:*", "sealed:*", "cold:*", "un*", "json:*", "alerts*"),
)


class Copied(NamedTuple):
    """What a backup holds, and how long it took."""

    series: int
    samples: int
    blocks: int
    values: int
    bytes: int
    seconds: float


async def backup(store: SampleStore, cold: ColdStore, file: Path) -> Copied:
    """Write all of the store into a new `file` and check it; writers and readers go on meanwhile.

    Every sample that was acknowledged before the call is in it; of those that come meanwhile, some are.
    Raises BadSetting where the file exists, StoreUnavailable where something cannot be read or written.
    """
    started = time.perf_counter()
    _refuse_existing(file)
    part = file.with_name(f"{file.name}.part-{os.getpid()}")
    try:
        copied = await _write(store, cold, part)
        await asyncio.to_thread(sqlite_file.finish, part)
        await _verify(part)
        size = await asyncio.to_thread(_publish, part, file)
    except sqlite_file.Damaged as error:
        raise StoreUnavailable("corrupt", f"what was written is damaged ({error}); try another disk") from error
    finally:
        _remove(part)
    return copied._replace(bytes=size, seconds=time.perf_counter() - started)


async def restore(file: Path, store: SampleStore, cold: ColdStore, *, replace: bool = False) -> Copied:
    """Fill the store with what `file` holds; nothing may write into it meanwhile.

    Raises BadSetting where the store is not empty and `replace` is false, StoreUnavailable for a file of no use.
    """
    started = time.perf_counter()
    source = SqliteArchive(file)
    try:
        await source.open()
        await _verify(file)
        await _refuse_company(store)
        if not await _empty(store, cold):
            if not replace:
                raise BadSetting("the store is not empty; restore with --replace, which removes what is there first")
            await _clear(store, cold)
        copied = await _read(source, store, cold)
    finally:
        await source.close()
    size = (await asyncio.to_thread(file.stat)).st_size
    return copied._replace(bytes=size, seconds=time.perf_counter() - started)


async def _write(store: SampleStore, cold: ColdStore, part: Path) -> Copied:
    target = SqliteStore(part)
    try:
        samples = blocks = digest = 0
        async for segments in store.export():
            await target.put(segments)
            blocks += len(segments)
            samples += sum(segment.count for segment in segments)
            digest = _digest(segments, digest)
        await target.put_fact(_DIGEST, f"{blocks}:{digest:x}")
        catalogue = await store.catalogue()  # after the samples: none of them is of a series that is not in it
        await target.put_series(catalogue)
        values = 0
        async for some in _values(store):
            await target.put_values(some)
            values += len(some)
        await _copy_facts(cold, target)
        return Copied(len(catalogue), samples, blocks, values, 0, 0.0)
    finally:
        await target.close()


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise BadSetting(f"'{file}' exists; name a new file")
    if not file.parent.is_dir():
        raise BadSetting(f"there is no folder '{file.parent}'; make it first")


def _remove(part: Path) -> None:
    """What an interrupted backup leaves."""
    for path in part.parent.glob(f"{part.name}*"):
        path.unlink()


def _publish(part: Path, file: Path) -> int:
    """Give what was written its name; returns its size."""
    part.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return file.stat().st_size


async def _verify(file: Path) -> None:
    """Read every block again. Raises StoreUnavailable where it is not what was written."""
    archive = SqliteArchive(file)
    try:
        written, blocks, digest = await archive.fact(_DIGEST), 0, 0
        async for segments in _blocks(archive):
            blocks += len(segments)
            digest = _digest(segments, digest)
        if written not in (f"{blocks}:{digest:x}", None):
            raise StoreUnavailable("corrupt", f"{file} cannot be read (blocks are not as written): use another")
    finally:
        await archive.close()


async def _blocks(source: SqliteStore) -> AsyncIterator[list[Segment]]:
    places = [(metric, hour) for metric, hour, _ in await source.hours(None, *_ALL_HOURS)]
    for start in range(0, len(places), _HOURS_AT_ONCE):
        yield await source.get([(*place, None) for place in places[start : start + _HOURS_AT_ONCE]])


def _digest(segments: Sequence[Segment], before: int) -> int:
    """The same in whatever order the blocks come."""
    for segment in segments:
        head = repr((segment.metric, *map(int, segment[1:5]))).encode()
        found = hashlib.blake2b(head + segment.body, digest_size=8).digest()
        before = (before + int.from_bytes(found, "little")) % (1 << 64)
    return before


async def _read(source: SqliteStore, store: SampleStore, cold: ColdStore) -> Copied:
    catalogue, values = await source.series(), await source.values()
    blocks = (await source.status())["rows"]
    samples = await store.adopt(catalogue, _blocks(source))
    now = time.time()
    alive = [value for value in values if value.expires is None or value.expires > now]
    for value in alive:
        ttl_s = None if value.expires is None else value.expires - now
        await store.put_json(value.kind, value.key, orjson.loads(value.body), ttl_s)
    await _copy_facts(source, cold)
    return Copied(len(catalogue), samples, blocks, len(alive), 0, 0.0)


async def _copy_facts(source: ColdStore, target: ColdStore) -> None:
    for key, text in (await source.facts()).items():
        if key != _DIGEST:
            await target.put_fact(key, text)
    await target.put_templates(await source.templates())
    await target.put_runs(await source.runs())
    await target.put_alerts(await source.alerts(-_EVER_S, _EVER_S, (), _MOST_ALERTS))
    await target.put_forecasts(await source.forecasts(-_EVER_S, _EVER_S, _MOST_ALERTS))


async def _values(store: SampleStore) -> AsyncIterator[list[Value]]:
    """The JSON values of the store, with their time to live."""
    redis, prefix = store.connection.redis, json_key("", "")[:-1]
    for keys in await _keys(store, f"{prefix}*"):
        bodies: list[Any] = await store.connection.guarded(lambda keys=keys: redis.mget(keys))  # type: ignore[misc]
        now, found = time.time(), []
        for key, body in zip(keys, bodies, strict=True):
            left_ms = await store.connection.guarded(lambda key=key: redis.pttl(key))  # type: ignore[misc]
            kind, _, name = key.decode().removeprefix(prefix).partition(":")
            if body is not None and left_ms != -2 and kind not in _PASSING:
                found.append(Value(kind, name, body, None if left_ms == -1 else now + left_ms / 1000))
        yield found


async def _refuse_company(store: SampleStore) -> None:
    """A collector would begin to fill the store in the middle of it."""
    redis = store.connection.redis
    if await store.connection.guarded(lambda: redis.exists(_LEADER)):
        raise BadSetting("a collector runs on this store; stop `openmanager serve` and `collect`, then restore")


async def _empty(store: SampleStore, cold: ColdStore) -> bool:
    return not await store.labels() and not await cold.series() and not await cold.hours(None, *_ALL_HOURS)


async def _clear(store: SampleStore, cold: ColdStore) -> None:
    """Remove samples, catalogue and JSON values; the life of the store first, so that no process goes on with it."""
    redis = store.connection.redis
    await store.connection.guarded(lambda: redis.delete(META))
    await cold.empty()
    for kind in _KINDS_OF_KEYS:
        for keys in await _keys(store, META.removesuffix("meta") + kind):
            await store.connection.guarded(lambda keys=keys: redis.unlink(*keys))  # type: ignore[misc]


async def _keys(store: SampleStore, pattern: str) -> list[list[bytes]]:
    redis = store.connection.redis

    async def scan() -> list[bytes]:
        return [key async for key in redis.scan_iter(match=pattern, count=1_000)]

    keys = await store.connection.guarded(scan)
    return [keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE)]
