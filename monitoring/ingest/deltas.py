"""Running totals of series that are sent as differences (OTLP's delta temporality)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.model import LabelKey

MOST_SERIES = 100_000
IDLE_S = 3_600.0
"""A total that nothing was added to for this long is forgotten; the series begins again at zero, as after a restart."""


class Total(NamedTuple):
    """What has come so far of one series: its parts (one, or a histogram's sum, count and buckets), and until when."""

    values: NDArray[np.float64]
    bounds: tuple[float, ...]
    time_ns: int
    seen: float


class Totals:
    """The totals of this process. Hold `lock` from the first `Addition` made until it is committed or dropped."""

    def __init__(self, limit: int = MOST_SERIES, idle_s: float = IDLE_S) -> None:
        self.lock = asyncio.Lock()
        self._held: OrderedDict[LabelKey, Total] = OrderedDict()
        self._limit = limit
        self._idle_s = idle_s

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: LabelKey) -> Total | None:
        """The total so far."""
        return self._held.get(key)

    def has_room(self, new: int) -> bool:
        """Whether `new` more series can be held."""
        return len(self._held) + new < self._limit

    def drop_idle(self, now: float) -> None:
        """Forgets totals that nothing was added to for long."""
        while self._held and next(iter(self._held.values())).seen < now - self._idle_s:
            self._held.popitem(last=False)

    def keep(self, key: LabelKey, total: Total) -> None:
        """Takes over a new total."""
        self._held[key] = total
        self._held.move_to_end(key)


class Addition:
    """The differences of one request, on top of the totals. Without `commit` it is as if they had not come."""

    def __init__(self, totals: Totals, now: float, believed_ms: tuple[int, int]) -> None:
        """`believed_ms` are the earliest and the latest time that a point may have, so that none blocks the next."""
        self._totals = totals
        self._earliest_ns, self._latest_ns = (1_000_000 * time for time in believed_ms)
        self._now = now
        self._new: dict[LabelKey, Total] = {}
        self._created = 0
        totals.drop_idle(now)

    def add(
        self, key: LabelKey, time_ns: int, values: Sequence[float], bounds: tuple[float, ...] = ()
    ) -> NDArray[np.float64] | str:
        """The total with `values` added, or the reason why they cannot be (a word for the counter)."""
        if time_ns > self._latest_ns:
            return "clock_skew"
        if time_ns < self._earliest_ns:
            return "too_old"
        known = self._new.get(key) or self._totals.get(key)
        if known is not None and time_ns <= known.time_ns:
            return "out_of_order"
        added = np.array(values, dtype=np.float64)
        if known is None:
            if not self._totals.has_room(self._created):
                return "too_many_delta_series"
            self._created += 1
        elif known.bounds == bounds and len(known.values) == len(added):
            added = added + known.values
        self._new[key] = Total(added, bounds, time_ns, self._now)
        return added

    def commit(self) -> None:
        """Makes the totals of this request those that the next builds on."""
        for key, total in self._new.items():
            self._totals.keep(key, total)
