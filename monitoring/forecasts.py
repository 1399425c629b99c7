"""The record of forecasts: what was said to come is kept once an hour and judged when its time has come."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from monitoring.briefing_facts import Coming
from monitoring.errors import StoreUnavailable
from monitoring.store.cold_rows import ForecastRow
from monitoring.store.cold_tables import ColdStore
from monitoring.windows import moment, rfc3339

log = logging.getLogger(__name__)
Kind = Literal["full", "level"]
SERIES = "openmanager_forecasts"
"""The series that say how many forecasts of a concept and kind have each verdict."""
EACH_S = 3600.0
"""The same forecast is kept once in this time."""
LIVE_S = 300.0
"""What is said as of longer ago is no forecast: its time may have come."""
MOST_WAITING, MOST_KNOWN = 1_000, 10_000
RETRY_S = 2.0


class ForecastRecord:
    """Keeps what is said, beside the answer: nobody waits for the database."""

    def __init__(self, cold: ColdStore | None, clock: Callable[[], float]) -> None:
        self._cold, self._clock = cold, clock
        self._waiting: dict[str, ForecastRow] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._came = asyncio.Event()

    def note(self, said: Iterable[ForecastRow]) -> None:
        """Takes forecasts that were just stated; what is known, or is about the past, is left out."""
        if self._cold is None:
            return
        for row in said:
            live = abs(self._clock() - row.said) <= LIVE_S
            if live and row.id not in self._known and len(self._waiting) < MOST_WAITING:
                self._waiting[row.id] = row
                self._came.set()

    async def run(self) -> None:
        """Writes what was noted, until cancelled."""
        while True:
            await self._came.wait()
            try:
                await self.flush()
            except StoreUnavailable as error:
                log.warning("forecasts.not_kept cause=%s waiting=%d", error.cause, len(self._waiting))
                await asyncio.sleep(RETRY_S)

    async def flush(self) -> None:
        """Writes what was noted so far. Raises StoreUnavailable; then it stays noted."""
        self._came.clear()
        rows = list(self._waiting.values())
        if not rows or self._cold is None:
            return
        try:
            await self._cold.put_forecasts(rows)
        except StoreUnavailable:
            self._came.set()
            raise
        for row in rows:
            self._waiting.pop(row.id, None)
            self._known[row.id] = None
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def listed(self, start: float, end: float, limit: int) -> list[ForecastRow]:
        """What was said within a time, newest first. Raises StoreUnavailable."""
        if self._cold is None:
            return []
        await self.flush()
        return await self._cold.forecasts(start, end, limit)


def said_full(row: Mapping[str, Any], concept: str, now: float) -> ForecastRow:
    """That a limit will be reached, from a row of `forecast_metric` with `evidence` "ok"."""
    at = moment(row["at"])
    low, high = (None if row[name] is None else moment(row[name]) for name in ("low", "high"))
    due = high if high is not None else at + (at - now)
    place = str(row["server"]), concept, row["part"]
    return ForecastRow(
        *(_id("full", *place, f"{row['limit']:g}", now), now, max(due, at), *place, "full", row["method"]),
        *(row["limit"], row["value"], None, at, low, high),
    )


def said_coming(one: Coming, now: float) -> ForecastRow:
    """That a limit will be reached, as a report states it."""
    times = {name: None if (at := getattr(one, name)) is None else rfc3339(at) for name in ("at", "low", "high")}
    row = {"server": one.server, "part": one.part, "limit": one.limit, "value": one.value, "method": one.method}
    return said_full({**row, **times}, one.concept, now)


def said_level(row: Mapping[str, Any], concept: str, target: float, now: float) -> ForecastRow:
    """The level at a time, from a row of `forecast_metric`."""
    place = str(row["server"]), concept, row["part"]
    return ForecastRow(
        *(_id("level", *place, f"{target // EACH_S:.0f}", now), now, target, *place, "level", row["level_method"]),
        *(None, row["value"], target, row["level"], row["level_low"], row["level_high"]),
    )


def _id(kind: Kind, server: str, concept: str, part: str | None, what: str, now: float) -> str:
    """One name for what is said of the same thing within an hour."""
    text = "\0".join((kind, server, concept, part or "", what, f"{now // EACH_S:.0f}"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]
