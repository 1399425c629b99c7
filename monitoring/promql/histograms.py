"""Quantiles and fractions of classic histograms: series of cumulative buckets that differ in the label `le`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from monitoring.model import LabelKey, Labels, label_key
from monitoring.promql.format import parse_number
from monitoring.promql.values import Bools, Floats, InstantVector, nothing, vector

SMALL_DELTA = 1e-12
"""Relative difference between neighbouring buckets that counts as rounding noise (Prometheus' own figure)."""

Compute = Callable[[Floats, Floats], Floats]
"""From upper bounds [buckets] and cumulative counts [buckets × columns] to one value a column."""


class Histogram(NamedTuple):
    labels: Labels
    rows: list[int]
    """Rows of its buckets in the vector, by upper bound."""
    bounds: tuple[float, ...]


class Noted(NamedTuple):
    """A vector, and what the reader should be told about it."""

    found: InstantVector
    infos: list[str]
    warnings: list[str]


def bucket_quantiles(found: InstantVector, wanted: Floats) -> Noted:
    """`histogram_quantile`: `wanted` is φ, [steps]."""
    infos: list[str] = []

    def compute(bounds: Floats, counts: Floats, phi: Floats) -> Floats:
        return _quantile(bounds, counts, phi, infos)

    return _each(found, wanted, compute, infos)


def bucket_fractions(found: InstantVector, lower: Floats, upper: Floats) -> Noted:
    """`histogram_fraction`: the share of observations between `lower` and `upper`, both [steps]."""
    low = _each(found, lower, _rank, [])
    high = _each(found, upper, _rank, [])
    share = np.where((lower >= upper) & ~np.isnan(low.found.values), 0.0, high.found.values - low.found.values)
    return Noted(vector(low.found.labels, share, low.found.present, low.found.drop), [], low.warnings)


def _each(
    found: InstantVector, param: Floats, compute: Callable[[Floats, Floats, Floats], Floats], infos: list[str]
) -> Noted:
    """One row per histogram. Histograms of one layout, all buckets there, are computed together."""
    steps = found.values.shape[1]
    groups, warnings = _histograms(found)
    if not groups:
        return Noted(nothing(steps), infos, warnings)
    values = np.zeros((len(groups), steps))
    present = np.zeros((len(groups), steps), dtype=bool)
    layouts: dict[tuple[float, ...], list[int]] = {}
    for k, group in enumerate(groups):
        layouts.setdefault(group.bounds, []).append(k)
    for bounds, members in layouts.items():
        rows = np.array([groups[k].rows for k in members])
        counts, there = found.values[rows], found.present[rows]
        phi = np.broadcast_to(param, (len(members), steps))
        values[members], present[members] = _by_presence(np.array(bounds), counts, there, phi, compute)
    return Noted(vector([group.labels for group in groups], values, present, drop=True), infos, warnings)


def _histograms(found: InstantVector) -> tuple[list[Histogram], list[str]]:
    """Series grouped by all labels but `le`; those without a number there are left out, with a warning."""
    rows: dict[LabelKey, list[tuple[float, int]]] = {}
    warnings: list[str] = []
    for k, labels in enumerate(found.labels):
        bound = parse_number(labels.get("le", ""))
        if bound is None:
            warnings.append(
                f'PromQL warning: bucket label "le" is missing or has a malformed value of "{labels.get("le", "")}"'
            )
            continue
        key = tuple(pair for pair in label_key(labels) if pair[0] != "le")
        rows.setdefault(key, []).append((bound, k))
    groups = []
    for key, buckets in rows.items():
        buckets.sort()
        places = [k for _, k in buckets]
        groups.append(Histogram(dict(key), places, tuple(bound for bound, _ in buckets)))
    return groups, warnings


def _by_presence(
    bounds: Floats, counts: Floats, there: Bools, phi: Floats, compute: Callable[[Floats, Floats, Floats], Floats]
) -> tuple[Floats, Bools]:
    """[members × buckets × steps] to [members × steps]; columns with the same buckets missing go together."""
    columns: Floats = np.moveaxis(counts, 1, 0).reshape(len(bounds), -1)
    mask: Bools = np.moveaxis(there, 1, 0).reshape(len(bounds), -1)
    wanted: Floats = phi.ravel()
    out, present = np.full(len(wanted), np.nan), mask.any(axis=0)
    whole = mask.all(axis=0)
    if whole.any():
        out[whole] = compute(*_coalesced(bounds, columns[:, whole]), wanted[whole])
    partial = np.flatnonzero(present & ~whole)
    if len(partial):
        patterns, which = np.unique(mask[:, partial], axis=1, return_inverse=True)
        for k in range(patterns.shape[1]):
            mine, some = partial[which.ravel() == k], patterns[:, k]
            out[mine] = compute(*_coalesced(bounds[some], columns[np.ix_(some, mine)]), wanted[mine])
    return out.reshape(phi.shape), np.asarray(present).reshape(phi.shape)


def _coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Buckets with equal bounds (`le="1"` and `le="1.0"`) added up."""
    firsts = np.flatnonzero(np.concatenate(([True], np.diff(bounds) != 0)))
    return (bounds, counts) if len(firsts) == len(bounds) else (bounds[firsts], np.add.reduceat(counts, firsts, axis=0))


def _monotonic(counts: Floats) -> tuple[Floats, bool]:
    """Counts that never fall from bucket to bucket, and whether that had to be forced beyond rounding noise."""
    out, forced = counts.copy(), False
    for k in range(1, len(out)):
        before, here = out[k - 1], out[k]
        scale = np.minimum(np.abs(before) + np.abs(here), np.finfo(np.float64).max)
        noise = np.abs(before - here) <= SMALL_DELTA * scale
        fell = (here < before) & ~noise
        forced = forced or bool(fell.any())
        out[k] = np.where(noise | fell, before, here)
    return out, forced


def _quantile(bounds: Floats, counts: Floats, phi: Floats, infos: list[str]) -> Floats:
    """promql/quantile.go, BucketQuantile: linear within the bucket that holds the rank."""
    if len(bounds) < 2 or bounds[-1] != np.inf:
        return _outside(phi, np.full(len(phi), np.nan))
    counts, forced = _monotonic(counts)
    if forced:
        infos.append("PromQL info: input to histogram_quantile needed to be fixed for monotonicity")
    total = counts[-1]
    rank = phi * total
    bucket = np.minimum((counts[:-1] < rank).sum(axis=0), len(bounds) - 1)
    columns = np.arange(len(phi))
    before = np.maximum(bucket - 1, 0)
    low = np.where(bucket > 0, bounds[before], 0.0)
    under = np.where(bucket > 0, counts[before, columns], 0.0)
    inside = low + (bounds[bucket] - low) * ((rank - under) / (counts[bucket, columns] - under))
    value = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], inside)
    value = np.where(bucket == len(bounds) - 1, bounds[-2], value)
    value = np.where((total == 0) | np.isnan(total), np.nan, value)
    return _outside(phi, value)


def _outside(phi: Floats, value: Floats) -> Floats:
    value = np.where(phi < 0, -np.inf, np.where(phi > 1, np.inf, value))
    return np.where(np.isnan(phi), np.nan, value)


def _rank(bounds: Floats, counts: Floats, limit: Floats) -> Floats:
    """The share of observations ≤ `limit`, linear within a bucket (promql/quantile.go, BucketFraction)."""
    if len(bounds) < 2 or bounds[-1] != np.inf:
        return np.full(len(limit), np.nan)
    counts, _ = _monotonic(counts)
    columns = np.arange(len(limit))
    bucket = np.minimum(np.searchsorted(bounds, limit), len(bounds) - 1)
    before = np.maximum(bucket - 1, 0)
    low = np.where(bucket > 0, bounds[before], np.where(bounds[0] > 0, 0.0, -np.inf))
    under = np.where(bucket > 0, counts[before, columns], 0.0)
    width, height = bounds[bucket] - low, counts[bucket, columns] - under
    inside = under + np.where(np.isinf(width), 0.0, height * (limit - low) / width)
    reached = np.where(limit >= bounds[bucket], counts[bucket, columns], np.where(limit <= low, under, inside))
    share = reached / counts[-1]
    return np.where(np.isnan(limit) | (counts[-1] == 0), np.nan, share)
