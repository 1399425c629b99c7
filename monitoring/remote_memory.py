"""The last hour of another server's samples, as far as the catalogue reads them: what answers while it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from monitoring.catalog import Catalog
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive
from monitoring.inventory import any_of
from monitoring.model import LabelKey, Labels, Matcher, Selection, Series, label_key
from monitoring.promql.select import compile_matchers
from monitoring.remote_http import PrometheusClient, aside
from monitoring.remote_inventory import TIMEOUT_S, KnownSeries, read_by
from monitoring.remote_shapes import instant, pairs

log = logging.getLogger(__name__)
KEPT_S = 3_600.0
EVERY_S = 15.0
FIRST_S = 360.0
"""How far the first reading goes back; the hour fills up by itself."""
LAST_S = 86_400.0
"""The last sample of a series that ended is kept for so long: it says when a server was seen last."""
MOST_SAMPLES = 2_000_000
"""Above this (32 MB) only half the time is kept from then on: metrics come every second, not every 15."""
MOST_SIGNS = 500
"""Series of a metric above which such samples are not looked for at the start; of `up` always."""
LOOK_S = 300
"""Seconds between two looks at the past day for such samples: as long as a look reaches back."""
OVERLAP_S = 60.0
"""Read again each time: samples that came late."""
MOST_SERIES = 5_000
"""Remembered; where there are more, metrics with few series come first."""


class RememberedSamples:
    """Samples of this process (`monitoring.backends.Samples`); `run` reads what is new every 15 s."""

    def __init__(
        self, client: PrometheusClient, known: KnownSeries, catalog: Catalog, clock: Callable[[], float]
    ) -> None:
        self._client, self._known, self._clock = client, known, clock
        self._wanted = read_by(catalog)
        self._series: dict[LabelKey, Series] = {}
        self._kept_s = KEPT_S
        self._by_name: dict[str, list[Series]] = {}
        self._newest_ms: int | None = None
        self._read: float | None = None
        """When samples were last read (Unix seconds)."""

    @property
    def catalog_version(self) -> int:
        """The version of what is known, beyond what is remembered."""
        return self._known.version

    def newest(self) -> float | None:
        """The time of the newest sample (Unix seconds); None where nothing is remembered."""
        return None if self._newest_ms is None else self._newest_ms / 1000

    async def labels(
        self, matchers: Sequence[Matcher] = (), start_ms: int | None = None, end_ms: int | None = None
    ) -> list[Labels]:
        """As `remembered_labels`; times do not narrow it."""
        return self.remembered_labels(matchers)

    def remembered_labels(self, matchers: Sequence[Matcher] = ()) -> list[Labels]:
        """The labels of the series that are known and match, remembered or not."""
        matches = compile_matchers(matchers)
        return [labels for labels in self._known.held() if matches(labels)]

    async def select(self, selections: Sequence[Selection]) -> list[Sequence[Series]]:
        """As `remembered`."""
        return self.remembered(selections)

    def remembered(self, selections: Sequence[Selection]) -> list[Sequence[Series]]:
        """The samples of each selection that this process has."""
        return [list(self._found(selection)) for selection in selections]

    def _found(self, selection: Selection) -> Iterable[Series]:
        matches = compile_matchers(selection.matchers)
        name = next((m.value for m in selection.matchers if m.name == "__name__" and m.op == "="), None)
        for series in self._series.values() if name is None else self._by_name.get(name, ()):
            if matches(series.labels):
                span = selection.start_ms, selection.end_ms
                first, last = np.searchsorted(series.times_ms, span, side="right").tolist()
                if first < last:
                    yield Series(series.labels, series.times_ms[first:last], series.values[first:last])

    async def run(self) -> None:
        """Reads what is new, until cancelled."""
        while True:
            try:
                await self.read()
            except (BackendUnavailable, BadQuery, QueryTooExpensive) as error:
                log.info("remote.not_remembered error=%s", error)
            await asyncio.sleep(EVERY_S)

    async def read(self) -> None:
        """Reads what is new since the last time. Raises BackendUnavailable, BadQuery, QueryTooExpensive."""
        now = self._clock()
        await self._known.labels()
        if not (names := self._affordable()):
            return
        since_s = FIRST_S if self._read is None else min(now - self._read + OVERLAP_S, KEPT_S)
        query = f'{{__name__=~"{any_of(names)}"}}[{max(int(since_s), 1)}s]'
        reply = await self._client.post("query", (("query", query), ("time", f"{now:.3f}")), TIMEOUT_S)
        found = (await aside(reply.size, instant, reply, round(now * 1000))).series
        if self._read is None:
            found += await self._silent(names, now)
        self._series = await aside(reply.size, self._joined, found, now)
        self._index()
        self._read = now

    async def _silent(self, names: Sequence[str], now: float) -> list[Series]:
        """What says when servers that are gone were seen last; nothing where that takes the server too long."""
        signs = [name for name in names if name == "up" or self._known.sizes[name] <= MOST_SIGNS]
        try:
            return [one for name in signs for one in await self._ended(name, now)]
        except (BackendUnavailable, BadQuery, QueryTooExpensive) as error:
            log.warning("remote.silent_not_read error=%s", error)
            return []

    async def _ended(self, name: str, now: float) -> list[Series]:
        """The last sample of each series of a metric that has none now, and had one within the day."""
        at, day = ("time", f"{now:.3f}"), f"{LAST_S:.0f}s"
        last = f"last_over_time({name}[{day}]) unless {name}"
        values = pairs(await self._client.post("query", (("query", last), at), TIMEOUT_S))
        if not values:
            return []
        when_last = f"max_over_time(timestamp({name})[{day}:{LOOK_S}s]) unless {name}"
        times = await self._client.post("query", (("query", when_last), at), TIMEOUT_S)
        when = {_nameless(labels): round(time * 1000) for labels, time in pairs(times)}
        return [
            Series({**labels, "__name__": name}, np.array([when[key]], dtype=np.int64), np.array([value]))
            for labels, value in values
            if (key := _nameless(labels)) in when
        ]

    def _affordable(self) -> list[str]:
        names: list[str] = []
        left = MOST_SERIES
        for name, size in sorted(self._known.sizes.items(), key=lambda one: one[1]):
            if name in self._wanted and size <= left:
                names.append(name)
                left -= size
        return sorted(names)

    def _joined(self, found: Sequence[Series], now: float) -> dict[LabelKey, Series]:
        """What is remembered from now on. Changes nothing."""
        series, since_ms = dict(self._series), round((now - self._kept_s) * 1000)
        last_ms = round((now - LAST_S) * 1000)
        for one in found:
            key = label_key(one.labels)
            series[key] = _joined(series.get(key), one)
        kept = {key: _after(one, since_ms) for key, one in series.items()}
        return {key: one for key, one in kept.items() if one.times_ms[-1] > last_ms}

    def _index(self) -> None:
        if sum(len(one.times_ms) for one in self._series.values()) > MOST_SAMPLES:
            self._kept_s /= 2
        self._by_name = {}
        for series in self._series.values():
            self._by_name.setdefault(series.labels["__name__"], []).append(series)
        self._newest_ms = max((int(series.times_ms[-1]) for series in self._series.values()), default=None)


def _joined(before: Series | None, after: Series) -> Series:
    """What was known, and what came after."""
    if before is None:
        return after
    new = int(np.searchsorted(before.times_ms, after.times_ms[0], side="left"))
    times = np.concatenate((before.times_ms[:new], after.times_ms))
    return Series(after.labels, times, np.concatenate((before.values[:new], after.values)))


def _nameless(labels: Labels) -> LabelKey:
    return label_key({name: value for name, value in labels.items() if name != "__name__"})


def _after(series: Series, since_ms: int) -> Series:
    """What came after `since_ms`, and in any case the last sample."""
    first = min(int(np.searchsorted(series.times_ms, since_ms, side="right")), len(series.times_ms) - 1)
    return Series(series.labels, series.times_ms[first:], series.values[first:]) if first else series
