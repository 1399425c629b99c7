"""Which samples are believed: a time that can be, and for our own gauges a value that can be. All columns at once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitoring.model import Batch, Labels, is_stale
from monitoring.windows import rfc3339

log = logging.getLogger(__name__)

Road = Literal["remote_write", "otlp", "scrape"]
Reason = Literal["clock_skew", "too_old", "not_a_number", "out_of_range"]

AHEAD_S = 600.0
"""How far a sender's clock may be ahead of ours."""
MOST_PERCENT = 100.5
"""Rounding of exporters is forgiven up to here."""
_FREE, _PERCENT, _POSITIVE = 0, 1, 2
_RULES = {
    "server_cpu_usage": _PERCENT,
    "server_memory_usage": _PERCENT,
    "server_disk_usage": _PERCENT,
    "server_network_receive_bytes_per_second": _POSITIVE,
    "server_network_transmit_bytes_per_second": _POSITIVE,
    "server_uptime_seconds": _POSITIVE,
}
"""Our own gauges. Of other metrics every value is believed: NaN and infinities are legitimate in Prometheus."""


class Refusal(NamedTuple):
    """One refused sample and why."""

    reason: str
    labels: Labels
    time_ms: int
    value: float

    def __str__(self) -> str:
        names = ", ".join(f"{name}={value!r}" for name, value in sorted(self.labels.items()) if name != "__name__")
        when = rfc3339(self.time_ms / 1000) if abs(self.time_ms) < 2**47 else f"{self.time_ms} ms"
        return f"{self.labels.get('__name__', '')}{{{names[:200]}}} {self.value:g} at {when}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A batch after the check: what is kept of it, and how many were refused for which reason."""

    kept: Batch
    refused: Mapping[Reason, int] = field(default_factory=dict)
    first: Refusal | None = None
    bad: NDArray[np.bool_] | None = None
    """Which samples of the batch were refused; None where none was."""


def check(batch: Batch, now: float, retention_s: float) -> Checked:
    """The samples of `batch` that can be true at `now` (Unix seconds), and the others counted by reason.

    A value is never held against a stale marker.
    """
    earliest, latest = believed_ms(now, retention_s)
    tests: list[tuple[Reason, NDArray[np.bool_]]] = [
        ("clock_skew", batch.times_ms > latest),
        ("too_old", batch.times_ms < earliest),
    ]
    get = _RULES.get
    rules = np.array([get(labels.get("__name__", ""), _FREE) for labels in batch.series], dtype=np.int8)
    if rules.any():
        tests += _value_tests(rules[batch.index], batch.values)
    bad = np.zeros(len(batch), dtype=np.bool_)
    refused: dict[Reason, int] = {}
    reasons: dict[int, Reason] = {}
    for reason, test in tests:
        fresh = test & ~bad
        if count := int(np.count_nonzero(fresh)):
            refused[reason] = count
            reasons[int(fresh.argmax())] = reason
            bad |= fresh
    if not refused:
        return Checked(batch)
    k = min(reasons)
    first = Refusal(reasons[k], batch.series[batch.index[k]], int(batch.times_ms[k]), float(batch.values[k]))
    good = ~bad
    kept = Batch(batch.series, batch.index[good], batch.times_ms[good], batch.values[good])
    return Checked(_without_empty_series(kept), refused, first, bad)


def believed_ms(now: float, retention_s: float) -> tuple[int, int]:
    """The earliest and the latest time that a sample may have at `now`."""
    return round((now - retention_s) * 1000), round((now + AHEAD_S) * 1000)


def _value_tests(rules: NDArray[np.int8], values: NDArray[np.float64]) -> list[tuple[Reason, NDArray[np.bool_]]]:
    percent = (rules == _PERCENT) & ~is_stale(values)
    with np.errstate(invalid="ignore"):
        beyond = (percent & ((values < 0) | (values > MOST_PERCENT))) | ((rules == _POSITIVE) & (values < 0))
    return [("not_a_number", percent & ~np.isfinite(values)), ("out_of_range", beyond)]


def _without_empty_series(batch: Batch) -> Batch:
    """The batch without series that have no sample left, so that a refused series is not made known."""
    used, index = np.unique(batch.index, return_inverse=True)
    series = [batch.series[k] for k in used.tolist()]
    return Batch(series, index.astype(np.int32), batch.times_ms, batch.values)


class Gate:
    """The one way into the store for samples from outside: checked, counted, then appended."""

    def __init__(
        self, append: Callable[[Batch], Awaitable[int]], clock: Callable[[], float], retention_s: float
    ) -> None:
        self.refused: Counter[tuple[Road, str]] = Counter()
        """Samples that were refused, by road and reason."""
        self.clock = clock
        self._append = append
        self._retention_s = retention_s

    def believed_ms(self) -> tuple[int, int]:
        """The earliest and the latest time that a sample may have now."""
        return believed_ms(self.clock(), self._retention_s)

    async def write(self, batch: Batch, road: Road) -> Checked:
        """Appends what can be believed of `batch`. Raises StoreUnavailable; nothing is counted then."""
        checked = check(batch, self.clock(), self._retention_s)
        if len(checked.kept):
            await self._append(checked.kept)
        for reason, count in checked.refused.items():
            self.count(road, reason, count, str(checked.first))
        return checked

    def count(self, road: Road, reason: str, count: int, first: str = "") -> None:
        """Counts refused samples; the first of a road and reason is logged."""
        if not count:
            return
        if not self.refused[road, reason]:
            log.warning("samples.refused road=%s reason=%s samples=%d first=%s", road, reason, count, first)
        self.refused[road, reason] += count

    def outlet(self, road: Road) -> Callable[[Batch], Awaitable[int]]:
        """`write` in the shape of `SampleStore.append`, for an outbox."""
        return partial(self._kept, road)

    async def _kept(self, road: Road, batch: Batch) -> int:
        return len((await self.write(batch, road)).kept)
