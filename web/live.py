"""The fleet as all readers see it: read once for everybody, sent as changes, kept when the store is away.

The process that collects reads and publishes; the others follow. Where nobody has published for `ALONE_S` the first
that notices reads and publishes in its place, so that the page lives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import aclosing
from typing import Any, NamedTuple

import numpy as np

from monitoring.catalog import load
from monitoring.errors import BackendUnavailable, StoreUnavailable
from monitoring.expressions import expression
from monitoring.fleet import FleetState, ServerState
from monitoring.queries import FleetQueries
from monitoring.store.board import BoardStore, Message
from monitoring.windows import rfc3339
from web.board import Board, content
from web.cache import Outcome, count
from web.delta import Data, difference
from web.envelope import encode
from web.stream import Stream, frame

log = logging.getLogger(__name__)

FRESH_S = 5.0
"""No request is answered from an older reading, unless a newer one is being made or the store is away."""
IDLE_S = 4.0
"""A reading is renewed after this long even when no samples came: ages and silences change by themselves."""
PACE_S = 0.25
"""How often it is looked whether samples came."""
LEAST_S = 1.0
"""Readings that no request waits for are at least this far apart, and take at most 1/`SHARE` of the time."""
SHARE = 20
SMALL = 50
"""Of so many servers an outdated reading is renewed for the request that finds it; of more in the background."""
WAIT_S = 0.1
"""The most that such a request waits because there has just been a reading."""
ALONE_S, LINK_S = 15.0, 5.0
"""A follower reads for itself after hearing nothing for this long; the second where the channel is lost too."""
ALIVE_S = 15.0
"""A stream without changes shows after this long that it lives."""
IN_THREAD = 200
"""Servers above which encoding leaves the event loop (about 2 ms)."""
SPARK_S, SPARK_STEP_S = 3600, 120
STALE_S = 120.0
"""A reading whose newest sample is older than this is said to be stale."""


class Made(NamedTuple):
    """A board that is still to be published."""

    board: Board
    prev: int
    delta: bytes
    tick: bytes


class LiveFleet:
    """`current()` for requests, `stream` for those who listen. Raises StoreUnavailable only where nothing was read."""

    def __init__(
        self,
        queries: FleetQueries,
        stamp: Callable[[], Hashable],
        clock: Callable[[], float],
        boards: BoardStore | None = None,
        leads: Callable[[], bool] = lambda: True,
        idle_s: float = IDLE_S,
    ) -> None:
        self.stream = Stream()
        self.board: Board | None = None
        self._queries = queries
        self._stamp = stamp
        """Changes when samples came in: a reading from before is not fresh."""
        self._clock = clock
        self._boards = boards
        self._leads = leads
        self._idle_s = idle_s
        self._board_stamp: object = None
        self._at = time.monotonic()
        """When the board was made or came (monotonic seconds)."""
        self._took = 0.0
        self._small = True
        self._own = True
        """False where the board came from another process."""
        self._failure: StoreUnavailable | BackendUnavailable | None = None
        self._at_failure = 0.0
        self._stale: tuple[int, int, Board] | None = None
        self._sparks: dict[str, list[float | None]] = {}
        self._sparks_at = 0.0
        self._floor = 0
        self._making = asyncio.Lock()
        self._unpublished: deque[Made] = deque(maxlen=8)
        self._told_at = 0.0

    # -- for requests

    async def current(self) -> tuple[Board, bool]:
        """The newest board, and whether this request caused its reading."""
        if (board := self._ready("hit")) is not None:
            return board, False
        arrived = time.monotonic()
        async with self._making:
            if (board := self._ready("joined", arrived)) is not None:
                return board, False
            if self._failure is not None and self._at_failure >= arrived:
                raise self._failure
            count("dashboard", "miss")
            if (wait_s := self._at + min(self._took * SHARE, WAIT_S) - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            try:
                return await self._read(), True
            except (StoreUnavailable, BackendUnavailable):
                if self.board is None:
                    raise
                return self._as_stale(self.board), False

    def version(self) -> Hashable:
        """Changes when samples or series came: what was made from an earlier version is not to be served."""
        return self._stamp()

    async def data(self) -> Data:
        """The reading as data, for routes that show parts of it."""
        board, _ = await self.current()
        return board.data()

    def _ready(self, result: Outcome, since: float | None = None) -> Board | None:
        """The board that may be served without a reading."""
        board = self.board
        if board is None:
            return None
        if self._failure is not None:
            if since is None or self._at_failure >= since:
                count("dashboard", "stale")
                return self._as_stale(board)
            return None
        passed, at = self._clock() - board.time, time.monotonic() - self._at
        if self.follows():
            fresh = at < ALONE_S and (at < LINK_S or (self._boards is not None and self._boards.linked))
        elif not 0 <= passed < FRESH_S:
            fresh = self._making.locked() and since is None and not self._small and 0 <= passed < 2 * FRESH_S
            result = "stale"
        elif self._board_stamp == self._stamp():
            fresh = True
        else:
            fresh = not self._small
            result = "stale"
        if not fresh:
            return None
        count("dashboard", result)
        return board

    def _as_stale(self, board: Board) -> Board:
        """The last good copy, with ages of this second."""
        now = self._clock()
        if self._stale is None or self._stale[:2] != (board.seq, int(now)):
            self._stale = board.seq, int(now), board.as_stale(now)
        return self._stale[2]

    # -- in the background

    async def watch(self) -> None:
        """Reads when samples came, and publishes. Runs until cancelled."""
        while True:
            if self._is_due():
                try:
                    async with self._making:
                        if self._is_due():
                            await self._read()
                except (StoreUnavailable, BackendUnavailable) as error:
                    log.warning("live.read_failed cause=%s", error.cause)
            await self._publish()
            if time.monotonic() - self._told_at > ALIVE_S:
                self._told_at = time.monotonic()
                self.stream.wake()
            await asyncio.sleep(PACE_S)

    def _is_due(self) -> bool:
        since = time.monotonic() - max(self._at, self._at_failure)
        if self._failure is not None or self.board is None:
            return since >= LEAST_S
        if not self._leads():
            return (not self._own and since >= ALONE_S) or (self._own and since >= self._idle_s)
        pause_s = min(max(LEAST_S, self._took * SHARE), self._idle_s)
        return since >= self._idle_s or (since >= pause_s and self._board_stamp != self._stamp())

    async def follow(self) -> None:
        """Takes over what other processes publish. Runs until cancelled."""
        if self._boards is None:
            return
        async with aclosing(self._boards.follow()) as messages:
            async for message in messages:
                if self.board is not None and message and message.version <= self.stream.seq:
                    continue  # our own, or already known
                if self.board is not None and self._leads():
                    self._overtake(message)
                    continue
                try:
                    found = await self._boards.load()
                except StoreUnavailable as error:
                    log.warning("live.not_followed cause=%s", error.cause)
                    continue
                if self.board is not None and self._leads():
                    self._overtake(message)  # it has read while this was loaded
                elif found is not None:
                    self._adopt(Board.published(found), message)

    def _overtake(self, message: Message | None) -> None:
        """Read and publish after another process did in our place: it will follow us."""
        if message is not None:
            self._floor, self._board_stamp = max(self._floor, message.version), None

    def _adopt(self, board: Board, message: Message | None) -> None:
        own, self._own = self._own and self.board is not None, False
        self.board, self._failure, self._at = board, None, time.monotonic()
        self._board_stamp = None
        if message is not None and not own and message.prev == self.stream.seq:
            self._tell(message.version, message.delta)
        elif own or message is None or message.version > self.stream.seq:
            self.stream.restart(board.seq)

    def follows(self) -> bool:
        """False for the process that collects, and for one that reads because nobody else published."""
        return not self._own and not self._leads()

    async def _publish(self) -> None:
        while self._boards is not None and self._unpublished:
            made = self._unpublished.popleft()
            facts, bodies = made.board.facts(), made.board.bodies
            try:
                stands = await self._boards.publish(made.board.seq, made.prev, facts, bodies, made.tick, made.delta)
            except StoreUnavailable as error:
                log.warning("live.not_published cause=%s", error.cause)
                return
            if stands != made.board.seq:  # somebody else has published: go on after them
                self._floor, self._board_stamp = stands, None
                self._unpublished.clear()

    def _tell(self, seq: int, delta: bytes) -> None:
        self._told_at = time.monotonic()
        self.stream.push(seq, frame("delta", delta, seq))

    # -- reading

    async def _read(self) -> Board:
        stamp, now, began = self._stamp(), int(self._clock() * 1000) / 1000, time.monotonic()
        try:
            state = await self._queries.state(now)
            if abs(now - self._sparks_at) > 60:
                self._sparks, self._sparks_at = await self._spark(now), now
        except (StoreUnavailable, BackendUnavailable) as error:
            self._failure, self._at_failure = error, time.monotonic()
            raise
        seq = max(self.stream.seq, self._floor, self.board.seq if self.board else 0) + 1
        if len(state.servers) > IN_THREAD:
            made = await asyncio.to_thread(make, state, self._sparks, self.board, seq)
        else:
            made = make(state, self._sparks, self.board, seq)
        self.board, self._board_stamp, self._failure, self._own = made.board, stamp, None, True
        self._at, self._small = time.monotonic(), len(state.servers) <= SMALL
        self._took = self._at - began
        if self.stream.seq == 0 or self.stream.seq != made.prev:
            self.stream.restart(seq)
        else:
            self._tell(seq, made.delta)
        self._unpublished.append(made)
        return made.board

    async def _spark(self, now: float) -> dict[str, list[float | None]]:
        inventory = await self._queries.inventory()
        query = expression(self._queries.catalog.concepts["cpu"], inventory)
        if query is None:
            return {}
        end = now // SPARK_STEP_S * SPARK_STEP_S
        matrix = await self._queries.backend.range(query, end - SPARK_S + SPARK_STEP_S, end, SPARK_STEP_S)
        return {
            server: [None if np.isnan(v) else round(float(v), 1) for v in values]
            for labels, values in zip(matrix.labels, matrix.values, strict=True)
            if (server := inventory.server_of(labels))
        }


def make(state: FleetState, sparks: dict[str, list[float | None]], before: Board | None, seq: int) -> Made:
    """The board of a state, encoded in every coding, and the delta that leads to it."""
    servers = [server_json(server, state, sparks.get(server.id)) for server in state.servers]
    data = content(state, servers, seq, STALE_S)
    newest = None if state.age_s is None else state.time - state.age_s
    board = Board.of(data, state.time, newest)
    board.encode_all()
    delta = encode(difference(before.data() if before else None, data))
    return Made(board, before.seq if before else 0, delta, board.tick())


def server_json(s: ServerState, state: FleetState, spark: list[float | None] | None = None) -> dict[str, Any]:
    """One server as the page and `/api/servers` show it."""
    value, units = s.values.get, load().concepts
    return {
        "id": s.id,
        "type": s.type,
        "type_guessed": s.type_guessed,
        "status": s.status,
        "simulated": s.simulated,
        "reasons": [
            {
                "concept": r.concept,
                "value": r.value,
                "unit": units[r.concept].unit,
                "threshold": r.threshold,
                "level": r.level,
                "label": r.part,
            }
            for r in s.reasons
        ],
        "cpu": value("cpu"),
        "memory": value("memory"),
        "disk": value("disk"),
        "disk_mount": s.worst_part.get("disk"),
        "network_in": value("network_in"),
        "network_out": value("network_out"),
        "load": value("load"),
        "requests": value("requests"),
        "errors": value("errors"),
        "latency": value("latency"),
        "uptime_s": value("uptime"),
        "last_seen": None if s.last_seen is None else rfc3339(s.last_seen),
        "age_s": None if s.last_seen is None else round((_ms(state.time) - _ms(s.last_seen)) / 1000, 1),
        "spark": spark or [],
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
