"""Where PromQL is evaluated: over our own store, or over what this process remembers of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from time import monotonic
from typing import Protocol

import numpy as np

from monitoring.columns import Columns
from monitoring.errors import BadQuery, QueryTooExpensive
from monitoring.model import Labels, Matcher, Matrix, Selection, Series, Vector
from monitoring.promql import TIMED_OUT, Limits, LongRange, Plan, Result, most_steps, plan, run

IN_THREAD = 50_000
"""Samples and points above which an evaluation leaves the event loop (about 5 ms)."""


class Samples(Protocol):
    """What the local backend reads (a `SampleStore`)."""

    async def select(self, selections: Sequence[Selection]) -> list[Sequence[Series]]: ...
    def remembered(self, selections: Sequence[Selection]) -> list[Sequence[Series]]: ...
    async def labels(
        self, matchers: Sequence[Matcher] = (), start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Labels]: ...
    def remembered_labels(self, matchers: Sequence[Matcher] = ()) -> list[Labels]: ...
    @property
    def catalog_version(self) -> int: ...


class Backend(Protocol):
    """PromQL in, values out. Raises BadQuery, QueryTooExpensive, StoreUnavailable, BackendUnavailable."""

    source: str

    async def evaluate(
        self,
        query: str,
        start: float,
        end: float,
        step: float,
        *,
        lookback_s: float = 300.0,
        timeout_s: float | None = None,
    ) -> tuple[Result, float | None]:
        """The result, and the time of the newest sample that took part (Unix seconds).

        It takes at most `timeout_s` and what the backend allows, reading included; then it raises QueryTooExpensive.
        """
        ...

    async def instants(self, queries: Sequence[str], time: float) -> list[Vector]:
        """The vectors of several queries at one time, read together."""
        ...

    async def range(self, query: str, start: float, end: float, step: float) -> Matrix: ...
    async def ranges(self, asked: Sequence[tuple[str, float, float, float]]) -> list[Matrix]:
        """`range` of several (query, start, end, step), read together."""
        ...

    async def labels(self) -> list[Labels]: ...
    @property
    def catalog_version(self) -> int: ...


class LocalBackend:
    """PromQL over our own samples. With `memory` it never leaves the process: the last good copy answers."""

    def __init__(
        self,
        samples: Samples,
        *,
        memory: bool = False,
        limits: Limits | None = None,
        long_range: Callable[[], LongRange | None] = lambda: None,
    ) -> None:
        """`long_range` says from which span on samples that were rolled up may be read, and before which time."""
        self.source = "memory" if memory else "local"
        self._long_range = long_range
        self._samples = samples
        self._memory = memory
        self._limits = limits or Limits()

    @property
    def catalog_version(self) -> int:
        """Grows when a series is first seen."""
        return self._samples.catalog_version

    async def labels(self) -> list[Labels]:
        """The labels of every series."""
        return self._samples.remembered_labels() if self._memory else await self._samples.labels()

    async def evaluate(
        self,
        query: str,
        start: float,
        end: float,
        step: float,
        *,
        lookback_s: float = 300.0,
        timeout_s: float | None = None,
    ) -> tuple[Result, float | None]:
        """The result, and the time of the newest sample that took part (Unix seconds)."""
        steps = _ms(start), _ms(end), max(_ms(step), 1)
        planned = plan(query, *steps, lookback_ms=_ms(lookback_s), long_range=self._long_range())
        allowed_s = self._limits.seconds if timeout_s is None else min(timeout_s, self._limits.seconds)
        deadline = monotonic() + allowed_s
        try:
            async with asyncio.timeout(allowed_s) as cut:
                data = await self._read(planned.selections)
                left = self._limits._replace(seconds=deadline - monotonic())
                return await self._run(planned, data, left), _newest(data)
        except TimeoutError:
            if not cut.expired():
                raise
            raise QueryTooExpensive(TIMED_OUT) from None

    async def instants(self, queries: Sequence[str], time: float) -> list[Vector]:
        """One value per series at `time` for each query, in one read; a scalar comes as one value without labels."""
        long_range = self._long_range()
        plans = [plan(query, _ms(time), _ms(time), 1, long_range=long_range) for query in queries]
        data = await self._read([selection for planned in plans for selection in planned.selections])
        if _work(plans, data) > IN_THREAD:
            return await asyncio.to_thread(self._vectors, queries, time, plans, data)
        return self._vectors(queries, time, plans, data)

    def _vectors(
        self, queries: Sequence[str], time: float, plans: Sequence[Plan], data: Sequence[Columns]
    ) -> list[Vector]:
        parts = _shares(plans, data)
        answers = zip(queries, self._run_all(plans, parts), parts, strict=True)
        return [self._vector(query, time, result, _newest(part)) for query, result, part in answers]

    def _run_all(self, plans: Sequence[Plan], parts: Sequence[Sequence[Columns]]) -> list[Result]:
        return [run(planned, part, self._limits) for planned, part in zip(plans, parts, strict=True)]

    def _vector(self, query: str, time: float, result: Result, newest: float | None) -> Vector:
        if result.kind in ("matrix", "string"):
            raise BadQuery(f"'{query}' gives a {result.kind}; an instant vector is needed here")
        here = [k for k in range(len(result.labels)) if result.present[k, 0]]
        return Vector(
            query,
            time,
            tuple(result.labels[k] for k in here),
            tuple(float(result.values[k, 0]) for k in here),
            self.source,
            None if newest is None else time - newest,
        )

    async def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """Values at `start`, `start + step`, … up to `end`; NaN where there is none."""
        result, newest = await self.evaluate(query, start, end, step)
        values = np.where(result.present, result.values, np.nan)
        age = None if newest is None else end - newest
        return Matrix(query, start, end, step, tuple(result.labels), values, self.source, age)

    async def ranges(self, asked: Sequence[tuple[str, float, float, float]]) -> list[Matrix]:
        """`range` of several (query, start, end, step) at once, in one read; those at one time have start = end."""
        long_range = self._long_range()
        plans = [plan(q, _ms(a), _ms(b), max(_ms(step), 1), long_range=long_range) for q, a, b, step in asked]
        data = await self._read([selection for planned in plans for selection in planned.selections])
        parts = _shares(plans, data)
        work = partial(self._run_all, plans, parts)
        results = await asyncio.to_thread(work) if _work(plans, data) > IN_THREAD else work()
        found = []
        for (query, start, end, step), result, part in zip(asked, results, parts, strict=True):
            if result.kind in ("matrix", "string"):
                raise BadQuery(f"'{query}' gives a {result.kind}; an instant vector is needed here")
            values = np.where(result.present, result.values, np.nan)
            newest = _newest(part)
            age = None if newest is None else end - newest
            found.append(Matrix(query, start, end, step, tuple(result.labels), values, self.source, age))
        return found

    async def _run(self, planned: Plan, data: Sequence[Columns], limits: Limits) -> Result:
        """A thread whose time is over is not waited for: it ends at its next look at the clock."""
        if _work([planned], data) > IN_THREAD:
            return await asyncio.to_thread(run, planned, data, limits)
        return run(planned, data, limits)

    async def _read(self, selections: Sequence[Selection]) -> list[Columns]:
        samples, memory = self._samples, self._memory
        return [Columns.of(s) for s in (samples.remembered(selections) if memory else await samples.select(selections))]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _work(plans: Sequence[Plan], data: Sequence[Columns]) -> int:
    """How much there is to evaluate, in samples and points; a series costs as much as twenty of them."""
    samples = sum(len(found.values) + 20 * len(found) for found in data)
    widest = max((len(found) for found in data), default=1)
    return samples + sum(most_steps(planned) for planned in plans) * max(widest, 1)


def _shares(plans: Sequence[Plan], data: Sequence[Columns]) -> list[Sequence[Columns]]:
    """What each plan asked for, of what was read for all."""
    ends = list(accumulate(len(planned.selections) for planned in plans))
    return [data[end - len(planned.selections) : end] for planned, end in zip(plans, ends, strict=True)]


def _newest(data: Sequence[Columns]) -> float | None:
    newest = [one for found in data if (one := found.newest_ms()) is not None]
    return max(newest) / 1000 if newest else None
