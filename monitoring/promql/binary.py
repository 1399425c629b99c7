"""Binary operators: arithmetic, comparison and sets, between scalars and vectors matched by labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from monitoring.errors import BadQuery
from monitoring.model import LabelKey, Labels, label_key
from monitoring.promql.tree import Binary, Matching
from monitoring.promql.values import (
    NAME,
    Bools,
    Floats,
    InstantVector,
    compact,
    merged,
    nothing,
    stacked,
    take,
    vector,
)

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def scalars(op: str, left: Floats, right: Floats) -> Floats:
    """Two scalars; a comparison gives 0 or 1."""
    return ARITHMETIC[op](left, right) if op in ARITHMETIC else COMPARISON[op](left, right).astype(np.float64)


def with_scalar(node: Binary, found: InstantVector, scalar: Floats, scalar_first: bool) -> InstantVector:
    """A vector and a scalar; a comparison without `bool` keeps the vector's own values where it holds."""
    left, right = (scalar[None, :], found.values) if scalar_first else (found.values, scalar[None, :])
    if node.op in ARITHMETIC:
        return vector(found.labels, ARITHMETIC[node.op](left, right), found.present, drop=True)
    holds = COMPARISON[node.op](left, right)
    if node.returns_bool:
        return vector(found.labels, holds.astype(np.float64), found.present, drop=True)
    return InstantVector(found.labels, found.values, found.present & holds, found.drop)


def sets(node: Binary, left: InstantVector, right: InstantVector) -> InstantVector:
    """`and`, `or`, `unless`."""
    key = _signature(node.matching)
    numbers: dict[LabelKey, int] = {}
    left_keys = [numbers.setdefault(key(labels), len(numbers)) for labels in left.labels]
    right_keys = [numbers.setdefault(key(labels), len(numbers)) for labels in right.labels]
    if node.op == "or":
        there = _any_of(left_keys, left.present, len(numbers))
        extra = right.present & ~there[right_keys]
        return merged(
            stacked([left, compact(InstantVector(right.labels, right.values, extra, right.drop))], left.values.shape[1])
        )
    there = _any_of(right_keys, right.present, len(numbers))[left_keys]
    present = left.present & (there if node.op == "and" else ~there)
    return InstantVector(left.labels, left.values, present, left.drop)


def vectors(node: Binary, left: InstantVector, right: InstantVector) -> InstantVector:
    """Arithmetic or comparison of two vectors, series matched by labels. Raises BadQuery for ambiguous matches."""
    matching = node.matching
    left, right = _filled(node, left, right)
    if not left.labels or not right.labels:
        return nothing(left.values.shape[1])
    swapped = matching.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    key = _signature(matching)
    ones: dict[LabelKey, list[int]] = {}
    for k, labels in enumerate(one.labels):
        ones.setdefault(key(labels), []).append(k)
    _check_one(matching, ones, one, many, "left" if swapped else "right")
    pairs = [(m, o) for m, labels in enumerate(many.labels) for o in ones.get(key(labels), ())]
    if not pairs:
        return nothing(left.values.shape[1])
    many_rows, one_rows = np.array(pairs).T
    present = many.present[many_rows] & one.present[one_rows]
    if matching.card == "one-to-one":
        _check_many([key(many.labels[m]) for m in many_rows.tolist()], present)
    made = [_result_labels(many.labels[m], one.labels[o], matching) for m, o in pairs]
    first, second = (one_rows, many_rows) if swapped else (many_rows, one_rows)
    return _computed(node, made, take(left, first), take(right, second), present, many.drop[many_rows])


def _computed(
    node: Binary, labels: list[Labels], left: InstantVector, right: InstantVector, present: Bools, drop: Bools
) -> InstantVector:
    grouping = node.matching.card != "one-to-one"
    if node.op in ARITHMETIC:
        out = vector(labels, ARITHMETIC[node.op](left.values, right.values), present, drop=True)
    else:
        holds = COMPARISON[node.op](left.values, right.values)
        if node.returns_bool:
            out = vector(labels, holds.astype(np.float64), present, drop=True)
        else:
            out = InstantVector(labels, left.values, present & holds, drop)
    try:
        return merged(out)
    except BadQuery:
        if not grouping:
            raise
        raise BadQuery("multiple matches for labels: grouping labels must ensure unique matches") from None


def _signature(matching: Matching) -> Callable[[Labels], LabelKey]:
    if matching.on:
        names = sorted(set(matching.labels))
        return lambda labels: tuple([(name, labels[name]) for name in names if name in labels])
    hidden = {*matching.labels, NAME}
    return lambda labels: tuple([pair for pair in label_key(labels) if pair[0] not in hidden])


def _check_one(
    matching: Matching, ones: dict[LabelKey, list[int]], one: InstantVector, many: InstantVector, side: str
) -> None:
    """On the "one" side no two series may share a match group at a step."""
    many_any = many.present.any(axis=0)
    for group, rows in ones.items():
        if len(rows) < 2:
            continue
        clash = (one.present[rows].sum(axis=0) > 1) & many_any
        if clash.any():
            step = int(np.argmax(clash))
            first, second = [one.labels[k] for k in rows if one.present[k, step]][:2]
            raise BadQuery(
                f"found duplicate series for the match group {show(dict(group))} on the {side} hand-side of the "
                f"operation: [{show(second)}, {show(first)}];many-to-many matching not allowed: matching labels must "
                "be unique on one side"
            )


def _check_many(keys: Sequence[LabelKey], present: Bools) -> None:
    groups: dict[LabelKey, list[int]] = {}
    for k, key in enumerate(keys):
        groups.setdefault(key, []).append(k)
    for rows in groups.values():
        if len(rows) > 1 and (present[rows].sum(axis=0) > 1).any():
            raise BadQuery(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )


def _result_labels(many: Labels, one: Labels, matching: Matching) -> Labels:
    if matching.card == "one-to-one":
        names = matching.labels
        if matching.on:
            return {name: many[name] for name in names if name in many}
        return {name: value for name, value in many.items() if name not in names}
    if not matching.include:
        return many
    labels = dict(many)
    for name in matching.include:
        labels.pop(name, None)
        if one.get(name):
            labels[name] = one[name]
    return labels


def _filled(node: Binary, left: InstantVector, right: InstantVector) -> tuple[InstantVector, InstantVector]:
    """Both sides with the `fill` values where the other side has a match group and this one has none."""
    matching = node.matching
    for_left, for_right = matching.fill_left, matching.fill_right
    if matching.card == "one-to-many":  # Prometheus 3.14 swaps the sides of group_right, but not their fills
        for_left, for_right = for_right, for_left
    filled_left = left if for_left is None else _with_fill(left, right, matching, for_left)
    filled_right = right if for_right is None else _with_fill(right, left, matching, for_right)
    return filled_left, filled_right


def _with_fill(side: InstantVector, other: InstantVector, matching: Matching, value: float) -> InstantVector:
    key = _signature(matching)
    numbers: dict[LabelKey, int] = {}
    others = [numbers.setdefault(key(labels), len(numbers)) for labels in other.labels]
    own = [numbers.setdefault(key(labels), len(numbers)) for labels in side.labels]
    missing = _any_of(others, other.present, len(numbers)) & ~_any_of(own, side.present, len(numbers))
    values = np.where(missing, value, np.nan)
    extra = vector([dict(one) for one in numbers], values, missing, drop=True)
    return stacked([side, compact(extra)], side.values.shape[1])


def _any_of(keys: list[int], present: Bools, groups: int) -> Bools:
    out = np.zeros((groups, present.shape[1]), dtype=bool)
    np.logical_or.at(out, np.array(keys, dtype=np.int64), present)
    return out


def show(labels: Labels) -> str:
    """Labels as Prometheus prints them in messages."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
