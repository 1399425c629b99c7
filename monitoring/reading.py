"""What a question to the data returns: rows or series with the PromQL that gives them again.

A `Reading` is plain data on purpose: an MCP tool sends `to_json()` over the wire, the direct road hands the same
dictionary on, so both roads carry the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One query that was run: at `time`, or from `start` to `end` by `step` (Unix seconds)."""

    query: str
    time: float | None
    start: float | None = None
    end: float | None = None
    step: float | None = None
    source: str = "local"
    age_s: float | None = None
    """Age of the newest sample that took part, when it was read; None where nothing matched."""

    def to_json(self) -> dict[str, Any]:
        """The query and its times in Unix seconds; absent times are left out."""
        times = {"time": self.time, "start": self.start, "end": self.end, "step": self.step}
        return {
            "query": self.query,
            **{name: value for name, value in times.items() if value is not None},
            "as_of": self.end if self.time is None else self.time,
            "source": self.source,
            "age_s": self.age_s,
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer in columns. `rows` for values, `series` for `{"server", "labels", "points": [[t, v], …]}`."""

    summary: str
    """One English sentence with the figures that matter."""
    evidence: tuple[Evidence, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    series: tuple[dict[str, Any], ...] = ()
    total: int = 0
    """How many rows or series there are, of which this may hold a part."""
    next_cursor: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """Facts beside the table, such as counts by status."""

    def to_json(self) -> dict[str, Any]:
        """The shape of every MCP tool result: first query as `evidence`, further ones below `evidence.also`."""
        first, *more = [item.to_json() for item in self.evidence] or [{}]
        shown = len(self.rows) or len(self.series)
        body: dict[str, Any] = {"summary": self.summary}
        if self.series:
            body["series"] = list(self.series)
        else:
            body |= {"columns": list(self.columns), "rows": [list(row) for row in self.rows]}
        body["total"] = self.total
        if shown < self.total:
            body["truncated"] = True
        if self.next_cursor is not None:
            body["next_cursor"] = self.next_cursor
        if self.details:
            body["details"] = self.details
        body["evidence"] = {**first, **({"also": more} if more else {})}
        return body
