"""A share of series that is the same every time: chosen by a 64-bit hash of their labels."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from monitoring.model import Labels, label_key
from monitoring.promql.values import Bools, Floats

_WORD = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def sampled(labels: Sequence[Labels], ratio: Floats) -> Bools:
    """[series × steps]: which series belong to a share of `ratio`; a negative one takes those that 1 + ratio leaves.

    As Prometheus: the hash of a series, as a fraction of all hashes, is below the ratio.
    """
    places = np.array([xxh64(_written(one)) / _WORD for one in labels]).reshape(-1, 1)
    return np.where(ratio >= 0, places < ratio, places >= 1 + ratio)


def _written(labels: Labels) -> bytes:
    """Names and values in order, each after its length, as Prometheus keeps them in memory."""
    parts = [part.encode() for pair in label_key(labels) for part in pair]
    return b"".join(_length(len(part)) + part for part in parts)


def _length(size: int) -> bytes:
    return bytes([size]) if size < 255 else b"\xff" + size.to_bytes(3, "little")


def xxh64(data: bytes) -> int:
    """The 64-bit xxHash of `data`, seed 0 (the format's specification, xxhash_spec.md).

    >>> hex(xxh64(b"abc")), hex(xxh64(b"Nobody inspects the spammish repetition"))
    ('0x44bc2cf5ad770999', '0xfbcea83c8a378bf1')
    """
    if len(data) >= 32:
        lanes = [(_P1 + _P2) & _WORD, _P2, 0, -_P1 & _WORD]
        whole = len(data) // 32 * 32
        for words in struct.iter_unpack("<4Q", data[:whole]):
            lanes = [_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
        mixed = sum(_turned(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            mixed = ((mixed ^ _round(0, lane)) * _P1 + _P4) & _WORD
    else:
        mixed, whole = _P5, 0
    return _scattered(_rest(mixed + len(data), data[whole:]))


def _rest(mixed: int, data: bytes) -> int:
    """The last bytes, fewer than 32: by eight, by four, one by one."""
    eights = len(data) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", data[:eights]):
        mixed = (_turned(mixed ^ _round(0, word), 27) * _P1 + _P4) & _WORD
    data = data[eights:]
    if len(data) >= 4:
        (half,) = struct.unpack_from("<I", data)
        mixed = (_turned(mixed ^ (half * _P1 & _WORD), 23) * _P2 + _P3) & _WORD
        data = data[4:]
    for byte in data:
        mixed = _turned(mixed ^ (byte * _P5 & _WORD), 11) * _P1 & _WORD
    return mixed


def _scattered(mixed: int) -> int:
    mixed &= _WORD
    mixed = (mixed ^ mixed >> 33) * _P2 & _WORD
    mixed = (mixed ^ mixed >> 29) * _P3 & _WORD
    return mixed ^ mixed >> 32


def _round(lane: int, word: int) -> int:
    return _turned((lane + word * _P2) & _WORD, 31) * _P1 & _WORD


def _turned(value: int, by: int) -> int:
    value &= _WORD
    return (value << by | value >> (64 - by)) & _WORD
