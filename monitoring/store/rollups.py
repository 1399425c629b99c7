"""Samples of one metric rolled up by five minutes: what long ranges are answered from.

Each bucket (t − 5 min, t] of a series keeps count, minimum, maximum, sum and the last sample with its time. So
min, max, sum, count, avg and last over time, and plain selectors, are exact wherever their windows end at multiples of
five minutes and are whole multiples long. Bucket times are Unix milliseconds of the end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from monitoring.model import is_stale
from monitoring.store.segments import Block, CorruptSegment, Ids

BUCKET_MS = 300_000
DAY_HOURS = 24
Column = Literal["min", "max", "sum", "count", "last"]

_MAGIC = b"OMR1"
_HEADER = struct.Struct("<4s8I")
_CONFIG = ChunkConfig()


class Rolled(NamedTuple):
    """Buckets sorted by series id, then time; of equal length. A bucket of stale markers only has count 0."""

    ids: Ids
    ends_ms: NDArray[np.int64]
    samples: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    sum: NDArray[np.float64]
    last: NDArray[np.float64]
    last_ms: NDArray[np.int64]

    def series(self, series_id: int, column: Column) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and values of one series: those of the last samples, or the column at the buckets' ends."""
        part = slice(*self.ids.searchsorted([series_id, series_id + 1]).tolist())
        if column == "last":
            return self.last_ms[part], self.last[part]
        counted = self.samples[part] > 0
        values: NDArray[np.float64] = getattr(self, "samples" if column == "count" else column)[part]
        return self.ends_ms[part][counted], values[counted]


def roll(block: Block) -> Rolled:
    """The buckets of a block, which may reach over several hours as long as it is sorted by series, then time.

    >>> from monitoring.store.segments import merge, read_rows, ROW
    >>> rows = np.array([(7, 60_000, 1.0), (7, 300_000, 3.0), (7, 300_001, 5.0)], ROW).tobytes()
    >>> rolled = roll(merge([], [read_rows(rows, 0)]))
    >>> rolled.ends_ms.tolist(), rolled.sum.tolist(), rolled.last_ms.tolist()
    ([300000, 600000], [4.0, 5.0], [300000, 300001])
    """
    ends = -(-block.times_ms // BUCKET_MS) * BUCKET_MS
    first = np.ones(len(block), np.bool_)
    first[1:] = (block.ids[1:] != block.ids[:-1]) | (ends[1:] != ends[:-1])
    starts = np.flatnonzero(first)
    lasts = np.append(starts[1:], len(block)) - 1
    ended = is_stale(block.values)
    measured, values = ~ended, block.values
    if not len(block):
        nothing = np.empty(0)
        return Rolled(block.ids, ends, nothing, nothing, nothing, nothing, nothing, block.times_ms)
    with np.errstate(invalid="ignore", over="ignore"):
        return Rolled(
            block.ids[starts],
            ends[starts],
            np.add.reduceat(measured, starts, dtype=np.float64),
            np.fmin.reduceat(values, starts),
            np.fmax.reduceat(values, starts),
            np.add.reduceat(np.where(ended, 0.0, values), starts),
            block.values[lasts],
            block.times_ms[lasts],
        )


def joined(parts: Sequence[Rolled]) -> Rolled:
    """Buckets of the same series out of several times; a bucket that two of them share becomes one."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[7], columns[1], columns[0]))
    found = Rolled(*(column[order] for column in columns))
    same = np.zeros(len(found.ids), np.bool_)
    same[1:] = (found.ids[1:] == found.ids[:-1]) & (found.ends_ms[1:] == found.ends_ms[:-1])
    if not same.any():
        return found
    starts = np.flatnonzero(~same)
    lasts = np.append(starts[1:], len(same)) - 1
    with np.errstate(invalid="ignore", over="ignore"):
        return Rolled(
            found.ids[starts],
            found.ends_ms[starts],
            np.add.reduceat(found.samples, starts),
            np.fmin.reduceat(found.min, starts),
            np.fmax.reduceat(found.max, starts),
            np.add.reduceat(found.sum, starts),
            found.last[lasts],
            found.last_ms[lasts],
        )


def encode(rolled: Rolled) -> bytes:
    """Compressed columns (pcodec). A last sample that is a stale marker stays one."""
    ids, counts = np.unique(rolled.ids, return_counts=True)
    columns = [
        standalone.simple_compress(np.ascontiguousarray(column), _CONFIG)
        for column in (
            ids,
            counts.astype(np.uint32),
            rolled.ends_ms // BUCKET_MS,
            rolled.samples.astype(np.uint32),
            np.concatenate([rolled.min, rolled.max]),
            rolled.sum,
            rolled.last,
            (rolled.ends_ms - rolled.last_ms).astype(np.uint32),
        )
    ]
    return _HEADER.pack(_MAGIC, *map(len, columns)) + b"".join(columns)


def decode(body: bytes) -> Rolled:
    """The buckets of a row. Raises CorruptSegment."""
    if len(body) < _HEADER.size or body[:4] != _MAGIC:
        raise CorruptSegment("not a row of rolled up samples")
    columns, start = [], _HEADER.size
    try:
        for length in _HEADER.unpack_from(body)[1:]:
            columns.append(standalone.simple_decompress(body[start : start + length]))
            start += length
    except RuntimeError as error:
        raise CorruptSegment(f"rolled up samples cannot be decompressed: {error}") from error
    ids, counts, ends, count, extremes, total, last, before = columns
    low, high = np.split(extremes, 2)
    ends = ends * BUCKET_MS
    return Rolled(np.repeat(ids, counts), ends, count.astype(np.float64), low, high, total, last, ends - before)
