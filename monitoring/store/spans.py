"""First and last hour with samples of each series, in arrays by series id."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from monitoring.store.segments import Ids

Span = tuple[int, int]
"""First and last hour with samples of a series."""
Wider = list[tuple[int, int, int]]
"""Series id, first and last hour."""

_NEVER = np.iinfo(np.int64)


class Spans:
    """What is known of the spans; a series of which nothing is known has none."""

    def __init__(self) -> None:
        self._first: NDArray[np.int64] = np.empty(0, np.int64)
        self._last: NDArray[np.int64] = np.empty(0, np.int64)

    def get(self, series_id: int) -> Span | None:
        """The span of one series."""
        if series_id >= len(self._first) or self._first[series_id] == _NEVER.max:
            return None
        return int(self._first[series_id]), int(self._last[series_id])

    def items(self) -> list[tuple[int, Span]]:
        """All that is known, by ascending id."""
        known = np.flatnonzero(self._first != _NEVER.max)
        pairs = zip(self._first[known].tolist(), self._last[known].tolist(), strict=True)
        return list(zip(known.tolist(), pairs, strict=True))

    def touching(self, ids: Ids, first: int, last: int) -> Ids:
        """Those of `ids` that have samples in some hour from `first` to `last`, as far as spans tell."""
        self._reach(int(ids.max(initial=0)))
        return ids[(self._last[ids] >= first) & (self._first[ids] <= last)]

    def wider(self, ids: Ids, hours: NDArray[np.int64]) -> Wider:
        """The new span of each series that grows by samples in these hours; both of one length."""
        self._reach(int(ids.max(initial=0)))
        grows = (hours < self._first[ids]) | (hours > self._last[ids])
        if not grows.any():
            return []
        ids, at = np.unique(ids[grows], return_inverse=True)
        first, last = self._first[ids], self._last[ids]
        np.minimum.at(first, at, hours[grows])
        np.maximum.at(last, at, hours[grows])
        return list(zip(ids.tolist(), first.tolist(), last.tolist(), strict=True))

    def take(self, spans: Iterable[tuple[int, int, int]]) -> None:
        """Know these spans from now on."""
        new = np.array(list(spans), dtype=np.int64).reshape(-1, 3)
        self._reach(int(new[:, 0].max(initial=0)))
        self._first[new[:, 0]], self._last[new[:, 0]] = new[:, 1], new[:, 2]

    def _reach(self, series_id: int) -> None:
        if (missing := series_id + 1 - len(self._first)) > 0:
            missing = max(missing, len(self._first), 1_024)
            self._first = np.concatenate([self._first, np.full(missing, _NEVER.max)])
            self._last = np.concatenate([self._last, np.full(missing, _NEVER.min)])
