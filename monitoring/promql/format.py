"""Numbers as Go writes them, in results and in labels made from values."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import orjson

from monitoring.promql.values import Floats


def plain(value: float) -> str:
    """Shortest text that reads back the same, never with an exponent (Go's `'f', -1`).

    >>> plain(1e21), plain(0.1), plain(-0.0), plain(math.inf)
    ('1000000000000000000000', '0.1', '-0', '+Inf')
    """
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" in text:
        return format(Decimal(text), "f")
    return text if text[-1] not in "fn" else _special(value)


def sample(value: float) -> str:
    """A sample's value in the HTTP API: an exponent only below 1e-6 and from 1e21.

    >>> sample(1e20), sample(1e21), sample(2.5e-7), sample(math.nan)
    ('100000000000000000000', '1e+21', '2.5e-07', 'NaN')
    """
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" not in text:
        return text if text[-1] not in "fn" else _special(value)
    return format(Decimal(text), "f") if 1e-6 <= abs(value) < 1e21 else text


def samples(values: Floats) -> list[bytes]:
    """`sample` of each of a flat array. Most are written by orjson in one go, 0.1 µs each: `repr` alone takes 0.5.

    >>> samples(np.array([1.0, -0.0, 0.1, 1e21, 2.5e-7, math.inf]))
    [b'1', b'-0', b'0.1', b'1e+21', b'2.5e-07', b'+Inf']
    """
    if not values.size:
        return []
    sizes = np.abs(values)
    odd = np.flatnonzero(~((sizes >= 1e-5) & (sizes < 1e16) | (sizes == 0)))  # written with an exponent, or no number
    if len(odd):
        plain_ones = values.copy()
        plain_ones[odd] = 0.0
    body = orjson.dumps(np.ascontiguousarray(plain_ones if len(odd) else values), option=orjson.OPT_SERIALIZE_NUMPY)
    texts = body.replace(b".0,", b",").replace(b".0]", b"]")[1:-1].split(b",")
    for k in odd.tolist():
        texts[k] = sample(values[k].item()).encode()
    return texts


def open_metrics(value: float) -> str:
    """A number as OpenMetrics writes it in labels: whole ones with `.0`.

    >>> open_metrics(1.0), open_metrics(0.25)
    ('1.0', '0.25')
    """
    return repr(value) if math.isfinite(value) else _special(value)


def duration_text(ms: int) -> str:
    """A duration of at least 0 as Prometheus writes it: years and weeks only where nothing is left over.

    >>> duration_text(5_400_000), duration_text(7_776_000_000), duration_text(604_800_000), duration_text(0)
    ('1h30m', '90d', '1w', '0s')
    """
    parts = []
    for unit, size in (("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000)):
        if unit not in "yw" or ms % size == 0:
            parts += [f"{ms // size}{unit}"] if ms >= size else []
            ms %= size
    for unit, size in (("m", 60_000), ("s", 1_000), ("ms", 1)):
        parts += [f"{ms // size}{unit}"] if ms >= size else []
        ms %= size
    return "".join(parts) or "0s"


def quoted(text: str) -> str:
    r"""Text in double quotes, with Go's escapes.

    >>> print(quoted('a"b\n\x00é'))
    "a\"b\n\x00é"
    """
    return '"' + "".join(map(_escaped, text)) + '"'


_ESCAPES = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v", "\\": "\\", '"': '"'}


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return "\\" + _ESCAPES[char]
    if char.isprintable():
        return char
    point = ord(char)
    return f"\\x{point:02x}" if point < 0x80 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def parse_number(text: str) -> float | None:
    """The number that Go's ParseFloat reads, None where it reads none."""
    if not text or text != text.strip() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
