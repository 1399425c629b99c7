"""The nouns of a conversation: the question as asked, the query it was understood as, and the answer given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any, Literal

from engines.quantities import Threshold
from engines.timespan import TimeSpan

Language = Literal["en", "ko"]
Status = Literal["answered", "clarify", "no_data", "out_of_scope"]
Way = Literal["mcp", "direct", "rag", "basic"]
Mode = Literal["auto", "mcp", "rag"]

Kind = Literal[
    "overview",
    "detail",
    "value",
    "rank",
    "filter",
    "count",
    "aggregate",
    "compare",
    "history",
    "trend",
    "forecast",
    "anomaly",
    "changed",
    "cause",
    "correlate",
    "alerts",
    "report",
    "capacity",
    "howto",
    "promql",
    "help",
    "smalltalk",
    "action",
    "out_of_scope",
    "unclear",
]


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what is known of the asker. `now` is Unix seconds; answers are as of then."""

    text: str
    now: float
    zone: tzinfo
    session_id: str | None = None
    server: str | None = None
    """The server whose page the asker looks at."""
    mode: Mode = "auto"

    def local_now(self) -> datetime:
        """`now` on the asker's clock."""
        return datetime.fromtimestamp(self.now, self.zone)


@dataclass(frozen=True, slots=True)
class Query:
    """What was understood. Empty and None mean: not said."""

    kind: Kind
    language: Language
    text: str
    servers: tuple[str, ...] = ()
    group: str | None = None
    """A type of servers."""
    concepts: tuple[str, ...] = ()
    metric: str | None = None
    """A metric by its own name, or PromQL."""
    part: str | None = None
    """A mount or volume, or a word of it."""
    status: str | None = None
    time: TimeSpan | None = None
    other_time: TimeSpan | None = None
    thresholds: tuple[Threshold, ...] = ()
    descending: bool | None = None
    limit: int | None = None
    statistic: str | None = None
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Words that look like servers and are none, each with the closest names."""
    unread: tuple[str, ...] = ()
    """Words that speak of a time which was not understood."""
    show_query: bool = False
    confidence: float = 0.5
    scores: tuple[tuple[str, float], ...] = ()
    follows: bool = False

    @property
    def concept(self) -> str | None:
        """The first concept."""
        return self.concepts[0] if self.concepts else None

    def but(self, **changes: Any) -> Query:
        """This query with some fields changed."""
        return replace(self, **changes)

    def entities(self) -> dict[str, Any]:
        """What was understood, for the answer's `entities`; absent things are left out."""
        found: dict[str, Any] = {
            "servers": list(self.servers),
            "group": self.group,
            "concepts": list(self.concepts),
            "metric": self.metric,
            "part": self.part,
            "status": self.status,
            "time": _span(self.time),
            "other_time": _span(self.other_time),
            "thresholds": [{"op": t.op, "value": t.value, "unit": t.unit} for t in self.thresholds],
            "order": None if self.descending is None else "desc" if self.descending else "asc",
            "limit": self.limit,
            "statistic": self.statistic,
        }
        return {name: value for name, value in found.items() if value not in (None, [])}


@dataclass(slots=True)
class Draft:
    """An answer being made: the text, what proves it, and how it can be drawn."""

    text: str
    status: Status = "answered"
    evidence: list[dict[str, Any]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    mentioned: tuple[str, ...] = ()
    """Servers that the answer is about, in its order: what "the second one" points at."""
    report: dict[str, str] | None = None
    """The whole report as a document: `kind`, `url` (HTML) and `markdown`; None where the answer is all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply of `POST /api/ai-agent`, field by field (CONTRACT)."""

    id: str
    query: str
    response: str
    status: Status
    engine: Way
    fallbacks: list[dict[str, str]]
    confidence: float
    processingTime: float  # noqa: N815 - the contract's name
    intent: str
    language: Language
    entities: dict[str, Any]
    evidence: list[dict[str, Any]]
    charts: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    suggestions: list[str]
    now: float
    timezone: str
    backend: str
    """What classified the question: `patterns+tfidf`, or `patterns` while the model is not warm."""
    report: dict[str, str] | None = None
    """Where the whole report is, for an answer that tells its first lines."""


def _span(span: TimeSpan | None) -> dict[str, Any] | None:
    if span is None:
        return None
    end = None if span.end is None else span.end.isoformat()
    return {"start": span.start.isoformat(), "end": end, "kind": span.kind, "text": span.text}
