"""Prometheus remote write 1.0: a snappy block of protobuf, read without generated code.

Source: prometheus.io/docs/specs/prw/remote_write_spec. Samples keep their own times and every bit of their values,
stale markers included. Exemplars, native histograms and metadata are passed over.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache

import cramjam
import numpy as np
from numpy.typing import NDArray

from monitoring.errors import BadSample
from monitoring.model import Batch, Labels

LIMIT_BYTES = 32 * 1024 * 1024
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_CACHED_BYTES = 1024
"""Label sets up to this long are remembered, so that the cache stays below about 100 MB whatever is sent."""

# Field numbers and wire types: prometheus/prompb/{remote,types}.proto
_SERIES, _SERIES_LABEL, _SERIES_SAMPLE = 1, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_RECORD = 18
"""Bytes of the usual sample: tag, length 16, tag, 8 bytes of value, tag, 6 bytes of time (1971 to 2109)."""


class BodyTooLarge(BadSample):
    """The body says that it is larger than allowed when unpacked (HTTP 413)."""


def decode(body: bytes, limit: int = LIMIT_BYTES) -> Batch:
    """The samples of a remote write request. The declared size is checked before anything is unpacked.

    Raises BodyTooLarge over `limit` bytes, BadSample for everything that is cut off, garbled or badly labelled.
    """
    data = _unpack(body, limit)
    columns = _Columns(data)
    try:
        for number, start, end in _messages(data, 0, len(data)):
            if number == _SERIES:
                columns.read_series(start, end)
    except IndexError:
        raise BadSample("remote write: the protobuf message is cut off") from None
    except UnicodeDecodeError as error:
        raise BadSample(f"remote write: a label is not UTF-8 ({error.reason})") from None
    return columns.batch()


def _unpack(body: bytes, limit: int) -> bytes:
    try:
        declared, _ = _varint(body, 0)
    except IndexError:
        raise BadSample("remote write: the body is empty or cut off") from None
    if declared > limit:
        raise BodyTooLarge(f"remote write: {declared} bytes when unpacked; the limit is {limit}")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise BadSample(f"remote write: not a whole snappy block ({error})") from None


class _Columns:
    """The batch being filled. Usual samples are only noted by place and read all at once at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._series: list[Labels] = []
        self._places: list[int] = []
        self._place_series: list[int] = []
        self._rare: list[tuple[int, int, float]] = []

    def read_series(self, start: int, end: int) -> None:
        """One TimeSeries message at `start`…`end`: labels first, as every sender writes them."""
        data, position = self._data, start
        while position < end and data[position] == 0x0A:
            length, inside = _varint(data, position + 1)
            position = inside + length
        if position > end:
            raise BadSample("remote write: a label reaches beyond its series")
        raw = data[start:position]
        self._series.append(_remembered(raw) if len(raw) <= _CACHED_BYTES else _labels(raw))
        if data[position : position + 2] == b"\x12\x10" and end - position == _RECORD:
            self._places.append(position)
            self._place_series.append(len(self._series) - 1)
        elif position < end:
            self._read_samples(position, end)

    def _read_samples(self, start: int, end: int) -> None:
        data, k = self._data, len(self._series) - 1
        count, rest = divmod(end - start, _RECORD)
        tags, lengths = data[start:end:_RECORD], data[start + 1 : end : _RECORD]
        if not rest and tags == b"\x12" * count and lengths == b"\x10" * count:
            self._places.extend(range(start, end, _RECORD))
            self._place_series.extend([k] * count)
            return
        for number, inside, stop in _messages(data, start, end):
            if number == _SERIES_LABEL:
                raise BadSample("remote write: labels after the samples of a series")
            if number == _SERIES_SAMPLE:
                self._rare.append((k, *_sample(data, inside, stop)))

    def batch(self) -> Batch:
        places = np.array(self._places, dtype=np.int64)
        index = np.array(self._place_series, dtype=np.int32)
        records = _gather(self._data, places)
        usual = (
            (records[:, 2] == 0x09)
            & (records[:, 11] == 0x10)
            & (records[:, 12:17] >= 0x80).all(axis=1)
            & (records[:, 17] < 0x80)
        )
        for k in np.flatnonzero(~usual).tolist():
            self._rare.append((int(index[k]), *_sample(self._data, self._places[k] + 2, self._places[k] + _RECORD)))
        records, index = records[usual], index[usual]
        values = np.ascontiguousarray(records[:, 3:11]).view("<f8").reshape(-1)
        shifts = np.arange(0, 42, 7, dtype=np.int64)
        times = ((records[:, 12:18] & 0x7F).astype(np.int64) << shifts).sum(axis=1)
        return self._with_rare(index, times, values)

    def _with_rare(self, index: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]) -> Batch:
        if self._rare:
            rare_index, rare_times, rare_values = zip(*self._rare, strict=True)
            index = np.concatenate([index, np.array(rare_index, dtype=np.int32)])
            times = np.concatenate([times, np.array(rare_times, dtype=np.int64)])
            values = np.concatenate([values, np.array(rare_values, dtype=np.float64)])
        return Batch(self._series, index, times, values)


def _gather(data: bytes, places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The 18 bytes at each place, one row each."""
    if not len(places):
        return np.empty((0, _RECORD), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), _RECORD)
    return windows[places]


def _sample(data: bytes, start: int, end: int) -> tuple[int, float]:
    """A Sample message: its time in ms and its value, each 0 where it is left out."""
    value, time, position = 0.0, 0, start
    while position < end:
        tag, position = _varint(data, position)
        if tag == 0x09:
            if position + 8 > end:
                raise IndexError
            # struct keeps the bits of a stale marker
            (value,) = struct.unpack_from("<d", data, position)
            position += 8
        elif tag == 0x10:
            time, position = _varint(data, position)
            time -= (time >> 63) << 64
        else:
            position = _skip(data, position, tag & 7)
    if position != end:
        raise BadSample("remote write: a sample reaches beyond its end")
    return time, value


@lru_cache(maxsize=65_536)
def _remembered(raw: bytes) -> Labels:
    return _labels(raw)


def _labels(raw: bytes) -> Labels:
    """The labels of one series from their raw bytes; empty values are left out."""
    labels: dict[str, str] = {}
    for _, start, end in _messages(raw, 0, len(raw)):
        name = value = ""
        for number, inside, stop in _messages(raw, start, end):
            if number == 1:
                name = raw[inside:stop].decode()
            elif number == 2:
                value = raw[inside:stop].decode()
        if name in labels:
            raise BadSample(f"remote write: the label '{name}' is given twice")
        if not _LABEL_NAME.fullmatch(name):
            raise BadSample(f"remote write: '{name}' is not a label name")
        labels[name] = value
    if not _METRIC_NAME.fullmatch(labels.get("__name__", "")):
        raise BadSample(f"remote write: '{labels.get('__name__', '')}' is not a metric name, in {_shown(labels)}")
    return {name: value for name, value in labels.items() if value}


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={value!r}" for name, value in labels.items())[:200] + "}"


def _messages(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """(field number, start, end) of each length-delimited field in `start`…`end`; other fields are passed over."""
    found, position = [], start
    while position < end:
        tag = data[position]
        position += 1
        if tag >= 0x80:
            tag, position = _varint(data, position - 1)
        if tag & 7 != _BYTES:
            position = _skip(data, position, tag & 7)
            continue
        length = data[position]
        position += 1
        if length >= 0x80:
            length, position = _varint(data, position - 1)
        found.append((tag >> 3, position, position + length))
        position += length
    if position != end:
        raise BadSample("remote write: a field reaches beyond its message; the body is cut off")
    return found


def _skip(data: bytes, position: int, wire_type: int) -> int:
    """The place after a field of this wire type."""
    if wire_type == _VARINT:
        return _varint(data, position)[1]
    if wire_type == _FIXED64:
        return position + 8
    if wire_type == _FIXED32:
        return position + 4
    if wire_type == _BYTES:
        length, position = _varint(data, position)
        return position + length
    raise BadSample(f"remote write: byte {position} is not protobuf (wire type {wire_type})")


def _varint(data: bytes, position: int) -> tuple[int, int]:
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
