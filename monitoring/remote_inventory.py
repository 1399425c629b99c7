"""Which series another server has, as far as servers are known by them: read at once, then kept up in the background.

A big one has millions of series, and the catalogue needs a few labels of a few metrics. So: the names of all metrics;
of each metric by which the catalogue knows servers, the label sets themselves where there are few, and where there are
many only the labels that name a server, its type and its parts (`group by`), at a handful of moments of the past day.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping

from monitoring.catalog import Catalog
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive
from monitoring.inventory import IDENTITY, TYPE, any_of
from monitoring.model import LabelKey, Labels, label_key
from monitoring.remote_http import PrometheusClient
from monitoring.remote_shapes import label_sets, names, pairs

log = logging.getLogger(__name__)
REFRESH_S = 60.0
SEEN_S = 86_400.0
"""A series without samples for so long is no longer shown; as far back goes the first reading."""
FEW = 5_000
"""Series of a metric that are listed one by one."""
AGO_S = (0, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 24 * 3_600)
"""When the servers of a big metric are looked for at the first reading; afterwards only now."""
ALSO = ("node_uname_info", "target_info")
"""Metrics of no concept that tell names and addresses of servers."""
TIMEOUT_S = 30.0


class KnownSeries:
    """`labels()` for an `Inventory`; `run` keeps it up to date. `version` grows when something is new or gone."""

    def __init__(self, client: PrometheusClient, catalog: Catalog, clock: Callable[[], float]) -> None:
        self.version = 0
        self.sizes: Mapping[str, int] = {}
        """The metrics that the catalogue reads → how many series each has now."""
        self._client, self._clock = client, clock
        self._by = _grouping(catalog)
        self._read = self._by.keys() | read_by(catalog)
        self._seen: dict[LabelKey, tuple[Labels, float]] = {}
        """Series → its labels, and when it was last seen (Unix seconds)."""
        self._metrics: frozenset[str] = frozenset()
        self._loading = asyncio.Lock()

    async def labels(self) -> list[Labels]:
        """What was last read; read now where nothing was. Raises BackendUnavailable."""
        if not self.version:
            async with self._loading:
                if not self.version:
                    await self._load()
        return self.held()

    def held(self) -> list[Labels]:
        """What was last read; nothing where nothing was."""
        named = {labels["__name__"] for labels, _ in self._seen.values()}
        only = [{"__name__": name} for name in sorted(self._metrics - named)]
        return [*(labels for labels, _ in self._seen.values()), *only]

    async def refresh(self) -> None:
        """Reads anew. Raises BackendUnavailable, BadQuery, QueryTooExpensive."""
        async with self._loading:
            await self._load()

    async def run(self) -> None:
        """Reads anew once a minute, until cancelled."""
        while True:
            try:
                await self.refresh()
            except (BackendUnavailable, BadQuery, QueryTooExpensive) as error:
                log.warning("remote.series_not_read error=%s", error)
            await asyncio.sleep(REFRESH_S)

    async def _load(self) -> None:
        now = self._clock()
        metrics = frozenset(await self._names(now))
        read = sorted(metrics & self._read)
        sizes = dict.fromkeys(read, 0) | await self._count(read, now)
        wanted = sorted(metrics & self._by.keys())
        few = [name for name in wanted if sizes[name] <= FEW]
        ago = AGO_S if not self.version else AGO_S[:1]
        found = await asyncio.gather(
            self._listed(few, now), *(self._grouped(name, now - s) for name in wanted if name not in few for s in ago)
        )
        self._note(metrics, (labels for some in found for labels in some), now)
        self.sizes = sizes

    def _note(self, metrics: frozenset[str], found: Iterable[Labels], now: float) -> None:
        before = self._seen.keys()
        seen = {key: one for key, one in self._seen.items() if now - one[1] <= SEEN_S}
        for labels in found:
            seen[label_key(labels)] = labels, now
        if not self.version or metrics != self._metrics or seen.keys() != before:
            self.version += 1
        self._seen, self._metrics = seen, metrics

    async def _names(self, now: float) -> list[str]:
        params = (("start", f"{now - SEEN_S:.3f}"), ("end", f"{now:.3f}"))
        return names(await self._client.get("label/__name__/values", params, TIMEOUT_S))

    async def _count(self, metrics: list[str], now: float) -> dict[str, int]:
        """How many series each metric has now; absent where it has none."""
        if not metrics:
            return {}
        query = f'count by (__name__) ({{__name__=~"{any_of(metrics)}"}})'
        reply = await self._client.post("query", (("query", query), ("time", f"{now:.3f}")), TIMEOUT_S)
        return {labels.get("__name__", ""): int(count) for labels, count in pairs(reply)}

    async def _listed(self, metrics: list[str], now: float) -> list[Labels]:
        if not metrics:
            return []
        match = ("match[]", f'{{__name__=~"{any_of(metrics)}"}}')
        params = (match, ("start", f"{now - SEEN_S:.3f}"), ("end", f"{now:.3f}"))
        return label_sets(await self._client.post("series", params, TIMEOUT_S))

    async def _grouped(self, name: str, at: float) -> list[Labels]:
        query = f"group by ({', '.join(self._by[name])}) ({name})"
        reply = await self._client.post("query", (("query", query), ("time", f"{at:.3f}")), TIMEOUT_S)
        return [{**labels, "__name__": name} for labels, _ in pairs(reply)]


def _grouping(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Metric → the labels that matter, of the metrics by which servers are known."""
    base = (*IDENTITY, *TYPE, "simulated")
    found: dict[str, set[str]] = {name: {*base, "host_ip"} for name in ALSO}
    for concept in catalog.concepts.values():
        for source in concept.sources:
            matter = found.setdefault(source.needs, set(base))
            matter.update(label for label in (source.by, source.label, source.part) if label)
    return {name: tuple(sorted(labels)) for name, labels in found.items()}


def read_by(catalog: Catalog) -> frozenset[str]:
    """Every metric that a query of the catalogue reads."""
    texts = (source.query for concept in catalog.concepts.values() for source in concept.sources)
    return frozenset(name for text in texts for name in re.findall(r"\b([a-zA-Z_:][\w:]*)\{", text))
