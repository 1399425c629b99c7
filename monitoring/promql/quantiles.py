"""Quantiles as Prometheus takes them: linear between ranks, NaN sorted first, ±Inf for a φ outside 0 to 1."""

from __future__ import annotations

import numpy as np

from monitoring.promql.values import Floats, Ints


def sorted_quantile(table: Floats, counts: Ints, wanted: Floats) -> Floats:
    """The `wanted` quantile of each row's `counts` values; the rest of a row is +Inf (sorts behind them).

    >>> sorted_quantile(np.array([[3.0, 1.0, np.inf]]), np.array([2]), np.array([0.25]))
    array([1.5])
    """
    unknown = np.isnan(table)
    ordered = np.sort(np.where(unknown, -np.inf, table), axis=1)
    unknowns = unknown.sum(axis=1)
    rank = np.clip(np.nan_to_num(wanted), 0.0, 1.0) * (counts - 1)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, counts - 1)
    weight = rank - below
    rows = np.arange(len(table))
    low = np.where(below < unknowns, np.nan, ordered[rows, below])
    high = np.where(above < unknowns, np.nan, ordered[rows, above])
    between = low * (1 - weight) + high * weight
    out = np.where(wanted < 0, -np.inf, np.where(wanted > 1, np.inf, between))
    return np.where(np.isnan(wanted), np.nan, out)
