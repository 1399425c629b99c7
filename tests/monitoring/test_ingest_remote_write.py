"""Remote write bodies: what is read from them, and how a bad one is refused."""

from __future__ import annotations

import struct

import cramjam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.errors import BadSample
from monitoring.ingest.remote_write import BodyTooLarge, decode
from monitoring.model import STALE_NAN, is_stale

Sample = tuple[int, float]
Wire = list[tuple[list[tuple[str, str]], list[Sample]]]


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def sample(time: int, value: float) -> bytes:
    """As Go's marshaller writes it: zeros are left out."""
    bits = struct.pack("<d", value)
    return (b"\x09" + bits if bits != bytes(8) else b"") + (b"\x10" + varint(time) if time else b"")


def write_request(series: Wire) -> bytes:
    body = b""
    for labels, samples in series:
        pairs = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in labels)
        body += field(1, pairs + b"".join(field(2, sample(*one)) for one in samples))
    return bytes(cramjam.snappy.compress_raw(body + field(3, b"\x08\x01\x12\x01m")))


def read(body: bytes) -> list[tuple[dict[str, str], list[Sample]]]:
    batch = decode(body)
    found: list[tuple[dict[str, str], list[Sample]]] = [(dict(labels), []) for labels in batch.series]
    for k, time, value in zip(batch.index.tolist(), batch.times_ms.tolist(), batch.values.tolist(), strict=True):
        found[k][1].append((time, value))
    return [(labels, sorted(samples)) for labels, samples in found]


NOW = 1_760_000_000_000
UP = [("__name__", "up"), ("job", "node")]


times = st.integers(-(2**62), 2**62) | st.integers(2**35, 2**42 - 1) | st.just(0)
series = st.tuples(
    st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), st.text(min_size=1, max_size=6), max_size=4),
    st.dictionaries(times, st.floats(allow_nan=False), max_size=6),
)


@given(st.lists(series, max_size=5))
def test_every_sample_comes_back_with_its_own_time(made: list[tuple[dict[str, str], dict[int, float]]]):
    made = [({"__name__": "m"} | labels, samples) for labels, samples in made]
    wire: Wire = [(list(labels.items()), list(samples.items())) for labels, samples in made]
    assert read(write_request(wire)) == [(labels, sorted(samples.items())) for labels, samples in made]


def test_stale_markers_keep_their_bits_and_empty_labels_are_dropped():
    batch = decode(write_request([([*UP, ("zone", "")], [(NOW, float(STALE_NAN)), (0, float(STALE_NAN))])]))
    assert batch.series == [{"__name__": "up", "job": "node"}]
    assert is_stale(batch.values).all()
    assert batch.times_ms.tolist() == [NOW, 0]


@pytest.mark.parametrize(
    "labels",
    [
        [*UP, ("job", "again")],
        [("job", "node")],
        [("__name__", "1up")],
        [*UP, ("a-b", "c")],
        [*UP, ("", "c")],
    ],
)
def test_bad_labels_are_refused(labels: list[tuple[str, str]]):
    with pytest.raises(BadSample, match="remote write: "):
        decode(write_request([(labels, [(NOW, 1.0)])]))


def test_a_body_that_is_cut_off_is_refused_wherever_the_cut_is():
    wire: Wire = [(UP, [(NOW, 1.0), (NOW + 1, 2.0)]), ([*UP, ("x", "y")], [(NOW, 0.0)])]
    whole = write_request(wire)
    for length in range(len(whole)):
        with pytest.raises(BadSample):
            decode(whole[:length])
    message = bytes(cramjam.snappy.decompress_raw(whole))
    for length in range(len(message)):
        try:
            batch = decode(bytes(cramjam.snappy.compress_raw(message[:length])))
        except BadSample:
            continue
        assert len(batch.series) <= 2  # cut between two series: a whole message again


@given(st.binary(max_size=60))
def test_no_body_crashes_the_reader(noise: bytes):
    for body in (noise, bytes(cramjam.snappy.compress_raw(noise))):
        try:
            batch = decode(body)
        except BadSample:
            continue
        assert len(batch.index) == len(batch.times_ms) == len(batch.values)


def test_a_bomb_is_refused_by_its_declared_size():
    bomb = varint(4_000_000_000) + b"\x00" * 20
    with pytest.raises(BodyTooLarge, match="4000000000 bytes"):
        decode(bomb)
    body = write_request([(UP, [(NOW, 1.0)])])
    with pytest.raises(BodyTooLarge):
        decode(body, limit=10)


def test_many_samples_of_one_series_are_read_at_once_and_in_order():
    samples = [(NOW + 15_000 * k, float(k)) for k in range(1, 5_000)]
    batch = decode(write_request([(UP, samples)]))
    assert batch.times_ms.tolist() == [time for time, _ in samples]
    assert np.array_equal(batch.values, np.arange(1.0, 5_000.0))
