"""Prometheus remote write 1.0: a snappy block of protobuf, read without generated code.

Source: prometheus.io/docs/specs/prw/remote_write_spec. Samples keep their own times and every bit of their values,
stale markers included. Exemplars and native histograms are passed over. `remote_write_v2` reads version 2.0.
"""

from __future__ import annotations

import re
from functools import lru_cache

from monitoring.errors import BadSample
from monitoring.ingest.exposition import Metadata
from monitoring.ingest.wire import LIMIT_BYTES, RECORD, BodyTooLarge, SampleColumns, messages, numbers, unpack, varint
from monitoring.ingest.written import Written
from monitoring.model import Batch, Labels

__all__ = ["LIMIT_BYTES", "TYPES", "BodyTooLarge", "decode", "read"]

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_CACHED_BYTES = 1024
"""Label sets up to this long are remembered, so that the cache stays below about 100 MB whatever is sent."""

TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
"""Metric types by their number, in 1.0 and 2.0 alike."""

# Field numbers: prometheus/prompb/{remote,types}.proto
_SERIES, _METADATA, _SERIES_LABEL, _SERIES_SAMPLE = 1, 3, 1, 2


def decode(body: bytes, limit: int = LIMIT_BYTES) -> Batch:
    """The samples of a remote write request.

    Raises BodyTooLarge over `limit` bytes, BadSample for everything that is cut off, garbled or badly labelled.
    """
    return read(body, limit).batch


def read(body: bytes, limit: int = LIMIT_BYTES) -> Written:
    """The samples of a remote write request, and what it says about metrics. Raises as `decode` does."""
    data = unpack(body, limit)
    columns = _Columns(data)
    metadata: dict[str, Metadata] = {}
    try:
        for number, start, end in messages(data, 0, len(data)):
            if number == _SERIES:
                columns.read_series(start, end)
            elif number == _METADATA:
                name, said = _metadata(data, start, end)
                metadata[name] = said
        return Written(columns.batch(), metadata)
    except IndexError:
        raise BadSample("remote write: the protobuf message is cut off") from None
    except UnicodeDecodeError as error:
        raise BadSample(f"remote write: a label is not UTF-8 ({error.reason})") from None


class _Columns:
    """The batch being filled."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._series: list[Labels] = []
        self._samples = SampleColumns(data)

    def read_series(self, start: int, end: int) -> None:
        """One TimeSeries message at `start`…`end`: labels first, as every sender writes them."""
        data, position = self._data, start
        while position < end and data[position] == 0x0A:
            length, inside = varint(data, position + 1)
            position = inside + length
        if position > end:
            raise BadSample("remote write: a label reaches beyond its series")
        raw = data[start:position]
        self._series.append(_remembered(raw) if len(raw) <= _CACHED_BYTES else _labels(raw))
        if data[position : position + 2] == b"\x12\x10" and end - position == RECORD:
            self._samples.places.append(position)
            self._samples.series.append(len(self._series) - 1)
        elif position < end:
            self._read_samples(position, end)

    def _read_samples(self, start: int, end: int) -> None:
        data, k = self._data, len(self._series) - 1
        count, rest = divmod(end - start, RECORD)
        tags, lengths = data[start:end:RECORD], data[start + 1 : end : RECORD]
        if not rest and tags == b"\x12" * count and lengths == b"\x10" * count:
            self._samples.places.extend(range(start, end, RECORD))
            self._samples.series.extend([k] * count)
            return
        for number, inside, stop in messages(data, start, end):
            if number == _SERIES_LABEL:
                raise BadSample("remote write: labels after the samples of a series")
            if number == _SERIES_SAMPLE:
                self._samples.add(k, inside, stop)

    def batch(self) -> Batch:
        return Batch(self._series, *self._samples.read())


@lru_cache(maxsize=65_536)
def _remembered(raw: bytes) -> Labels:
    return _labels(raw)


def _labels(raw: bytes) -> Labels:
    """The labels of one series from their raw bytes; empty values are left out."""
    labels: dict[str, str] = {}
    for _, start, end in messages(raw, 0, len(raw)):
        name = value = ""
        for number, inside, stop in messages(raw, start, end):
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


def _metadata(data: bytes, start: int, end: int) -> tuple[str, Metadata]:
    """A MetricMetadata message: the family's name, and what is said about it."""
    texts = {number: data[a:b].decode() for number, a, b in messages(data, start, end)}
    kind = numbers(data, start, end).get(1, 0)
    return texts.get(2, ""), Metadata(
        TYPES[kind] if kind < len(TYPES) else "unknown", texts.get(4, ""), texts.get(5, "")
    )
