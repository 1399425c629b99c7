"""`UnifiedAIEngine.answer`: the whole story of a question, from words to a proven answer, on one screen."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from assistant.conversation import Conversations, Turn
from assistant.desk import Desk
from assistant.kinds import history, insight, report, state, talk, values
from assistant.query import Answer, Draft, Kind, Query, Question
from assistant.understanding import Understanding
from assistant.understanding.follow_up import followed
from assistant.ways import NothingAnswers, Trail, Ways
from assistant.wording import talk as words
from assistant.wording.phrases import ago, clock
from assistant.wording.suggestions import next_questions
from assistant.wording.values import bad_promql
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive, StoreUnavailable
from monitoring.forecasts import ForecastRecord
from monitoring.queries import FleetQueries

log = logging.getLogger(__name__)
Answering = Callable[[Query, Desk], Awaitable[Draft]]
Watch = Callable[[dict[str, Any]], Awaitable[None]]

DEADLINE_S = 10.0
SLOTS = 16
"""Questions answered at once; more wait. Without a bound, overload reads as failure (ARCHITECTURE)."""

ANSWERS: dict[Kind, Answering] = {
    "overview": state.overview,
    "detail": state.detail,
    "alerts": state.alerts,
    "value": values.value,
    "rank": values.rank,
    "filter": values.filtered,
    "count": values.count,
    "aggregate": values.aggregate,
    "compare": history.compare,
    "promql": values.typed,
    "history": history.past,
    "trend": history.trend,
    "forecast": insight.forecast,
    "anomaly": insight.anomaly,
    "changed": insight.changed,
    "cause": insight.cause,
    "correlate": insight.correlate,
    "help": talk.help_,
    "smalltalk": talk.smalltalk,
    "action": talk.action,
    "out_of_scope": talk.elsewhere,
    "unclear": talk.unclear,
    "howto": talk.not_yet,
    "report": report.report,
    "capacity": report.capacity,
}

TIMED = frozenset({"value", "rank", "aggregate", "history", "trend", "compare", "changed", "cause", "count", "filter"})
"""Kinds whose answer a time would change: a time that was not understood is asked back, never dropped."""

answers_total: Counter[tuple[str, str]] = Counter()
"""(way, status) → how many answers."""


class UnifiedAIEngine:
    """The only entry for chat, REST and the MCP tool `ask`. One per process (`shared`)."""

    def __init__(
        self,
        understanding: Understanding,
        ways: Ways,
        direct: FleetQueries,
        memory: FleetQueries,
        conversations: Conversations | None = None,
        forecasts: ForecastRecord | None = None,
    ) -> None:
        self.understanding = understanding
        self._ways = ways
        self._direct = direct
        self._memory = memory
        self._conversations = conversations or Conversations()
        self._forecasts = forecasts
        self._slots = asyncio.Semaphore(SLOTS)

    async def answer(self, question: Question, watch: Watch | None = None) -> Answer:
        """Understands, reads by the first way that works, and words the result. Always answers."""
        started, trail = time.perf_counter(), Trail(self._ways.first, watch=watch)
        last = await self._conversations.last(question.session_id, question.now, question.zone)
        async with self._slots:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    query, draft = await self._answered(question, last, trail)
            except TimeoutError:
                query = Query("unclear", "ko" if _hangul(question.text) else "en", question.text, confidence=0.0)
                draft = Draft(words.too_slow(query.language), "no_data")
        await trail.step("merged", f"{len(draft.evidence)} queries", 0.0)
        answer = self._finished(question, query, draft, trail, time.perf_counter() - started)
        answers_total[answer.engine, answer.status] += 1
        await self._conversations.keep(question.session_id, Turn(query, draft.mentioned, question.now))
        return answer

    async def _answered(self, question: Question, last: Turn | None, trail: Trail) -> tuple[Query, Draft]:
        started = time.perf_counter()
        inventory = await self._inventory(trail)
        query = followed(self.understanding.read(question, inventory), last, inventory)
        if question.mode == "rag":
            query = query.but(kind="howto")
        detail = f"{query.kind} ({query.confidence:.2f})"
        await trail.step("understood", detail, time.perf_counter() - started, entities=query.entities())
        desk = Desk(question, inventory, self._direct.catalog, self._ways, trail, self._forecasts)
        if query.unknown and not query.servers:
            return query, state.clarify_server(query)
        if query.unread and query.kind in TIMED:
            return query, talk.clarify_time(query)
        try:
            if query.show_query:
                return query, await values.shown(query, desk)
            return query, await ANSWERS[query.kind](query, desk)
        except NothingAnswers as error:
            return query, Draft(words.nothing_answers(str(error), query.language), "no_data")
        except (BadQuery, QueryTooExpensive) as error:
            return query, Draft(bad_promql(str(error), query.language), "clarify")

    async def _inventory(self, trail: Trail) -> Any:
        try:
            return await self._direct.inventory()
        except (StoreUnavailable, BackendUnavailable) as error:
            trail.fell("mcp", f"unavailable:{error.cause}")
            trail.fell("direct", error.cause)
            return await self._memory.inventory()

    def _finished(self, question: Question, query: Query, draft: Draft, trail: Trail, seconds: float) -> Answer:
        text = draft.text
        if trail.way == "basic" and draft.evidence:
            text = f"{_memory_note(question, query, draft)}\n{text}"
        share = {"mcp": 1.0, "direct": 0.97, "basic": 0.6, "rag": 1.0}[trail.way]
        return Answer(
            id=uuid.uuid4().hex,
            query=question.text,
            response=text,
            status=draft.status,
            engine=trail.way,
            fallbacks=trail.fallbacks,
            confidence=round(query.confidence * share, 3),
            processingTime=round(seconds * 1000, 2),
            intent=query.kind,
            language=query.language,
            entities=query.entities(),
            evidence=draft.evidence,
            charts=draft.charts,
            steps=trail.steps,
            suggestions=(draft.suggestions or next_questions(query, draft.mentioned))[:3],
            now=question.now,
            timezone=str(question.zone),
            backend=self.understanding.backend,
            report=draft.report,
        )


def _memory_note(question: Question, query: Query, draft: Draft) -> str:
    times = [float(item.get("time") or item.get("end") or question.now) for item in draft.evidence]
    ages = [float(item.get("age_s") or 0.0) for item in draft.evidence]
    when = max(t - a for t, a in zip(times, ages, strict=True))
    age = ago(max(question.now - when, 0.0), query.language)
    return words.from_memory(clock(when, question.zone, question.now), age, query.language)


def _hangul(text: str) -> bool:
    return any("가" <= letter <= "힣" for letter in text)


_shared: UnifiedAIEngine | None = None


def shared(make: Callable[[], UnifiedAIEngine] | None = None) -> UnifiedAIEngine:
    """The engine of this process: made by the first caller that brings `make`. Raises LookupError before that."""
    global _shared
    if _shared is None:
        if make is None:
            raise LookupError("the engine is not made yet; web.app makes it at start-up")
        _shared = make()
    return _shared


def forget(engine: UnifiedAIEngine) -> None:
    """The application that made the engine ends, and the engine with it."""
    global _shared
    if _shared is engine:
        _shared = None


__all__ = ["Answer", "Question", "UnifiedAIEngine", "answers_total", "forget", "shared"]
