"""Which of the departures around a symptom likely caused it: what each concept weighs, and who depends on whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engines.changepoint import Change
from engines.rootcause import Candidate, Cause, Edge, rank_causes
from monitoring.inventory import IDENTITY

DEPENDS = "server_depends_on"
"""The metric by which a server says whom it calls: the label `on` names the other."""
EDGES = f"max by (on, {', '.join(IDENTITY)}) ({DEPENDS}) > 0"
"""Who depends on whom, in PromQL."""
FAULTS = {
    "up": 2.0,
    "network_errors": 2.0,
    "cpu": 1.3,
    "memory": 1.3,
    "disk": 1.3,
    "connections": 1.3,
    "iowait": 1.0,
    "queue": 0.8,
    "errors": 0.4,
}
"""How far a concept is a cause rather than a symptom; latency and the rest weigh `OTHER`."""
LOADS = {"requests": 1.0, "users": 0.8, "transactions": 0.6, "jobs": 0.6, "network_in": 0.5, "network_out": 0.5}
"""Concepts of which more means more work, with the same weights; less of them is a symptom."""
OTHER = 0.15


class Moved(NamedTuple):
    """A concept of a server that left its habit; `since` in Unix seconds, values in the concept's unit."""

    server: str
    concept: str
    since: float
    value: float
    expected: float
    score: float


def likeliest(moved: Sequence[Moved], felt: Sequence[Moved], edges: Sequence[Edge] | None) -> list[Cause]:
    """The causes of what is `felt` among what `moved`, most likely first; none where nothing is felt.

    `edges`: (dependent, what it depends on), where they are known.
    """
    if not felt:
        return []
    servers = {one.server for one in felt}
    symptom = servers.pop() if len(servers) == 1 else None
    return rank_causes(began(felt), [_candidate(one) for one in moved], edges, symptom=symptom)


def began(felt: Sequence[Moved]) -> float:
    """When it began (Unix seconds): the onset of the strongest. Raises ValueError where nothing is felt."""
    return max(felt, key=lambda one: (one.score, -one.since)).since


def _candidate(one: Moved) -> Candidate:
    change = Change(one.since, one.expected, one.value, one.score, "step", None)
    load = one.value > one.expected and one.concept in LOADS
    weight = LOADS[one.concept] if load else FAULTS.get(one.concept, OTHER)
    return Candidate(one.server, one.concept, change, weight, load)
