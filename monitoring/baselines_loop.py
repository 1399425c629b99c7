"""Fitting what is normal again and again, in the one process that leads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from engines.baseline import DAY_S
from engines.habit import Habit
from monitoring.analysis import WATCHED, Track, histories
from monitoring.baselines import BaselineRecord, Known
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive, StoreUnavailable
from monitoring.queries import FleetQueries

log = logging.getLogger(__name__)
DAYS = 15
"""Days that a fit reads: two weeks, and the last hours, which do not count yet"""
STEP_S = 120
"""Fine enough for a job of five minutes that comes back: bands pass over what lasts less than three steps."""
TOGETHER = 10
"""Servers whose histories are read together"""
LOOK_S = 60.0
SOONEST_S = 900.0
"""While there is little history, fits follow each other this closely."""
YOUNG = 4
"""A fit holds for a quarter of the history behind it, at first."""

fits_total: Counter[str] = Counter()
"""Outcome ("ok", or the cause of a failure) → fits of this process."""


class _Last(NamedTuple):
    """The last fit: when, of which servers, and how long it holds."""

    at: float
    servers: frozenset[str]
    holds_s: float


class BaselineLoop:
    """Fits while it runs: when the last version is older than `every_s`, or servers came that it does not know."""

    def __init__(
        self, queries: FleetQueries, record: BaselineRecord, clock: Callable[[], float], every_s: float
    ) -> None:
        self.version = 0
        """The newest version that this process knows of."""
        self._queries, self._record, self._clock, self._every_s = queries, record, clock, every_s
        self._last: _Last | None = None

    async def run(self) -> None:
        """Looks once a minute whether a fit is due, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Fits where that is due; what fails shows in the log and is tried again at the next look."""
        try:
            if await self._due():
                await self.fit()
                fits_total["ok"] += 1
        except (StoreUnavailable, BackendUnavailable) as error:
            fits_total[error.cause] += 1
            log.warning("baselines.not_fitted cause=%s error=%s", error.cause, error)
        except Exception as error:  # the loop survives what one fit brings
            fits_total["failed"] += 1
            log.error("baselines.not_fitted", exc_info=error)

    async def fit(self) -> int:
        """Fits all servers anew and keeps that as the next version; returns how many series have a habit."""
        started, now = time.perf_counter(), self._clock()
        servers = sorted((await self._queries.inventory()).servers)
        newest = await self._record.newest()
        version = 1 if newest is None else newest[0] + 1
        days: list[float] = []
        for first in range(0, len(servers), TOGETHER):
            found = await self._fitted(servers[first : first + TOGETHER], now)
            await self._record.keep(version, now, found)
            days += [one.habit.base.days for known in found.values() for one in known]
        await self._record.thin(now)
        self._last = _Last(now, frozenset(servers), self._holds_s(days))
        self.version = version if days else self.version
        took_s = time.perf_counter() - started
        log.info("baselines.fitted version=%d series=%d seconds=%.2f", version, len(days), took_s)
        return len(days)

    async def _due(self) -> bool:
        last = self._last or await self._kept()
        servers = (await self._queries.inventory()).servers
        if last is None:
            return bool(servers)
        self._last = last
        age = self._clock() - last.at
        return age < 0 or age >= (last.holds_s if servers.keys() <= last.servers else min(SOONEST_S, last.holds_s))

    async def _kept(self) -> _Last | None:
        """What the last process that fitted left behind."""
        if (newest := await self._record.newest()) is None:
            return None
        self.version, at = newest
        found = await self._record.all(self.version)
        days = [known.habit.base.days for one in found for known in one.known]
        return _Last(at, frozenset(one.server for one in found), self._holds_s(days))

    def _holds_s(self, days: Sequence[float]) -> float:
        """How long a fit holds that has such histories behind it."""
        return min(self._every_s, max(SOONEST_S, float(np.median(days or [0.0])) * DAY_S / YOUNG))

    async def _fitted(self, servers: Sequence[str], now: float) -> dict[str, list[Known]]:
        """The habits of some servers, read a day at a time; what costs too much to read is left out."""
        tracks: list[Track] = []
        inventory = await self._queries.inventory()
        end = now // STEP_S * STEP_S
        for back in range(DAYS, 0, -1):
            start = end - back * DAY_S + STEP_S
            last = start + DAY_S - STEP_S
            try:
                backend, catalog = self._queries.backend, self._queries.catalog
                found = await histories(backend, catalog, inventory, WATCHED, start, last, servers, step=STEP_S)
                tracks += found[0]
            except (BadQuery, QueryTooExpensive) as error:
                log.warning("baselines.left_out servers=%s error=%s", ",".join(servers), error)
        return await asyncio.to_thread(_habits, tracks)


def _habits(tracks: Sequence[Track]) -> dict[str, list[Known]]:
    """The habits of the series, each of which comes in pieces, oldest first."""
    pieces: dict[tuple[str, str, str | None], list[Track]] = {}
    for track in tracks:
        if track.server is not None:
            pieces.setdefault((track.server, track.concept, track.part), []).append(track)
    found: dict[str, list[Known]] = {}
    for (server, concept, part), whole in pieces.items():
        times, values = (np.concatenate([getattr(piece, name) for piece in whole]) for name in ("times", "values"))
        order = np.argsort(times, kind="stable")  # two sources of one concept may both report
        if (habit := Habit.fit(times[order], values[order])) is not None:
            found.setdefault(server, []).append(Known(concept, part, habit))
    return found
