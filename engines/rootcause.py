"""What probably caused a symptom: what moved first, moved most and lies furthest upstream. A ranking, not a proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engines.baseline import Floats
from engines.calls import closure
from engines.changepoint import Change

BEFORE_S = 3600.0
"""How long before the symptom a cause may begin"""
AFTER_S = 300.0
"""How long after it: onsets are only known to a few samples"""
NEAR_S = 60.0
"""Onsets that differ by less are taken as simultaneous."""

LARGE = 0.5
"""The part of the largest change from which on one counts as large"""
UNRELATED = 0.3
"""What is left of the score of a server that the symptom's has nothing to do with"""

Edge = tuple[str, str]
"""(dependent, what it depends on), by server"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change of one concept of one server that may have caused the symptom."""

    server: str
    concept: str
    change: Change
    weight: float = 1.0
    """How bad such a change is by nature: above 1 for saturation and outages, below 1 for mere symptoms"""
    load: bool = False
    """True for more work than usual: it comes from callers and goes to callees, as faults go the other way"""


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

    With `edges`, a fault gains by servers that depend on its own and changed too, and loses by one that its own depends
    on; more work gains by what is called and loses by a caller that had more work as well. With `symptom` (a server),
    what neither depends on it nor is depended on counts little.
    """
    pairs = list(edges or ())
    below, above = closure(pairs), closure((callee, caller) for caller, callee in pairs)
    near = [one for one in candidates if -AFTER_S <= symptom_onset - one.change.time <= BEFORE_S]
    if not near:
        return []
    lead = np.array([symptom_onset - one.change.time for one in near])
    size = np.array([np.log1p(abs(one.change.size)) * one.weight for one in near])
    views = [_View(one, near, below, above) for one in near]
    raw = size * _timeliness(lead, size)
    raw *= np.array([(1.0 + view.explains) / (1.0 + view.excuses) for view in views])
    if symptom is not None and (symptom in below or symptom in above):
        related = below.get(symptom, set()) | above.get(symptom, set()) | {symptom}
        raw *= np.array([1.0 if one.server in related else UNRELATED for one in near])
    shares = raw / raw.sum() if raw.sum() > 0 else np.full(len(near), 1 / len(near))
    ranked = sorted(range(len(near)), key=lambda k: (-shares[k], -lead[k], near[k].server, near[k].concept))
    return [
        Cause(
            near[k].server,
            near[k].concept,
            float(shares[k]),
            float(lead[k]),
            _reason(
                lead[k] >= lead.max() - NEAR_S, size[k] == size.max(), views[k].explains > 0 and views[k].excuses == 0
            ),
        )
        for k in ranked
    ]


class _View:
    """One candidate among the others: how many servers it explains, and how many excuse it."""

    def __init__(
        self, one: Candidate, near: Sequence[Candidate], below: dict[str, set[str]], above: dict[str, set[str]]
    ) -> None:
        callers, callees = above.get(one.server, set()), below.get(one.server, set())
        by_then = one.change.time + AFTER_S
        moved = {other.server for other in near} - {one.server}
        busier = {other.server for other in near if other.load and other.change.time <= by_then} - {one.server}
        faulty = {other.server for other in near if not other.load and other.change.time <= by_then} - {one.server}
        self.explains = len((callees if one.load else callers) & moved)
        own_load = any(other.load and other.server == one.server for other in near) and not one.load
        self.excuses = len(callers & busier) + (0 if one.load else len(callees & faulty - busier) + own_load)


def _timeliness(lead: Floats, size: Floats) -> Floats:
    """1 for the first of the large movers, half for what began five minutes later, a quarter of that for what follows
    the symptom; what is small and came long before the large ones is likely no part of it."""
    first = float(np.max(lead[size >= LARGE * size.max()]))
    behind, ahead = np.maximum(first - lead - NEAR_S, 0.0), np.maximum(lead - first - NEAR_S, 0.0)
    return np.asarray(
        1 / (1 + behind / 300.0) / (1 + ahead / 300.0) * np.where(lead < -NEAR_S, 0.25, 1.0), dtype=np.float64
    )


def _reason(first: bool, largest: bool, upstream: bool) -> str:
    return ", ".join(word for word, holds in (("first", first), ("largest", largest), ("upstream", upstream)) if holds)
