"""The nouns of a report: what fired, what departed from its habit, what comes, what is too big or too small.

Each carries `notes`, the places of its queries in `Facts.proofs`. Times are Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

ReportKind = Literal["incident", "daily", "handover", "capacity"]
Notes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which report, of which time, as of when. Without `servers` it is about all."""

    kind: ReportKind
    start: float
    end: float
    now: float
    servers: tuple[str, ...] = ()

    @property
    def window(self) -> str:
        """The time as tools take it."""
        return f"{self.start:.0f}/{self.end:.0f}"

    def about(self, server: str | None) -> bool:
        """Whether the report speaks of that server."""
        return not self.servers or server in self.servers


@dataclass(frozen=True, slots=True)
class Departure:
    """A stretch in which a series was away from its habit. `until` is None while it is."""

    server: str
    concept: str
    part: str | None
    since: float
    until: float | None
    value: float
    expected: float
    score: float
    notes: Notes


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired; `value` is the worst one meanwhile. `note` says who took care of it."""

    server: str | None
    concept: str
    part: str | None
    severity: str | None
    value: float
    threshold: float | None
    since: float | None
    until: float | None
    alert: str
    summary: str | None
    summary_ko: str | None
    note: str | None
    notes: Notes


@dataclass(frozen=True, slots=True)
class Coming:
    """A limit that will be reached, by the forecast."""

    server: str
    concept: str
    part: str | None
    value: float
    limit: float
    at: float
    low: float | None
    high: float | None
    rate_per_hour: float
    method: str
    notes: Notes


@dataclass(frozen=True, slots=True)
class Impact:
    """What one thing of one server went through: from when to when, how bad at worst."""

    server: str
    concept: str
    part: str | None
    since: float
    until: float | None
    worst: float
    usual: float | None
    lasted_s: float
    """How long in all, of `times` stretches; the one that goes on counts up to the end of the report"""
    times: int
    notes: Notes


@dataclass(frozen=True, slots=True)
class Suspect:
    """A possible cause: its share among its rivals, what speaks for it and against it (words of `briefing_cause`)."""

    departure: Departure
    share: float
    lead_s: float
    speaks_for: tuple[str, ...]
    against: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """A server held against its use. Shares are percent; `measured_s` is how much history stands behind them."""

    server: str
    type: str
    verdict: Literal["big", "small", "fits"]
    because: tuple[str, ...]
    """The concepts that say so"""
    cpu_p95: float | None
    cpu_max: float | None
    memory_p95: float | None
    memory_max: float | None
    disk: float | None
    disk_part: str | None
    cores: float | None
    memory_bytes: float | None
    measured_s: float
    enough_cores: int | None
    """Cores with which the 95th percentile would stand at 60 %, where that is fewer, or more, than there are"""


@dataclass(frozen=True, slots=True)
class Course:
    """One series, to be drawn: points of (time, value or None), a limit where there is one."""

    server: str | None
    concept: str
    part: str | None
    points: tuple[tuple[float, float | None], ...]
    limit: float | None
    marked: tuple[float, float] | None
    """The stretch that the report is about"""
    notes: Notes


@dataclass(frozen=True, slots=True)
class Proof:
    """A query that was run, with its times."""

    query: str
    time: float | None = None
    start: float | None = None
    end: float | None = None
    step: float | None = None


@dataclass(slots=True)
class Facts:
    """All that a report says, before it is said."""

    asked: Asked
    servers: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    bad: list[dict[str, Any]] = field(default_factory=list)
    """Servers that are not healthy, with their reasons, as `fleet_summary` has them"""
    means: dict[str, float] = field(default_factory=dict)
    state_notes: dict[str, Notes] = field(default_factory=dict)
    """Concept → the queries that gave its values"""
    fired: list[Fired] = field(default_factory=list)
    firing: list[Fired] = field(default_factory=list)
    silences: list[dict[str, Any]] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)
    impact: list[Impact] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    coming: list[Coming] = field(default_factory=list)
    unsure: int = 0
    """Series with too little history for a forecast"""
    sizes: list[Size] = field(default_factory=list)
    size_notes: dict[str, Notes] = field(default_factory=dict)
    """Name of a reading (`cpu_p95`, `disk` …) → its query"""
    courses: list[Course] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """The tools' results, to be cited whole"""

    def sized(self, one: Size) -> Notes:
        """The queries of the figures that a verdict about size stands on."""
        names = {"cpu": ("cpu_p95", "cpu_max", "measured"), "memory": ("memory_p95", "measured"), "disk": ("disk",)}
        wanted = [name for concept in one.because for name in names[concept]]
        wanted += ["cores"] if one.enough_cores is not None else []
        return tuple(dict.fromkeys(k for name in wanted for k in self.size_notes.get(name, ())))

    def noted(self, *concepts: str) -> Notes:
        """The queries that the state of some concepts was read by; of the usual ones where none is named."""
        wanted = concepts or ("cpu", "memory", "disk")
        return tuple(dict.fromkeys(k for name in wanted for k in self.state_notes.get(name, ())))
