"""Protobuf and snappy as remote write uses them, read without generated code: fields by place, samples in columns."""

from __future__ import annotations

import struct

import cramjam
import numpy as np
from numpy.typing import NDArray

from monitoring.errors import BadSample

LIMIT_BYTES = 32 * 1024 * 1024

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
RECORD = 18
"""Bytes of the usual sample: tag, length 16, tag, 8 bytes of value, tag, 6 bytes of time (1971 to 2109)."""
LONG_RECORD = RECORD + 7
"""The same with a start time, as remote write 2.0 has it: one more tag and 6 bytes."""


class BodyTooLarge(BadSample):
    """The body says that it is larger than allowed when unpacked (HTTP 413)."""


def unpack(body: bytes, limit: int = LIMIT_BYTES) -> bytes:
    """The bytes of a snappy block. The declared size is checked before anything is unpacked.

    Raises BodyTooLarge over `limit` bytes, BadSample where it is not a whole block.
    """
    try:
        declared, _ = varint(body, 0)
    except IndexError:
        raise BadSample("remote write: the body is empty or cut off") from None
    if declared > limit:
        raise BodyTooLarge(f"remote write: {declared} bytes when unpacked; the limit is {limit}")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise BadSample(f"remote write: not a whole snappy block ({error})") from None


class SampleColumns:
    """Samples being gathered. Usual ones are only noted by place and read all at once at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.places: list[int] = []
        """Where a Sample field of `RECORD` or `LONG_RECORD` bytes begins."""
        self.series: list[int] = []
        """The series of each place."""
        self._rare: list[tuple[int, int, float]] = []

    def add(self, series: int, start: int, end: int) -> None:
        """One Sample message of any shape at `start`…`end`."""
        self._rare.append((series, *sample(self._data, start, end)))

    def read(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        """Series, times and values of everything gathered."""
        index = np.array(self.series, dtype=np.int32)
        records = _gather(self._data, np.array(self.places, dtype=np.int64))
        usual = (
            (records[:, 2] == 0x09)
            & (records[:, 11] == 0x10)
            & (records[:, 12:17] >= 0x80).all(axis=1)
            & (records[:, 17] < 0x80)
        )
        for k in np.flatnonzero(~usual).tolist():
            start = self.places[k] + 2
            self.add(self.series[k], start, start + self._data[start - 1])
        records, index = records[usual], index[usual]
        values = np.ascontiguousarray(records[:, 3:11]).view("<f8").reshape(-1)
        shifts = np.arange(0, 42, 7, dtype=np.int64)
        times = ((records[:, 12:18] & 0x7F).astype(np.int64) << shifts).sum(axis=1)
        return self._with_rare(index, times, values)

    def _with_rare(
        self, index: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        if not self._rare:
            return index, times, values
        rare_index, rare_times, rare_values = zip(*self._rare, strict=True)
        return (
            np.concatenate([index, np.array(rare_index, dtype=np.int32)]),
            np.concatenate([times, np.array(rare_times, dtype=np.int64)]),
            np.concatenate([values, np.array(rare_values, dtype=np.float64)]),
        )


def _gather(data: bytes, places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The 18 bytes at each place, one row each."""
    if not len(places):
        return np.empty((0, RECORD), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), RECORD)
    return windows[places]


def sample(data: bytes, start: int, end: int) -> tuple[int, float]:
    """A Sample message: its time in ms and its value, each 0 where it is left out."""
    value, time, position = 0.0, 0, start
    while position < end:
        tag, position = varint(data, position)
        if tag == 0x09:
            if position + 8 > end:
                raise IndexError
            # struct keeps the bits of a stale marker
            (value,) = struct.unpack_from("<d", data, position)
            position += 8
        elif tag == 0x10:
            time, position = varint(data, position)
            time -= (time >> 63) << 64
        else:
            position = skip(data, position, tag & 7)
    if position != end:
        raise BadSample("remote write: a sample reaches beyond its end")
    return time, value


def messages(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """(field number, start, end) of each length-delimited field in `start`…`end`; other fields are passed over."""
    found, position = [], start
    while position < end:
        tag = data[position]
        position += 1
        if tag >= 0x80:
            tag, position = varint(data, position - 1)
        if tag & 7 != _BYTES:
            position = skip(data, position, tag & 7)
            continue
        length = data[position]
        position += 1
        if length >= 0x80:
            length, position = varint(data, position - 1)
        found.append((tag >> 3, position, position + length))
        position += length
    if position != end:
        raise BadSample("remote write: a field reaches beyond its message; the body is cut off")
    return found


def numbers(data: bytes, start: int, end: int) -> dict[int, int]:
    """Field number → value of the varint fields in `start`…`end`; other fields are passed over."""
    found, position = {}, start
    while position < end:
        tag, position = varint(data, position)
        if tag & 7 == _VARINT:
            found[tag >> 3], position = varint(data, position)
        else:
            position = skip(data, position, tag & 7)
    return found


def varints(data: bytes) -> NDArray[np.int64]:
    """All base-128 numbers of a packed field at once; each must be below 2³⁵ (references are 32 bits wide).

    >>> varints(bytes([1, 0x80 | 44, 2, 0])).tolist()
    [1, 300, 0]
    """
    octets = np.frombuffer(data, dtype=np.uint8)
    last = octets < 0x80
    if len(octets) and not last[-1]:
        raise BadSample("remote write: a list of references is cut off")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    if len(ends) and (ends - starts).max() > 4:
        raise BadSample("remote write: a reference is not a 32-bit number")
    place = np.arange(len(octets)) - np.repeat(starts, ends - starts + 1)
    parts = (octets & 0x7F).astype(np.int64) << (7 * place)
    return np.add.reduceat(parts, starts) if len(ends) else parts


def skip(data: bytes, position: int, wire_type: int) -> int:
    """The place after a field of this wire type."""
    if wire_type == _VARINT:
        return varint(data, position)[1]
    if wire_type == _FIXED64:
        return position + 8
    if wire_type == _FIXED32:
        return position + 4
    if wire_type == _BYTES:
        length, position = varint(data, position)
        return position + length
    raise BadSample(f"remote write: byte {position} is not protobuf (wire type {wire_type})")


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A base-128 number of at most 64 bits and the place after it. Raises IndexError where the data ends."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
        if shift > 63:
            raise BadSample(f"remote write: byte {position} is not a 64-bit number")
