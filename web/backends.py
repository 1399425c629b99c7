"""Where figures are read: our own store, or the server of `--prometheus`. Everything else asks what stands here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, NamedTuple

from monitoring import catalog as catalogue
from monitoring.backends import Backend, LocalBackend
from monitoring.catalog import Catalog
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive
from monitoring.listing import Families, LocalSeries, SeriesSource
from monitoring.promql import LongRange
from monitoring.remote import RemoteBackend, RemoteSeries
from monitoring.remote_address import in_clear, place
from monitoring.remote_http import PrometheusClient
from monitoring.remote_inventory import KnownSeries
from monitoring.remote_memory import RememberedSamples
from monitoring.store.board import BoardStore
from monitoring.store.redis import SampleStore
from web.settings import Settings

log = logging.getLogger(__name__)
LONG_RANGE_MS = 2 * 86_400_000
"""Spans beyond this are read from samples rolled up by five minutes, where those give the same figures."""
REFRESH_S = 10.0
"""A remote server does not say when samples come: the fleet is read this often."""
HEARD_S = 15.0
"""A server that answered within this time is not asked again whether it is there."""


class Sources(NamedTuple):
    """What the application reads from."""

    backend: Backend
    memory: Backend
    """What this process remembers."""
    listing: SeriesSource
    newest: Callable[[], float | None]
    """The time of the newest sample in memory (Unix seconds)."""
    changed: Callable[[], Hashable]
    """Differs when there may be something new to show."""
    remote: Remote | None = None
    """None where our own store is read."""


class Remote:
    """The server of `--prometheus`: how it is, and what its API tells beside values."""

    def __init__(self, settings: Settings, catalog: Catalog, clock: Callable[[], float]) -> None:
        """Raises BadSetting."""
        assert settings.prometheus is not None
        where = place(
            settings.prometheus,
            user=settings.prometheus_user,
            password_file=settings.prometheus_password_file,
            token_file=settings.prometheus_token_file,
            ca=settings.prometheus_ca,
            cert=settings.prometheus_cert,
            key=settings.prometheus_key,
            tenant=settings.prometheus_tenant,
        )
        if in_clear(where):
            log.warning("prometheus.credentials_in_clear url=%s hint=use https", where.url)
        self.url = where.url
        self.client = PrometheusClient(where, settings.prometheus_timeout)
        self.known = KnownSeries(self.client, catalog, clock)
        self.samples = RememberedSamples(self.client, self.known, catalog, clock)
        self.series = RemoteSeries(self.client)
        self.backend = RemoteBackend(self.client, self.known)

    async def run(self) -> None:
        """Keeps the inventory and the memory up to date, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.known.run(), name="remote-series")
            tasks.create_task(self.samples.run(), name="remote-memory")

    async def status(self) -> dict[str, Any]:
        """Where it is and how: `status` is "connected" or the cause. Asked for where nothing was heard lately."""
        if not self.client.heard_within(HEARD_S):
            try:
                await self.client.post("query", (("query", "vector(1)"),))
            except (BackendUnavailable, BadQuery, QueryTooExpensive) as error:
                log.info("prometheus.probe_failed error=%s", error)
        last = self.client.last_error
        return {
            "url": self.url,
            "status": last.cause if last else "connected",
            "error": str(last) if last else None,
        }

    async def product(self) -> str:
        """Which product it is, with its version, as far as it says. Raises BackendUnavailable."""
        reply = await self.client.get("status/buildinfo")
        facts = reply.data if isinstance(reply.data, dict) else {}
        version = facts.get("version")
        kind = facts.get("application") or ("Prometheus" if version else "Prometheus-compatible")
        return f"{kind} {version or '(says no version)'}"

    def refusal(self) -> str:
        """Why samples are not taken in, and what to do."""
        return (
            f"samples are not taken in here: with --prometheus everything is read from {self.url}; "
            "send them there, or start without --prometheus"
        )


def open_sources(
    settings: Settings,
    store: SampleStore,
    boards: BoardStore,
    families: Callable[[], Awaitable[Families]],
    clock: Callable[[], float],
    stack: AsyncExitStack,
) -> Sources:
    """What is read from, as the settings say; closed by `stack`. A remote's `run` is still to be started.

    `families` gives what is known about metrics of our own store. Raises BadSetting.
    """
    if settings.prometheus is not None:
        return _remote(Remote(settings, catalogue.load(), clock), clock, stack)
    return Sources(
        LocalBackend(store, long_range=partial(_long_range, settings, clock)),
        LocalBackend(store, memory=True),
        LocalSeries(store, families),
        _newest(store),
        _stamp(store, boards),
    )


def _remote(there: Remote, clock: Callable[[], float], stack: AsyncExitStack) -> Sources:
    stack.push_async_callback(there.client.close)

    def changed() -> Hashable:
        return there.known.version, int(clock() / REFRESH_S), there.client.last_error is None

    memory = LocalBackend(there.samples, memory=True)
    return Sources(there.backend, memory, there.series, there.samples.newest, changed, there)


def _long_range(settings: Settings, clock: Callable[[], float]) -> LongRange:
    return LongRange(LONG_RANGE_MS, round((clock() - settings.retention_s) * 1000))


def _stamp(store: SampleStore, boards: BoardStore) -> Callable[[], Hashable]:
    """Changes when samples or series came by any process, and when the store goes away or comes back."""
    return lambda: (store.catalog_version, store.newest_ms(), boards.writes, store.connection.connected_since is None)


def _newest(store: SampleStore) -> Callable[[], float | None]:
    def newest() -> float | None:
        found = store.newest_ms()
        return None if found is None else found / 1000

    return newest
