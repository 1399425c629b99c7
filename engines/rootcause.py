"""What probably caused a symptom: what moved first, moved most and lies furthest upstream. A ranking, not a proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engines.baseline import Floats
from engines.changepoint import Change

BEFORE_S = 3600.0
"""How long before the symptom a cause may begin"""
AFTER_S = 300.0
"""How long after it: onsets are only known to a few samples"""
NEAR_S = 60.0
"""Onsets that differ by less are taken as simultaneous."""

Edge = tuple[str, str]
"""(dependent, what it depends on), by server"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change of one concept of one server that may have caused the symptom."""

    server: str
    concept: str
    change: Change
    weight: float = 1.0
    """How bad such a change is by nature: above 1 for saturation and errors, below 1 for mere load"""


@dataclass(frozen=True, slots=True)
class Cause:
    """One possible cause: a score of 0–1 among its rivals, and why."""

    server: str
    concept: str
    score: float
    lead_s: float
    """How long before the symptom it began; negative: after it"""
    reason: str
    """What spoke for it: `first`, `largest`, `upstream`, joined by commas; empty for none of them"""


def rank_causes(
    symptom_onset: float,
    candidates: Sequence[Candidate],
    edges: Iterable[Edge] | None = None,
    *,
    symptom: str | None = None,
) -> list[Cause]:
    """The candidates that began around the onset (Unix seconds), most likely first; their scores add up to 1.

    With `edges`, a server whose dependents changed too gains, and one that depends on a changed server loses. With
    `symptom` (a server) as well, only what it depends on, directly or not, and itself are looked at.
    """
    reach = _upstream(edges or ())
    near = [one for one in candidates if -AFTER_S <= symptom_onset - one.change.time <= BEFORE_S]
    if symptom is not None and symptom in reach:
        near = [one for one in near if one.server == symptom or one.server in reach[symptom]]
    if not near:
        return []
    changed = {one.server for one in near}
    lead = np.array([symptom_onset - one.change.time for one in near])
    size = np.array([np.log1p(abs(one.change.size)) * one.weight for one in near])
    below = np.array([sum(one.server in reach.get(other, ()) for other in changed - {one.server}) for one in near])
    above = np.array([len(reach.get(one.server, set()) & changed - {one.server}) for one in near])
    raw = size * _earliness(lead) * (1.0 + below) / (1.0 + above)
    shares = raw / raw.sum() if raw.sum() > 0 else np.full(len(near), 1 / len(near))
    ranked = sorted(range(len(near)), key=lambda k: (-shares[k], -lead[k], near[k].server, near[k].concept))
    return [
        Cause(
            near[k].server,
            near[k].concept,
            float(shares[k]),
            float(lead[k]),
            _reason(lead[k] >= lead.max() - NEAR_S, size[k] == size.max(), below[k] > 0 and above[k] == 0),
        )
        for k in ranked
    ]


def _earliness(lead: Floats) -> Floats:
    """1 for the first mover, half for what began five minutes later, a quarter of that for what follows the symptom."""
    behind = np.maximum(lead.max() - lead - NEAR_S, 0.0)
    return np.asarray(1 / (1 + behind / 300.0) * np.where(lead < -NEAR_S, 0.25, 1.0), dtype=np.float64)


def _upstream(edges: Iterable[Edge]) -> dict[str, set[str]]:
    """Everything each server depends on, directly or through others."""
    direct: dict[str, set[str]] = {}
    for dependent, on in edges:
        direct.setdefault(dependent, set()).add(on)
    closed: dict[str, set[str]] = {}
    for server in direct:
        seen: set[str] = set()
        todo = list(direct[server])
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += direct.get(one, ())
        closed[server] = seen - {server}
    return closed


def _reason(first: bool, largest: bool, upstream: bool) -> str:
    return ", ".join(word for word, holds in (("first", first), ("largest", largest), ("upstream", upstream)) if holds)
