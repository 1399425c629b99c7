"""Which ids the series of a batch have, remembered for those who send the same series again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.model import Batch, LabelKey, Labels
from monitoring.store.segments import HOUR_MS, ROW, Ids
from monitoring.store.series_index import SeriesIndex, identity

_LISTS_KEPT = 64


class Sender(NamedTuple):
    """The series of a batch as the store knows them: `ids[k]` and `metric[k]`, a place in `metrics`, of series `k`."""

    ids: Ids
    metrics: Sequence[str]
    metric: NDArray[Any]
    """Unsigned numbers, 16 bits where they suffice: numpy sorts those by radix."""


class Senders:
    """Series by identity of the object that a sender holds: no labels are compared where it sends the same again."""

    def __init__(self) -> None:
        self._changes = -1
        self._lists: OrderedDict[int, tuple[Sequence[Labels], Sender]] = OrderedDict()
        self._ids: dict[int, tuple[Labels, int, str]] = {}
        """By identity of the labels, which are held so that no other object gets it; one object for each series."""
        self._held: dict[int, int] = {}
        """Series id → identity of the labels held."""

    def known(self, series: Sequence[Labels], index: SeriesIndex) -> Sender | None:
        """The ids of `series`, or None where one of them is new."""
        self._forget(index)
        if (held := self._lists.get(id(series))) is not None and len(held[1].ids) == len(series):
            self._lists.move_to_end(id(series))
            return held[1]
        found = self._look_up(series, index)
        if found is None:
            return None
        ids, names = [entry[1] for entry in found], [entry[2] for entry in found]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        kind = np.uint16 if len(numbers) < 1 << 16 else np.int64
        metric: NDArray[Any] = np.array([numbers[name] for name in names], dtype=kind)
        sender = Sender(np.array(ids, dtype=np.uint32), list(numbers), metric)
        if isinstance(series, tuple):  # a list may change, a tuple is the same series for ever
            self._lists[id(series)] = series, sender
            if len(self._lists) > _LISTS_KEPT:
                self._lists.popitem(last=False)
        return sender

    def unknown(self, series: Sequence[Labels], index: SeriesIndex) -> list[LabelKey]:
        """The identities of those series that have no id here, each once."""
        keys = (identity(labels) for labels in series if id(labels) not in self._ids)
        return list({key: None for key in keys if index.id_of(key) is None})

    def _look_up(self, series: Sequence[Labels], index: SeriesIndex) -> list[tuple[Labels, int, str]] | None:
        ids = self._ids
        found = [ids.get(id(labels)) for labels in series]
        for k, entry in enumerate(found):
            if entry is None:
                key = identity(series[k])
                series_id = index.id_of(key)
                if series_id is None:
                    return None
                found[k] = self._remember(series[k], series_id, dict(key).get("__name__", ""))
        return found  # type: ignore[return-value] # the loop filled every gap

    def _remember(self, labels: Labels, series_id: int, metric: str) -> tuple[Labels, int, str]:
        if (old := self._held.get(series_id)) is not None:
            del self._ids[old]
        self._held[series_id] = id(labels)
        entry = self._ids[id(labels)] = labels, series_id, metric
        return entry

    def _forget(self, index: SeriesIndex) -> None:
        """Nothing is remembered over a removal of series."""
        if self._changes != index.removals:
            self._changes = index.removals
            self._ids.clear()
            self._held.clear()
            self._lists.clear()


def by_hour(batch: Batch, sender: Sender) -> tuple[list[tuple[str, int, int]], bytes]:
    """(metric, hour, bytes) of each part, and the rows of the parts one after another, each in the order of writing."""
    hours = batch.times_ms // HOUR_MS
    metric = sender.metric[batch.index]
    order = metric.argsort(kind="stable") if (hours == hours[0]).all() else np.lexsort((hours, metric))
    metric, hours = metric[order], hours[order]
    rows: NDArray[np.void] = np.empty(len(batch), ROW)
    rows["id"], rows["v"] = sender.ids[batch.index[order]], batch.values[order]
    rows["t"] = batch.times_ms[order] - hours * HOUR_MS
    edges = np.flatnonzero((metric[1:] != metric[:-1]) | (hours[1:] != hours[:-1])) + 1
    starts = np.concatenate([[0], edges])
    sizes = np.diff(np.concatenate([starts, [len(batch)]])) * ROW.itemsize
    parts = zip(metric[starts].tolist(), hours[starts].tolist(), sizes.tolist(), strict=True)
    return [(sender.metrics[m], hour, size) for m, hour, size in parts], rows.tobytes()
