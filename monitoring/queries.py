"""The questions that the data can answer, each with its PromQL. Tools, direct road and dashboard share them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

from engines.matching import closest
from monitoring import alerts_told, analysis, ranges, tables
from monitoring.alerts_record import NOTHING, AlertRecord, Present
from monitoring.backends import Backend
from monitoring.baselines import BaselineRecord, ServerBaseline
from monitoring.catalog import Catalog, Concept
from monitoring.errors import BadQuery, StoreUnavailable, UnknownMetric
from monitoring.expressions import expression
from monitoring.fleet import SEVERITY, FleetState, fleet_state
from monitoring.inventory import Inventory, any_of, build
from monitoring.normal import normal
from monitoring.reading import Reading
from monitoring.windows import span

log = logging.getLogger(__name__)
DESCRIBED = 3
"""Servers whose normal bands a reading tells"""
LOOKS_LIKE_PROMQL = re.compile(r"[({\[+*/<>=]|\s-\s")


class FleetQueries:
    """Questions to one backend. `clock` gives Unix seconds; `at` of any question rewinds it."""

    def __init__(
        self,
        backend: Backend,
        catalog: Catalog,
        clock: Callable[[], float],
        record: AlertRecord | None = None,
        baselines: BaselineRecord | None = None,
    ) -> None:
        """Without a `record` of alerts, only thresholds are told; without `baselines`, history says what is normal."""
        self.backend = backend
        self.catalog = catalog
        self._clock = clock
        self._record = record
        self._baselines = baselines
        self._inventory: tuple[int, Inventory] | None = None
        self._building = asyncio.Lock()

    async def inventory(self) -> Inventory:
        """The servers there are, built anew when a series was first seen."""
        async with self._building:
            version = self.backend.catalog_version
            if self._inventory is None or self._inventory[0] != version or version < 0:
                labels = await self.backend.labels()
                self._inventory = self.backend.catalog_version, build(labels, self.catalog)
            return self._inventory[1]

    async def server_names(self) -> list[str]:
        """Ids of all servers, sorted."""
        return sorted((await self.inventory()).servers)

    async def concept_names(self) -> list[str]:
        """The concepts that this fleet reports."""
        inventory = await self.inventory()
        return [name for name, concept in self.catalog.concepts.items() if expression(concept, inventory)]

    async def state(self, at: float | None = None) -> FleetState:
        """The state of every server; what the dashboard and the summaries render."""
        return await fleet_state(self.backend, self.catalog, await self.inventory(), self._at(at))

    async def fleet_summary(self, *, at: float | None = None) -> Reading:
        """Counts by status, and every server that is not healthy with its reasons."""
        return tables.summary(await self.state(at), self.catalog)

    async def list_servers(
        self,
        sort: str = "severity",
        status: str | None = None,
        match: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
        *,
        at: float | None = None,
    ) -> Reading:
        """Servers with their values; `sort` is severity, name, or a concept (highest first)."""
        if status is not None and status not in SEVERITY:
            raise BadQuery(f"no status '{status}'; there are {', '.join(SEVERITY)}")
        if sort not in ("severity", "name") and sort not in tables.COLUMNS:
            raise BadQuery(f"cannot sort by '{sort}'; choose severity, name or one of {', '.join(tables.COLUMNS)}")
        return tables.servers(await self.state(at), sort, status, match, _limit(limit, 100), cursor)

    async def get_server(self, server: str, *, at: float | None = None) -> Reading:
        """Every value of one server with thresholds, its status and the reasons. Raises UnknownServer."""
        inventory = await self.inventory()
        found = inventory.resolve(server)
        return tables.server(await self.state(at), found.id, self.catalog, inventory)

    async def query_metric(
        self,
        metric: str,
        servers: Sequence[str] = (),
        window: str | None = None,
        agg: str | None = None,
        points: int = 60,
        *,
        at: float | None = None,
    ) -> Reading:
        """Values of a concept, a metric or PromQL: now, aggregated over a window, or as series."""
        if len(servers) > 20:
            raise BadQuery(f"at most 20 servers at once; {len(servers)} were named")
        inventory, time = await self.inventory(), self._at(at)
        ids = [inventory.resolve(name).id for name in servers]
        query, concept = self.promql(metric, inventory, ids)
        if window is None:
            if agg is not None:
                raise BadQuery("agg needs a window, for example window='1h'")
            [vector] = await self.backend.instants([query], time)
            return tables.vector(vector, inventory, concept)
        start, end = span(window, time)
        return await ranges.over(self.backend, query, start, end, agg, _limit(points, 200), inventory, concept)

    async def list_alerts(
        self,
        state: str = "firing",
        severity: str | None = None,
        window: str | None = None,
        limit: int = 50,
        *,
        at: float | None = None,
    ) -> Reading:
        """What fires, by rules; with `window`, or a `state` beside firing and pending, what fired in that time."""
        if state not in ("pending", "firing", "resolved", "all"):
            raise BadQuery(f"no alert state '{state}'; there are pending, firing, resolved and all")
        if severity not in (None, "warning", "critical"):
            raise BadQuery(f"no severity '{severity}'; there are warning and critical")
        time, most = self._at(at), _limit(limit, 100)
        present = await self._alerts()
        if window is None and state == "pending":
            return alerts_told.pending(present, self.catalog, severity, most)
        if window is None and state == "firing":
            told = await alerts_told.now(self._record, present, await self.state(time), self.catalog, severity, most)
            return alerts_told.with_silences(told, present, time)
        start, end = span(window or "24h", time)
        source = alerts_told.Source(self.backend, self.catalog, await self.inventory(), self._record, present)
        return await alerts_told.past(source, start, end, state, severity, most)

    async def _alerts(self) -> Present:
        """The record of alerts; empty where there is none, or it is away and samples are not."""
        if self._record is None:
            return NOTHING
        try:
            return await self._record.present()
        except StoreUnavailable as error:
            log.warning("alerts.not_read cause=%s", error.cause)
            return NOTHING

    async def compare(
        self,
        servers: Sequence[str],
        window: str = "1h",
        baseline: str | None = None,
        *,
        at: float | None = None,
    ) -> Reading:
        """Means of the common concepts over `window`, side by side; with `baseline`, each against that time ago."""
        inventory = await self.inventory()
        if not servers or len(servers) > 20:
            raise BadQuery("name 1 to 20 servers to compare")
        ids = [inventory.resolve(name).id for name in servers]
        start, end = span(window, self._at(at))
        return await ranges.compare(self.backend, self.catalog, inventory, ids, start, end, baseline)

    async def find_anomalies(
        self, window: str = "1h", servers: Sequence[str] = (), limit: int = 10, *, at: float | None = None
    ) -> Reading:
        """What departed from its habit within the window, strongest first.

        For up to three named servers `details.normal` says what is normal for each metric at the end of the window.
        """
        inventory = await self.inventory()
        ids = [inventory.resolve(name).id for name in servers] or None
        start, end = span(window, self._at(at))
        kept = {name: one for name in (ids or [])[:DESCRIBED] if (one := await self._baseline(name, end))}

        def described(tracks: Sequence[analysis.Track]) -> dict[str, Any]:
            if ids is None or len(ids) > DESCRIBED:
                return {}
            return {"normal": normal(tracks, kept, self.catalog, start, end)}

        most = _limit(limit, 100)
        return await analysis.anomalies(self.backend, self.catalog, inventory, start, end, ids, most, described)

    async def _baseline(self, server: str, at: float) -> ServerBaseline | None:
        """What was known to be normal; None where nothing is kept, or the database is away and samples are not."""
        try:
            return None if self._baselines is None else await self._baselines.of(server, at)
        except StoreUnavailable as error:
            log.warning("baselines.not_read cause=%s", error.cause)
            return None

    async def forecast_metric(
        self,
        metric: str,
        server: str | None = None,
        horizon: str = "24h",
        threshold: float | None = None,
        *,
        at: float | None = None,
    ) -> Reading:
        """When each series reaches `threshold` (default: full), and its level at the end of the horizon."""
        inventory, time = await self.inventory(), self._at(at)
        ids = [inventory.resolve(server).id] if server else []
        query, concept = self.promql(metric, inventory, ids)
        _, end = span(horizon, 0) if "/" in horizon else (0.0, time + span(horizon, time)[1] - span(horizon, time)[0])
        return await analysis.forecast(self.backend, query, concept, inventory, time, end, threshold)

    async def correlate(
        self, server: str, metric: str, window: str = "6h", limit: int = 10, *, at: float | None = None
    ) -> Reading:
        """What moved together with a server's metric, strongest first, with the lag."""
        inventory = await self.inventory()
        found = inventory.resolve(server)
        query, concept = self.promql(metric, inventory, [found.id])
        start, end = span(window, self._at(at))
        return await analysis.correlate(
            self.backend, self.catalog, inventory, found.id, query, concept, start, end, _limit(limit, 50)
        )

    def concept(self, word: str) -> Concept:
        """The concept of that name or word. Raises UnknownMetric."""
        if (found := self.catalog.concept(word)) is None:
            raise UnknownMetric(word, tuple(closest(word, list(self.catalog.concepts))))
        return found

    def promql(self, metric: str, inventory: Inventory, servers: Sequence[str]) -> tuple[str, Concept | None]:
        """PromQL for a concept, a metric name, or PromQL itself. Raises UnknownMetric, BadQuery."""
        if concept := self.catalog.concept(metric):
            query = expression(concept, inventory, servers or None)
            if query is None:
                who = ", ".join(servers) or "any server"
                raise UnknownMetric(f"{metric} of {who}", ())
            return query, concept
        name = metric.strip()
        if name in inventory.metrics:
            return _selector(name, inventory, servers), None
        if not LOOKS_LIKE_PROMQL.search(name):
            known = [*self.catalog.concepts, *inventory.metrics]
            raise UnknownMetric(name, tuple(closest(name, known)))
        if servers:
            raise BadQuery("servers go with a concept or a metric name; narrow PromQL by its own matchers")
        return name, None

    def _at(self, at: float | None) -> float:
        return self._clock() if at is None else at


def _selector(name: str, inventory: Inventory, servers: Sequence[str]) -> str:
    """A metric by its own name; counters as a rate."""
    matchers = ""
    if servers:
        values = {(label, value) for (label, value), server in inventory.identities.items() if server in servers}
        label = "instance" if any(key == "instance" for key, _ in values) else sorted(values)[0][0]
        matchers = f'{{{label}=~"{any_of(sorted(value for key, value in values if key == label))}"}}'
    counter = name.endswith(("_total", "_count", "_sum", "_bucket"))
    return f"rate({name}{matchers}[5m])" if counter else f"{name}{matchers}"


def _limit(wanted: int, most: int) -> int:
    if not 1 <= wanted <= most:
        raise BadQuery(f"a limit is 1 to {most}; {wanted} was asked for")
    return wanted


def row_dicts(reading: Reading) -> list[dict[str, Any]]:
    """The rows of a reading as dictionaries by column."""
    return [dict(zip(reading.columns, row, strict=True)) for row in reading.rows]
