"""Windows of time as callers write them: "15m", "24h", or "START/END" in RFC 3339 or Unix seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from monitoring.errors import BadQuery

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


EARLIEST, LATEST = -5_364_662_400.0, 221_845_392_000.0
"""1800 and 9000 AD: what is asked for lies between, so that a calendar can be reckoned with around it."""
LONGEST_S = 100 * 31_536_000.0


def seconds(text: str) -> float:
    """A Prometheus duration or a number of seconds. Raises BadQuery.

    >>> seconds("1h30m"), seconds("90")
    (5400.0, 90.0)
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if not parts or "".join(n + unit for n, unit in parts) != text:
        raise BadQuery(f"'{text}' is not a duration; write for example 15m, 6h or 7d")
    return float(sum(int(n) * _UNITS[unit] for n, unit in parts))


def moment(text: str | float) -> float:
    """Unix seconds of a time in RFC 3339 or Unix seconds. Raises BadQuery.

    >>> moment("1970-01-01T01:00:00+01:00"), moment("12.5")
    (0.0, 12.5)
    """
    found = _moment(text)
    if not EARLIEST <= found <= LATEST:
        raise BadQuery(f"'{text}' is not a time between the years 1800 and 9000")
    return found


def _moment(text: str | float) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        parsed = datetime.fromisoformat(str(text))
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadQuery(f"'{text}' is not a time; write RFC 3339 (2026-11-24T14:00:00Z) or Unix seconds") from None


def span(text: str, at: float) -> tuple[float, float]:
    """Start and end, in Unix seconds. A bare duration ends at `at`. Raises BadQuery."""
    if "/" not in text:
        length = seconds(text)
        if length <= 0:
            raise BadQuery(f"the window '{text}' is empty")
        if length > LONGEST_S:
            raise BadQuery(f"the window '{text}' is longer than 100 years")
        return at - length, at
    start, _, end = text.partition("/")
    first, last = moment(start), moment(end)
    if first >= last:
        raise BadQuery(f"the window '{text}' ends before it starts")
    return first, last


def step_for(length_s: float, points: int = 360, least: int = 60) -> int:
    """A round step (whole minutes) that cuts `length_s` into at most `points` steps.

    >>> step_for(3600), step_for(86400), step_for(21600, 60)
    (60, 240, 360)
    """
    return max(least, -(-int(length_s / points) // 60) * 60)


def duration(seconds_: float) -> str:
    """Seconds as a PromQL duration.

    >>> duration(21600), duration(5400), duration(86400.0), duration(7)
    ('6h', '90m', '1d', '7s')
    """
    whole = max(round(seconds_), 1)
    for unit in ("d", "h", "m"):
        if whole % int(_UNITS[unit]) == 0:
            return f"{whole // int(_UNITS[unit])}{unit}"
    return f"{whole}s"


def rfc3339(time: float) -> str:
    """Unix seconds as RFC 3339 in UTC.

    >>> rfc3339(0)
    '1970-01-01T00:00:00Z'
    """
    text = datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds" if time == int(time) else "milliseconds")
    return text.replace("+00:00", "Z")
