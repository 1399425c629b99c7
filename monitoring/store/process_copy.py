"""What this process knows of the store: catalogue, spans and hours of samples. Pure state; `redis` does the talking."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from monitoring.columns import Columns, edges
from monitoring.model import Labels, Matcher, Selection, Series
from monitoring.store.gathering import Asked, gathered
from monitoring.store.hours import Hour, HourCache
from monitoring.store.segments import HOUR_MS, Block
from monitoring.store.series_index import Entry, Found, Groups, SeriesIndex, read_entry
from monitoring.store.spans import Span, Spans, Wider

Held = dict[str, dict[int, Hour]]
"""Hours by metric and number."""


class Window(NamedTuple):
    """Groups of one metric from one hour to another, both included."""

    metric: str
    first: int
    last: int
    groups: Groups = None


class State(NamedTuple):
    """How far the store's catalogue has come; `scripts` explains the fields."""

    born: str = ""
    drops: int = 0
    next: int = 0
    spans: int = 0
    layout: int = 0

    @classmethod
    def of(cls, reply: Sequence[Any]) -> State:
        """The state that stands first in a script's reply."""
        return cls(reply[0].decode(), *reply[1:])


class Question(NamedTuple):
    """What a read asks, and the hours that were held when it was asked: the reply is relative to them."""

    body: bytes
    state: State
    held: dict[Window, dict[int, Hour]]


class Missing(NamedTuple):
    """Groups of an hour that left Redis for the cold layer; None: all but those that came."""

    metric: str
    hour: int
    groups: Groups


class ProcessCopy:
    """The catalogue and the most recently used hours, as of the last reply."""

    def __init__(self, cache_bytes: int) -> None:
        self.state = State()
        self.index = SeriesIndex()
        self.hours = HourCache(cache_bytes)
        self.spans = Spans()
        self.newest_ms: int | None = None
        self._spans_version = 0
        """The store's version of `spans`; 0 where they are known in part only."""

    # -- asking and following

    def question(self, windows: Iterable[Window], *, spans: bool) -> Question:
        """The argument of a read that brings `windows`, the catalogue and perhaps the spans up to date."""
        state = self.state
        held = {window: self.hours.between(*window[:3]) for window in windows}
        metrics = []
        for window, hours in held.items():
            known = {str(n): [h.generation, h.end, h.lacks(window.groups)] for n, h in hours.items()}
            metrics.append([*window[:3], True if window.groups is None else window.groups, known])
        asked = {"born": state.born, "drops": state.drops, "next": state.next, "metrics": metrics}
        return Question(orjson.dumps(asked | {"spans": self._spans_version if spans else -1}), state, held)

    def follow(self, question: Question, reply: Sequence[Any]) -> tuple[Held, list[Missing]]:
        """Take in a read's reply; returns the hours of its windows, and what of them only the cold layer has.

        Replies may come in any order.
        """
        state = State.of(reply[0])
        whole = bool(reply[1])
        outdated = not whole and state.born != self.state.born
        if not outdated:
            self._follow_catalogue(state, whole, reply[2], reply[3])
        found: Held = {}
        missing: list[Missing] = []
        for (window, held), changes in zip(question.held.items(), reply[4:], strict=True):
            hours, cold = apply_changes({} if state.born != question.state.born else held, window, changes)
            if not outdated:
                self._keep(window.metric, hours, {int(change[0]) for change in changes})
            found.setdefault(window.metric, {}).update(hours)
            missing += cold
        return found, missing

    def fill(self, held: Held, missing: Sequence[Missing], bodies: Mapping[tuple[str, int], dict[int, bytes]]) -> None:
        """Enter what the cold layer had of `missing` into the hours of `held`."""
        for metric, number, groups in missing:
            hour = held[metric][number]
            came: dict[int, bytes | Block | None] = dict.fromkeys(groups or ())
            came |= {g: b for g, b in bodies.get((metric, number), {}).items() if g not in hour.known()}
            filled = hour.joined(came, groups is None)
            held[metric][number] = self.hours.put(metric, number, filled)

    def _follow_catalogue(self, state: State, whole: bool, series: Sequence[bytes], spans: Sequence[bytes]) -> None:
        entries = [read_entry(series_id, text) for series_id, text in zip(series[::2], series[1::2], strict=True)]
        if whole:
            if state.born != self.state.born:
                self.hours.clear()
            self.spans, self._spans_version = Spans(), 0
            self.index.replace(entries)
            self.state = state
        else:
            self.index.add(entries)
            self.state = max(self.state, state)
        if spans:
            self.spans.take((int(i), *parse_span(text)) for i, text in zip(spans[::2], spans[1::2], strict=True))
            self._spans_version = state.spans

    def _keep(self, metric: str, now: dict[int, Hour], changed: Collection[int]) -> None:
        for number in changed:
            if number in now:
                now[number] = self.hours.put(metric, number, now[number])
                self.saw(now[number].newest_ms())
            else:
                self.hours.drop(metric, number)

    def saw(self, newest_ms: int | None) -> None:
        """Take note of the newest time among some samples."""
        if newest_ms is not None:
            self.newest_ms = newest_ms if self.newest_ms is None else max(newest_ms, self.newest_ms)

    # -- own writes

    def wrote(self, state: State, wider: Wider, newest_ms: int) -> None:
        """Take in that this process wrote samples up to `newest_ms` and widened some spans."""
        if wider:
            self.spans.take(wider)
            if state.spans == self._spans_version + 1:
                self._spans_version = state.spans
        self.saw(newest_ms)

    def wrote_rows(self, metric: str, number: int, rows: bytes, length: int, generation: int) -> None:
        """Take in rows that this process appended: `length` and, for a new hour, `generation` as the store said."""
        held = self.hours.get(metric, number)
        if generation:
            self.hours.put(metric, number, Hour(number, generation, 0, {}, complete=True).extended(rows))
        elif held is not None and held.end + len(rows) == length:
            self.hours.put(metric, number, held.extended(rows))

    def rewrote(self, metric: str, number: int, old: Hour, bodies: Mapping[int, bytes], generation: int) -> None:
        """Take in that this process rewrote groups of an hour; no positive generation: it is gone or not known now."""
        if generation > 0:
            self.hours.put(metric, number, Hour(number, generation, 0, {**old.known(), **bodies}, old.complete))
        else:
            self.hours.drop(metric, number)

    # -- answering

    def windows(self, selections: Iterable[Selection]) -> set[Window]:
        """Which hours of which metrics the selections touch."""
        return {
            Window(metric, *hours_of(selection), groups)
            for selection in selections
            for metric, groups in self.index.groups_of(selection.matchers)
        }

    def held(self, windows: Iterable[Window]) -> Held:
        """The hours of `windows` that are here."""
        found: Held = {}
        for window in windows:
            found.setdefault(window.metric, {}).update(self.hours.between(*window[:3]))
        return found

    def gather(self, selection: Selection, held: Held, found: Sequence[Found] | None = None) -> Sequence[Series]:
        """The series of one selection out of `held`. With `found` (`find`) it may run in a thread."""
        first, last = hours_of(selection)
        parts = []
        for metric, ids, groups in self.find(selection) if found is None else found:
            hours = held.get(metric, {})
            wanted = [hours[number] for number in sorted(hours) if first <= number <= last]
            asked = Asked(ids, self.index.groups[ids], groups, selection.start_ms, selection.end_ms)
            if len(ids) and (part := gathered(wanted, asked, self.index.labels)) is not None:
                parts.append(part)
        return joined(parts)

    def find(self, selection: Selection) -> list[Found]:
        """The series that a selection names, as of now."""
        return self.index.find_all(selection.matchers)

    def labels(self, matchers: Sequence[Matcher], start_ms: int | None, end_ms: int | None) -> list[Labels]:
        """Series that match and whose span touches the time; without a time, all that match."""
        found = []
        first = -(1 << 60) if start_ms is None else start_ms // HOUR_MS
        last = 1 << 60 if end_ms is None else end_ms // HOUR_MS
        for ids in self.index.find(matchers).values():
            timed = ids if start_ms is None and end_ms is None else self.spans.touching(ids, first, last)
            found += [self.index.labels[i] for i in timed.tolist()]
        return found

    def entries(self) -> list[tuple[Entry, Span]]:
        """The catalogue with spans; series without samples are left out."""
        labels, groups = self.index.labels, self.index.groups
        return [(Entry(i, int(groups[i]), labels[i]), span) for i, span in self.spans.items() if i in labels]


def hours_of(selection: Selection) -> Span:
    """First and last hour that a selection touches; its start is exclusive."""
    return (selection.start_ms + 1) // HOUR_MS, selection.end_ms // HOUR_MS


def apply_changes(
    held: dict[int, Hour], window: Window, changes: Sequence[Any]
) -> tuple[dict[int, Hour], list[Missing]]:
    """`held` with the changes of one window, see `scripts.READ` for their form, and what only the cold layer has."""
    hours = dict(held)
    missing = []
    for name, generation, *content in changes:
        number = int(name)
        if not content:
            hours.pop(number, None)
            continue
        continues, rows, cold, pairs = content
        sealed = {int(group): body or None for group, body in zip(pairs[::2], pairs[1::2], strict=True)}
        wanted = held[number].lacks(window.groups) if continues else (window.groups is None or list(window.groups))
        if cold and wanted:
            lacking = None if wanted is True else tuple(g for g in wanted if sealed.get(g) is None)
            sealed = {group: body for group, body in sealed.items() if body is not None}
            if lacking is None or lacking:
                missing.append(Missing(window.metric, number, lacking))
        complete = wanted is True and not cold
        if continues:
            hours[number] = held[number].joined(sealed, complete).extended(rows)
        else:
            hours[number] = Hour(number, generation, 0, sealed, complete).extended(rows)
    return hours, missing


def joined(parts: Sequence[Columns]) -> Sequence[Series]:
    """The series of several metrics."""
    if len(parts) < 2:
        return parts[0] if parts else []
    labels = [one for part in parts for one in part.labels]
    times = np.concatenate([part.times_ms for part in parts])
    values = np.concatenate([part.values for part in parts])
    return Columns(labels, times, values, edges(np.concatenate([np.diff(part.starts) for part in parts])))


def parse_span(text: bytes) -> Span:
    """A span as the store writes it: `first:last`."""
    first, last = text.split(b":")
    return int(first), int(last)
