"""What expressions evaluate to, step by step, and what a whole query returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.errors import BadQuery
from monitoring.model import Labels, Series, label_key
from monitoring.promql.tree import Kind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NAME = "__name__"
METADATA = frozenset((NAME, "__type__", "__unit__"))
"""Labels that say what the metric is; they go together when an operation makes it another one."""


TIMED_OUT = "query timed out in expression evaluation"
"""Prometheus' own words."""


class Limits(NamedTuple):
    """What one query may cost; beyond it the evaluation raises QueryTooExpensive."""

    points: int = 11_000
    """Steps of a series."""
    samples: int = 50_000_000
    """Samples read, or points computed by one expression."""
    seconds: float = 30.0
    """Wall time."""


@dataclass(frozen=True, slots=True, eq=False)
class InstantVector:
    """Series at every step. Arrays are shared between vectors: never written to after they are made."""

    labels: list[Labels]
    values: Floats
    """[series × steps]"""
    present: Bools
    """[series × steps]; where False the value means nothing"""
    drop: Bools
    """[series]: the metric name goes when the query ends (delayed name removal, as in Prometheus 3)"""


Value = InstantVector | Floats | str
"""A vector, a scalar (float64 [steps]) or a string."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a query returns: one row a series, one column a step.

    `kind` is the PromQL type of the expression ("vector" for a range query's rows too); a scalar is one row without
    labels; "matrix" is the raw samples of a range vector, in `series`.
    """

    kind: Kind
    labels: list[Labels]
    times_ms: Ints
    values: Floats
    present: Bools
    series: list[Series] = field(default_factory=list)
    string: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    samples: int = 0
    """How many were read for it."""


def vector(labels: list[Labels], values: Floats, present: Bools, drop: Bools | bool = False) -> InstantVector:
    """An instant vector; `drop` is one flag for all series or one each."""
    flags = np.full(len(labels), drop) if isinstance(drop, bool) else drop
    return InstantVector(labels, values, present, flags)


def nothing(steps: int) -> InstantVector:
    """The empty vector."""
    return vector([], np.zeros((0, steps)), np.zeros((0, steps), dtype=bool))


def take(found: InstantVector, rows: Ints | Bools) -> InstantVector:
    """Some of the series, in the order of `rows` (positions or a mask)."""
    places = np.flatnonzero(rows) if rows.dtype == bool else rows
    labels = [found.labels[k] for k in places.tolist()]
    return InstantVector(labels, found.values[places], found.present[places], found.drop[places])


def alive_rows(present: Bools) -> Bools:
    """[series]: which have a value at any step."""
    return np.asarray(present.any(axis=1))


def compact(found: InstantVector) -> InstantVector:
    """The same without series that have no value at any step."""
    alive = alive_rows(found.present)
    return found if alive.all() else take(found, alive)


def without_name(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if name not in METADATA}


def stacked(parts: Sequence[InstantVector], steps: int) -> InstantVector:
    """The series of several vectors, one after another."""
    if not parts:
        return nothing(steps)
    return InstantVector(
        [labels for part in parts for labels in part.labels],
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.present for part in parts]),
        np.concatenate([part.drop for part in parts]),
    )


def named_off(found: InstantVector) -> InstantVector:
    """The vector as the query ends: names that were marked are gone. Raises BadQuery where two series then collide."""
    if not found.drop.any():
        return found
    labels = [without_name(one) if gone else one for one, gone in zip(found.labels, found.drop.tolist(), strict=True)]
    return merged(vector(labels, found.values, found.present))


def merged(found: InstantVector) -> InstantVector:
    """Series with equal labels become one; raises BadQuery where both have a value at one step."""
    rows: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for k, labels in enumerate(found.labels):
        rows.setdefault(label_key(labels), []).append(k)
    if len(rows) == len(found.labels):
        return found
    values, present = found.values.copy(), found.present.copy()
    for first, *others in rows.values():
        for other in others:
            if (present[first] & found.present[other]).any():
                raise BadQuery("vector cannot contain metrics with the same labelset")
            values[first] = np.where(found.present[other], found.values[other], values[first])
            present[first] |= found.present[other]
    keep = np.array([places[0] for places in rows.values()])
    return take(InstantVector(found.labels, values, present, found.drop), keep)
