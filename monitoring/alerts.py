"""What an alert is, and how the rows of its rule move it: inactive → pending → firing → resolved. Nothing is read here.

Times are Unix seconds. A transition that is worth remembering comes out as an `Event`, once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

from monitoring.errors import BadQuery
from monitoring.model import Labels
from monitoring.rules import Rule
from monitoring.rules_template import Template

State = Literal["pending", "firing", "resolved"]
Happening = Literal[
    "firing",
    "resolved",
    "acknowledged",
    "silence_created",
    "silenced",
    "unsilenced",
    "silence_ended",
    "flapping",
    "steady",
]
KINDS: tuple[str, ...] = get_args(Happening)
"""In the order in which they are told where they happen at once."""
KEPT_S = 1800.0
"""How long a resolved alert stays in the present record, for those who are still to be told."""


class Row(NamedTuple):
    """One row of a rule's result: the labels of the alert as the rule makes them, and whom it concerns."""

    labels: dict[str, str]
    value: float
    server: str | None
    part: str | None


class Flap(NamedTuple):
    """An alert that began or ended more than `changes` times within `window_s` is flapping."""

    changes: int = 6
    window_s: float = 1800.0


@dataclass(slots=True)
class Alert:
    """One thing that one rule found, for as long as it is known."""

    fingerprint: str
    rule: str
    group: str
    labels: dict[str, str]
    annotations: dict[str, str]
    state: State
    value: float
    active_at: float
    """Since when the condition holds."""
    fired_at: float | None = None
    resolved_at: float | None = None
    ended_at: float | None = None
    """When the condition ended of an alert that is kept firing."""
    peak: float | None = None
    """The largest value while it fired."""
    server: str | None = None
    part: str | None = None
    concept: str | None = None
    changes: list[float] = field(default_factory=list)
    """When it began or ended lately."""
    flapping: bool = False
    silenced_by: list[str] = field(default_factory=list)
    inhibited_by: str | None = None
    """The fingerprint of the alert that explains this one."""

    @property
    def name(self) -> str:
        """As the rule is called."""
        return self.labels["alertname"]

    @property
    def severity(self) -> str | None:
        """As its label says."""
        return self.labels.get("severity")


class Event(NamedTuple):
    """One line of the history. `id` is the same however often it is written."""

    id: str
    time: float
    kind: str
    """A `Happening`."""
    fingerprint: str
    name: str
    server: str | None
    severity: str | None
    body: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it and listeners get it."""
        return self._asdict()


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hexadecimal digits that name an alert by its labels.

    >>> fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    True
    """
    text = "\x00".join(f"{name}\x01{value}" for name, value in sorted(labels.items()))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def row(rule: Rule, found: Labels, value: float, server: str | None, part: str | None) -> Row:
    """The alert's labels: those of the row and of the rule; a threshold's alert names server and part instead."""
    if rule.concept is not None:
        labels = {"server": server or "", **({"part": part} if part else {})}
    else:
        labels = {name: text for name, text in found.items() if name != "__name__"}
    labels |= {name: _template(text).fill(found, value) for name, text in rule.labels.items()}
    labels["alertname"] = rule.name
    return Row({name: text for name, text in labels.items() if text}, value, server, part)


class Book:
    """The alerts that are known. `step` takes what a rule found at one time and returns what happened by it."""

    def __init__(self, alerts: Iterable[Alert] = (), flap: Flap | None = None) -> None:
        self.alerts: dict[str, Alert] = {alert.fingerprint: alert for alert in alerts}
        self._flap = flap or Flap()

    def unknown(self, rows: Iterable[Row]) -> list[Row]:
        """Rows whose alert is not active yet."""
        return [one for one in rows if not self._active(fingerprint(one.labels))]

    def step(self, rule: Rule, group: str, rows: Sequence[Row], since: Mapping[str, float], now: float) -> list[Event]:
        """Moves the alerts of one rule. `since` dates those that began before `now`, by fingerprint."""
        events: list[Event] = []
        seen = set()
        for one in rows:
            key = fingerprint(one.labels)
            if key in seen:
                raise BadQuery(f"rule '{rule.name}': two rows make the same labels {one.labels}; keep another label")
            seen.add(key)
            alert = self.alerts.get(key)
            if alert is None or alert.state == "resolved":
                alert = self.alerts[key] = self._begun(key, rule, group, one, min(since.get(key, now), now), alert)
            alert.ended_at, alert.value, alert.annotations = None, one.value, noted(rule, one)
            begins = alert.state == "pending" and now - alert.active_at >= rule.for_s
            if begins:
                alert.state, alert.fired_at = "firing", alert.active_at + rule.for_s if key in since else now
            if alert.state == "firing":
                alert.peak = one.value if alert.peak is None else max(alert.peak, one.value)
            if begins:
                events += self._changed(alert, "firing", now)
        for alert in [a for a in self.alerts.values() if (a.group, a.rule) == (group, rule.name)]:
            if alert.fingerprint not in seen:
                events += self._ended(alert, rule.keep_s, now)
        return events

    def drop_rules(self, known: set[tuple[str, str]], now: float) -> list[Event]:
        """Resolves the alerts of rules, as (group, name), that are there no more."""
        gone = [alert for alert in self.alerts.values() if (alert.group, alert.rule) not in known]
        return [event for alert in gone for event in self._ended(alert, 0.0, now)]

    def settle(self, now: float) -> list[Event]:
        """Forgets what was resolved long ago, and ends the flapping of what has been quiet for the window."""
        events = []
        for alert in list(self.alerts.values()):
            alert.changes = [time for time in alert.changes if time > now - self._flap.window_s]
            if alert.flapping and len(alert.changes) <= self._flap.changes // 2:
                alert.flapping = False
                events.append(event(alert, "steady", now))
            if alert.state == "resolved" and now - (alert.resolved_at or 0) > KEPT_S and not alert.changes:
                del self.alerts[alert.fingerprint]
        return events

    def _begun(self, key: str, rule: Rule, group: str, one: Row, since: float, before: Alert | None) -> Alert:
        return Alert(
            key,
            rule.name,
            group,
            one.labels,
            {},
            "pending",
            one.value,
            since,
            server=one.server,
            part=one.part,
            concept=rule.concept or rule.labels.get("concept"),
            changes=[] if before is None else before.changes,
            flapping=before is not None and before.flapping,
        )

    def _ended(self, alert: Alert, keep_s: float, now: float) -> list[Event]:
        if alert.state == "pending":
            if alert.changes:  # it fired lately: what is known of its flapping stays
                alert.state, alert.resolved_at = "resolved", now
            else:
                del self.alerts[alert.fingerprint]
            return []
        if alert.state == "resolved":
            return []
        if alert.ended_at is None:
            alert.ended_at = now
        if now - alert.ended_at < keep_s:
            return []
        alert.state, alert.resolved_at = "resolved", now
        return self._changed(alert, "resolved", now)

    def _changed(self, alert: Alert, kind: Literal["firing", "resolved"], now: float) -> list[Event]:
        time = (alert.fired_at if kind == "firing" else alert.resolved_at) or now
        events = [event(alert, kind, time)]
        alert.changes = [*(t for t in alert.changes if t > now - self._flap.window_s), now]
        if len(alert.changes) > self._flap.changes and not alert.flapping:
            alert.flapping = True
            events.append(event(alert, "flapping", now))
        return events

    def _active(self, key: str) -> bool:
        alert = self.alerts.get(key)
        return alert is not None and alert.state != "resolved"


_template = lru_cache(2048)(Template)


def noted(rule: Rule, one: Row) -> dict[str, str]:
    """The rule's texts about what it found."""
    return {name: _template(text).fill(one.labels, one.value) for name, text in rule.annotations.items()}


def event(alert: Alert, kind: Happening, time: float, **more: Any) -> Event:
    """One line of the history about an alert."""
    episode = f"{alert.fingerprint}-{round(alert.active_at * 1000)}-{kind}"
    moment = "" if kind in ("firing", "resolved") else f"-{round(time * 1000)}"
    body = {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "value": alert.value,
        "peak": alert.peak,
        "active_at": alert.active_at,
        "fired_at": alert.fired_at,
        "part": alert.part,
        "concept": alert.concept,
        "inhibited_by": alert.inhibited_by,
        **more,
    }
    return Event(f"{episode}{moment}", time, kind, alert.fingerprint, alert.name, alert.server, alert.severity, body)
