"""The evaluation of rules as the settings ask for it, and where it leads to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable

from monitoring.alerts import Flap
from monitoring.alerts_loop import AlertLoop, Options
from monitoring.alerts_record import AlertRecord
from monitoring.model import Batch
from monitoring.queries import FleetQueries
from monitoring.rules_files import RuleFiles
from monitoring.store.lease import Lease
from monitoring.store.redis import SampleStore
from web.settings import Settings

log = logging.getLogger(__name__)


def alert_loop(
    settings: Settings,
    store: SampleStore,
    queries: FleetQueries,
    clock: Callable[[], float],
    lease: Lease,
    append: Callable[[Batch], Awaitable[int]] | None = None,
) -> AlertLoop:
    """The loop, not yet running. Without `append` nothing is written as samples."""
    files = RuleFiles(settings.rules)
    files.current()
    options = Options(
        settings.rule_interval,
        settings.default_rules,
        settings.alert_history_s,
        Flap(settings.alert_flap_changes, settings.alert_flap_window_s),
    )

    def stamp() -> Hashable:
        return store.catalog_version, store.newest_ms(), store.samples_appended

    return AlertLoop(
        queries,
        files,
        AlertRecord(store.connection, store.cold),
        clock,
        options,
        fence=lambda: lease.fence,
        append=append,
        stamp=stamp if append is not None else clock,
    )


class LoneLeader:
    """Evaluates in one of the web processes, where nothing is collected (`--prometheus`)."""

    def __init__(
        self, settings: Settings, store: SampleStore, queries: FleetQueries, clock: Callable[[], float]
    ) -> None:
        self._lease = Lease(store.connection, settings.lease_ttl)
        self.loop = alert_loop(settings, store, queries, clock, self._lease)

    async def run(self) -> None:
        """Waits for the lease, evaluates while it is ours. Runs until cancelled."""
        await self._lease.lead(self._term)

    async def _term(self, _fence: int) -> None:
        self._lease.settled.set()
        await self.loop.run()
