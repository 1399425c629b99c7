"""Samples of one metric in one hour: as appended rows, as sorted columns, and as a sealed block of compressed bytes.

Values keep their bits, NaN payloads (the stale marker among them) included.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

HOUR_MS = 3_600_000

ROW = np.dtype([("id", "<u4"), ("t", "<i8"), ("v", "<f8")])
"""One appended sample: series id, Unix milliseconds, value. 20 bytes, so that any tail of rows can be read alone."""

Rows = NDArray[np.void]

_MAGIC = b"OMS1"
_HEADER = struct.Struct("<4sIIIII")
"""Magic, samples, and the bytes of each compressed column: series ids, samples per series, times, values."""
_CONFIG = ChunkConfig()


class CorruptSegment(ValueError):
    """Bytes that are no sealed block of ours."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples sorted by series id, then time; no two share both. The arrays are read-only and of one length."""

    ids: NDArray[np.uint32]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        for column in (self.ids, self.times_ms, self.values):
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        return self.ids.nbytes + self.times_ms.nbytes + self.values.nbytes

    def keep(self, mask: NDArray[np.bool_]) -> Block:
        """The samples where `mask` is true."""
        return Block(self.ids[mask], self.times_ms[mask], self.values[mask])


EMPTY = Block(np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0, np.float64))


def read_rows(body: bytes) -> Rows:
    """The rows of an open record, oldest write first."""
    return np.frombuffer(body, dtype=ROW)


def merge(block: Block, tails: Sequence[Rows]) -> Block:
    """`block` with rows written after it, in the order of writing: on an equal time the later write wins.

    >>> early = np.array([(7, 2000, 1.5), (7, 1000, 1.0)], ROW)
    >>> late = np.array([(7, 2000, 2.0)], ROW)
    >>> merge(EMPTY, [early, late]).values.tolist()
    [1.0, 2.0]
    """
    ids = np.concatenate([block.ids, *(rows["id"] for rows in tails)])
    times = np.concatenate([block.times_ms, *(rows["t"] for rows in tails)])
    values = np.concatenate([block.values, *(rows["v"] for rows in tails)])
    order = np.lexsort((times, ids))  # stable: writes of the same time stay in their order
    ids, times = ids[order], times[order]
    last = np.ones(len(ids), np.bool_)
    last[:-1] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return Block(ids[last], times[last], values[order][last])


def encode(block: Block) -> bytes:
    """A sealed block (pcodec, https://github.com/pcodec/pcodec). Times that all series share are kept once."""
    ids, counts = np.unique(block.ids, return_counts=True)
    times = block.times_ms
    if counts.min() == counts.max():
        grid = times.reshape(len(ids), -1)
        if (grid == grid[0]).all():
            times = grid[0]
    columns = [
        standalone.simple_compress(np.ascontiguousarray(column), _CONFIG)
        for column in (ids, counts.astype(np.uint32), times, block.values)
    ]
    return _HEADER.pack(_MAGIC, len(block), *map(len, columns)) + b"".join(columns)


def decode(body: bytes) -> Block:
    """The samples of a sealed block. Raises CorruptSegment."""
    if len(body) < _HEADER.size or body[:4] != _MAGIC:
        raise CorruptSegment("not a sealed block of samples")
    _, total, *lengths = _HEADER.unpack_from(body)
    columns, start = [], _HEADER.size
    for length in lengths:
        columns.append(standalone.simple_decompress(body[start : start + length]))
        start += length
    ids, counts, times, values = columns
    if len(times) < total:
        times = np.tile(times, len(ids))
    return Block(np.repeat(ids, counts), times, values)
