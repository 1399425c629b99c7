"""Results in the shapes of Prometheus' HTTP API: the `data` object of `query` and `query_range`."""

from __future__ import annotations

from typing import Any

from monitoring.errors import BadQuery
from monitoring.model import Labels, label_key
from monitoring.promql.format import sample
from monitoring.promql.values import Result

Json = dict[str, Any]


def instant_json(result: Result) -> Json:
    """`{"resultType", "result"}` of an instant query; a vector keeps its order (topk and sort made it)."""
    at = result.times_ms[0].item() / 1000
    match result.kind:
        case "string":
            return {"resultType": "string", "result": [at, result.string]}
        case "scalar":
            return {"resultType": "scalar", "result": [at, sample(result.values[0, 0].item())]}
        case "matrix":
            return {"resultType": "matrix", "result": _raw(result)}
    rows = zip(result.labels, result.values[:, 0].tolist(), result.present[:, 0].tolist(), strict=True)
    found = [{"metric": dict(labels), "value": [at, sample(value)]} for labels, value, there in rows if there]
    return {"resultType": "vector", "result": found}


def range_json(result: Result) -> Json:
    """`{"resultType": "matrix", "result"}` of a range query, sorted by labels. Raises BadQuery for raw ranges."""
    if result.kind in ("matrix", "string"):
        shown = "range vector" if result.kind == "matrix" else "string"
        raise BadQuery(f'invalid expression type "{shown}" for range query, must be Scalar or instant Vector')
    times = (result.times_ms / 1000).tolist()
    order = sorted(range(len(result.labels)), key=lambda k: label_key(result.labels[k]))
    rows = []
    for k in order:
        values, present = result.values[k].tolist(), result.present[k]
        if present.all():
            points = [[time, sample(value)] for time, value in zip(times, values, strict=True)]
        else:
            there = zip(times, values, present.tolist(), strict=True)
            points = [[time, sample(value)] for time, value, here in there if here]
        if points:
            rows.append(_row(result.labels[k], points))
    return {"resultType": "matrix", "result": rows}


def _raw(result: Result) -> list[Json]:
    rows = []
    for series in sorted(result.series, key=lambda one: label_key(one.labels)):
        pairs = zip((series.times_ms / 1000).tolist(), series.values.tolist(), strict=True)
        rows.append(_row(series.labels, [[time, sample(value)] for time, value in pairs]))
    return rows


def _row(labels: Labels, points: list[list[Any]]) -> Json:
    return {"metric": dict(labels), "values": points}
