"""One small cache: a value is made once however many ask, served while it is fresh, and renewed behind their backs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from monitoring.errors import OpenManagerError
from monitoring.spent import spent

log = logging.getLogger(__name__)
T = TypeVar("T")
Outcome = Literal["hit", "miss", "stale", "joined"]

requests_total: Counter[tuple[str, Outcome]] = Counter()
"""(cache, result) → requests, for `/metrics`. `joined`: waited for what another request was already making."""


def count(cache: str, result: Outcome) -> None:
    """Counts one request to a cache, for `/metrics` and for the request that it was made for."""
    requests_total[cache, result] += 1
    if (request := spent.get()) is not None:
        if result == "miss":
            request.misses += 1
        else:
            request.hits += 1


@dataclass(slots=True)
class Held(Generic[T]):
    """A value, the version of the store that it was made from, and when (monotonic seconds)."""

    value: T
    version: Hashable
    made: float
    size: int


class Cache(Generic[T]):
    """Values by key, at most `max_bytes` of them; the longest unused go first.

    A value younger than `fresh_s` is served; one younger than `stale_s` is served too, while a new one is made; an
    older one, or one of another version, is never served. `close` ends what is being made.
    """

    def __init__(
        self,
        name: str,
        size: Callable[[T], int],
        *,
        fresh_s: float,
        stale_s: float,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.bytes = 0
        self._size = size
        self._fresh_s, self._stale_s, self._max_bytes = fresh_s, max(stale_s, fresh_s), max_bytes
        self._clock = clock
        self._held: OrderedDict[Hashable, Held[T]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, version: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The value of `key` as of `version`, made by `make` where none is fresh enough."""
        held = self._held.get(key)
        age = float("inf") if held is None or held.version != version else self._clock() - held.made
        if held is not None and 0 <= age < self._stale_s:
            self._held.move_to_end(key)
            count(self.name, "hit" if age < self._fresh_s else "stale")
            if age >= self._fresh_s and (key, version) not in self._making:
                self._start(key, version, make).add_done_callback(_noted)
            return held.value
        task = self._making.get((key, version))
        count(self.name, "miss" if task is None else "joined")
        return await asyncio.shield(task or self._start(key, version, make))

    async def close(self) -> None:
        """Ends what is still being made."""
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Hashable, version: Hashable, make: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Made in a task of its own: whoever asked first may leave without harm to the others. `close` ends it."""
        task = asyncio.create_task(self._make(key, version, make), name=f"cache-{self.name}")
        self._making[key, version] = task
        return task

    async def _make(self, key: Hashable, version: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        try:
            begun = self._clock()
            value = await make()
            self._keep(key, Held(value, version, begun, self._size(value)))
            return value
        finally:
            del self._making[key, version]

    def _keep(self, key: Hashable, held: Held[T]) -> None:
        if old := self._held.pop(key, None):
            self.bytes -= old.size
        if held.size <= self._max_bytes:
            self._held[key] = held
            self.bytes += held.size
        while self.bytes > self._max_bytes:
            _, dropped = self._held.popitem(last=False)
            self.bytes -= dropped.size


def _noted(task: asyncio.Task[T]) -> None:
    """A renewal that failed leaves the old value in place; whoever asks when that is too old sees the error."""
    if not task.cancelled() and isinstance(error := task.exception(), OpenManagerError):
        log.warning("cache.not_renewed task=%s error=%s", task.get_name(), error)
