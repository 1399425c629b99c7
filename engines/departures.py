"""How unlike its past each series is after a moment, and which node of a call graph most likely began it.

The measure is the rank of the present stretch among all past stretches of the same length, which needs no assumption
about the series; how far beyond it lies (a robust z-score with a floor, so that a constant that moves counts, but not
without bound) only breaks ties. Blame then follows the calls: a node whose callees are as odd as itself is a victim,
and one whose callers are odd too explains them (Hardt et al. 2023, PetShop, compare such walks).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from engines.baseline import MAD_TO_SIGMA, Floats
from engines.calls import adjacent, reached

MIN_PAST = 20
FLOOR = 0.05
"""The least scale of a z-score, as a part of the series' 95th percentile"""
SIZE_POWER = 0.35
EXCUSE = 0.3
"""How much of the blame a node loses when something that it calls is as odd as the oddest node"""
EXPLAINS = 1.5
"""How much blame a node gains for each caller that is as odd as the oddest node"""
BEYOND = 0.1
"""What is left of the blame of a node that the symptom's node does not reach by calls"""


def oddness(values: Floats, onset: int, worse: Floats) -> Floats:
    """How odd each series [rows × series] is from row `onset` on: 0 for usual, growing with rank and distance.

    `worse` per series: 1 where more is worse, -1 where less is, 0 where neither (it then never is odd).
    """
    past, width = values[:onset], len(values) - onset
    levels = _stretches(past, width)
    count = np.sum(np.isfinite(levels), axis=0)
    now = _stretches(values[onset:], width)[0]
    usual = _quantile(levels, 0.5)
    scale = MAD_TO_SIGMA * _quantile(np.abs(levels - usual), 0.5)
    least = FLOOR * np.nan_to_num(_quantile(np.abs(past), 0.95)) + 1e-12
    far = worse * (now - usual) / np.fmax(scale, least)
    as_bad = np.sum(worse * levels >= worse * now, axis=0)
    rank = np.log10((1 + count) / (1 + as_bad))
    known = (count >= MIN_PAST) & (far > 0)
    return np.where(known, rank * np.log1p(np.where(known, far, 0.0)) ** SIZE_POWER, 0.0)


def blame(odd: Mapping[str, float], calls: Iterable[tuple[str, str]], symptom: str) -> dict[str, float]:
    """The nodes by blame, most first. `odd` by node (see `oddness`); `calls`: (caller, callee); `symptom`: a node."""
    calls = list(calls)
    callees, callers = adjacent(calls), adjacent((callee, caller) for caller, callee in calls)
    most = max(odd.values(), default=0.0) or 1.0
    share = {node: value / most for node, value in odd.items()}
    near = reached(symptom, callees) | {symptom}
    found = {}
    for node, own in share.items():
        excuse = max((share.get(other, 0.0) for other in reached(node, callees)), default=0.0)
        explained = sum(share.get(other, 0.0) for other in callers.get(node, ()))
        found[node] = own * (1 - EXCUSE * excuse) * (1 + EXPLAINS * explained) * (1.0 if node in near else BEYOND)
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def by_node(columns: Sequence[str], odd: Floats) -> dict[str, float]:
    """The oddest series of each node; `columns` name them "node|metric|…"."""
    found: dict[str, float] = {}
    for column, value in zip(columns, odd, strict=True):
        node = column.split("|", 1)[0]
        found[node] = max(found.get(node, 0.0), float(value))
    return found


def _stretches(past: Floats, width: int) -> Floats:
    """The mean of every stretch of `width` rows; NaN for those without a value."""
    known = np.isfinite(past)
    total, count = (_running(part, width) for part in (np.where(known, past, 0.0), known.astype(np.float64)))
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _running(values: Floats, width: int) -> Floats:
    summed = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray(summed[width:] - summed[:-width], dtype=np.float64)


def _quantile(values: Floats, q: float) -> Floats:
    """The quantile of each column without its NaNs (the lower neighbour); NaN for a column without a value."""
    ordered = np.sort(values, axis=0)
    count = np.sum(np.isfinite(values), axis=0)
    row = np.maximum(count - 1, 0) * q
    return np.asarray(ordered[row.astype(np.intp), np.arange(values.shape[1])], dtype=np.float64)
