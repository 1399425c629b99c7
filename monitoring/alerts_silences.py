"""What keeps an alert quiet: a silence that somebody set, or another alert that explains it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from monitoring.alerts import Alert
from monitoring.errors import BadQuery
from monitoring.model import Matcher
from monitoring.promql.select import compile_matchers
from monitoring.thresholds import GONE
from monitoring.windows import rfc3339

INHIBITS = "inhibits"
"""A label of a rule: `inhibits: server` lets its alerts explain all others of the same server."""
KEPT_S = 86_400.0
"""A silence that is over is shown for so long."""


class Silence(NamedTuple):
    """Alerts whose labels match all matchers are not notified between `start` and `end` (Unix seconds)."""

    id: str
    matchers: tuple[Matcher, ...]
    start: float
    end: float
    author: str
    comment: str
    created: float

    @classmethod
    def made(
        cls, matchers: Sequence[Matcher], start: float, end: float, author: str, comment: str, now: float
    ) -> Silence:
        """A new silence. Raises BadQuery where it could silence nothing, or everything by accident."""
        if end <= start:
            raise BadQuery("the silence ends before it starts")
        if end <= now:
            raise BadQuery(f"the silence would be over already ({rfc3339(end)})")
        if not matchers:
            raise BadQuery('a silence needs a matcher, for example {"name": "server", "value": "web-01"}')
        if all(compile_matchers((one,))({}) for one in matchers):
            raise BadQuery("at least one matcher must not match an empty label, or everything would be silent")
        return cls(uuid.uuid4().hex, tuple(matchers), start, end, author, comment, now)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Silence:
        """As the store kept it."""
        return cls(**{**raw, "matchers": tuple(Matcher(*one) for one in raw["matchers"])})

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {**self._asdict(), "matchers": [list(one) for one in self.matchers]}

    def state(self, now: float) -> str:
        """pending, active or expired."""
        return "pending" if now < self.start else "active" if now < self.end else "expired"

    def shown(self, now: float) -> dict[str, Any]:
        """As the API gives it, in Alertmanager's words."""
        return {
            "id": self.id,
            "status": {"state": self.state(now)},
            "matchers": [matcher_json(one) for one in self.matchers],
            "startsAt": rfc3339(self.start),
            "endsAt": rfc3339(self.end),
            "createdBy": self.author,
            "comment": self.comment,
            "createdAt": rfc3339(self.created),
        }


def matcher_json(one: Matcher) -> dict[str, Any]:
    """A matcher in Alertmanager's words."""
    return {"name": one.name, "value": one.value, "isRegex": "~" in one.op, "isEqual": not one.op.startswith("!")}


def quiet(alerts: Iterable[Alert], silences: Iterable[Silence], now: float) -> list[tuple[Alert, bool]]:
    """Marks which active alerts are silenced or explained; returns those whose silence began (True) or ended."""
    known = [alert for alert in alerts if alert.state != "resolved"]
    active = [(one.id, compile_matchers(one.matchers)) for one in silences if one.state(now) == "active"]
    sources = [alert for alert in known if alert.state == "firing" and _explains(alert)]
    by_server = {alert.server: alert for alert in reversed(sources)}
    changed = []
    for alert in known:
        before = bool(alert.silenced_by)
        alert.silenced_by = [id_ for id_, match in active if match(alert.labels)]
        source = by_server.get(alert.server) if alert.server else None
        alert.inhibited_by = None if source is None or _explains(alert) else source.fingerprint
        if before != bool(alert.silenced_by) and alert.state == "firing":
            changed.append((alert, not before))
    return changed


def _explains(alert: Alert) -> bool:
    """Whether the alert says that its whole server is gone."""
    return alert.concept == GONE or alert.labels.get(INHIBITS) == "server"
