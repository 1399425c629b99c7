"""Background work on the store: sealing hours that are over, dropping old ones, deleting samples.

Each step is atomic and keeps what others wrote meanwhile, so that any process may do it at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from monitoring.errors import StoreUnavailable
from monitoring.model import Matcher
from monitoring.store import scripts, segments
from monitoring.store.hours import Hour
from monitoring.store.process_copy import Held, Span, Window
from monitoring.store.segments import HOUR_MS, Block
from monitoring.store.series_index import Ids

if TYPE_CHECKING:
    from monitoring.store.redis import SampleStore

SEAL_AFTER_S = 600.0
"""An hour is sealed this long after its end: late scrapes still go to the open key."""
_AT_ONCE = 256
"""Hours rewritten by one script call, which holds up other commands."""
_TRIES = 5
_CONFLICT = -1


class _Rewrite(NamedTuple):
    metric: str
    number: int
    old: Hour
    new: Block


async def seal(store: SampleStore, now: float) -> int:
    """Compress the hours that have been over for `SEAL_AFTER_S` at `now`; returns how many."""
    limit = int((now - SEAL_AFTER_S) * 1000) // HOUR_MS
    names = await store.connection.smembers(scripts.UNSEALED)
    due = sorted((int(hour), metric) for hour, _, metric in (name.decode().partition(":") for name in names))
    windows = [Window(metric, hour, hour) for hour, metric in due if hour < limit]
    sealed = 0
    for start in range(0, len(windows), _AT_ONCE):
        held = await store.sync(windows[start : start + _AT_ONCE])
        results = await _rewrite(store, [_Rewrite(*at, hour, hour.block) for at, hour in _hours(held)])
        sealed += sum(generation > 0 for generation in results)
    return sealed


async def trim(store: SampleStore, retention_s: float, now: float) -> int:
    """Drop the hours that ended more than `retention_s` before `now`; returns how many."""
    cutoff = int((now - retention_s) * 1000) // HOUR_MS
    await store.sync(spans=True)
    metrics = store.copy.index.metrics
    dropped = 0
    for start in range(0, len(metrics), _AT_ONCE):
        some = orjson.dumps(metrics[start : start + _AT_ONCE])
        dropped += await store.connection.write(scripts.TRIM, some, cutoff)
    for metric, number in store.copy.hours:
        if number < cutoff:
            store.copy.hours.drop(metric, number)
    await _respan(store, {i: None for i, (_, last) in store.copy.spans.items() if last < cutoff})
    return dropped


async def delete(store: SampleStore, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
    """Remove the samples of matching series with start ≤ t ≤ end; returns how many."""
    deleted = 0
    for _ in range(_TRIES):
        await store.sync(spans=True)
        found = store.copy.index.find(matchers)
        held = await store.sync(_windows(store, found, start_ms // HOUR_MS, end_ms // HOUR_MS))
        rewrites = list(_without(found, held, start_ms, end_ms))
        results = await _rewrite(store, rewrites)
        done = [rewrite for rewrite, result in zip(rewrites, results, strict=True) if result != _CONFLICT]
        deleted += sum(len(rewrite.old.block) - len(rewrite.new) for rewrite in done)
        if len(done) == len(rewrites):
            remaining = {(r.metric, r.number): r.new for r in rewrites}
            await _respan(store, _new_spans(store, found, held, remaining, (start_ms // HOUR_MS, end_ms // HOUR_MS)))
            return deleted
    raise StoreUnavailable("busy", "samples keep arriving in the time to be deleted; a part of it is left")


def _windows(store: SampleStore, found: Mapping[str, Ids], first: int, last: int) -> Iterator[Window]:
    """Hours first…last, narrowed to those in which the found series have samples."""
    for metric, ids in found.items():
        spans = [store.copy.spans[i] for i in ids.tolist() if i in store.copy.spans]
        if spans:
            low, high = max(first, min(a for a, _ in spans)), min(last, max(b for _, b in spans))
            if low <= high:
                yield Window(metric, low, high)


def _without(found: Mapping[str, Ids], held: Held, start_ms: int, end_ms: int) -> Iterator[_Rewrite]:
    for (metric, number), hour in _hours(held):
        block = hour.block
        gone = np.isin(block.ids, found[metric]) & (block.times_ms >= start_ms) & (block.times_ms <= end_ms)
        if gone.any():
            yield _Rewrite(metric, number, hour, block.keep(~gone))


def _new_spans(
    store: SampleStore, found: Mapping[str, Ids], held: Held, changed: Mapping[tuple[str, int], Block], deleted: Span
) -> dict[int, Span | None]:
    """Spans that shrank by deleting in the hours `deleted`; None where no sample is left."""
    inside: dict[int, list[int]] = {}
    for (metric, number), hour in _hours(held):
        left = changed.get((metric, number), hour.block)
        for series_id in np.intersect1d(left.ids, found[metric]).tolist():
            inside.setdefault(series_id, []).append(number)
    spans: dict[int, Span | None] = {}
    for series_id in (i for ids in found.values() for i in ids.tolist() if i in store.copy.spans):
        old = store.copy.spans[series_id]
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


def _hours(held: Held) -> Iterator[tuple[tuple[str, int], Hour]]:
    for metric, hours in held.items():
        for number, hour in hours.items():
            yield (metric, number), hour


async def _rewrite(store: SampleStore, rewrites: Sequence[_Rewrite]) -> list[int]:
    """New generations of the rewritten hours; 0 where an hour is empty now, `_CONFLICT` where another was faster."""
    results: list[int] = []
    for start in range(0, len(rewrites), _AT_ONCE):
        some = rewrites[start : start + _AT_ONCE]
        bodies = await asyncio.to_thread(_encoded, [rewrite.new for rewrite in some])
        parts = [
            [r.metric, r.number, r.old.generation, r.old.end, len(body)] for r, body in zip(some, bodies, strict=True)
        ]
        generations = await store.connection.write(scripts.REWRITE, orjson.dumps(parts), b"".join(bodies))
        for rewrite, generation in zip(some, generations, strict=True):
            store.copy.rewrote(rewrite.metric, rewrite.number, rewrite.new, generation)
        results += generations
    return results


def _encoded(blocks: Sequence[Block]) -> list[bytes]:
    return [segments.encode(block) if len(block) else b"" for block in blocks]


async def _respan(store: SampleStore, spans: Mapping[int, Span | None]) -> None:
    """Shrink spans; a series without one leaves the catalogue."""
    if spans:
        known = store.copy.spans
        changes = [[i, span_text(known[i]), span_text(new) if new else ""] for i, new in spans.items()]
        await store.connection.write(scripts.RESPAN, orjson.dumps(changes))
        await store.sync()


def span_text(span: Span) -> str:
    """A span as the store writes it."""
    return f"{span[0]}:{span[1]}"
