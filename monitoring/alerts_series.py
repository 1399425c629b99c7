"""What the evaluation writes as samples: `ALERTS` and `ALERTS_FOR_STATE` as Prometheus does, and recorded series."""

from __future__ import annotations

from collections.abc import Iterable

from monitoring.alerts import Alert
from monitoring.model import STALE_NAN, Batch, LabelKey, Labels, Vector, label_key
from monitoring.rules import Rule


class AlertSeries:
    """Remembers what it wrote last, so that what is over gets the stale marker."""

    def __init__(self) -> None:
        self._shown: set[LabelKey] = set()
        self._recorded: dict[str, set[LabelKey]] = {}
        self._at = 0.0

    def batch(self, alerts: Iterable[Alert], now: float) -> Batch | None:
        """The samples of all active alerts at `now`; None where there are none, or later ones are written."""
        if now < self._at:
            return None
        found: list[tuple[Labels, float]] = []
        for alert in alerts:
            if alert.state != "resolved":
                found.append(({**alert.labels, "__name__": "ALERTS", "alertstate": alert.state}, 1.0))
                found.append(({**alert.labels, "__name__": "ALERTS_FOR_STATE"}, alert.active_at))
        self._at = now
        return _batch(now, found, self._shown)

    def recorded(self, rule: Rule, found: Vector, now: float) -> Batch | None:
        """The samples that a recording rule writes."""
        rows: list[tuple[Labels, float]] = [
            ({**labels, **rule.labels, "__name__": rule.name}, value)
            for labels, value in zip(found.labels, found.values, strict=True)
        ]
        return _batch(now, rows, self._recorded.setdefault(rule.name, set()))


def _batch(now: float, found: list[tuple[Labels, float]], shown: set[LabelKey]) -> Batch | None:
    keys = {label_key(labels) for labels, _ in found}
    samples = [*found, *((dict(key), float(STALE_NAN)) for key in sorted(shown - keys))]
    shown.clear()
    shown |= keys
    return Batch.at(now, samples) if samples else None
