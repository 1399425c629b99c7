"""Long ranges out of rolled up days: made once a day has been over for a while, read wherever they are up to date."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from monitoring.model import Labels, Selection, Series
from monitoring.store import rollups, scripts, segments, upkeep
from monitoring.store.cold_rows import Rollup
from monitoring.store.process_copy import Held, Window, hours_of
from monitoring.store.rollups import DAY_HOURS, Column, Rolled
from monitoring.store.segments import HOUR_MS
from monitoring.store.series_index import Found, Groups

if TYPE_CHECKING:
    from monitoring.store.cold_tables import ColdStore
    from monitoring.store.redis import SampleStore

log = logging.getLogger(__name__)
_CACHED_BYTES = 64 << 20
DAY_MS = DAY_HOURS * HOUR_MS
Place = tuple[str, int, int, int]
"""Metric, day, group, generation."""


class RolledDays:
    """Decoded days that were read lately, within a memory budget."""

    def __init__(self, budget_bytes: int = _CACHED_BYTES) -> None:
        self.nbytes = 0
        self._budget_bytes = budget_bytes
        self._held: OrderedDict[Place, Rolled] = OrderedDict()

    def get(self, row: Rollup) -> Rolled:
        """The buckets of a row."""
        place = row[:4]
        if (found := self._held.get(place)) is None:
            found = self._held[place] = rollups.decode(row.body)
            self.nbytes += _size(found)
        self._held.move_to_end(place)
        while self.nbytes > self._budget_bytes and len(self._held) > 1:
            self.nbytes -= _size(self._held.popitem(last=False)[1])
        return found


def _size(rolled: Rolled) -> int:
    return sum(column.nbytes for column in rolled)


async def select(store: SampleStore, cold: ColdStore, selection: Selection) -> list[Series]:
    """The series of a selection that may be rolled up: whole days from their rollups, the rest from raw samples."""
    found: list[Series] = []
    first, last = hours_of(selection)
    await store.sync()
    pending = await _pending(store)
    for metric, groups in store.copy.index.groups_of(selection.matchers):
        wanted = None if groups is None else set(groups)
        days = {day: hours <= rolled for _, day, hours, rolled in await cold.days(metric, first, last)}
        stored = await cold.rollups(metric, first // DAY_HOURS, last // DAY_HOURS)
        rows = [
            row
            for row in stored
            if days.get(row.day, True)
            and (metric, row.day) not in pending
            and (wanted is None or row.group in wanted)
            and (row.day + 1) * DAY_MS <= selection.rolled_before_ms
        ]
        whole = {row.day for row in rows}
        raw = await store.sync(_gaps(metric, first, last, whole, groups))
        named = next((one for one in store.copy.find(selection) if one.metric == metric), None)
        if named is not None:
            found += await asyncio.to_thread(_gathered, store, selection, named, rows, raw)
    return found


async def _pending(store: SampleStore) -> set[tuple[str, int]]:
    """Metrics and days with samples that the cold layer does not have yet."""
    names = [*await store.connection.smembers(scripts.UNSEALED), *await store.connection.smembers(scripts.UNARCHIVED)]
    return {(metric, hour // DAY_HOURS) for metric, hour in upkeep.places(names)}


def _gaps(metric: str, first: int, last: int, whole: Iterable[int], groups: Groups) -> list[Window]:
    """Windows over the hours that no rolled up day covers.

    >>> [window[1:3] for window in _gaps("cpu", 20, 100, {1, 3}, None)]
    [(20, 23), (48, 71), (96, 100)]
    """
    windows = []
    at = first
    for day in sorted(whole):  # the first and the last may reach beyond the window
        if at < day * DAY_HOURS:
            windows.append(Window(metric, at, day * DAY_HOURS - 1, groups))
        at = (day + 1) * DAY_HOURS
    return [*windows, Window(metric, at, last, groups)] if at <= last else windows


def _gathered(
    store: SampleStore, selection: Selection, named: Found, rows: Sequence[Rollup], raw: Held
) -> list[Series]:
    """Series of the column asked for; where that is the last sample, raw ones stay what they are."""
    column = cast("Column", selection.rollup)
    parts = [store.rolled_days.get(row) for row in rows]
    metric = named.metric
    labels = {series_id: store.copy.index.labels[series_id] for series_id in named.ids.tolist()}
    unrolled: dict[int, Series] = {}
    if column == "last":
        found = store.copy.gather(selection, raw, [named])
        places = {id(one): series_id for series_id, one in labels.items()}
        unrolled = {places[id(one.labels)]: one for one in found if id(one.labels) in places}
    else:
        blocks = (hour.parts(None, selection.start_ms, selection.end_ms) for hour in raw.get(metric, {}).values())
        merged = (segments.merge([part.block for part in hour]) for hour in blocks)
        parts += [rollups.roll(block) for block in merged if len(block)]
    rolled = rollups.joined(parts) if parts else rollups.roll(segments.EMPTY)
    return [
        series
        for series_id, one in labels.items()
        if len((series := _one(rolled, series_id, one, selection, unrolled.get(series_id))).times_ms)
    ]


def _one(rolled: Rolled, series_id: int, labels: Labels, selection: Selection, unrolled: Series | None) -> Series:
    times, values = rolled.series(series_id, cast("Column", selection.rollup))
    inside = (times > selection.start_ms) & (times <= selection.end_ms)
    times, values = times[inside], values[inside]
    if unrolled is not None:
        times, values = np.concatenate([times, unrolled.times_ms]), np.concatenate([values, unrolled.values])
        order = times.argsort(kind="stable")
        times, values = times[order], values[order]
    return Series(labels, times, values)


async def roll_up(store: SampleStore, cold: ColdStore, now: float) -> int:
    """Make the rollups of days that are over, and of those whose hours changed since; returns how many days."""
    if not store.unrolled:
        return 0
    today = int(now - upkeep.SEAL_AFTER_S) // (DAY_HOURS * 3600)
    pending = await _pending(store)
    due = [
        (metric, day, newest)
        for metric, day, newest, rolled in await cold.days(None, -(1 << 30), today * DAY_HOURS - 1)
        if newest > rolled and (metric, day) not in pending
    ]
    for metric, day, newest in due:
        held = await store.sync([Window(metric, day * DAY_HOURS, (day + 1) * DAY_HOURS - 1)])
        rows = await asyncio.to_thread(_rolled, store, metric, day, newest, held)
        await cold.put_rollups(metric, day, rows, newest)
    store.unrolled = False
    if due:
        log.info("store.rolled_up days=%d", len(due))
    return len(due)


def _rolled(store: SampleStore, metric: str, day: int, generation: int, held: Held) -> list[Rollup]:
    by_group: dict[int, list[Rolled]] = {}
    for hour in held.get(metric, {}).values():
        for group, block in segments.split(hour.whole(), store.copy.index.groups):
            by_group.setdefault(group, []).append(rollups.roll(block))
    return [
        Rollup(metric, day, group, generation, rollups.encode(rollups.joined(parts)))
        for group, parts in by_group.items()
    ]
