"""What receivers are sent: Alertmanager's webhook (version 4), Alertmanager's own API, and a text for Slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from monitoring.alerts import Alert
from monitoring.windows import rfc3339

Json = dict[str, Any]
NEVER = "0001-01-01T00:00:00Z"
"""What Alertmanager writes where an alert has not ended."""
MOST_LINES = 20


class Notification(NamedTuple):
    """One message about one group of alerts: those that fire, and those that were told and are over."""

    key: str
    labels: dict[str, str]
    firing: tuple[Alert, ...]
    resolved: tuple[Alert, ...]

    @property
    def status(self) -> str:
        """firing as long as one of them does."""
        return "firing" if self.firing else "resolved"


class Links(NamedTuple):
    """Where a reader can look: our address, and the query of each rule by (group, rule)."""

    base: str
    queries: Mapping[tuple[str, str], str]

    def generator(self, alert: Alert) -> str:
        """The rule's query, to be run again."""
        query = self.queries.get((alert.group, alert.rule), "")
        return f"{self.base}/api/v1/query?query={quote(query, safe='')}"


def webhook(told: Notification, receiver: str, links: Links) -> Json:
    """The body that Alertmanager posts to a webhook."""
    alerts = [*told.firing, *told.resolved]
    return {
        "version": "4",
        "groupKey": told.key,
        "truncatedAlerts": 0,
        "status": told.status,
        "receiver": receiver,
        "groupLabels": told.labels,
        "commonLabels": _common([alert.labels for alert in alerts]),
        "commonAnnotations": _common([alert.annotations for alert in alerts]),
        "externalURL": links.base,
        "alerts": [
            {
                "status": "resolved" if alert in told.resolved else "firing",
                "labels": alert.labels,
                "annotations": _annotations(alert),
                "startsAt": rfc3339(_since(alert)),
                "endsAt": rfc3339(alert.resolved_at or alert.active_at) if alert in told.resolved else NEVER,
                "generatorURL": links.generator(alert),
                "fingerprint": alert.fingerprint,
            }
            for alert in alerts
        ],
    }


def slack(told: Notification, links: Links) -> Json:
    """A text as Slack's incoming webhooks take it, and those who imitate them."""
    head = f"[{told.status.upper()}{f':{len(told.firing)}' if told.firing else ''}]"
    where = ", ".join(value for value in told.labels.values() if value) or "alerts"
    lines = [f"*{head} {_escaped(where)}*"]
    lines += [_line(alert, False) for alert in told.firing]
    lines += [_line(alert, True) for alert in told.resolved]
    if len(lines) > MOST_LINES + 1:
        lines = [*lines[: MOST_LINES + 1], f"… and {len(lines) - MOST_LINES - 1} more"]
    return {"text": "\n".join([*lines, f"<{links.base}|OpenManager>"])}


def alertmanager(alerts: Sequence[Alert], valid_until: float, links: Links) -> list[Json]:
    """The body of `POST /api/v2/alerts`; what is not sent again ends at `valid_until`."""
    return [
        {
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": rfc3339(_since(alert)),
            "endsAt": rfc3339(valid_until if alert.resolved_at is None else alert.resolved_at),
            "generatorURL": links.generator(alert),
        }
        for alert in alerts
    ]


def _line(alert: Alert, over: bool) -> str:
    text = alert.annotations.get("summary") or alert.name
    part = f" {alert.part}" if alert.part else ""
    mark = ":white_check_mark:" if over else ":red_circle:" if alert.severity == "critical" else ":warning:"
    note = " (flapping)" if alert.flapping else " (resolved)" if over else ""
    return f"{mark} {_escaped(alert.server or '')}{_escaped(part)} {alert.name}: {_escaped(text)}{note}"


def _annotations(alert: Alert) -> dict[str, str]:
    return {**alert.annotations, "flapping": "true"} if alert.flapping else alert.annotations


def _since(alert: Alert) -> float:
    return alert.active_at if alert.fired_at is None else alert.fired_at


def _common(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike.

    >>> _common([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
    {'a': '1'}
    """
    first = found[0] if found else {}
    return {name: text for name, text in first.items() if all(one.get(name) == text for one in found)}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
