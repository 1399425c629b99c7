"""From a round of the rules to the receivers: what is due is queued at once, so that none delays the next round."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from monitoring.alerts import Alert
from monitoring.alerts_record import Present
from monitoring.errors import StoreUnavailable
from monitoring.notify_groups import Grouping, Groups
from monitoring.notify_send import Receiver
from monitoring.notify_shapes import Links, alertmanager, slack, webhook

log = logging.getLogger(__name__)
RESEND_S = 60.0
"""Alertmanager is sent all alerts this often, and takes for over what it has not heard of for `VALID` times that."""
VALID = 4

Recall = Callable[[], Awaitable[Any]]
Keep = Callable[[Any], Awaitable[None]]


class Notifier:
    """Told of every round by the loop that evaluates."""

    def __init__(
        self, receivers: Sequence[Receiver], grouping: Grouping, base: str, recall: Recall, keep: Keep
    ) -> None:
        """`base` is our address for links; `recall` and `keep` read and write what was told already."""
        self.receivers = tuple(receivers)
        self._grouping, self._base, self._recall, self._keep = grouping, base, recall, keep
        self._groups: Groups | None = None
        self._kept: Any = None
        self._sent: dict[str, str] = {}
        """Fingerprint → state, as Alertmanager was told."""
        self._sent_at: float | None = None

    async def run(self) -> None:
        """Delivers until cancelled; what was told is read anew next time."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for receiver in self.receivers:
                    tasks.create_task(receiver.run(), name=receiver.name)
        finally:
            self._groups, self._sent_at = None, None

    async def tell(
        self, alerts: Sequence[Alert], present: Present, queries: dict[tuple[str, str], str], now: float
    ) -> None:
        """Queues what is due by this round."""
        if not self.receivers:
            return
        if self._groups is None:
            self._kept = await self._recall()
            self._groups = Groups(self._grouping, self._kept)
        links = Links(self._base, queries)
        acked = frozenset(alert.fingerprint for alert in alerts if present.ack(alert) is not None)
        for told in self._groups.due(alerts, acked, now):
            for receiver in self.receivers:
                if receiver.place.kind == "webhook":
                    receiver.put(webhook(told, receiver.name, links), now)
                elif receiver.place.kind == "slack":
                    receiver.put(slack(told, links), now)
        self._tell_alertmanagers(alerts, links, now)
        await self._remember()

    def status(self) -> list[dict[str, Any]]:
        """How each receiver is."""
        return [receiver.status() for receiver in self.receivers]

    def _tell_alertmanagers(self, alerts: Sequence[Alert], links: Links, now: float) -> None:
        them = [receiver for receiver in self.receivers if receiver.place.kind == "alertmanager"]
        wanted = [a for a in alerts if a.state == "firing" and not a.silenced_by and a.inhibited_by is None]
        over = [a for a in alerts if a.state == "resolved" and a.resolved_at is not None and a.fired_at is not None]
        states = {alert.fingerprint: alert.state for alert in (*wanted, *over)}
        due = self._sent_at is None or now - self._sent_at >= RESEND_S
        if not them or not (states if due else states != self._sent):
            return
        body = alertmanager([*wanted, *over], now + VALID * RESEND_S, links)
        for receiver in them:
            receiver.put(body, now, latest_only=True)
        self._sent, self._sent_at = dict(states), now

    async def _remember(self) -> None:
        assert self._groups is not None
        body = self._groups.to_json()
        if body != self._kept:
            try:
                await self._keep(body)
                self._kept = body
            except StoreUnavailable as error:
                log.warning("notify.not_kept cause=%s", error.cause)
