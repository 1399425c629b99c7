"""What this process knows of the store: catalogue, spans and hours of samples. Pure state; `redis` does the talking."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from monitoring.model import Labels, Matcher, Selection, Series
from monitoring.store.hours import Hour, HourCache
from monitoring.store.segments import HOUR_MS, Block, Rows
from monitoring.store.series_index import Ids, SeriesIndex, from_text

Span = tuple[int, int]
"""First and last hour with samples of a series."""
Held = dict[str, dict[int, Hour]]
"""Hours by metric and number."""


class Window(NamedTuple):
    """One metric from one hour to another, both included."""

    metric: str
    first: int
    last: int


class State(NamedTuple):
    """How far the store's catalogue has come; `scripts` explains the fields."""

    born: str = ""
    drops: int = 0
    next: int = 0
    spans: int = 0

    @classmethod
    def of(cls, reply: Sequence[Any]) -> State:
        """The state that stands first in a script's reply."""
        return cls(reply[0].decode(), *reply[1:])


class Question(NamedTuple):
    """What a read asks, and the hours that were held when it was asked: the reply is relative to them."""

    body: bytes
    state: State
    held: dict[Window, dict[int, Hour]]


class ProcessCopy:
    """The catalogue and the most recently used hours, as of the last reply."""

    def __init__(self, cache_bytes: int) -> None:
        self.state = State()
        self.index = SeriesIndex()
        self.hours = HourCache(cache_bytes)
        self.spans: dict[int, Span] = {}
        self.newest_ms: int | None = None
        self._spans_version = 0
        """The store's version of `spans`; 0 where they are known in part only."""

    # -- asking and following

    def question(self, windows: Iterable[Window], *, spans: bool) -> Question:
        """The argument of a read that brings `windows`, the catalogue and perhaps the spans up to date."""
        state = self.state
        held = {window: self.hours.between(*window) for window in windows}
        metrics = [
            [*window, {str(number): [hour.generation, hour.end] for number, hour in hours.items()}]
            for window, hours in held.items()
        ]
        asked = {"born": state.born, "drops": state.drops, "next": state.next, "metrics": metrics}
        return Question(orjson.dumps(asked | {"spans": self._spans_version if spans else -1}), state, held)

    def follow(self, question: Question, reply: Sequence[Any]) -> Held:
        """Take in a read's reply; returns the hours of its windows. Replies may come in any order."""
        state = State.of(reply[0])
        whole = bool(reply[1])
        outdated = not whole and state.born != self.state.born
        if not outdated:
            self._follow_catalogue(state, whole, reply[2], reply[3])
        found: Held = {}
        for (window, held), changes in zip(question.held.items(), reply[4:], strict=True):
            hours = apply_changes({} if state.born != question.state.born else held, changes)
            found.setdefault(window.metric, {}).update(hours)
            if not outdated:
                self._keep(window.metric, hours, {int(change[0]) for change in changes})
        return found

    def _follow_catalogue(self, state: State, whole: bool, series: Sequence[bytes], spans: Sequence[bytes]) -> None:
        entries = {int(series_id): from_text(text) for series_id, text in zip(series[::2], series[1::2], strict=True)}
        if whole:
            if state.born != self.state.born:
                self.hours.clear()
            self.spans, self._spans_version = {}, 0
            self.index.replace(entries)
            self.state = state
        else:
            self.index.add(entries.items())
            self.state = max(self.state, state)
        if spans:
            self.spans = {int(i): parse_span(text) for i, text in zip(spans[::2], spans[1::2], strict=True)}
            self._spans_version = state.spans

    def _keep(self, metric: str, now: dict[int, Hour], changed: Collection[int]) -> None:
        for number in changed:
            if number in now:
                self.hours.put(metric, number, now[number])
                self.saw(now[number].newest_ms())
            else:
                self.hours.drop(metric, number)

    def saw(self, newest_ms: int | None) -> None:
        """Take note of the newest time among some samples."""
        if newest_ms is not None:
            self.newest_ms = newest_ms if self.newest_ms is None else max(newest_ms, self.newest_ms)

    # -- own writes

    def wider_spans(self, rows: Rows) -> list[tuple[int, int, int]]:
        """(series id, first, last hour) of each series whose span grows by `rows`, as far as is known here."""
        hours = rows["t"] // HOUR_MS
        ids, at = np.unique(rows["id"], return_inverse=True)
        first, last = np.full(len(ids), hours.max()), np.full(len(ids), hours.min())
        np.minimum.at(first, at, hours)
        np.maximum.at(last, at, hours)
        wider = []
        for series_id, low, high in zip(ids.tolist(), first.tolist(), last.tolist(), strict=True):
            known = self.spans.get(series_id)
            if known is None:
                wider.append((series_id, low, high))
            elif low < known[0] or high > known[1]:
                wider.append((series_id, min(low, known[0]), max(high, known[1])))
        return wider

    def wrote(self, state: State, wider: Iterable[tuple[int, int, int]], newest_ms: int) -> None:
        """Take in that this process wrote samples up to `newest_ms` and widened some spans."""
        changes = {series_id: (first, last) for series_id, first, last in wider}
        self.spans |= changes
        if changes and state.spans == self._spans_version + 1:
            self._spans_version = state.spans
        self.saw(newest_ms)

    def wrote_rows(self, metric: str, number: int, rows: bytes, length: int, generation: int) -> None:
        """Take in rows that this process appended: `length` and, for a new hour, `generation` as the store said."""
        held = self.hours.get(metric, number)
        if generation:
            self.hours.put(metric, number, Hour.stored(generation, b"", rows))
        elif held is not None and held.end + len(rows) == length:
            self.hours.put(metric, number, held.extended(rows))

    def rewrote(self, metric: str, number: int, block: Block, generation: int) -> None:
        """Take in that this process rewrote an hour to `block`; not positive: it is gone or not known now."""
        if generation > 0:
            self.hours.put(metric, number, Hour(generation, 0, block))
        else:
            self.hours.drop(metric, number)

    # -- answering

    def windows(self, selections: Iterable[Selection]) -> set[Window]:
        """Which hours of which metrics the selections touch."""
        return {
            Window(metric, *hours_of(selection))
            for selection in selections
            for metric in self.index.candidates(selection.matchers)
        }

    def held(self, windows: Iterable[Window]) -> Held:
        """The hours of `windows` that are here."""
        found: Held = {}
        for window in windows:
            found.setdefault(window.metric, {}).update(self.hours.between(*window))
        return found

    def gather(self, selection: Selection, held: Held) -> list[Series]:
        """The series of one selection out of `held`."""
        found: list[Series] = []
        first, last = hours_of(selection)
        for metric, ids in self.index.find(selection.matchers).items():
            hours = held.get(metric, {})
            numbers = sorted(number for number in hours if first <= number <= last)
            blocks = [clip(hours[n].block, n, selection.start_ms, selection.end_ms) for n in numbers]
            found += self._series(ids, [block for block in blocks if len(block)])
        return found

    def _series(self, ids: Ids, blocks: Sequence[Block]) -> list[Series]:
        """One series per id that has samples in `blocks`, which are in the order of time."""
        starts = [block.ids.searchsorted(ids, "left").tolist() for block in blocks]
        stops = [block.ids.searchsorted(ids, "right").tolist() for block in blocks]
        found = []
        for k, series_id in enumerate(ids.tolist()):
            parts = [
                (block, slice(start[k], stop[k]))
                for block, start, stop in zip(blocks, starts, stops, strict=True)
                if start[k] < stop[k]
            ]
            if parts:
                times = [block.times_ms[part] for block, part in parts]
                values = [block.values[part] for block, part in parts]
                found.append(Series(self.index.labels[series_id], joined(times), joined(values)))
        return found

    def labels(self, matchers: Sequence[Matcher], start_ms: int | None, end_ms: int | None) -> list[Labels]:
        """Series that match and whose span touches the time; without a time, all that match."""
        ids = [series_id for found in self.index.find(matchers).values() for series_id in found.tolist()]
        if start_ms is not None:
            ids = [i for i in ids if i in self.spans and self.spans[i][1] >= start_ms // HOUR_MS]
        if end_ms is not None:
            ids = [i for i in ids if i in self.spans and self.spans[i][0] <= end_ms // HOUR_MS]
        return [self.index.labels[i] for i in ids]


def hours_of(selection: Selection) -> Span:
    """First and last hour that a selection touches; its start is exclusive."""
    return (selection.start_ms + 1) // HOUR_MS, selection.end_ms // HOUR_MS


def apply_changes(held: dict[int, Hour], changes: Sequence[Any]) -> dict[int, Hour]:
    """`held` with the changes of one window; see `scripts.READ` for their form."""
    hours = dict(held)
    for number, generation, *content in changes:
        if not content:
            hours.pop(int(number), None)
            continue
        continues, sealed, rows = content
        hours[int(number)] = held[int(number)].extended(rows) if continues else Hour.stored(generation, sealed, rows)
    return hours


def clip(block: Block, number: int, start_ms: int, end_ms: int) -> Block:
    """The samples of hour `number` with start < t ≤ end."""
    if start_ms < number * HOUR_MS and (number + 1) * HOUR_MS - 1 <= end_ms:
        return block
    return block.keep((block.times_ms > start_ms) & (block.times_ms <= end_ms))


def joined(parts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """One array; a single part is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def parse_span(text: bytes) -> Span:
    """A span as the store writes it: `first:last`."""
    first, last = text.split(b":")
    return int(first), int(last)
