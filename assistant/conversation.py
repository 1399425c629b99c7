"""What was just talked about, per session: the last query and the servers its answer named.

The turns live where all processes can read them (`Memory`), so that any of them answers the next question. What could
not be written there stays in this process until it can.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from datetime import datetime, tzinfo
from typing import Any, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from assistant.query import Query
from engines.timespan import TimeSpan
from monitoring.errors import StoreUnavailable

log = logging.getLogger(__name__)
SESSIONS = 2_000
TTL_S = 86_400.0
PATIENCE_S = 1.0
"""What a question waits for the memory at most, once before and once after its answer."""
WITHOUT_CONTENT = ("smalltalk", "help", "out_of_scope", "action", "unclear")


class Memory(Protocol):
    """Keeps JSON values for a while, for all processes. Both raise StoreUnavailable."""

    async def get(self, key: str) -> Any | None: ...

    async def put(self, key: str, value: Any, ttl_s: float) -> None: ...


class Turn(NamedTuple):
    """One question as understood, and the servers of its answer in order. `time` is the question's `now`."""

    query: Query
    mentioned: tuple[str, ...]
    time: float


_turns: TypeAdapter[Turn] = TypeAdapter(Turn)


class Conversations:
    """The last turn of each session. A session can be taken up again for `ttl_s`."""

    def __init__(self, memory: Memory | None = None, ttl_s: float = TTL_S) -> None:
        """Without a `memory`, turns stay in this process."""
        self._memory = memory
        self._ttl_s = ttl_s
        self._own: OrderedDict[str, Turn] = OrderedDict()
        self._unwritten: set[str] = set()

    async def last(self, session_id: str | None, now: float, zone: tzinfo) -> Turn | None:
        """The last turn; None where there is none or it is too old. Its times are on the clock of `zone`."""
        if not session_id:
            return None
        turn = self._own.get(session_id)
        if self._memory is not None and session_id not in self._unwritten:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    found = await self._memory.get(session_id)
                turn = None if found is None else _zoned(_turns.validate_python(found), zone)
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("conversation.not_read error=%s", error)
            except ValidationError:  # written by another version
                turn = None
        return turn if turn and abs(now - turn.time) <= self._ttl_s else None

    async def keep(self, session_id: str | None, turn: Turn) -> None:
        """Remembers a turn. Replies without content (greetings, refusals) leave the last one in place."""
        if not session_id or turn.query.kind in WITHOUT_CONTENT:
            return
        self._own[session_id] = turn
        self._own.move_to_end(session_id)
        while len(self._own) > SESSIONS:
            forgotten, _ = self._own.popitem(last=False)
            self._unwritten.discard(forgotten)
        if self._memory is None:
            return
        self._unwritten.add(session_id)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._memory.put(session_id, _turns.dump_python(turn, mode="json"), self._ttl_s)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("conversation.not_kept error=%s", error)
        else:
            self._unwritten.discard(session_id)


def _zoned(turn: Turn, zone: tzinfo) -> Turn:
    """The turn with its times in `zone`: JSON keeps the offset only, and arithmetic wants the zone."""
    query = turn.query
    return turn._replace(query=query.but(time=_span(query.time, zone), other_time=_span(query.other_time, zone)))


def _span(span: TimeSpan | None, zone: tzinfo) -> TimeSpan | None:
    if span is None:
        return None
    end = None if span.end is None else span.end.astimezone(zone)
    start: datetime = span.start.astimezone(zone)
    return TimeSpan(start, end, span.kind, span.text, span.i, span.j, span.vague)
