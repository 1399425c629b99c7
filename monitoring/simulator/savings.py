"""How one server's page is made: as a baseline with the differences of each tick, or anew; and what the first saves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.simulator.exporter import line_starts
from monitoring.simulator.timeline import Timeline

CHECK_EVERY = 64
"""Every 64th page is also made anew: the times are compared, and so are the bytes."""


@dataclass(slots=True)
class Savings:
    """What was measured since the fleet began. Bytes are those of the pages that were served."""

    pages: int = 0
    bytes_served: int = 0
    bytes_written: int = 0
    """Of these, the bytes of lines that had to be written, because their value had changed."""
    seconds: float = 0.0
    checked: int = 0
    checked_seconds: float = 0.0
    """What the checked pages took the short way."""
    anew_seconds: float = 0.0
    """What they took anew."""
    different: int = 0
    """Checked pages that came out differently: none, or there is a mistake."""

    def report(self) -> dict[str, Any]:
        """All of it, with the shares that follow from it."""
        saved = self.bytes_served - self.bytes_written
        return {
            "pages": self.pages,
            "bytes_served": self.bytes_served,
            "bytes_written": self.bytes_written,
            "bytes_saved": saved,
            "bytes_saved_percent": round(100 * saved / self.bytes_served, 2) if self.bytes_served else None,
            "seconds": round(self.seconds, 6),
            "pages_checked": self.checked,
            "ms_per_page": round(1000 * self.checked_seconds / self.checked, 4) if self.checked else None,
            "ms_per_page_anew": round(1000 * self.anew_seconds / self.checked, 4) if self.checked else None,
            "pages_different": self.different,
        }


class PageWriter:
    """The pages of one server."""

    def __init__(self, timeline: Timeline, savings: Savings, clock: Callable[[], float] = time.perf_counter) -> None:
        self._timeline, self._savings, self._clock = timeline, savings, clock
        self._starts = line_starts(timeline.page_labels)
        self._lines: list[str] = []
        self._values = np.full(len(self._starts), np.nan)

    def anew(self, t: float) -> bytes:
        """The page at `t` (Unix seconds), every value and every line of it computed again."""
        return "".join(_lines(self._starts, self._timeline.anew(t).tolist())).encode()

    def page(self, t: float) -> bytes:
        """The same page by the baseline's curves, with only those lines written whose value is not that of the last."""
        savings, began = self._savings, self._clock()
        values = self._timeline.at(np.array([t]))[:, 0]
        changed = np.flatnonzero(values != self._values).tolist() if self._lines else range(len(values))
        written = _lines([self._starts[k] for k in changed], values[list(changed)].tolist())
        if self._lines:
            for k, line in zip(changed, written, strict=True):
                self._lines[k] = line
        else:
            self._lines = written
        self._values = values
        body = "".join(self._lines).encode()
        took = self._clock() - began
        savings.pages += 1
        savings.seconds += took
        savings.bytes_served += len(body)
        savings.bytes_written += sum(map(len, written))
        if savings.pages % CHECK_EVERY == 0:
            self._check(t, body, took)
        return body

    def _check(self, t: float, body: bytes, took: float) -> None:
        began = self._clock()
        same = self.anew(t) == body
        self._savings.checked += 1
        self._savings.checked_seconds += took
        self._savings.anew_seconds += self._clock() - began
        self._savings.different += not same


def _lines(starts: Sequence[str], values: Sequence[float]) -> list[str]:
    return [f"{start}{value!r}\n" for start, value in zip(starts, values, strict=True)]
