"""What a follow-up leaves out is taken from the turn before: "and memory?", 그중에 제일 높은 건?, "since when?"."""

from __future__ import annotations

import re

from assistant.conversation import Turn
from assistant.query import Kind, Query
from monitoring.inventory import Inventory

MARKER = re.compile(
    r"^\s*(?:and|then|but|also|ok(?:ay)?|so|what about|how about|since when|why|when|now|only|just|same|its?|that|those|them|"
    r"그럼|그러면|그리고|그래서|그중|그 ?중|거기|얘|걔|그거|그건|이거|그 ?서버|이 ?서버|언제부터|왜|나머지|이번엔|다음은|같은)\b|"
    r"\b(?:it|its|they|them|those|that one|that server|the (?:first|second|third|last)(?: one)?|among (?:them|those)|of (?:them|those))\b|"
    r"그중|그 ?중|얘|걔|그거|그 ?서버|[첫두세네]\s?번째|\bis (?:this|that)\b|^\S{1,12}(?:은|는)\s*[?？]?\s*$|^\S{1,12}\s*만\s*(?:보여줘)?\s*$|로 ?하면|(?:으로|로)는[?？]?$"
)
AMONG = re.compile(r"among|of (?:them|those)|그중|그 ?중|이 ?중")
ORDINALS = (("first", "첫"), ("second", "두 ?번째|둘째"), ("third", "세 ?번째|셋째"), ("fourth", "네 ?번째"))
SHORT = 40
PRONOUN = re.compile(r"\b(?:it|its|they|them|those|that (?:one|server))\b|그중|얘|걔|그거|그 ?서버")


def followed(query: Query, last: Turn | None, inventory: Inventory) -> Query:
    """The query completed by the last turn, or as it is where it stands on its own."""
    if last is None or len(query.text) > SHORT or query.unknown or not MARKER.search(query.text.lower()):
        return query
    if query.kind in ("help", "smalltalk", "action", "promql"):
        return query
    before = last.query
    chosen = _pointed_at(query.text.lower(), last)
    if AMONG.search(query.text.lower()) and last.mentioned:
        kind: Kind = "rank" if query.descending is not None or query.limit else query.kind
        concepts = query.concepts if "cpu" not in query.concepts or "cpu" in query.text.lower() else before.concepts
        limit = query.limit or (1 if kind == "rank" else None)
        return query.but(
            kind=kind, servers=last.mentioned, concepts=concepts or before.concepts, limit=limit, follows=True
        )
    servers = chosen or query.servers
    said = bool(query.servers or query.group)
    return query.but(
        kind=_kind(query, before),
        servers=servers if servers or query.group else before.servers or last.mentioned[: 1 if _one(query) else 20],
        group=query.group or (None if said or chosen else before.group),
        concepts=_concepts(query, before),
        part=query.part or (before.part if not query.concepts and not said else None),
        time=query.time or (before.time if query.kind not in ("changed", "cause") else None),
        other_time=query.other_time,
        thresholds=query.thresholds or (before.thresholds if not query.concepts else ()),
        statistic=query.statistic or before.statistic,
        descending=query.descending if query.descending is not None else before.descending,
        limit=query.limit or before.limit,
        status=query.status or (before.status if not query.concepts else None),
        confidence=min(query.confidence, 0.85) if query.kind == before.kind else 0.8,
        follows=True,
    )


def _one(query: Query) -> bool:
    """Questions that are about one thing: since when, why."""
    return query.kind in ("changed", "cause", "detail")


def _pointed_at(text: str, last: Turn) -> tuple[str, ...]:
    for k, words in enumerate(ORDINALS):
        if any(re.search(rf"(?<![a-z]){word}", text) for word in words) and k < len(last.mentioned):
            return (last.mentioned[k],)
    return ()


def _kind(query: Query, before: Query) -> Kind:
    """Its own kind where it says one, else the kind of the question before."""
    if query.kind in (
        "changed",
        "cause",
        "forecast",
        "trend",
        "anomaly",
        "alerts",
        "compare",
        "howto",
        "report",
        "count",
    ):
        return query.kind
    if query.thresholds:
        return before.kind if before.kind in ("filter", "count") else "filter"
    if query.time is not None and before.kind in ("value", "detail", "aggregate", "history"):
        return "history"
    if query.kind in ("value", "detail", "out_of_scope", "unclear", "overview", "filter"):
        if before.kind in ("overview", "alerts") and query.concepts:
            return "value"
        if before.kind == "cause" and query.concepts:
            return "value"
        return before.kind
    return query.kind


def _concepts(query: Query, before: Query) -> tuple[str, ...]:
    said = query.concepts
    if said == ("cpu",) and query.kind in ("rank", "history", "trend") and "cpu" not in query.text.lower():
        said = ()
    return said or before.concepts
