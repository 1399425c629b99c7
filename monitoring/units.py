"""Figures with their units, rounded the same way everywhere and in both languages."""

from __future__ import annotations

import math

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def figure(value: float, unit: str, language: str = "en") -> str:
    """`value` as people read it.

    >>> figure(93.46, "percent"), figure(18e6, "bytes_per_second"), figure(302400, "seconds"), figure(820.4, "milliseconds")
    ('93.5 %', '17.2 MiB/s', '3.5 days', '820 ms')
    >>> figure(302400, "seconds", "ko")
    '3.5일'
    """
    if math.isnan(value):
        return "값 없음" if language == "ko" else "no value"
    if unit == "percent":
        return f"{plain(value)} %"
    if unit in ("bytes", "bytes_per_second"):
        return _bytes(value) + ("/s" if unit == "bytes_per_second" else "")
    if unit == "seconds":
        return duration(value, language)
    if unit == "milliseconds":
        return f"{plain(value / 1000)} s" if abs(value) >= 10_000 else f"{plain(value)} ms"
    if unit == "celsius":
        return f"{plain(value)} °C"
    if unit == "per_second":
        return f"{plain(value)}/s"
    return plain(value)


def plain(value: float) -> str:
    """Three significant digits, at most two decimals, thousands with k, M, G from 10,000.

    >>> plain(99.96), plain(0.314), plain(1234.5), plain(2.0), plain(48_200)
    ('100', '0.31', '1,234', '2', '48.2k')
    """
    size = abs(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if size >= 10_000:
        factor, letter = next(scale for scale in _SCALES if size >= scale[0])
        return f"{value / factor:.3g}{letter}" if size < 999e12 else f"{value:.3g}"
    digits = 2 if size < 10 else 1 if size < 99.95 else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float, language: str = "en") -> str:
    """A length of time in its largest fitting unit.

    >>> duration(54360), duration(1500), duration(42), duration(54360, "ko")
    ('15.1 hours', '25 minutes', '42 seconds', '15.1시간')
    """
    for size, en, ko in ((172_800, "day", "일"), (5_400, "hour", "시간"), (90, "minute", "분"), (0, "second", "초")):
        if abs(seconds) >= size:
            per = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}[en]
            text = f"{seconds / per:.1f}".removesuffix(".0") if per >= 3600 else f"{seconds / per:.0f}"
            return f"{text}{ko}" if language == "ko" else f"{text} {en}{'' if text == '1' else 's'}"
    raise AssertionError("the last row matches every length")


def _bytes(value: float) -> str:
    for factor, name in _BINARY:
        if abs(value) >= factor:
            return f"{plain(value / factor)} {name}"
    return f"{plain(value)} B"
