"""Replies of `/api/v1/query` and `query_range` as the values that our own evaluator gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.errors import BackendUnavailable, BadQuery
from monitoring.model import Labels, Series, label_key
from monitoring.promql import Result
from monitoring.remote_http import Reply

HISTOGRAMS = "native histograms of the remote server are left out; query their quantiles or counts there"


def instant(reply: Reply, time_ms: int) -> Result:
    """An instant query's result. Raises BackendUnavailable("garbage") where it has another shape."""
    try:
        return _instant(reply, np.array([time_ms], dtype=np.int64))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _unexpected(error) from None


def ranged(reply: Reply, times_ms: NDArray[np.int64], step_ms: int) -> Result:
    """A range query's result on the steps `times_ms`, as above; NaN where a step has no value."""
    try:
        found, warnings = _floats(reply, "values")
        values = np.full((len(found), len(times_ms)), np.nan)
        present = np.zeros(values.shape, dtype=bool)
        for row, one in enumerate(found):
            at, read = _columns(one["values"])
            places = np.rint((at - times_ms[0]) / step_ms).astype(np.int64)
            inside = (places >= 0) & (places < len(times_ms))
            values[row, places[inside]] = read[inside]
            present[row, places[inside]] = True
        labels: list[Labels] = [one["metric"] for one in found]
        return Result("vector", labels, times_ms, values, present, warnings=warnings, infos=reply.infos)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _unexpected(error) from None


def pairs(reply: Reply) -> list[tuple[Labels, float]]:
    """The labels and values of a vector, as above."""
    found = instant(reply, 0)
    if found.kind != "vector":
        raise _unexpected(TypeError(f"a {found.kind} where a vector was asked for"))
    return list(zip(found.labels, found.values[:, 0].tolist(), strict=True))


def label_sets(reply: Reply) -> list[Labels]:
    """The label sets of `series`, as above; null stands for none."""
    found = reply.data or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _unexpected(TypeError("no list of series"))
    return found


def names(reply: Reply) -> list[str]:
    """The names or values of `labels` and `label/…/values`, as above."""
    found = reply.data or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _unexpected(TypeError("no list of names"))
    return found


def one_value_each(query: str, result: Result) -> Result:
    """The result, where it has one value a series. Raises BadQuery, as our own evaluation does."""
    if result.kind in ("matrix", "string"):
        raise BadQuery(f"'{query}' gives a {result.kind}; an instant vector is needed here")
    return result


def _instant(reply: Reply, times: NDArray[np.int64]) -> Result:
    kind, empty = reply.data["resultType"], np.zeros((0, 1))
    if kind == "string":
        text = str(reply.data["result"][1])
        return Result("string", [], times, empty, empty.astype(bool), [], text, reply.warnings, reply.infos)
    if kind == "scalar":
        value = np.array([[float(reply.data["result"][1])]])
        return Result("scalar", [{}], times, value, np.ones((1, 1), dtype=bool), [], "", reply.warnings, reply.infos)
    if kind == "matrix":
        found, warnings = _floats(reply, "values")
        series = [Series(one["metric"], *_columns(one["values"])) for one in found]
        return Result("matrix", [], times, empty, empty.astype(bool), series, "", warnings, reply.infos)
    if kind != "vector":
        raise ValueError(f"resultType '{kind}'")
    found, warnings = _floats(reply, "value")
    values = np.fromiter((float(one["value"][1]) for one in found), np.float64, len(found))[:, None]
    labels: list[Labels] = [one["metric"] for one in found]
    return Result("vector", labels, times, values, np.ones(values.shape, dtype=bool), [], "", warnings, reply.infos)


def in_order(result: Result) -> Result:
    """The rows of a vector sorted by labels: servers give them in an order that changes from one query to the next."""
    order = sorted(range(len(result.labels)), key=lambda k: label_key(result.labels[k]))
    if order == list(range(len(order))):
        return result
    labels = [result.labels[k] for k in order]
    notes = result.warnings, result.infos
    return Result(result.kind, labels, result.times_ms, result.values[order], result.present[order], [], "", *notes)


def _floats(reply: Reply, name: str) -> tuple[Sequence[Mapping[str, Any]], tuple[str, ...]]:
    """The series that have floats, and the warnings."""
    rows = reply.data["result"]
    found = [one for one in rows if name in one]
    return found, reply.warnings if len(found) == len(rows) else (*reply.warnings, HISTOGRAMS)


def _columns(points: Sequence[Sequence[Any]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Unix milliseconds and values."""
    times, values = zip(*points, strict=True)
    at = np.rint(np.array(times, dtype=np.float64) * 1000).astype(np.int64)
    return at, np.fromiter(map(float, values), np.float64, len(values))


def _unexpected(error: Exception) -> BackendUnavailable:
    return BackendUnavailable("garbage", f"the remote server's reply has an unexpected shape: {error!r}")
