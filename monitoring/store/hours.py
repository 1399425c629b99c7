"""The process copy of samples: hours of metrics, the least recently used ones dropped beyond a memory budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from monitoring.store import segments
from monitoring.store.segments import EMPTY, ROW, Block, Rows

Groups = Collection[int] | None
"""Groups of series; None: all that there are."""
_FOLD_SHARE = 4
"""Rows are merged for good when they are this part of what is merged already: each row is moved a few times only."""
_TAILS = 64
"""Writes that wait to be merged: each takes half a kilobyte beside its samples."""
_DECODED = 20
"""Bytes of one sample once decoded."""


class Part(NamedTuple):
    """Samples of one hour: of one group, or (None) of any series."""

    group: int | None
    block: Block


class Hour:
    """One metric in one hour, as of a generation and `end` bytes of its open key.

    What it stands for never changes; sealed groups are decoded, and rows merged, when they are first read.
    """

    __slots__ = ("_open", "_sealed", "_tails", "complete", "end", "generation", "nbytes", "number")

    def __init__(
        self, number: int, generation: int, end: int, sealed: Mapping[int, bytes | Block | None], complete: bool
    ) -> None:
        """`sealed` are the groups that are known here, None where one has no samples; `complete`: there are no more."""
        self.number = number
        self.generation = generation
        self.end = end
        self.complete = complete
        self._sealed = dict(sealed)
        self._open = EMPTY
        self._tails: tuple[Rows, ...] = ()
        self.nbytes = sum(map(_size, self._sealed.values()))
        """Memory that it takes once it is decoded."""

    def extended(self, rows: bytes) -> Hour:
        """The hour with `rows` written after it."""
        if len(self._tails) >= _TAILS:
            self._fold()
        found = Hour(self.number, self.generation, self.end + len(rows), {}, self.complete)
        found._sealed, found._open, found._tails = self._sealed, self._open, self._tails
        if rows:
            found._tails = (*self._tails, segments.read_rows(rows, self.number))
        found.nbytes = self.nbytes + len(rows) // ROW.itemsize * _DECODED
        return found

    def joined(self, sealed: Mapping[int, bytes | Block | None], complete: bool) -> Hour:
        """The hour with more groups known."""
        found = Hour(self.number, self.generation, self.end, {**self._sealed, **sealed}, self.complete or complete)
        found._open, found._tails = self._open, self._tails
        found.nbytes += found._open.nbytes + sum(len(rows.ids) for rows in found._tails) * _DECODED
        return found

    def lacks(self, groups: Groups) -> list[int] | bool:
        """The groups of `groups` that must be fetched; True: all of them, whichever there are; False: none."""
        if self.complete:
            return False
        return True if groups is None else [g for g in groups if g not in self._sealed] or False

    def reaching(self, groups: Groups, start_ms: int, end_ms: int) -> list[Part]:
        """Blocks that together have the samples of `groups` with start < t ≤ end, and others, as they were written.

        Where two have a sample of one series at one time, the later block counts.
        """
        wanted = self._sealed.keys() if groups is None else groups
        sealed = [Part(g, block) for g in wanted if self._reaches(g, start_ms) and len(block := self.block(g))]
        return [*sealed, *(Part(None, block) for block in self._recent(start_ms, end_ms))]

    def parts(self, groups: Groups, start_ms: int, end_ms: int) -> list[Part]:
        """The samples of `groups` with start < t ≤ end; for each series in the order of time, and none twice."""
        reaching = self.reaching(groups, start_ms, end_ms)
        cut = [Part(g, block) for g, one in reaching if len(block := one.between(start_ms, end_ms))]
        sealed, recent = [p for p in cut if p.group is not None], [p.block for p in cut if p.group is None]
        if not recent:
            return sealed
        merged = recent[0] if len(recent) == 1 else segments.merge(recent)
        if all(part.block.newest_ms() < merged.oldest_ms() for part in sealed):
            return [*sealed, Part(None, merged)]
        return [Part(None, segments.merge([*(part.block for part in sealed), merged]))]

    def whole(self) -> Block:
        """All samples of all groups that are known here."""
        return segments.merge([part.block for part in self.parts(None, -(1 << 62), 1 << 62)])

    def unsealed(self) -> Block:
        """The samples of the open key."""
        self._fold()
        return self._open

    def sealed(self) -> dict[int, Block]:
        """The sealed groups that are known here, without rows that were written later."""
        return {group: block for group in self._sealed if len(block := self.block(group))}

    def block(self, group: int) -> Block:
        """One sealed group; empty where there is none."""
        held = self._sealed.get(group)
        if isinstance(held, bytes):
            held = self._sealed[group] = segments.decode(held)
        return EMPTY if held is None else held

    def _reaches(self, group: int, start_ms: int) -> bool:
        """False for a group that was not decoded yet and ends before the time: it can stay so."""
        held = self._sealed.get(group)
        return not isinstance(held, bytes) or segments.newest_ms(held) > start_ms

    def _recent(self, start_ms: int, end_ms: int) -> list[Block]:
        """Rows of the open key, the newest of them apart while they are few."""
        waiting = sum(len(rows.ids) for rows in self._tails)
        if waiting * _FOLD_SHARE >= len(self._open):
            self._fold()
        newest = segments.merge([], [rows.between(start_ms, end_ms) for rows in self._tails])
        return [block for block in (self._open, newest) if len(block)]

    def _fold(self) -> None:
        if self._tails:
            self._open, self._tails = segments.merge([self._open], self._tails), ()

    def newest_ms(self) -> int | None:
        """The time of the newest sample that is known without decoding, or None."""
        held = (self._open, *self._tails, *self._sealed.values())
        times = [part.times_ms for part in held if isinstance(part, Block | Rows)]
        return max((int(t.max()) for t in times if len(t)), default=None)

    def supersedes(self, other: Hour) -> bool:
        """True where this is a later state of the same hour."""
        return (self.generation, self.end) > (other.generation, other.end)

    def equals(self, other: Hour) -> bool:
        """True where both are the same state, though they may know different groups."""
        return (self.generation, self.end) == (other.generation, other.end)

    def known(self) -> Mapping[int, bytes | Block | None]:
        """The sealed groups as they are held."""
        return self._sealed


def _size(held: bytes | Block | None) -> int:
    if held is None:
        return 0
    return held.nbytes if isinstance(held, Block) else segments.summary(held).samples * _DECODED


class HourCache:
    """Hours by metric and number of the hour since 1970, within `budget_bytes`."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.nbytes = 0
        self.dropped = 0
        """Hours that were forgotten to stay within the budget."""
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

    def put(self, metric: str, hour: int, held: Hour) -> Hour:
        """Keep `held`, unless a later state of the hour is kept already; what is known of one state is joined."""
        old = self.get(metric, hour)
        if old is not None and not held.supersedes(old):
            if not held.equals(old) or (old.complete and not held.complete):
                return held
            held = old.joined(held.known(), held.complete)
        self._account(metric, hour, held.nbytes)
        self._metrics.setdefault(metric, {})[hour] = held
        while self.nbytes > self.budget_bytes and len(self._recent) > 1:
            self.drop(*next(iter(self._recent)))
            self.dropped += 1
        return held

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
