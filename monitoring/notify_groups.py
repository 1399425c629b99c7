"""Who is to be told of what, and when: alerts in groups, each group told once for each change, and again after a while.

Nothing is sent here. What was told is plain data, so that a restart does not tell everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from monitoring.alerts import Alert
from monitoring.notify_shapes import Notification

ALL = "..."
"""As a name to group by: every label, so each alert by itself."""


class Grouping(NamedTuple):
    """How alerts are put together (Alertmanager's words), in seconds."""

    by: tuple[str, ...] = ("server",)
    wait_s: float = 30.0
    """How long a new group waits for more of it; what is over by then is not told at all."""
    interval_s: float = 300.0
    """The least time between two messages about changes of a group."""
    repeat_s: float = 14_400.0
    """After this long, what still fires and nobody took note of is told again."""


@dataclass(slots=True)
class Group:
    """What was told of one group. `told` is fingerprint → "firing" or "flapping"."""

    since: float
    sent: float | None = None
    told: dict[str, str] = field(default_factory=dict)


class Groups:
    """Made anew from `to_json` after a restart."""

    def __init__(self, grouping: Grouping, known: Mapping[str, Any] | None = None) -> None:
        self._grouping = grouping
        self._groups = {key: Group(**one) for key, one in (known or {}).items()}

    def to_json(self) -> dict[str, Any]:
        """What was told, for the next process."""
        return {key: asdict(group) for key, group in self._groups.items()}

    def due(self, alerts: Iterable[Alert], acked: frozenset[str], now: float) -> list[Notification]:
        """The messages that are to go out now; they count as told. `acked`: fingerprints that are not repeated."""
        members: dict[str, list[Alert]] = {}
        labels: dict[str, dict[str, str]] = {}
        for alert in alerts:
            named = self._labels(alert)
            key = "{}:{" + ", ".join(f'{name}="{text}"' for name, text in sorted(named.items())) + "}"
            members.setdefault(key, []).append(alert)
            labels[key] = named
        keys = sorted({*members, *self._groups})
        asked = (self._due(key, labels.get(key, {}), members.get(key, []), acked, now) for key in keys)
        return [told for told in asked if told is not None]

    def _labels(self, alert: Alert) -> dict[str, str]:
        if ALL in self._grouping.by:
            return dict(alert.labels)
        known = {"server": alert.server or "", **alert.labels}
        return {name: known.get(name, "") for name in self._grouping.by}

    def _due(
        self, key: str, labels: dict[str, str], alerts: Sequence[Alert], acked: frozenset[str], now: float
    ) -> Notification | None:
        group = self._groups.get(key)
        before = {} if group is None else group.told
        states = {alert.fingerprint: state for alert in alerts if (state := _state(alert, before))}
        if group is None:
            if not states:
                return None
            group = self._groups[key] = Group(min(now, *(_began(a) for a in alerts if a.fingerprint in states)))
            group.since = now if group.since > now else group.since
        if not states and not group.told:
            del self._groups[key]
            return None
        if not self._is_time(group, states, acked, now):
            return None
        resolved = tuple(a for a in alerts if a.fingerprint in group.told and a.fingerprint not in states)
        firing = tuple(a for a in alerts if a.fingerprint in states)
        group.sent, group.told = now, states
        if not states:
            del self._groups[key]
        return Notification(key, labels, firing, resolved) if firing or resolved else None

    def _is_time(self, group: Group, states: Mapping[str, str], acked: frozenset[str], now: float) -> bool:
        if group.sent is None:
            return now - group.since >= self._grouping.wait_s
        if states != group.told:
            return now - group.sent >= self._grouping.interval_s
        return bool(states.keys() - acked) and now - group.sent >= self._grouping.repeat_s


def _state(alert: Alert, before: Mapping[str, str]) -> str | None:
    """What is to be known of an alert outside; None where it need not be, or is over."""
    if alert.state == "pending":
        return before.get(alert.fingerprint) if alert.flapping else None
    if alert.state == "firing" and (alert.silenced_by or alert.inhibited_by is not None):
        return before.get(alert.fingerprint)
    if alert.flapping:
        return "flapping"
    return "firing" if alert.state == "firing" else None


def _began(alert: Alert) -> float:
    return alert.active_at if alert.fired_at is None else alert.fired_at
