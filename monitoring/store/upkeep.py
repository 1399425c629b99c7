"""Background work on the store: sealing, archiving, dropping old hours, deleting samples.

Each step is atomic and keeps what others wrote meanwhile, so that any process may do it at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from monitoring.errors import StoreUnavailable
from monitoring.model import Matcher
from monitoring.store import life, scripts, segments, upkeep_scripts
from monitoring.store.cold_tables import ColdStore
from monitoring.store.hours import Hour
from monitoring.store.process_copy import Held, Window
from monitoring.store.rollups import DAY_HOURS
from monitoring.store.segments import HOUR_MS, Block, Ids
from monitoring.store.spans import Span

if TYPE_CHECKING:
    from monitoring.store.redis import SampleStore

SEAL_AFTER_S = 600.0
"""An hour is sealed this long after its end: late scrapes still go to the open key."""
SEAL_BYTES = 512 << 10
"""An open key of this size is sealed before its hour is over: compressed it takes a tenth."""
WARM_S = 25 * 3600.0
"""Hours younger than this stay in Redis: a day and the hour that it began in."""
_AT_ONCE = 256
"""Hours handled by one script call, which holds up other commands."""
_TRIES = 5
_CONFLICT = -1


class _Rewrite(NamedTuple):
    metric: str
    number: int
    old: Hour
    blocks: dict[int, Block]
    left: bool
    """Whether the hour holds any sample afterwards."""


async def seal(store: SampleStore, now: float) -> int:
    """Compress the open rows of hours that have been over for `SEAL_AFTER_S`, or that grew to `SEAL_BYTES`."""
    limit = int((now - SEAL_AFTER_S) * 1000) // HOUR_MS
    due = places(await store.connection.write(upkeep_scripts.DUE, limit, SEAL_BYTES))
    sealed = 0
    for start in range(0, len(due), _AT_ONCE):
        some = due[start : start + _AT_ONCE]
        held = await store.sync([Window(metric, hour, hour, ()) for metric, hour in some])
        touched = [
            Window(metric, number, number, groups)
            for (metric, number), hour in _hours(held)
            if (groups := tuple(np.unique(store.copy.index.groups[hour.unsealed().ids]).tolist()))
        ]
        held = await store.sync(touched)
        results = await _rewrite(store, [_sealed(store, *at, hour) for at, hour in _hours(held)])
        sealed += sum(generation > 0 for generation in results)
    return sealed


def _sealed(store: SampleStore, metric: str, number: int, hour: Hour) -> _Rewrite:
    """The groups that have open rows, with them."""
    parts = segments.split(hour.unsealed(), store.copy.index.groups)
    blocks = {group: segments.merge([hour.block(group), rows]) for group, rows in parts}
    return _Rewrite(metric, number, hour, blocks, left=True)


async def archive(store: SampleStore, now: float) -> int:
    """Bring sealed hours to the cold layer, and let Redis forget those older than `WARM_S`; returns how many came."""
    if store.cold is None:
        return 0
    over = int((now - SEAL_AFTER_S) * 1000) // HOUR_MS
    names = await store.connection.smembers(scripts.UNARCHIVED)
    due = [place for place in places(names) if place[1] < over]
    if due:
        await store.cold.put_series(await life.catalogue(store))
    for start in range(0, len(due), _AT_ONCE):
        await _archive(store, store.cold, due[start : start + _AT_ONCE])
        store.unrolled = True
    await _evict(store, int((now - WARM_S) * 1000) // HOUR_MS)
    return len(due)


async def _archive(store: SampleStore, cold: ColdStore, due: Sequence[tuple[str, int]]) -> None:
    reply = await store.connection.write(upkeep_scripts.SEALED, orjson.dumps(due))
    done, rows = [], []
    for (metric, hour), (generation, _, pairs) in zip(due, reply, strict=True):
        for group, body in zip(pairs[::2], pairs[1::2], strict=True):
            rows.append(life.segment(metric, hour, int(group), generation, body))
        done.append((metric, hour, generation))
    await cold.put(rows)
    await store.connection.write(upkeep_scripts.ARCHIVED, orjson.dumps(done))


async def _evict(store: SampleStore, cutoff: int) -> None:
    """Only once an hour there is something to let go of."""
    if store.evicted_before == cutoff:
        return
    await store.sync()
    for some in _slices(store.copy.index.metrics):
        await store.connection.write(upkeep_scripts.EVICT, orjson.dumps(some), cutoff)
    store.evicted_before = cutoff


async def trim(store: SampleStore, retention_s: float, rollup_retention_s: float, now: float) -> int:
    """Drop the hours that ended more than `retention_s` before `now`; returns how many. Looks once an hour.

    With a cold layer whole days go, so that what is rolled up of a day is never made from a part of it.
    """
    cutoff = int((now - retention_s) * 1000) // HOUR_MS
    if store.cold is not None:
        cutoff = cutoff // DAY_HOURS * DAY_HOURS
    if store.trimmed_before == cutoff:
        return 0
    await store.sync(spans=True)
    dropped = 0
    for some in _slices(store.copy.index.metrics):
        dropped += await store.connection.write(upkeep_scripts.TRIM, orjson.dumps(some), cutoff)
    for metric, number in store.copy.hours:
        if number < cutoff:
            store.copy.hours.drop(metric, number)
    await _respan(store, {i: None for i, (_, last) in store.copy.spans.items() if last < cutoff})
    if store.cold is not None:
        await store.cold.drop_before(cutoff)
        await store.cold.drop_rollups_before(int((now - rollup_retention_s) * 1000) // HOUR_MS // DAY_HOURS)
    store.trimmed_before = cutoff
    return dropped


async def delete(store: SampleStore, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
    """Remove the samples of matching series with start ≤ t ≤ end; returns how many."""
    deleted = 0
    for _ in range(_TRIES):
        await store.sync(spans=True)
        found = store.copy.index.find(matchers)
        held = await store.sync(_windows(store, found, start_ms // HOUR_MS, end_ms // HOUR_MS))
        rewrites, gone = await asyncio.to_thread(_without, store, found, held, start_ms, end_ms)
        results = await _rewrite(store, rewrites)
        deleted += sum(n for n, result in zip(gone, results, strict=True) if result != _CONFLICT)
        if _CONFLICT not in results:
            await _drop_cold(store, rewrites, results)
            remaining = {(r.metric, r.number): r.blocks for r in rewrites}
            await _respan(store, _new_spans(store, found, held, remaining, (start_ms // HOUR_MS, end_ms // HOUR_MS)))
            return deleted
    raise StoreUnavailable("busy", "samples keep arriving in the time to be deleted; a part of it is left")


def _windows(store: SampleStore, found: Mapping[str, Ids], first: int, last: int) -> Iterator[Window]:
    """Hours first…last, narrowed to those in which the found series have samples."""
    for metric, ids in found.items():
        spans = [span for i in ids.tolist() if (span := store.copy.spans.get(i))]
        if spans:
            low, high = max(first, min(a for a, _ in spans)), min(last, max(b for _, b in spans))
            if low <= high:
                yield Window(metric, low, high)


def _without(
    store: SampleStore, found: Mapping[str, Ids], held: Held, start_ms: int, end_ms: int
) -> tuple[list[_Rewrite], list[int]]:
    """The hours that hold some of what is to go, all groups of each without it, and how many samples that is."""
    rewrites, gone = [], []
    for (metric, number), hour in _hours(held):
        whole = hour.whole()
        mask = np.isin(whole.ids, found[metric]) & (whole.times_ms >= start_ms) & (whole.times_ms <= end_ms)
        if mask.any():
            left = whole.keep(~mask)
            blocks = dict.fromkeys(hour.sealed(), segments.EMPTY) | dict(segments.split(left, store.copy.index.groups))
            rewrites.append(_Rewrite(metric, number, hour, blocks, left=len(left) > 0))
            gone.append(int(mask.sum()))
    return rewrites, gone


async def _drop_cold(store: SampleStore, rewrites: Sequence[_Rewrite], results: Sequence[int]) -> None:
    if store.cold is not None:
        for rewrite, generation in zip(rewrites, results, strict=True):
            if generation == 0:
                await store.cold.drop(rewrite.metric, rewrite.number, rewrite.old.generation)


def _new_spans(
    store: SampleStore,
    found: Mapping[str, Ids],
    held: Held,
    changed: Mapping[tuple[str, int], Mapping[int, Block]],
    deleted: Span,
) -> dict[int, Span | None]:
    """Spans that shrank by deleting in the hours `deleted`; None where no sample is left."""
    inside: dict[int, list[int]] = {}
    for (metric, number), hour in _hours(held):
        blocks = changed[metric, number].values() if (metric, number) in changed else [hour.whole()]
        for left in blocks:
            for series_id in np.intersect1d(left.ids, found[metric]).tolist():
                inside.setdefault(series_id, []).append(number)
    spans: dict[int, Span | None] = {}
    for series_id in (i for ids in found.values() for i in ids.tolist()):
        if (old := store.copy.spans.get(series_id)) is not None:
            new = _shrunk(old, deleted, inside.get(series_id, []))
            if new != old:
                spans[series_id] = new
    return spans


def _shrunk(old: Span, deleted: Span, inside: Sequence[int]) -> Span | None:
    """The span left of `old` when of the hours `deleted` only `inside` still hold samples.

    >>> _shrunk((3, 9), (1, 5), []), _shrunk((3, 9), (1, 12), [4, 6]), _shrunk((3, 9), (3, 9), [])
    ((6, 9), (4, 6), None)
    """
    before = [old[0]] if old[0] < deleted[0] else []
    after = [old[1]] if old[1] > deleted[1] else []
    firsts = before or sorted(inside) or ([deleted[1] + 1] if after else [])
    lasts = after or sorted(inside, reverse=True) or ([deleted[0] - 1] if before else [])
    return (firsts[0], lasts[0]) if firsts else None


def places(names: Iterable[bytes]) -> list[tuple[str, int]]:
    """(metric, hour) of each `HOUR:METRIC`, by hour."""
    pairs = (name.decode().partition(":") for name in names)
    return sorted(((metric, int(hour)) for hour, _, metric in pairs), key=lambda place: (place[1], place[0]))


def _hours(held: Held) -> Iterator[tuple[tuple[str, int], Hour]]:
    for metric, hours in held.items():
        for number, hour in hours.items():
            yield (metric, number), hour


def _slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


async def _rewrite(store: SampleStore, rewrites: Sequence[_Rewrite]) -> list[int]:
    """New generations of the rewritten hours; 0 where an hour is empty now, `_CONFLICT` where another was faster."""
    results: list[int] = []
    for start in range(0, len(rewrites), _AT_ONCE):
        some = rewrites[start : start + _AT_ONCE]
        bodies = await asyncio.to_thread(_encoded, [r.blocks for r in some])
        parts = [
            [r.metric, r.number, r.old.generation, r.old.end, [[g, len(b)] for g, b in own.items()], int(r.left)]
            for r, own in zip(some, bodies, strict=True)
        ]
        joined = b"".join(body for own in bodies for body in own.values())
        generations = await store.connection.write(upkeep_scripts.REWRITE, orjson.dumps(parts), joined)
        for rewrite, own, generation in zip(some, bodies, generations, strict=True):
            store.copy.rewrote(rewrite.metric, rewrite.number, rewrite.old, own, generation)
        results += generations
    return results


def _encoded(blocks: Sequence[Mapping[int, Block]]) -> list[dict[int, bytes]]:
    return [{group: segments.encode(block) for group, block in own.items()} for own in blocks]


async def _respan(store: SampleStore, spans: Mapping[int, Span | None]) -> None:
    """Shrink spans; a series without one leaves the catalogue, here and in the cold layer."""
    if not spans:
        return
    known = store.copy.spans
    changes = [[i, span_text(old), span_text(new) if new else ""] for i, new in spans.items() if (old := known.get(i))]
    await store.connection.write(upkeep_scripts.RESPAN, orjson.dumps(changes))
    await store.sync()
    if store.cold is not None:
        await store.cold.drop_series([i for i, new in spans.items() if new is None])


def span_text(span: Span) -> str:
    """A span as the store writes it."""
    return f"{span[0]}:{span[1]}"
