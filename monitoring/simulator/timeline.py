"""One simulated server through all time: any series at any second, with nothing remembered but what can be redone.

What comes back every 28 days (load, noise, habits, the schedule) is the baseline. A play that somebody started is a
difference on the days that it touches; what it added to the counters stays added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from monitoring.model import Labels
from monitoring.simulator.models import Hours
from monitoring.simulator.pages import Sheet, sheet
from monitoring.simulator.registry import MetricSpec
from monitoring.simulator.scenarios import Play, Stage
from monitoring.simulator.servers import SimulatedServer
from monitoring.simulator.shapes import CYCLE_DAYS, DAY, Floats, pick

DAY_S = 86_400
KEPT_DAYS = 3
"""Days whose curves are kept: yesterday, today and, once it is near, tomorrow."""
LINGER_S = 3_600.0
"""For so long after its end a play may still show."""


class Timeline:
    """The series of one server. `epoch` is a Monday at 00:00 UTC in Unix seconds; counters are 0 there."""

    def __init__(
        self,
        server: SimulatedServer,
        stage: Stage,
        seed: int,
        epoch: float,
        *,
        schedule: bool = True,
        registry: Sequence[MetricSpec] = (),
        calls: Sequence[str] = (),
    ) -> None:
        self.server = server
        self._stage, self._seed, self._epoch = stage, seed, epoch
        self._schedule, self._registry, self._calls = schedule, tuple(registry), tuple(calls)
        first = self._sheet(0, ())
        self.page_labels: list[Labels] = [*first.labels, {"__name__": "node_boot_time_seconds"}]
        """As the page shows them: without the labels of the target."""
        self._booted = epoch - round(pick(f"{server.name}/boot", seed, 1, 90) * DAY_S)
        self._counts = np.array(first.counts)
        self._whole = np.array(first.whole)
        self._baseline = lru_cache(maxsize=KEPT_DAYS)(self._read_baseline)
        self._started: tuple[Play, ...] = ()
        self._days: dict[int, tuple[Play, ...]] = {}
        """Days (since the epoch) that started plays touch, and which."""
        self._changed = lru_cache(maxsize=KEPT_DAYS)(self._read_changed)
        self._extras: dict[int, Floats] = {}

    def play(self, plays: Iterable[Play]) -> None:
        """From now on these were started by somebody, beside the schedule."""
        touching = tuple(p for p in plays if self.server.name in self._stage.places(p.server))
        if touching == self._started:
            return
        self._started, self._days = touching, {}
        for play in touching:
            first = int((play.start - self._epoch) // DAY_S)
            last = int((play.end + LINGER_S - self._epoch) // DAY_S)
            for day in range(first, last + 1):
                self._days[day] = (*self._days.get(day, ()), play)
        self._changed.cache_clear()
        self._extras.clear()

    def at(self, times: NDArray[np.float64]) -> Floats:
        """[series × times], times in Unix seconds: between two minutes a straight line, whole numbers rounded down."""
        since = times - self._epoch
        days = np.floor(since / DAY_S).astype(np.int64)
        found = np.empty((len(self.page_labels), len(times)))
        for day in np.unique(days).tolist():
            here = days == day
            found[:-1, here] = self._in_day(day, (since[here] - day * DAY_S) / 60, self._points(day))
        found[-1] = self._booted
        return found

    def anew(self, time: float) -> Floats:
        """The same as `at` for one time, computed without the curves that are kept: what keeping them saves."""
        day = int((time - self._epoch) // DAY_S)
        points = np.array(self._sheet(day, self._days.get(day, ())).points)
        minutes = np.array([(time - self._epoch - day * DAY_S) / 60])
        return np.append(self._in_day(day, minutes, points)[:, 0], self._booted)

    def kept_bytes(self) -> int:
        """What one day's curves take."""
        return (DAY + 1) * len(self._counts) * 8

    def down(self, times: Floats) -> NDArray[np.bool_]:
        """True where the server does not answer."""
        plays = list(self._started)
        if self._schedule and len(times):
            plays += self._stage.recurring(float(times[0]), float(times[-1]), self._epoch)
        return self._stage.down(plays, self.server.name, times)

    def _in_day(self, day: int, minutes: Floats, points: Floats) -> Floats:
        before = np.minimum(minutes.astype(np.int64), points.shape[1] - 2)
        share = minutes - before
        values = points[:, before] * (1 - share) + points[:, before + 1] * share
        cycle, in_cycle = divmod(day, CYCLE_DAYS)
        begun = cycle * self._totals[-1] + self._totals[in_cycle]
        for other in self._days:
            if other < day:
                begun = begun + self._extra(other)
        values += begun[:, np.newaxis]
        return np.asarray(np.where(self._whole[:, np.newaxis], np.floor(values), values))

    def _points(self, day: int) -> Floats:
        return self._changed(day) if day in self._days else self._baseline(day % CYCLE_DAYS)

    def _extra(self, day: int) -> Floats:
        """What the plays of a day added to each counter."""
        if day not in self._extras:
            changed, usual = (self._changed(day)[:, -1], self._read_baseline(day % CYCLE_DAYS)[:, -1])
            self._extras[day] = np.where(self._counts, changed - usual, 0.0)
        return self._extras[day]

    @cached_property
    def _totals(self) -> Floats:
        """[days + 1 × series]: what each counter has added from the start of the cycle to each midnight."""
        added = [np.where(self._counts, self._read_baseline(day)[:, -1], 0.0) for day in range(CYCLE_DAYS)]
        return np.vstack([np.zeros(len(self._counts)), np.cumsum(added, axis=0)])

    def _read_baseline(self, day: int) -> Floats:
        return np.array(self._sheet(day, ()).points)

    def _read_changed(self, day: int) -> Floats:
        return np.array(self._sheet(day, self._days[day]).points)

    def _sheet(self, day: int, started: Sequence[Play]) -> Sheet:
        """A day since the epoch; its baseline is that of the same day of the cycle."""
        back = (day - day % CYCLE_DAYS) * DAY_S
        start = self._epoch + day * DAY_S
        plays = list(started)
        if self._schedule:
            plays += self._stage.recurring(start - LINGER_S, start + DAY_S, self._epoch)
        minutes = np.arange((day % CYCLE_DAYS) * DAY, (day % CYCLE_DAYS + 1) * DAY + 1, dtype=np.int64)
        strain = self._stage.strain(plays, self.server.name, (minutes + back // 60 + self._epoch / 60).astype(float))
        return sheet(Hours(self.server, self._seed, minutes, strain), self._registry, self._calls)
