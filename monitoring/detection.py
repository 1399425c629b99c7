"""Detection as samples come: each minute every watched concept of every server is held against what is normal for it.

What comes out is the series `anomaly_score{server_id, concept}`, 0 to 1; from 0.5 on something is unusual, which is
what the rule `anomaly` looks at. A concept with parts (mounts) has the score of its oddest part. Scores are about
servers, but none of their metrics: the inventory passes over them, and nothing here reads them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.habit import Bands
from engines.vigil import Vigil
from monitoring.analysis import WATCHED, histories, part_of
from monitoring.baselines import BaselineRecord, ServerBaseline, floor
from monitoring.baselines_loop import BaselineLoop
from monitoring.catalog import Catalog
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive, StoreUnavailable
from monitoring.expressions import expression
from monitoring.inventory import SCORE
from monitoring.model import Batch, Labels
from monitoring.queries import FleetQueries

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
Key = tuple[str, str, str | None]
"""Server, concept, part"""
STEP_S = 60.0
BEGUN_S = 6 * 3600.0
"""Stored samples that the watch begins with"""
BEGUN_STEPS = 500_000
"""Steps of all series together that it takes for this at most (about 3 s)"""
GAP_S = 600.0
"""After a longer pause the watch begins anew from what was stored meanwhile."""

ticks_total: Counter[str] = Counter()
"""Outcome ("ok", "failed", or the cause of a failure) → ticks of this process."""


@dataclass(slots=True)
class Watch:
    """The series that one version of the baselines knows, and the state of watching them."""

    version: int
    rows: dict[Key, int]
    bands: Bands
    vigil: Vigil
    labels: list[Labels]
    """Of each score"""
    score_of: NDArray[np.int64]
    """The score that each row counts for"""

    @classmethod
    def of(cls, version: int, known: Sequence[ServerBaseline], catalog: Catalog, before: Watch | None) -> Watch:
        """Begin, or go on with what the watch before it knows of the same series."""
        found = [(one.server, series) for one in known for series in one.known]
        keys: list[Key] = [(server, series.concept, series.part) for server, series in found]
        least = [floor(s.concept, catalog, s.habit.level) for _, s in found]
        bands = Bands.of([series.habit for _, series in found], np.array(least))
        places = np.array([-1 if before is None else before.rows.get(key, -1) for key in keys], dtype=np.int64)
        vigil = Vigil(len(keys)) if before is None else before.vigil.arranged(places)
        scores = list(dict.fromkeys(key[:2] for key in keys))
        number = {score: k for k, score in enumerate(scores)}
        labels: list[Labels] = [
            {"__name__": SCORE, "server_id": server, "concept": concept} for server, concept in scores
        ]
        of = np.array([number[key[:2]] for key in keys], dtype=np.int64)
        return cls(version, {key: row for row, key in enumerate(keys)}, bands, vigil, labels, of)

    def step(self, values: Floats, time: float) -> Floats:
        """The score of each of `labels` after one more sample of each row; NaN where nothing can be said."""
        found = np.full(len(self.labels), -1.0)
        np.maximum.at(found, self.score_of, np.nan_to_num(self.vigil.step(values, *self.bands.at(time)), nan=-1.0))
        return np.where(found < 0, np.nan, np.round(found, 3))


class DetectionLoop:
    """Scores while it runs. `append` writes into our store."""

    def __init__(
        self,
        queries: FleetQueries,
        record: BaselineRecord,
        baselines: BaselineLoop,
        clock: Callable[[], float],
        append: Callable[[Batch], Awaitable[int]],
        interval_s: float = STEP_S,
    ) -> None:
        """`baselines` says which version is the newest."""
        self._queries, self._record, self._baselines = queries, record, baselines
        self._clock, self._append, self._interval_s = clock, append, interval_s
        self.series = 0
        """How many series were judged last."""
        self.judged_s = 0.0
        """How long that took, without reading and writing."""
        self._watch: Watch | None = None
        self._at = -np.inf

    async def run(self) -> None:
        """A tick each interval, until cancelled."""
        try:
            while True:
                began = time.monotonic()
                await self._try()
                await asyncio.sleep(max(0.0, self._interval_s - (time.monotonic() - began)))
        finally:
            self._watch, self._at = None, -np.inf

    async def tick(self) -> int:
        """Scores what there is now and writes it; returns how many scores."""
        now = self._clock()
        if now == self._at or not self._baselines.version:
            return 0
        watch = await self._watched(now)
        values = await self._values(watch, now)
        started = time.perf_counter()
        scores = await asyncio.to_thread(watch.step, values, now)
        self.judged_s, self.series, self._at = time.perf_counter() - started, len(watch.rows), now
        told = np.flatnonzero(~np.isnan(scores))
        if len(told):
            times = np.full(len(told), round(now * 1000), dtype=np.int64)
            await self._append(Batch(watch.labels, told.astype(np.int32), times, scores[told]))
        return len(told)

    async def _try(self) -> None:
        try:
            await self.tick()
            ticks_total["ok"] += 1
        except (StoreUnavailable, BackendUnavailable) as error:
            ticks_total[error.cause] += 1
            log.warning("detection.skipped cause=%s error=%s", error.cause, error)
        except Exception as error:  # the loop survives what one tick brings
            ticks_total["failed"] += 1
            log.error("detection.failed", exc_info=error)

    async def _watched(self, now: float) -> Watch:
        """The watch by the newest baselines; begun from stored samples where there is none that goes on till now."""
        before = self._watch if 0 < now - self._at <= GAP_S else None
        if before is None or before.version != self._baselines.version:
            known = await self._record.all(self._baselines.version)
            catalog = self._queries.catalog
            watch = await asyncio.to_thread(Watch.of, self._baselines.version, known, catalog, before)
            if before is None:
                await self._begin(watch, now)
            self._watch = before = watch
        return before

    async def _begin(self, watch: Watch, now: float) -> None:
        """Takes the last hours as if they were watched, so that what departed before a restart still does."""
        steps = int(min(BEGUN_S / STEP_S, BEGUN_STEPS // max(len(watch.rows), 1)))
        values = np.full((steps, len(watch.rows)), np.nan)
        inventory, start = await self._queries.inventory(), now - steps * STEP_S
        for concept in WATCHED if steps else ():
            try:
                tracks, _ = await histories(
                    self._queries.backend,
                    self._queries.catalog,
                    inventory,
                    [concept],
                    start,
                    now - STEP_S,
                    None,
                    step=round(STEP_S),
                )
            except (BadQuery, QueryTooExpensive) as error:
                log.warning("detection.not_begun concept=%s error=%s", concept, error)
                continue
            for track in tracks:
                if (row := watch.rows.get((track.server or "", concept, track.part))) is not None:
                    values[:, row] = np.where(np.isnan(track.values[:steps]), values[:, row], track.values[:steps])
        await asyncio.to_thread(lambda: [watch.step(row, start + k * STEP_S) for k, row in enumerate(values)])

    async def _values(self, watch: Watch, now: float) -> Floats:
        inventory, catalog = await self._queries.inventory(), self._queries.catalog
        asked = {name: query for name in WATCHED if (query := expression(catalog.concepts[name], inventory))}
        vectors = await self._queries.backend.instants(list(asked.values()), now)
        values = np.full(len(watch.rows), np.nan)
        for concept, vector in zip(asked, vectors, strict=True):
            for labels, value in zip(vector.labels, vector.values, strict=True):
                key = inventory.server_of(labels) or "", concept, part_of(labels)
                if (row := watch.rows.get(key)) is not None:
                    values[row] = value
        return values
