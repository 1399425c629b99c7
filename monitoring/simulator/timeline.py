"""One simulated server through all time: any series at any second, with nothing remembered but what can be redone."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from monitoring.model import Labels
from monitoring.simulator.models import sheet
from monitoring.simulator.servers import SimulatedServer
from monitoring.simulator.shapes import CYCLE_DAYS, Floats, pick

DAY_S = 86_400


class Timeline:
    """The series of one server. `epoch` is a Monday at 00:00 UTC in Unix seconds; counters are 0 there."""

    def __init__(self, server: SimulatedServer, seed: int, epoch: float) -> None:
        self.server = server
        self._seed = seed
        self._epoch = epoch
        first = sheet(server, seed, 0)
        self.page_labels: list[Labels] = [*first.labels, {"__name__": "node_boot_time_seconds"}]
        """As the page shows them: without the labels of the target."""
        self._booted = epoch - round(pick(f"{server.name}/boot", seed, 1, 90) * DAY_S)
        self._counts = np.array(first.counts)
        self._whole = np.array(first.whole)
        self._points = lru_cache(maxsize=3)(self._read_day)

    def at(self, times: NDArray[np.float64]) -> Floats:
        """[series × times], times in Unix seconds: between two minutes a straight line, whole numbers rounded down."""
        since = times - self._epoch
        days = np.floor(since / DAY_S).astype(np.int64)
        found = np.empty((len(self.page_labels), len(times)))
        for day in np.unique(days).tolist():
            here = days == day
            found[:-1, here] = self._in_day(day, (since[here] - day * DAY_S) / 60)
        found[-1] = self._booted
        return found

    def _in_day(self, day: int, minutes: Floats) -> Floats:
        cycle, day = divmod(day, CYCLE_DAYS)
        points = self._points(day)
        before = np.minimum(minutes.astype(np.int64), points.shape[1] - 2)
        share = minutes - before
        values = points[:, before] * (1 - share) + points[:, before + 1] * share
        values += (cycle * self._totals[-1] + self._totals[day])[:, np.newaxis]
        return np.asarray(np.where(self._whole[:, np.newaxis], np.floor(values), values))

    @cached_property
    def _totals(self) -> Floats:
        """[days + 1 × series]: what each counter has added from the start of the cycle to each midnight."""
        added = [np.where(self._counts, self._read_day(day)[:, -1], 0.0) for day in range(CYCLE_DAYS)]
        return np.vstack([np.zeros(len(self._counts)), np.cumsum(added, axis=0)])

    def _read_day(self, day: int) -> Floats:
        return np.array(sheet(self.server, self._seed, day).points)
