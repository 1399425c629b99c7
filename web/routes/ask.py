"""Routes of the assistant: a question as JSON, as a stream, and past answers again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from assistant.engine import Answer
from assistant.query import Question
from monitoring.errors import BadQuery
from monitoring.windows import moment
from web.envelope import EventStream, failure, success
from web.parts import Parts, parts
from web.stream import frame

router = APIRouter(prefix="/api/ai-agent")
MOST = 2_000
Text = Annotated[str, Field(min_length=1, max_length=MOST)]


class Context(BaseModel):
    """What is known of the asker. Further fields are accepted and ignored."""

    model_config = ConfigDict(extra="allow")

    timezone: str | None = None
    server: str | None = Field(None, max_length=300)
    now: str | float | None = None

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, name: str | None) -> str | None:
        if name is not None:
            _zone(name)
        return name

    @field_validator("now")
    @classmethod
    def _a_time(cls, value: str | float | None) -> str | float | None:
        if value is not None:
            try:
                moment(value)
            except BadQuery as error:
                raise ValueError(str(error)) from None
        return value


class Ask(BaseModel):
    """The body of a question (CONTRACT)."""

    query: Text
    mode: Literal["auto", "mcp", "rag"] = "auto"
    session_id: str | None = Field(None, max_length=200)
    context: Context = Context.model_validate({})

    @field_validator("query")
    @classmethod
    def _something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the question is empty")
        return text.strip()

    def question(self, p: Parts) -> Question:
        """The question with the asker's clock."""
        zone = _zone(self.context.timezone) if self.context.timezone else p.zone
        now = p.clock() if self.context.now is None else moment(self.context.now)
        return Question(self.query, now, zone, self.session_id, self.context.server, self.mode)


@router.post("")
async def ask(request: Request, body: Ask) -> Response:
    """One question, one answer with its evidence."""
    return success(await answered(parts(request), body))


async def answered(p: Parts, body: Ask) -> dict[str, Any]:
    """The answer, which is kept for a day."""
    answer = await p.engine.answer(body.question(p))
    await p.answers.keep(answer.id, asdict(answer))
    return asdict(answer)


@router.post("/stream", response_class=EventStream)
async def stream(request: Request, body: Ask) -> Response:
    """The same as server-sent events: `step`, `evidence`, `chart`, `delta`, `done`, `error`."""
    p = parts(request)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return EventStream(_frames(p, body.question(p)), headers=headers)


@router.get("/answers/{answer_id}")
async def past(request: Request, answer_id: str) -> Response:
    """A past answer."""
    found = await parts(request).answers.get(answer_id)
    return success(found) if found else failure(404, f"no answer '{answer_id}'; answers are kept for a day")


@router.post("/answers/{answer_id}/replay")
async def replay(request: Request, answer_id: str) -> Response:
    """Recomputes a past answer at its own time and says whether it is the same."""
    p = parts(request)
    found = await p.answers.get(answer_id)
    if not found:
        return failure(404, f"no answer '{answer_id}'; answers are kept for a day")
    again = await p.engine.answer(Question(found["query"], found["now"], _zone(found["timezone"])))
    same = again.response == found["response"]
    return success({"same": same, "before": found["response"], "after": again.response, "answer": asdict(again)})


async def _frames(p: Parts, question: Question) -> AsyncIterator[bytes]:
    steps: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    started = time.perf_counter()

    async def answered() -> Answer:
        try:
            return await p.engine.answer(question, steps.put)
        finally:
            await steps.put(None)

    task = asyncio.create_task(answered())
    try:
        while (step := await steps.get()) is not None:
            yield frame("step", step)
        answer = await task
        for item in answer.evidence:
            yield frame("evidence", item)
        for chart in answer.charts:
            yield frame("chart", chart)
        for piece in _pieces(answer.response):
            yield frame("delta", {"text": piece})
        await p.answers.keep(answer.id, asdict(answer))
        yield frame("done", asdict(answer))
    except Exception as error:
        took = round((time.perf_counter() - started) * 1000)
        yield frame("error", {"code": "internal", "message": f"the answer failed after {took} ms"})
        raise RuntimeError("a streamed answer failed") from error
    finally:
        task.cancel()


def _pieces(text: str) -> list[str]:
    """The text by lines, so that a page can show it as it comes."""
    return text.splitlines(keepends=True)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no time zone '{name}'; write an IANA name such as Asia/Seoul") from None
