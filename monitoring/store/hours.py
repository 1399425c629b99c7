"""The process copy of samples: hours of metrics, the least recently used ones dropped beyond a memory budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from monitoring.store import segments
from monitoring.store.segments import EMPTY, Block, Rows


class Hour:
    """One metric in one hour, as of a generation and `end` bytes of its open key. New rows are merged when read."""

    __slots__ = ("_block", "_tails", "end", "generation")

    def __init__(self, generation: int, end: int, block: Block, tails: tuple[Rows, ...] = ()) -> None:
        self.generation = generation
        self.end = end
        self._block = block
        self._tails = tails

    @classmethod
    def stored(cls, generation: int, sealed: bytes, rows: bytes) -> Hour:
        """The hour as the store holds it."""
        block = segments.decode(sealed) if sealed else EMPTY
        return cls(generation, 0, block).extended(rows)

    def extended(self, rows: bytes) -> Hour:
        """The hour with `rows` written after it; this one stays what it is."""
        tails = (*self._tails, segments.read_rows(rows)) if rows else self._tails
        return Hour(self.generation, self.end + len(rows), self._block, tails)

    @property
    def block(self) -> Block:
        """All samples of the hour."""
        if self._tails:
            self._block, self._tails = segments.merge(self._block, self._tails), ()
        return self._block

    @property
    def nbytes(self) -> int:
        """Memory held, roughly: a row takes the same room before and after merging."""
        return self._block.nbytes + sum(rows.nbytes for rows in self._tails)

    def newest_ms(self) -> int | None:
        """The time of the newest sample, or None where there is none."""
        newest = [int(times.max()) for times in (self._block.times_ms, *(r["t"] for r in self._tails)) if len(times)]
        return max(newest, default=None)

    def supersedes(self, other: Hour) -> bool:
        """True where this is the later state of the same hour."""
        return (self.generation, self.end) > (other.generation, other.end)


class HourCache:
    """Hours by metric and number of the hour since 1970, within `budget_bytes`."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.nbytes = 0
        self._recent: OrderedDict[tuple[str, int], int] = OrderedDict()
        """Bytes by metric and hour, least recently used first."""
        self._metrics: dict[str, dict[int, Hour]] = {}

    def get(self, metric: str, hour: int) -> Hour | None:
        """One hour, without counting as use."""
        return self._metrics.get(metric, {}).get(hour)

    def between(self, metric: str, first: int, last: int) -> dict[int, Hour]:
        """Hours first…last that are held; they count as used now."""
        held = self._metrics.get(metric, {})
        wanted = range(first, last + 1) if last - first < len(held) else sorted(held)
        found = {hour: held[hour] for hour in wanted if first <= hour <= last and hour in held}
        for hour in found:
            self._recent.move_to_end((metric, hour))
        return found

    def put(self, metric: str, hour: int, held: Hour) -> None:
        """Keep `held`, unless a later state of the hour is kept already."""
        old = self.get(metric, hour)
        if old is not None and not held.supersedes(old):
            return
        self._account(metric, hour, held.nbytes)
        self._metrics.setdefault(metric, {})[hour] = held
        while self.nbytes > self.budget_bytes and len(self._recent) > 1:
            self.drop(*next(iter(self._recent)))

    def drop(self, metric: str, hour: int) -> None:
        """Forget one hour."""
        held = self._metrics.get(metric, {})
        if held.pop(hour, None) is not None:
            self.nbytes -= self._recent.pop((metric, hour))
        if not held:
            self._metrics.pop(metric, None)

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._metrics.clear()
        self.nbytes = 0

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(list(self._recent))

    def _account(self, metric: str, hour: int, nbytes: int) -> None:
        self.nbytes += nbytes - self._recent.get((metric, hour), 0)
        self._recent[(metric, hour)] = nbytes
        self._recent.move_to_end((metric, hour))
