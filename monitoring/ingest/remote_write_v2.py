"""Prometheus remote write 2.0 (`io.prometheus.write.v2.Request`): one table of symbols, and series that refer to it.

Source: prometheus.io/docs/specs/prw/remote_write_spec_2_0. A series whose labels cannot be used is left out and
counted, the others are read. Start times are read over: nothing is computed from them. Names may be any UTF-8 text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitoring.errors import BadSample
from monitoring.ingest.exposition import Metadata
from monitoring.ingest.remote_write import TYPES
from monitoring.ingest.wire import (
    LIMIT_BYTES,
    LONG_RECORD,
    RECORD,
    SampleColumns,
    messages,
    numbers,
    unpack,
    varint,
    varints,
)
from monitoring.ingest.written import Written, family
from monitoring.model import Batch, Labels

# Field numbers: prometheus/prompb/io/prometheus/write/v2/types.proto
_SYMBOL, _SERIES = 4, 5
_REFS, _SAMPLE, _HISTOGRAM, _EXEMPLAR, _METADATA = 1, 2, 3, 4, 5
_TYPE, _HELP, _UNIT = 1, 3, 4


def read(body: bytes, limit: int = LIMIT_BYTES) -> Written:
    """What a request holds. Raises BodyTooLarge over `limit` bytes, BadSample where it is cut off or garbled."""
    data = unpack(body, limit)
    request = _Request(data)
    try:
        for number, start, end in messages(data, 0, len(data)):
            if number == _SYMBOL:
                request.symbols.append(data[start:end].decode())
            elif number == _SERIES:
                request.read_series(start, end)
        return request.written()
    except IndexError:
        raise BadSample("remote write: the protobuf message is cut off") from None
    except UnicodeDecodeError as error:
        raise BadSample(f"remote write: a symbol is not UTF-8 ({error.reason})") from None


class _Request:
    """The request being read. Labels are looked up at the end: symbols may stand after the series."""

    def __init__(self, data: bytes) -> None:
        self.symbols: list[str] = []
        self._data = data
        self._samples = SampleColumns(data)
        self._refs: list[bytes] = []
        self._metadata: list[bytes] = []
        self._histograms = 0
        self._exemplars = 0

    def read_series(self, start: int, end: int) -> None:
        """One TimeSeries message at `start`…`end`."""
        data, position, refs, said = self._data, start, b"", b""
        if position < end and data[position] == 0x0A:
            length, inside = varint(data, position + 1)
            position = inside + length
            refs = data[inside:position]
        position = self._usual_samples(position, end)
        for number, inside, stop in messages(data, position, end) if position < end else ():
            if number == _SAMPLE:
                self._samples.add(len(self._refs), inside, stop)
            elif number == _METADATA:
                said = data[inside:stop]
            elif number == _REFS:
                refs += data[inside:stop]
            self._histograms += number == _HISTOGRAM
            self._exemplars += number == _EXEMPLAR
        self._refs.append(refs)
        self._metadata.append(said)

    def _usual_samples(self, position: int, end: int) -> int:
        """Notes the samples from `position` on that have the usual lengths; returns where others begin."""
        data, k = self._data, len(self._refs)
        while position + RECORD <= end and data[position] == 0x12:
            if data[position + 1] == RECORD - 2:
                after = position + RECORD
            elif data[position + 1] == LONG_RECORD - 2 and data[position + RECORD] == 0x18:
                after = position + LONG_RECORD
            else:
                break
            if after > end:
                break
            self._samples.places.append(position)
            self._samples.series.append(k)
            position = after
        return position

    def written(self) -> Written:
        """Everything read, with the series whose labels cannot be used left out."""
        index, times, values = self._samples.read()
        series, wrong = self._labels()
        refused, first = 0, ""
        if wrong:
            bad = np.isin(index, np.array(list(wrong), dtype=np.int32))
            refused = int(bad.sum())
            first = wrong[int(index[bad].min())] if refused else ""
            index, times, values = index[~bad], times[~bad], values[~bad]
        batch = Batch(series, index, times, values)
        return Written(batch, self._said(series), self._histograms, self._exemplars, refused, first)

    def _labels(self) -> tuple[list[Labels], dict[int, str]]:
        """The labels of each series, and what is wrong with those that cannot be used."""
        refs, ends = _all_references(self._refs)
        wrong: dict[int, str] = {}
        beyond = refs >= len(self.symbols)
        if beyond.any():
            for k in set(np.searchsorted(ends, np.flatnonzero(beyond), side="right").tolist()):
                wrong[k] = f"series {k} refers to a symbol beyond the {len(self.symbols)} that were sent"
            refs = np.where(beyond, 0, refs)
        symbols = self.symbols or [""]
        texts = [symbols[ref] for ref in refs.tolist()]
        series: list[Labels] = []
        start = 0
        for k, end in enumerate(ends.tolist()):
            names, values = texts[start:end:2], texts[start + 1 : end : 2]
            labels = dict(zip(names, values, strict=False))
            if "" in values:
                labels = {name: value for name, value in labels.items() if value}
            if k not in wrong and (problem := _problem(names, values, labels)):
                wrong[k] = problem
            series.append(labels)
            start = end
        return series, wrong

    def _said(self, series: Sequence[Labels]) -> dict[str, Metadata]:
        """What the series say about their families."""
        pairs = {(said, labels.get("__name__", "")) for said, labels in zip(self._metadata, series, strict=True)}
        found: dict[str, Metadata] = {}
        for said, metric in pairs:
            given = numbers(said, 0, len(said))
            kind, help_ref, unit_ref = given.get(_TYPE, 0), given.get(_HELP, 0), given.get(_UNIT, 0)
            if not (metric and (kind or help_ref)) or max(help_ref, unit_ref) >= len(self.symbols):
                continue
            kind_name = TYPES[kind] if kind < len(TYPES) else "unknown"
            about = Metadata(kind_name, self.symbols[help_ref], self.symbols[unit_ref])
            found[family(metric, kind_name)] = about
        return found


def _all_references(packed: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The references of all series in one array, and where those of each end."""
    joined = b"".join(packed)
    last = np.frombuffer(joined, dtype=np.uint8) < 0x80
    places = np.cumsum(np.fromiter(map(len, packed), dtype=np.int64, count=len(packed)))
    if ((places > 0) & ~last[np.maximum(places, 1) - 1]).any() if len(joined) else False:
        raise BadSample("remote write: a list of references is cut off")
    return varints(joined), np.concatenate([[0], np.cumsum(last)])[places]


def _problem(names: Sequence[str], values: Sequence[str], labels: Labels) -> str | None:
    """What is wrong with the labels; None where they can be used. `labels` lacks those without a value."""
    if len(names) == len(values) == len(labels) and labels.get("__name__") and "" not in labels:
        return None
    shown = "{" + ", ".join(f"{name}={value!r}" for name, value in labels.items())[:200] + "}"
    if len(names) != len(values):
        return f"a label without a value, in {shown}"
    if not labels.get("__name__"):
        return f"no metric name (__name__) in {shown}"
    if "" in labels:
        return f"a label without a name, in {shown}"
    twice = next((name for name, next_one in pairwise(sorted(names)) if name == next_one), None)
    return None if twice is None else f"the label '{twice}' is given twice, in {shown}"
