"""Who is told when: groups of alerts, each told once for each change."""

from __future__ import annotations

from typing import Any

from monitoring.alerts import Alert
from monitoring.notify_groups import Grouping, Groups

NOBODY: frozenset[str] = frozenset()


def test_a_flapping_alert_is_told_once_and_again_when_it_has_settled() -> None:
    groups = Groups(Grouping(wait_s=0.0, interval_s=60.0))
    said = [told(groups, [alert("a")], 0.0)]
    for minute in range(1, 10):
        state = "firing" if minute % 2 else "resolved"
        said.append(told(groups, [alert("a", state=state, flapping=True)], 60.0 * minute))
    said.append(told(groups, [alert("a", state="resolved")], 600.0))
    assert [one for one in said if one] == [
        [("firing", ["a"], [])],
        [("firing", ["a"], [])],
        [("resolved", [], ["a"])],
    ]


def test_alerts_are_grouped_by_the_labels_that_are_asked_for() -> None:
    def sizes(by: tuple[str, ...]) -> list[int]:
        alerts = [alert("a", "web-1"), alert("b", "web-1"), alert("c", "web-2")]
        due = Groups(Grouping(by, wait_s=0.0)).due(alerts, NOBODY, 1.0)
        return [len(one.firing) for one in due]

    assert sizes(("server",)) == [2, 1]
    assert sizes(("alertname",)) == [1, 1, 1]
    assert sizes(("...",)) == [1, 1, 1]
    assert sizes(()) == [3]


def test_changes_wait_for_the_interval_and_come_together() -> None:
    groups = Groups(Grouping(wait_s=30.0, interval_s=300.0))
    assert told(groups, [alert("a")], 10.0) == []
    assert told(groups, [alert("a"), alert("b")], 30.0) == [("firing", ["a", "b"], [])]
    assert told(groups, [alert("a"), alert("b"), alert("c")], 200.0) == []
    later = [alert("a"), alert("b", state="resolved"), alert("c")]
    assert told(groups, later, 330.0) == [("firing", ["a", "c"], ["b"])]


def test_what_was_told_before_a_restart_is_not_told_again_and_its_end_is() -> None:
    before = Groups(Grouping(wait_s=0.0))
    assert told(before, [alert("a")], 0.0)
    after = Groups(Grouping(wait_s=0.0), before.to_json())
    assert told(after, [alert("a")], 400.0) == []
    assert told(after, [alert("a", state="resolved")], 500.0) == [("resolved", [], ["a"])]
    assert after.to_json() == {}


def told(groups: Groups, alerts: list[Alert], now: float) -> list[tuple[str, list[str], list[str]]]:
    """(status, names that fire, names that are over) of each message."""
    return [
        (one.status, [a.name for a in one.firing], [a.name for a in one.resolved])
        for one in groups.due(alerts, NOBODY, now)
    ]


def alert(name: str, server: str = "web-1", *, state: Any = "firing", flapping: bool = False) -> Alert:
    labels = {"alertname": name, "server": server}
    return Alert(name, name, "g", labels, {}, state, 1.0, 0.0, fired_at=0.0, server=server, flapping=flapping)
