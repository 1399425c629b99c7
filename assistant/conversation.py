"""What was just talked about, per session: the last query and the servers its answer named."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from assistant.query import Query

SESSIONS = 2_000
TTL_S = 3600.0


class Turn(NamedTuple):
    """One question as understood, and the servers of its answer in order. `time` is the question's `now`."""

    query: Query
    mentioned: tuple[str, ...]
    time: float


class Conversations:
    """The last turn of each session; the oldest sessions are forgotten first, each after an hour."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, Turn] = OrderedDict()

    def last(self, session_id: str | None, now: float) -> Turn | None:
        """The last turn; None where there is none or it is over an hour old."""
        turn = self._turns.get(session_id) if session_id else None
        return turn if turn and abs(now - turn.time) <= TTL_S else None

    def keep(self, session_id: str | None, turn: Turn) -> None:
        """Remembers a turn. Replies without content (greetings, refusals) leave the last one in place."""
        if not session_id or turn.query.kind in ("smalltalk", "help", "out_of_scope", "action", "unclear"):
            return
        self._turns[session_id] = turn
        self._turns.move_to_end(session_id)
        while len(self._turns) > SESSIONS:
            self._turns.popitem(last=False)
