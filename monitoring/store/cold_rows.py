"""What the cold store keeps: plain rows, the same in SQLite, PostgreSQL and a backup file. Hours count from 1970."""

from __future__ import annotations

from typing import Any, NamedTuple


class Segment(NamedTuple):
    """One sealed block: up to 64 series of one metric in one hour. NaN where there is no minimum, maximum or total."""

    metric: str
    hour: int
    group: int
    generation: int
    count: int  # type: ignore[assignment]  # the column's name, over the tuple's method
    minimum: float
    maximum: float
    total: float
    body: bytes


class Rollup(NamedTuple):
    """One day (since 1970, UTC) of up to 64 series of a metric by five minutes, as of the newest hour in it."""

    metric: str
    day: int
    group: int
    generation: int
    body: bytes


class Catalogued(NamedTuple):
    """One series: its labels as a JSON object with sorted names, its first and its last hour."""

    id: int
    group: int
    labels: bytes
    first: int
    last: int


class Value(NamedTuple):
    """One JSON value of the store, as a backup holds it. `expires` in Unix seconds, or None for never."""

    kind: str
    key: str
    body: bytes
    expires: float | None


class ServerTemplate(NamedTuple):
    """One server of a fleet that is defined once and stays the same."""

    id: str
    type: str
    spec: dict[str, Any]


class ScenarioRun(NamedTuple):
    """One incident that was played, with the truth about it. Unix seconds; no end while it is under way."""

    id: str
    scenario: str
    started: float
    ended: float | None
    parameters: dict[str, Any]
    ground_truth: dict[str, Any]


class AlertRow(NamedTuple):
    """One thing that happened to an alert; `body` is JSON. Unix seconds."""

    id: str
    time: float
    kind: str
    fingerprint: str
    name: str
    server: str | None
    severity: str | None
    body: str


class BaselineRow(NamedTuple):
    """What was normal for one server, by the fit of that version; `body` is JSON, compressed. Unix seconds."""

    server: str
    version: int
    fitted: float
    body: bytes


class ForecastRow(NamedTuple):
    """What was said to come, and what came. Unix seconds.

    Of kind `full`, `expected`, `low` and `high` are the times when `bound` is reached, of kind `level` the values at
    `target`; so are `actual` and `error` (actual less expected). Without a `verdict` it is open.
    """

    id: str
    said: float
    due: float
    server: str
    concept: str
    part: str | None
    kind: str
    method: str
    bound: float | None
    present: float | None
    target: float | None
    expected: float
    low: float | None
    high: float | None
    verdict: str | None = None
    actual: float | None = None
    error: float | None = None
    judged: float | None = None
