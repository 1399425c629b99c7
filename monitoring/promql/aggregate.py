"""Aggregations: series grouped by labels once, then every group and step in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from monitoring.errors import BadQuery
from monitoring.model import LabelKey, Labels, label_key
from monitoring.promql.format import plain
from monitoring.promql.quantiles import sorted_quantile
from monitoring.promql.sums import add_up, group_sums
from monitoring.promql.values import METADATA, Bools, Floats, InstantVector, Ints, nothing, take, vector


class Groups(NamedTuple):
    """Series sorted by group: group `g` is rows `starts[g]` up to the next start of `sorted`."""

    labels: list[Labels]
    sorted: InstantVector
    starts: Ints
    sizes: Ints
    order: Ints
    """Row of each sorted series in the vector as it came."""


def aggregate(
    op: str, found: InstantVector, param: Floats | str | None, by: bool, names: Sequence[str]
) -> InstantVector:
    """The aggregation `op` of `found`; `param` is k, φ, the ratio ([steps]) or the label of `count_values`."""
    steps = found.values.shape[1]
    if not found.labels:
        return nothing(steps)
    groups = _grouped(found, by, names)
    if op in _SIMPLE:
        values = _SIMPLE[op](groups)
        present = np.logical_or.reduceat(groups.sorted.present, groups.starts, axis=0)
        return vector(groups.labels, values, present, _drops(groups))
    if isinstance(param, str):
        return _count_values(groups, param)
    if param is None:
        raise BadQuery(f"aggregation '{op}' needs a parameter")
    if op == "quantile":
        return _quantile(groups, param)
    if op in ("topk", "bottomk", "limitk"):
        return _chosen(op, found, groups, param)
    raise BadQuery(f"aggregation '{op}' is not supported")


def _grouped(found: InstantVector, by: bool, names: Sequence[str]) -> Groups:
    key = _key(by, names)
    numbers: dict[LabelKey, int] = {}
    group = np.array([numbers.setdefault(key(labels), len(numbers)) for labels in found.labels])
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    return Groups([dict(one) for one in numbers], take(found, order), np.cumsum(sizes) - sizes, sizes, order)


def _key(by: bool, names: Sequence[str]) -> Callable[[Labels], LabelKey]:
    if by:
        wanted = sorted(set(names))
        return lambda labels: tuple([(name, labels[name]) for name in wanted if name in labels])
    hidden = METADATA.union(names)
    return lambda labels: tuple([pair for pair in label_key(labels) if pair[0] not in hidden])


def _drops(groups: Groups) -> Bools:
    """A group's name goes when that of any member does."""
    return np.logical_or.reduceat(groups.sorted.drop, groups.starts)


def _sum(groups: Groups) -> Floats:
    return group_sums(groups.sorted.values, groups.sorted.present, groups.starts)


def _count(groups: Groups) -> Floats:
    return np.add.reduceat(groups.sorted.present, groups.starts, axis=0, dtype=np.float64)


def _avg(groups: Groups) -> Floats:
    """The mean; where the sum overflows, of values scaled down first."""
    sums, counts = _sum(groups), np.maximum(_count(groups), 1)
    means = sums / counts
    for g in np.flatnonzero(np.isinf(sums).any(axis=1)).tolist():
        rows = slice(groups.starts[g], groups.starts[g] + groups.sizes[g])
        filled = np.where(groups.sorted.present[rows], groups.sorted.values[rows], 0.0)
        means[g] = np.where(np.isinf(sums[g]), add_up(filled / counts[g]), means[g])
    return means


def _extreme(pick: np.ufunc) -> Callable[[Groups], Floats]:
    def compute(groups: Groups) -> Floats:
        filled = np.where(groups.sorted.present, groups.sorted.values, np.nan)
        out: Floats = pick.reduceat(filled, groups.starts, axis=0)
        return out

    return compute


def _variance(groups: Groups) -> Floats:
    means = np.repeat(_avg(groups), groups.sizes, axis=0)
    apart = np.where(groups.sorted.present, groups.sorted.values - means, 0.0)
    return np.add.reduceat(apart * apart, groups.starts, axis=0) / np.maximum(_count(groups), 1)


_SIMPLE: dict[str, Callable[[Groups], Floats]] = {
    "sum": _sum,
    "avg": _avg,
    "count": _count,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "group": lambda groups: np.ones((len(groups.labels), groups.sorted.values.shape[1])),
    "stdvar": _variance,
    "stddev": lambda groups: np.sqrt(_variance(groups)),
}


def _quantile(groups: Groups, wanted: Floats) -> InstantVector:
    steps = groups.sorted.values.shape[1]
    out = np.zeros((len(groups.labels), steps))
    present = np.zeros(out.shape, dtype=bool)
    filled = np.where(groups.sorted.present, groups.sorted.values, np.inf)
    for g, (start, size) in enumerate(zip(groups.starts.tolist(), groups.sizes.tolist(), strict=True)):
        counts = groups.sorted.present[start : start + size].sum(axis=0)
        present[g] = counts > 0
        out[g] = sorted_quantile(filled[start : start + size].T, np.maximum(counts, 1), wanted)
    return vector(groups.labels, out, present, _drops(groups))


def _count_values(groups: Groups, label: str) -> InstantVector:
    """One series for every value that a group takes, labelled with the value."""
    if not label:
        raise BadQuery('invalid label name "" in count_values')
    labels: list[Labels] = []
    rows: list[Floats] = []
    for g, (start, size) in enumerate(zip(groups.starts.tolist(), groups.sizes.tolist(), strict=True)):
        here, there = groups.sorted.values[start : start + size], groups.sorted.present[start : start + size]
        for value in np.unique(here[there]).tolist():
            same = np.isnan(here) if np.isnan(value) else here == value
            labels.append({**groups.labels[g], label: plain(value)})
            rows.append((same & there).sum(axis=0).astype(np.float64))
    if not rows:
        return nothing(groups.sorted.values.shape[1])
    counts = np.array(rows)
    return vector(labels, counts, counts > 0)


def _chosen(op: str, found: InstantVector, groups: Groups, param: Floats) -> InstantVector:
    """`topk`, `bottomk` and `limitk`: the series themselves, at the steps at which they are among the k.

    Ties go to the series that came first. For one step the rows come back in order of rank.
    """
    if not np.isfinite(param).all():
        raise BadQuery("Parameter value is NaN" if np.isnan(param).any() else "Scalar value overflows int64")
    most = np.clip(param, 0, len(found.labels)).astype(np.int64)
    chosen = np.zeros(found.present.shape, dtype=bool)
    ranks = np.zeros(found.present.shape, dtype=np.int64)
    ordering = _ordering(op, groups.sorted)
    for start, size in zip(groups.starts.tolist(), groups.sizes.tolist(), strict=True):
        rows = slice(start, start + size)
        order = np.lexsort((ordering[rows], ~groups.sorted.present[rows]), axis=0)
        rank = np.argsort(order, axis=0)
        places = groups.order[rows]
        chosen[places] = groups.sorted.present[rows] & (rank < most)
        ranks[places] = rank + start
    kept = InstantVector(found.labels, found.values, chosen, found.drop)
    if len(param) == 1:
        return take(kept, np.argsort(ranks[:, 0], kind="stable")[: len(found.labels)])
    return kept


def _ordering(op: str, found: InstantVector) -> Floats:
    """Small comes first. NaN sorts last for both, as Prometheus has it."""
    if op == "limitk":
        return np.zeros(found.values.shape)
    values = -found.values if op == "topk" else found.values
    return np.where(np.isnan(values), np.nan, values)
