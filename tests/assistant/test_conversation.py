"""What can be relied on of a conversation: any process takes it up, and one that cannot be stored goes on here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from assistant.conversation import Conversations, Turn
from assistant.query import Query
from engines.quantities import Threshold
from engines.timespan import TimeSpan
from monitoring.errors import StoreUnavailable

SEOUL = ZoneInfo("Asia/Seoul")
THEN = datetime(2025, 10, 9, 9, tzinfo=SEOUL)
SPAN = TimeSpan(THEN - timedelta(hours=1), THEN, "span", "last hour", 0, 9)
QUERY = Query("filter", "en", "over 80 % cpu?", ("a", "b"), concepts=("cpu",), time=SPAN)
TURN = Turn(QUERY.but(thresholds=(Threshold(">", 80.0, "%", 0, 4),)), ("b", "a"), 1_000.0)


class Shelf:
    """A memory that can be away."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.away = False

    async def get(self, key: str) -> Any | None:
        if self.away:
            raise StoreUnavailable("refused", "away")
        return self.kept.get(key)

    async def put(self, key: str, value: Any, ttl_s: float) -> None:
        if self.away:
            raise StoreUnavailable("refused", "away")
        self.kept[key] = value


async def test_another_process_takes_up_the_very_same_turn() -> None:
    shelf = Shelf()
    await Conversations(shelf).keep("s", TURN)
    assert await Conversations(shelf).last("s", 2_000.0, SEOUL) == TURN
    assert await Conversations(shelf).last("other", 2_000.0, SEOUL) is None
    assert await Conversations(shelf, ttl_s=500.0).last("s", 2_000.0, SEOUL) is None


async def test_while_the_memory_is_away_the_conversation_goes_on_here_and_nothing_older_returns() -> None:
    shelf = Shelf()
    here = Conversations(shelf)
    await here.keep("s", TURN)
    shelf.away = True
    later = Turn(TURN.query.but(concepts=("memory",)), ("a",), 1_100.0)
    await here.keep("s", later)
    assert await here.last("s", 1_200.0, SEOUL) == later
    shelf.away = False
    assert await here.last("s", 1_200.0, SEOUL) == later


async def test_what_another_version_wrote_is_left_alone() -> None:
    shelf = Shelf()
    shelf.kept["s"] = {"query": "?"}
    assert await Conversations(shelf).last("s", 1_000.0, SEOUL) is None
