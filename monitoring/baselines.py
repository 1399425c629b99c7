"""What is normal for each server, metric by metric, kept as versions in the database: the record, and how it is read.

A version is one fit of all servers. The band of a time is that of the newest version that was fitted before it, so
that an answer of the past comes out as it did then.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from engines.habit import SLOT_KEYS, Band, Habit
from monitoring.catalog import Catalog
from monitoring.store.cold_rows import BaselineRow
from monitoring.store.cold_tables import ColdStore

FLOOR = {"percent": 5.0, "bytes_per_second": 200_000.0, "milliseconds": 20.0, "per_second": 5.0, "number": 5.0}
"""Departures smaller than this (in the unit) are nobody's business."""
SHARE = 0.3
"""Nor those smaller than this share of the usual level, but for percentages."""
ERRORS = 0.5
"""Points of the error rate that are worth telling"""
FRESH_S = 2 * 86_400.0
"""A version that is older than this does not speak for a time."""
ALL_S, SOME_S, SOME = 2 * 86_400.0, 30 * 86_400.0, 4
"""For so long every version is kept, and for so long one in four."""
REMEMBERED = 64
"""Servers whose baselines a process holds"""


@dataclass(frozen=True, slots=True)
class Known:
    """The habit of one series: a concept of a server, or of a part of it (a mount)."""

    concept: str
    part: str | None
    habit: Habit


@dataclass(frozen=True, slots=True)
class ServerBaseline:
    """What is normal for one server, by one version. `fitted` in Unix seconds."""

    server: str
    version: int
    fitted: float
    known: tuple[Known, ...]

    def find(self, concept: str, part: str | None) -> Known | None:
        """The habit of that series, or None."""
        return next((one for one in self.known if (one.concept, one.part) == (concept, part)), None)


def floor(concept: str, catalog: Catalog, level: float) -> float:
    """The smallest departure of a concept worth telling, where its level is usually such."""
    if concept == "errors":
        return ERRORS
    unit = catalog.concepts[concept].unit
    return max(FLOOR.get(unit, 1.0), 0.0 if unit == "percent" else SHARE * abs(level))


def band(habit: Habit, concept: str, catalog: Catalog, time: float) -> Band:
    """What is normal at a time, within what the concept can be at all: from 0 on, and up to its scale."""
    found, scale = habit.at(time, floor(concept, catalog, habit.level)), catalog.concepts[concept].scale
    return Band(*(max(0.0, value if scale is None else min(value, scale)) for value in found))


class BaselineRecord:
    """The versions in the database. All methods raise StoreUnavailable; without a database nothing is kept."""

    def __init__(self, cold: ColdStore | None) -> None:
        self._cold = cold
        self._held: dict[tuple[str, int], ServerBaseline] = {}

    async def of(self, server: str, at: float) -> ServerBaseline | None:
        """What was known at a time; None where nothing was, or only what was long out of date."""
        if self._cold is None:
            return None
        row = await self._cold.baseline(server, at)
        return None if row is None or at - row.fitted > FRESH_S else self._read(row)

    async def versions(self, server: str) -> list[tuple[int, float]]:
        """(version, when it was fitted) of a server, newest first."""
        return [] if self._cold is None else await self._cold.baseline_versions(server)

    async def newest(self) -> tuple[int, float] | None:
        """The number of the newest version of all servers, and when it was fitted."""
        found = [] if self._cold is None else await self._cold.baseline_versions()
        return found[0] if found else None

    async def all(self, version: int) -> list[ServerBaseline]:
        """The baselines of all servers that a version has."""
        return [] if self._cold is None else [_server(row) for row in await self._cold.baselines(version)]

    async def keep(self, version: int, fitted: float, found: Mapping[str, Sequence[Known]]) -> None:
        """Keeps what a fit found for some servers."""
        if self._cold is not None:
            rows = [BaselineRow(server, version, fitted, _body(known)) for server, known in found.items()]
            await self._cold.put_baselines(rows)

    async def thin(self, now: float) -> None:
        """Lets go of old versions: all are kept for two days, one in four for a month."""
        if self._cold is not None:
            await self._cold.thin_baselines(now - ALL_S, SOME, now - SOME_S)

    def _read(self, row: BaselineRow) -> ServerBaseline:
        key = row.server, row.version
        if key not in self._held:
            while len(self._held) >= REMEMBERED:
                self._held.pop(next(iter(self._held)))
            self._held[key] = _server(row)
        return self._held[key]


def shown(one: Known, time: float, catalog: Catalog) -> dict[str, Any]:
    """A series' pattern and its band at a time (Unix seconds), without what only the band is computed from."""
    body = {name: value for name, value in _json(one).items() if name not in SLOT_KEYS}
    normal = band(one.habit, one.concept, catalog, time)
    return {**body, "unit": catalog.concepts[one.concept].unit, **normal._asdict()}


def _json(one: Known) -> dict[str, Any]:
    return {"concept": one.concept, "part": one.part, **one.habit.to_json()}


def _body(known: Iterable[Known]) -> bytes:
    return zlib.compress(orjson.dumps([_json(one) for one in known]))


def _server(row: BaselineRow) -> ServerBaseline:
    found = orjson.loads(zlib.decompress(row.body))
    known = tuple(Known(one["concept"], one["part"], Habit.of_json(one)) for one in found)
    return ServerBaseline(row.server, row.version, row.fitted, known)
