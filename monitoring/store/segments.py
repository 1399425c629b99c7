"""Samples of one metric in one hour: as appended rows, as sorted columns, and as sealed blocks of compressed bytes.

A sealed block holds up to `GROUP` series, so that one server is read without the thousand beside it. Values keep their
bits, NaN payloads (the stale marker among them) included.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

HOUR_MS = 3_600_000
GROUP = 64
"""Series of a metric that share a sealed block. Larger blocks compress no better and cost more to read for one."""

ROW = np.dtype([("id", "<u4"), ("t", "<u4"), ("v", "<f8")])
"""One appended sample: series id, milliseconds since the hour began, value. Any tail of rows can be read alone."""

Ids = NDArray[np.uint32]

TOMBSTONE = b"-"
"""Stands for a group whose samples were deleted: what the cold layer has of it is void."""
_MAGIC = b"OMS3"
_HEADER = struct.Struct("<4sIIIIIdddq")
"""Magic, samples, bytes of each compressed column (series ids, samples per series, times, values), min, max, sum, and
the time of the newest sample."""
_CONFIG = ChunkConfig()
_OFFSET_BITS = 22
"""An hour has fewer than 2²² milliseconds: series id and time within the hour fit one sortable number."""


class CorruptSegment(ValueError):
    """Bytes that are no sealed block of ours."""


class Summary(NamedTuple):
    """What a block's samples add up to, readable without decoding. Markers and NaN are counted, but have no size."""

    samples: int
    minimum: float
    maximum: float
    total: float


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples sorted by series id, then time; no two share both. The arrays are read-only and of one length."""

    ids: Ids
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    _series: tuple[Ids, NDArray[np.int64]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for column in (self.ids, self.times_ms, self.values):
            column.flags.writeable = False

    def series(self) -> tuple[Ids, NDArray[np.int64]]:
        """The ids, each once, and where the samples of each begin, with the end of the last; found once a block."""
        if self._series is None:
            firsts = np.flatnonzero(np.diff(self.ids, prepend=self.ids[:1] + np.uint32(1)))
            object.__setattr__(self, "_series", (self.ids[firsts], np.append(firsts, len(self.ids))))
        assert self._series is not None
        return self._series

    def of(self, series_id: int, start_ms: int, end_ms: int) -> slice:
        """Where the samples of one series with start < t ≤ end stand."""
        series, starts = self.series()
        place = int(series.searchsorted(series_id))
        if place == len(series) or series[place] != series_id:
            return slice(0, 0)
        first, after = int(starts[place]), int(starts[place + 1])
        low, high = self.times_ms[first:after].searchsorted((start_ms, end_ms), "right").tolist()
        return slice(first + low, first + high)

    def oldest_ms(self) -> int:
        """The time of the oldest sample; there must be one."""
        return int(self.times_ms[self.series()[1][:-1]].min())

    def newest_ms(self) -> int:
        """The time of the newest sample; there must be one."""
        return int(self.times_ms[self.series()[1][1:] - 1].max())

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        return self.ids.nbytes + self.times_ms.nbytes + self.values.nbytes

    def keep(self, mask: NDArray[np.bool_]) -> Block:
        """The samples where `mask` is true."""
        return Block(self.ids[mask], self.times_ms[mask], self.values[mask])

    def between(self, start_ms: int, end_ms: int) -> Block:
        """The samples with start < t ≤ end."""
        times = self.times_ms
        if not len(times) or (start_ms < self.oldest_ms() and self.newest_ms() <= end_ms):
            return self
        return self.keep((times > start_ms) & (times <= end_ms))


EMPTY = Block(np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0, np.float64))


class Rows(NamedTuple):
    """Appended samples in the order of writing; of equal length."""

    ids: Ids
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def between(self, start_ms: int, end_ms: int) -> Rows:
        """The samples with start < t ≤ end."""
        mask = (self.times_ms > start_ms) & (self.times_ms <= end_ms)
        return self if mask.all() else Rows(self.ids[mask], self.times_ms[mask], self.values[mask])


def read_rows(body: bytes, hour: int) -> Rows:
    """The rows of the open record of an hour."""
    rows = np.frombuffer(body, dtype=ROW)
    return Rows(rows["id"], rows["t"].astype(np.int64) + hour * HOUR_MS, rows["v"])


def merge(blocks: Sequence[Block], tails: Sequence[Rows] = ()) -> Block:
    """Samples of one hour in the order of writing, `tails` after `blocks`: on an equal time the later write wins.

    >>> early = np.array([(7, 2000, 1.5), (7, 1000, 1.0)], ROW).tobytes()
    >>> late = np.array([(7, 2000, 2.0)], ROW).tobytes()
    >>> merge([], [read_rows(early, 0), read_rows(late, 0)]).values.tolist()
    [1.0, 2.0]
    """
    written: list[Block | Rows] = [EMPTY, *blocks, *tails]
    ids = np.concatenate([part.ids for part in written])
    times = np.concatenate([part.times_ms for part in written])
    values = np.concatenate([part.values for part in written])
    keys = (ids.astype(np.int64) << _OFFSET_BITS) | (times % HOUR_MS)
    if (keys[1:] > keys[:-1]).all():
        return Block(ids, times, values)
    order = keys.argsort(kind="stable")  # writes of the same time stay in their order; sorted runs merge in one pass
    keys = keys[order]
    last = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=last[:-1])
    if not last.all():
        order = order[last]
    return Block(ids[order], times[order], values[order])


def split(block: Block, groups: NDArray[np.uint32]) -> Iterator[tuple[int, Block]]:
    """`block` by group; `groups` gives the group of each series id."""
    own = groups[block.ids]
    if len(own) and (own == own[0]).all():
        yield int(own[0]), block
        return
    for group in np.unique(own).tolist():
        yield group, block.keep(own == group)


def encode(block: Block) -> bytes:
    """A sealed block (pcodec, https://github.com/pcodec/pcodec). Times that all series share are kept once."""
    if not len(block):
        return TOMBSTONE
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
    known = block.values[~np.isnan(block.values)]
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs have no sum
        sizes = (known.min(), known.max(), known.sum()) if len(known) else (np.nan, np.nan, 0.0)
    return _HEADER.pack(_MAGIC, len(block), *map(len, columns), *sizes, int(block.times_ms.max())) + b"".join(columns)


def summary(body: bytes) -> Summary:
    """What stands in the head of a sealed block. Raises CorruptSegment."""
    if body == TOMBSTONE:
        return Summary(0, np.nan, np.nan, 0.0)
    if len(body) < _HEADER.size or body[:4] != _MAGIC:
        raise CorruptSegment("not a sealed block of samples")
    _, count, _, _, _, _, low, high, total, _ = _HEADER.unpack_from(body)
    return Summary(count, low, high, total)


def newest_ms(body: bytes) -> int:
    """The time of the newest sample in a sealed block, without decoding. Raises CorruptSegment."""
    return int(_HEADER.unpack_from(body)[-1]) if summary(body).samples else -(1 << 62)


def decode(body: bytes) -> Block:
    """The samples of a sealed block. Raises CorruptSegment."""
    if not summary(body).samples:
        return EMPTY
    _, total, *lengths = _HEADER.unpack_from(body)[:6]
    columns, start = [], _HEADER.size
    try:
        for length in lengths:
            columns.append(standalone.simple_decompress(body[start : start + length]))
            start += length
    except RuntimeError as error:
        raise CorruptSegment(f"a sealed block cannot be decompressed: {error}") from error
    ids, counts, times, values = columns
    if len(times) < total:
        times = np.tile(times, len(ids))
    starts = np.append(0, np.cumsum(counts, dtype=np.int64))
    return Block(np.repeat(ids, counts), times, values, (ids, starts))
