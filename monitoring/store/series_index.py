"""The process copy of the series catalogue: ids to labels, found by matchers without walking every series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from monitoring.model import LabelKey, Labels, Matcher, label_key
from monitoring.promql.select import compile_matchers
from monitoring.store.segments import Ids

Groups = tuple[int, ...] | None
"""Groups of one metric's series; None: all of them."""

_compiled = lru_cache(maxsize=4096)(compile_matchers)
_NOTHING: tuple[Ids, Groups] = np.empty(0, np.uint32), ()
_MATCHES_KEPT = 512
"""Answers remembered per metric before they are forgotten; dashboards repeat a few dozen selectors."""


def identity(labels: Labels) -> LabelKey:
    """Which series `labels` name: an empty label value is the same as no label (Prometheus' data model)."""
    return label_key(labels) if all(labels.values()) else label_key({k: v for k, v in labels.items() if v})


class Entry(NamedTuple):
    """One series of the catalogue."""

    id: int
    group: int
    labels: Labels


class Found(NamedTuple):
    """Series of one metric that match, ascending, and their groups."""

    metric: str
    ids: Ids
    groups: Groups


class _MetricSeries:
    """Series of one metric in ascending id, with what matchers found among them."""

    def __init__(self) -> None:
        self.labels: dict[int, Labels] = {}
        self._found: dict[tuple[Matcher, ...], tuple[Ids, Groups]] = {}

    def add(self, series_id: int, labels: Labels) -> None:
        self.labels[series_id] = labels
        self._found.clear()

    def remove(self, series_id: int) -> None:
        self.labels.pop(series_id, None)
        self._found.clear()

    def matching(self, matchers: tuple[Matcher, ...], groups: NDArray[np.uint32]) -> tuple[Ids, Groups]:
        """The ids that match, ascending, and their groups; None for the groups where those are all of the metric."""
        found = self._found.get(matchers)
        if found is None:
            test = _compiled(matchers)
            ids = np.array(sorted(i for i, labels in self.labels.items() if test(labels)), dtype=np.uint32)
            own = np.unique(groups[ids])
            every = np.unique(groups[np.fromiter(self.labels, np.uint32, len(self.labels))])
            found = ids, None if len(own) == len(every) else tuple(own.tolist())
            if len(self._found) >= _MATCHES_KEPT:
                self._found.clear()
            self._found[matchers] = found
        return found


class SeriesIndex:
    """Every known series. `version` grows with each change; ids are never given twice."""

    def __init__(self) -> None:
        self.version = 0
        self.removals = 0
        """Grows when a series leaves."""
        self.labels: dict[int, Labels] = {}
        self.groups: NDArray[np.uint32] = np.zeros(1_024, np.uint32)
        """The group of each series, by id."""
        self._ids: dict[LabelKey, int] = {}
        self._metrics: dict[str, _MetricSeries] = {}

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def metrics(self) -> list[str]:
        """Names of all metrics that have series."""
        return list(self._metrics)

    def id_of(self, key: LabelKey) -> int | None:
        """The id of the series, or None where it is new."""
        return self._ids.get(key)

    def add(self, entries: Iterable[Entry]) -> None:
        """Enter series with the ids that the store gave them; known ids are passed over."""
        for series_id, group, labels in entries:
            if series_id in self.labels:
                continue
            if series_id >= len(self.groups):
                self.groups = np.concatenate([self.groups, np.zeros(series_id, np.uint32)])
            self.groups[series_id] = group
            self.labels[series_id] = labels
            self._ids[label_key(labels)] = series_id
            self._metrics.setdefault(labels.get("__name__", ""), _MetricSeries()).add(series_id, labels)
            self.version += 1

    def replace(self, entries: Sequence[Entry]) -> None:
        """Hold exactly `entries`."""
        for series_id in self.labels.keys() - {entry.id for entry in entries}:
            self._remove(series_id)
        self.add(entries)

    def _remove(self, series_id: int) -> None:
        self.removals += 1
        labels = self.labels.pop(series_id)
        del self._ids[label_key(labels)]
        metric = labels.get("__name__", "")
        self._metrics[metric].remove(series_id)
        if not self._metrics[metric].labels:
            del self._metrics[metric]
        self.version += 1

    def clear(self) -> None:
        """Forget everything; the version still grows."""
        self.replace(())

    def find(self, matchers: Sequence[Matcher]) -> dict[str, Ids]:
        """Ids of the matching series by metric, ascending; metrics without a match are left out."""
        return {metric: ids for metric, ids, _ in self.find_all(matchers) if len(ids)}

    def find_all(self, matchers: Sequence[Matcher]) -> list[Found]:
        """Metrics that can match, the ids of their matching series and the groups of those."""
        return list(self._find(tuple(matchers)))

    def groups_of(self, matchers: Sequence[Matcher]) -> list[tuple[str, Groups]]:
        """Metrics that can match and the groups of those series that do; a metric not known yet is among them."""
        return [(metric, groups) for metric, _, groups in self._find(tuple(matchers))]

    def _find(self, matchers: tuple[Matcher, ...]) -> Iterator[Found]:
        for metric in self.candidates(matchers):
            series = self._metrics.get(metric)
            yield Found(metric, *(_NOTHING if series is None else series.matching(matchers, self.groups)))

    def candidates(self, matchers: Sequence[Matcher]) -> list[str]:
        """Metrics that can match: the one named by an equality, known or not, else all known that fit."""
        names = tuple(matcher for matcher in matchers if matcher.name == "__name__")
        exact = named_metric(names)
        if exact is not None:
            return [exact]
        if not names:
            return self.metrics
        test = _compiled(names)
        return [metric for metric in self._metrics if test({"__name__": metric})]


def named_metric(matchers: Sequence[Matcher]) -> str | None:
    """The metric that the matchers name by equality, or None where they leave it open."""
    return next((m.value for m in matchers if m.name == "__name__" and m.op == "="), None)


def to_text(key: LabelKey) -> bytes:
    """A series' identity as the store keeps it: a JSON object with sorted names."""
    return orjson.dumps(dict(key))


def read_entry(series_id: bytes | int, text: bytes) -> Entry:
    """One entry of the catalogue as the store keeps it: the group, a space, the labels."""
    group, _, labels = text.partition(b" ")
    return Entry(int(series_id), int(group), orjson.loads(labels))
