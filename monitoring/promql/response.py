"""Results in the shapes of Prometheus' HTTP API: the `data` object of `query` and `query_range`.

Series come as JSON that is written already (`orjson.Fragment`), one each: a large matrix has no Python object a point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from monitoring.errors import BadQuery
from monitoring.model import Labels, label_key
from monitoring.promql.format import sample, samples
from monitoring.promql.values import Bools, Floats, Result

Json = dict[str, Any]
_AT_ONCE = 16_384
"""Points whose texts are made together."""


def instant_json(result: Result) -> Json:
    """`{"resultType", "result"}` of an instant query; a vector keeps its order (topk and sort made it)."""
    at = samples(result.times_ms[:1] / 1000)[0]
    match result.kind:
        case "string":
            return {"resultType": "string", "result": [orjson.Fragment(at), result.string]}
        case "scalar":
            return {"resultType": "scalar", "result": [orjson.Fragment(at), sample(result.values[0, 0].item())]}
        case "matrix":
            return {"resultType": "matrix", "result": _raw(result)}
    there = np.flatnonzero(result.present[:, 0])
    texts = samples(result.values[there, 0])
    labels = [result.labels[k] for k in there.tolist()]
    rows = [
        orjson.Fragment(b'{"metric":%b,"value":[%b,"%b"]}' % (_metric(one), at, text))
        for one, text in zip(labels, texts, strict=True)
    ]
    return {"resultType": "vector", "result": rows}


def range_json(result: Result) -> Json:
    """`{"resultType": "matrix", "result"}` of a range query, sorted by labels. Raises BadQuery for raw ranges."""
    if result.kind in ("matrix", "string"):
        shown = "range vector" if result.kind == "matrix" else "string"
        raise BadQuery(f'invalid expression type "{shown}" for range query, must be Scalar or instant Vector')
    filled = np.flatnonzero(result.present.any(axis=1)).tolist()
    order = sorted(filled, key=lambda k: label_key(result.labels[k]))
    between = _between(result.times_ms / 1000)
    rows = []
    for k, texts, there in _texts(result, order):
        points = between if there is None else _some(between, there)
        rows.append(_row(result.labels[k], points, texts))
    return {"resultType": "matrix", "result": rows}


def points(result: Result) -> int:
    """How much there is to write, in points; the labels of a series cost as much as twenty."""
    raw = sum(len(one.values) for one in result.series)
    return result.values.size + raw + 20 * (len(result.labels) + len(result.series))


def _texts(result: Result, order: Sequence[int]) -> Iterator[tuple[int, list[bytes], Bools | None]]:
    """Each row with its values as text, and where they are present (None: everywhere)."""
    together = max(1, _AT_ONCE // max(len(result.times_ms), 1))
    for start in range(0, len(order), together):
        rows = order[start : start + together]
        present = result.present[rows]
        texts = iter(samples(result.values[rows][present]))
        for k, there, count in zip(rows, present, present.sum(axis=1).tolist(), strict=True):
            yield k, list(islice(texts, count)), None if count == present.shape[1] else there


def _between(times: Floats) -> list[bytes]:
    """What stands before each value: the end of the point before, and the time."""
    return [b'"],[%b,"' % text for text in samples(times)]


def _some(between: list[bytes], there: Bools) -> list[bytes]:
    places = np.flatnonzero(there).tolist()
    return list(itemgetter(*places)(between)) if len(places) > 1 else [between[places[0]]]


def _raw(result: Result) -> list[orjson.Fragment]:
    """The samples of a range vector, sorted by labels."""
    order = sorted(result.series, key=lambda one: label_key(one.labels))
    if not order:
        return []
    texts = samples(np.concatenate([one.values for one in order]))
    between = _between(np.concatenate([one.times_ms for one in order]) / 1000)
    ends = np.cumsum([len(one.values) for one in order]).tolist()
    parts = pairwise([0, *ends])
    return [_row(one.labels, between[a:b], texts[a:b]) for one, (a, b) in zip(order, parts, strict=True)]


def _row(labels: Labels, between: Sequence[bytes], texts: Sequence[bytes]) -> orjson.Fragment:
    pieces = [b""] * (2 * len(texts))
    pieces[::2] = between
    pieces[1::2] = texts
    pieces[0] = b'{"metric":%b,"values":[%b' % (_metric(labels), between[0][3:])
    return orjson.Fragment(b"".join((*pieces, b'"]]}')))


def _metric(labels: Labels) -> bytes:
    return orjson.dumps(labels if type(labels) is dict else dict(labels))
