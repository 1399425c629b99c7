"""The evaluation of rules as the settings ask for it, and where it leads to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from functools import partial

from monitoring.alerts import Flap
from monitoring.alerts_loop import AlertLoop, Options
from monitoring.alerts_record import AlertRecord
from monitoring.baselines import BaselineRecord
from monitoring.baselines_loop import BaselineLoop
from monitoring.forecasts_judge import ForecastJudge
from monitoring.model import Batch
from monitoring.notify import Notifier
from monitoring.notify_groups import Grouping
from monitoring.notify_send import Kind, Place, Receiver
from monitoring.queries import FleetQueries
from monitoring.rules_files import RuleFiles
from monitoring.store.lease import Lease
from monitoring.store.redis import SampleStore
from monitoring.windows import seconds
from web.settings import Settings

log = logging.getLogger(__name__)
KIND = "alerts"
"""The kind of JSON value that holds what receivers were told."""


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
        notifier=notifier(settings, store),
        stamp=stamp if append is not None else clock,
    )


def notifier(settings: Settings, store: SampleStore) -> Notifier:
    """The way to the receivers of the settings. Raises BadSetting."""
    named: tuple[tuple[Kind, list[str]], ...] = (
        ("webhook", settings.alert_webhook),
        ("slack", settings.alert_slack),
        ("alertmanager", settings.alertmanager),
    )
    receivers = [
        Receiver(Place.of(kind, text), number, settings.alert_token_file)
        for kind, texts in named
        for number, text in enumerate(texts, 1)
    ]
    waits = (settings.alert_group_wait, settings.alert_group_interval, settings.alert_repeat_interval)
    grouping = Grouping(tuple(settings.alert_group_by), *map(seconds, waits))
    base = (settings.alert_link or f"http://{settings.host}:{settings.port}").rstrip("/")
    return Notifier(
        receivers, grouping, base, partial(store.get_json, KIND, "told"), partial(store.put_json, KIND, "told")
    )


class LoneLeader:
    """Evaluates, and learns what is normal, in one web process, where nothing is collected (`--prometheus`)."""

    def __init__(
        self, settings: Settings, store: SampleStore, queries: FleetQueries, clock: Callable[[], float]
    ) -> None:
        self._lease = Lease(store.connection, settings.lease_ttl)
        self.loop = alert_loop(settings, store, queries, clock, self._lease)
        record = BaselineRecord(store.cold)
        self.baselines = BaselineLoop(queries, record, clock, settings.baseline_interval_s) if settings.detect else None
        self._judge = ForecastJudge(queries, store.cold, clock)

    async def run(self) -> None:
        """Waits for the lease, evaluates while it is ours. Runs until cancelled."""
        await self._lease.lead(self._term)

    async def _term(self, _fence: int) -> None:
        self._lease.settled.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run(), name="rules")
            if self.baselines is not None:
                tasks.create_task(self.baselines.run(), name="baselines")
            tasks.create_task(self._judge.run(), name="forecast-judge")
