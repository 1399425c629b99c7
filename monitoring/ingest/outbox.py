"""Batches on their way to the store: kept while it is away, written together when it is back."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from monitoring.errors import StoreUnavailable
from monitoring.model import Batch, Labels

log = logging.getLogger(__name__)

Append = Callable[[Batch], Awaitable[int]]
"""`SampleStore.append`, or anything that keeps a batch and says how many samples it kept."""

RETRY_S = 1.0
AT_ONCE = 200_000
"""Samples in one append at most, so that a long outage does not come back as one huge write."""


class Outbox:
    """A bounded queue before the store. While one append runs, what comes meanwhile gathers for the next."""

    def __init__(self, append: Append, limit: int = 1_000_000) -> None:
        """Keeps at most `limit` samples waiting; beyond that the oldest batches are dropped, counted and logged."""
        self.dropped = 0
        self.waiting = 0
        self._append = append
        self._limit = limit
        self._batches: deque[Batch] = deque()
        self._filled = asyncio.Event()
        self._away = False

    def put(self, batch: Batch) -> None:
        """Hands over a batch; never blocks."""
        self._batches.append(batch)
        self.waiting += len(batch)
        self._drop_oldest()
        self._filled.set()

    async def run(self) -> None:
        """Writes until cancelled; tries again every second while the store is away."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            if not await self.flush():
                await asyncio.sleep(RETRY_S)
                self._filled.set()

    async def flush(self) -> bool:
        """Writes what waits. False where the store is away: then everything is kept for another try."""
        while self._batches:
            taken = self._take()
            try:
                await self._append(together(taken))
            except StoreUnavailable as error:
                self._put_back(taken)
                self._note(error)
                return False
            except asyncio.CancelledError:
                self._put_back(taken)
                raise
            except Exception:  # the loop outlives a batch that cannot be written; the next one may be sound
                self.dropped += sum(map(len, taken))
                log.warning("outbox.refused samples=%d", sum(map(len, taken)), exc_info=True)
            else:
                self._note(None)
        return True

    def _take(self) -> list[Batch]:
        taken = [self._batches.popleft()]
        size = len(taken[0])
        while self._batches and size + len(self._batches[0]) <= AT_ONCE:
            taken.append(self._batches.popleft())
            size += len(taken[-1])
        self.waiting -= size
        return taken

    def _put_back(self, taken: Sequence[Batch]) -> None:
        self._batches.extendleft(reversed(taken))
        self.waiting += sum(map(len, taken))
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while self.waiting > self._limit and len(self._batches) > 1:
            lost = len(self._batches.popleft())
            self.waiting -= lost
            self.dropped += lost
            log.warning("outbox.dropped samples=%d dropped_total=%d waiting=%d", lost, self.dropped, self.waiting)

    def _note(self, error: StoreUnavailable | None) -> None:
        """Logs the beginning and the end of an outage, not every try."""
        if error is not None and not self._away:
            log.warning("outbox.waiting cause=%s samples=%d error=%s", error.cause, self.waiting, error)
        elif error is None and self._away:
            log.info("outbox.recovered dropped_total=%d", self.dropped)
        self._away = error is not None


def together(batches: Sequence[Batch]) -> Batch:
    """One batch with the samples of all, in order."""
    if len(batches) == 1:
        return batches[0]
    series: list[Labels] = []
    index = []
    for batch in batches:
        index.append(batch.index + np.int32(len(series)))
        series.extend(batch.series)
    return Batch(
        series,
        np.concatenate(index),
        np.concatenate([batch.times_ms for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
    )
