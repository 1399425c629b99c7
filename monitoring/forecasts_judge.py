"""Holds forecasts against what came, when their time has come; run by the one process that leads."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

import numpy as np

from monitoring.errors import BadQuery, OpenManagerError, QueryTooExpensive, StoreUnavailable
from monitoring.expressions import expression
from monitoring.forecasts import SERIES
from monitoring.model import Batch, Matrix
from monitoring.queries import FleetQueries
from monitoring.store.cold_rows import ForecastRow
from monitoring.store.cold_tables import ColdStore
from monitoring.windows import step_for

log = logging.getLogger(__name__)
Verdict = Literal["held", "early", "late", "above", "below", "unmeasured"]
ROUND_S = 60.0
AGAIN_S = 300.0
"""What is not decided yet is looked at again after this long."""
MOST = 50
"""Forecasts judged in one round."""
KEPT_S = 400 * 86_400.0
TOUCHED = 0.995
"""A limit counts as reached at this part of it: a full disk shows 99.9 %."""
NEAR_S = 600.0
"""A level is judged by the samples this long before its time."""

judged_total: Counter[str] = Counter()
"""Verdict → forecasts that this process judged."""


class ForecastJudge:
    """Judges while it runs. `append` writes the counts of verdicts as samples; None where samples are another's."""

    def __init__(
        self,
        queries: FleetQueries,
        cold: ColdStore | None,
        clock: Callable[[], float],
        append: Callable[[Batch], Awaitable[int]] | None = None,
    ) -> None:
        self._queries, self._cold, self._clock, self._append = queries, cold, clock, append
        self._looked: dict[str, float] = {}
        self._trimmed = 0.0

    async def run(self) -> None:
        """A round each minute, until cancelled."""
        while self._cold is not None:
            try:
                await self.round()
            except OpenManagerError as error:
                log.warning("forecasts.not_judged error=%s", error)
            except Exception as error:  # the loop survives what one round brings
                log.error("forecasts.not_judged", exc_info=error)
            await asyncio.sleep(ROUND_S)

    async def round(self) -> None:
        """Judges what is due and tells how all were. Raises StoreUnavailable and its kin."""
        if self._cold is None:
            return
        now = self._clock()
        waiting = [
            row
            for row in await self._cold.open_forecasts(now, 10 * MOST)
            if row.due <= now or abs(now - self._looked.get(row.id, -AGAIN_S)) >= AGAIN_S
        ]
        judged = []
        for row in waiting[:MOST]:
            self._looked[row.id] = now
            if (found := await self._judged(row, now)) is not None:
                judged.append(found)
                self._looked.pop(row.id, None)
        await self._cold.judge_forecasts(judged)
        judged_total.update(str(row.verdict) for row in judged)
        await self._tell(now)
        if abs(now - self._trimmed) > 86_400:
            await self._cold.drop_forecasts_before(now - KEPT_S)
            self._trimmed = now

    async def _judged(self, row: ForecastRow, now: float) -> ForecastRow | None:
        """The row with its verdict; None while that is open."""
        inventory, catalog = await self._queries.inventory(), self._queries.catalog
        concept = catalog.concepts.get(row.concept)
        query = None
        if concept is not None and row.server in inventory.servers:
            query = expression(concept, inventory, [row.server], part=row.part)
        if query is None:
            return row._replace(verdict="unmeasured", judged=now) if now >= row.due else None
        start = row.said if row.kind == "full" else row.due - NEAR_S
        end = min(now, row.due)
        try:
            matrix = await self._queries.backend.range(query, start, end, step_for(end - start, 2_000))
        except (BadQuery, QueryTooExpensive) as error:
            log.warning("forecasts.not_read id=%s error=%s", row.id, error)
            return None
        return full(row, matrix, now) if row.kind == "full" else level(row, matrix, now)

    async def _tell(self, now: float) -> None:
        if self._append is None or self._cold is None:
            return
        counts = await self._cold.verdicts()
        samples = [
            ({"__name__": SERIES, "concept": concept, "kind": kind, "verdict": verdict}, float(count))
            for concept, kind, verdict, count in counts
        ]
        if samples:
            try:
                await self._append(Batch.at(now, samples))
            except StoreUnavailable as error:
                log.warning("forecasts.not_told cause=%s", error.cause)


def full(row: ForecastRow, matrix: Matrix, now: float) -> ForecastRow | None:
    """Whether the limit was reached between the earliest and the latest time that were said."""
    values = _highest(matrix)
    hit = np.flatnonzero(values >= TOUCHED * (row.bound or 0.0))
    if len(hit):
        at = float(matrix.times[hit[0]])
        early = row.low is not None and at < row.low - matrix.step
        return _with(row, "early" if early else "held", at, now)
    if now < row.due:
        return None
    late = matrix.times >= (row.low if row.low is not None else row.expected) - matrix.step
    if np.isnan(values[late]).all():
        return row._replace(verdict="unmeasured", judged=now)
    return row._replace(verdict="late", judged=now)


def level(row: ForecastRow, matrix: Matrix, now: float) -> ForecastRow | None:
    """Whether the level at the time lay in the interval that was said."""
    values = _highest(matrix)
    known = values[~np.isnan(values)]
    if not len(known):
        return row._replace(verdict="unmeasured", judged=now)
    actual = float(known[-1])
    low = row.low if row.low is not None else row.expected
    high = row.high if row.high is not None else row.expected
    verdict: Verdict = "below" if actual < low else "above" if actual > high else "held"
    return _with(row, verdict, actual, now)


def _with(row: ForecastRow, verdict: Verdict, actual: float, now: float) -> ForecastRow:
    return row._replace(verdict=verdict, actual=actual, error=actual - row.expected, judged=now)


def _highest(matrix: Matrix) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of two exporters' series about one thing, the higher; NaN where there is none."""
    whole = np.full(len(matrix.times), np.nan)
    for values in matrix.values:
        whole = np.fmax(whole, values)
    return whole
