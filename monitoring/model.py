"""The nouns that everything else is made of: samples, series, selections, and what a query returned.

Times inside are Unix milliseconds in arrays (`times_ms`) and Unix seconds as `float` elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = Mapping[str, str]
"""Label names to values, `__name__` among them; read-only once made."""

LabelKey = tuple[tuple[str, str], ...]

STALE_NAN = np.frombuffer(np.uint64(0x7FF0000000000002).tobytes(), dtype=np.float64)[0]
"""Prometheus' stale marker: the series ended here. Compare bits, never values (`is_stale`)."""


def label_key(labels: Labels) -> LabelKey:
    """The identity of a series: its labels, sorted, hashable."""
    return tuple(sorted(labels.items()))


def is_stale(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True where a value is the stale marker, bit for bit."""
    return np.equal(values.view(np.uint64), np.uint64(0x7FF0000000000002))


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series over some time: `times_ms` int64, strictly ascending; `values` float64 of the same length."""

    labels: Labels
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples to write, in columns: sample `k` belongs to `series[index[k]]`. Any order, any times."""

    series: Sequence[Labels]
    index: NDArray[np.int32]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)

    @classmethod
    def at(cls, time: float, samples: Sequence[tuple[Labels, float]]) -> Batch:
        """One sample of each series, all at `time` (Unix seconds)."""
        n = len(samples)
        return cls(
            [labels for labels, _ in samples],
            np.arange(n, dtype=np.int32),
            np.full(n, round(time * 1000), dtype=np.int64),
            np.array([value for _, value in samples], dtype=np.float64),
        )


class Matcher(NamedTuple):
    """One label matcher of a selector, as PromQL writes it. A missing label counts as the empty string."""

    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class Selection(NamedTuple):
    """The samples that an evaluation needs: `start_ms` < t ≤ `end_ms`.

    With `rollup`, a column of five-minute buckets (`store.rollups.Column`) may stand for raw samples before
    `rolled_before_ms`.
    """

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    rollup: str | None = None
    rolled_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    """One value per series at one time, and the PromQL that gives it again."""

    query: str
    time: float
    labels: tuple[Labels, ...]
    values: tuple[float, ...]
    source: str
    age_s: float | None
    """Age of the newest sample that took part, in seconds before `time`; None where no series matched."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Series at equal steps, and the PromQL that gives them again. A step without a value is NaN."""

    query: str
    start: float
    end: float
    step: float
    labels: tuple[Labels, ...]
    values: NDArray[np.float64] = field(compare=False)
    """float64 [series × steps]"""
    source: str
    age_s: float | None

    @property
    def times(self) -> NDArray[np.float64]:
        """Unix seconds of the steps."""
        return self.start + self.step * np.arange(self.values.shape[1], dtype=np.float64)
