"""How a store begins, and how all of it is taken out and put into another: catalogue, sealed hours, life."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import orjson

from monitoring.errors import StoreUnavailable
from monitoring.model import label_key
from monitoring.store import segments, upkeep_scripts
from monitoring.store.cold_rows import Catalogued, Segment
from monitoring.store.process_copy import State, Window
from monitoring.store.scripts import LAYOUT, META
from monitoring.store.segments import GROUP
from monitoring.store.series_index import to_text

if TYPE_CHECKING:
    from monitoring.store.redis import SampleStore

log = logging.getLogger(__name__)
_HOURS_AT_ONCE = 24


def refuse_other_layout(state: State) -> None:
    """Raise StoreUnavailable("layout") for a store whose keys have another meaning."""
    if state.born and state.layout != LAYOUT:
        raise StoreUnavailable(
            "layout",
            f"the store has layout {state.layout or 1}, this version reads layout {LAYOUT}; "
            "use an empty --data-dir or Redis, or the version that wrote it",
        )


async def begin(store: SampleStore) -> None:
    """Begin the life of an empty store with what its cold layer remembers.

    One that lives, but came back as of a time before its cold layer's, is told what it forgot.
    """
    await store.sync()
    catalogue: list[Catalogued] = []
    hours: list[tuple[str, int, int]] = []
    if store.cold is not None:
        hours = await store.cold.hours(None, -(1 << 40), 1 << 40)
        if store.copy.state.born and await _generations(store) >= _highest(hours):
            return
        catalogue = await store.cold.series()
    if hours or not store.copy.state.born:
        await _adopt(store, catalogue, hours)


async def _generations(store: SampleStore) -> int:
    redis = store.connection.redis
    found = await store.connection.guarded(lambda: redis.hget(META, "gens"))
    return int(found or 0)


def _highest(hours: Sequence[tuple[str, int, int]]) -> int:
    return max((generation for *_, generation in hours), default=0)


async def _adopt(store: SampleStore, catalogue: Sequence[Catalogued], hours: Sequence[tuple[str, int, int]]) -> None:
    series = [[s.id, _metric(s), s.group, s.labels.decode(), s.first, s.last] for s in catalogue]
    places = [hour[:2] for hour in hours]
    facts = orjson.dumps(series), orjson.dumps(places), _highest(hours) + 1
    joined = await store.connection.write(upkeep_scripts.BEGIN, *facts, GROUP)
    if joined:
        log.warning("store.recovered hours=%d series=%d", joined, len(series))
    await store.sync()


def _metric(series: Catalogued) -> str:
    name: str = orjson.loads(series.labels).get("__name__", "")
    return name


async def catalogue(store: SampleStore) -> list[Catalogued]:
    """All series with the hours of their first and last sample."""
    await store.sync(spans=True)
    return [
        Catalogued(entry.id, entry.group, to_text(label_key(entry.labels)), *span)
        for entry, span in store.copy.entries()
    ]


async def export(store: SampleStore) -> AsyncIterator[list[Segment]]:
    """Every sample of the store, sealed, a few hours of one metric at a time."""
    spans: dict[str, tuple[int, int]] = {}
    for series in await catalogue(store):
        first, last = spans.get(metric := _metric(series), (series.first, series.last))
        spans[metric] = min(first, series.first), max(last, series.last)
    for metric, (first, last) in sorted(spans.items()):
        for start in range(first, last + 1, _HOURS_AT_ONCE):
            held = await store.sync([Window(metric, start, min(start + _HOURS_AT_ONCE - 1, last))])
            found = [
                segment(metric, number, group, hour.generation, segments.encode(block))
                for number, hour in held.get(metric, {}).items()
                for group, block in segments.split(hour.whole(), store.copy.index.groups)
            ]
            if found:
                yield found


def segment(metric: str, hour: int, group: int, generation: int, body: bytes) -> Segment:
    """The row of the cold layer for a sealed block."""
    return Segment(metric, hour, group, generation, *segments.summary(body), body)


async def adopt(store: SampleStore, catalogue: Sequence[Catalogued], exported: AsyncIterator[list[Segment]]) -> int:
    """Fill an empty store with what another exported; returns the samples.

    Raises StoreUnavailable: "busy" where the store is not empty, "closed" where it has no cold layer.
    """
    if store.cold is None:
        raise StoreUnavailable("closed", "restoring needs a cold layer: the history in --data-dir or --database-url")
    await store.sync()
    if store.copy.state.born and len(store.copy.index):
        raise StoreUnavailable("busy", "the store is not empty; restore into an empty one")
    samples, hours = 0, {}
    async for some in exported:
        await store.cold.put(some)
        samples += sum(s.count for s in some)
        hours.update({(s.metric, s.hour): s.generation for s in some})
    await store.cold.put_series(catalogue)
    await store.connection.guarded(lambda: store.connection.redis.delete(META))
    await _adopt(store, catalogue, [(metric, hour, generation) for (metric, hour), generation in hours.items()])
    return samples
