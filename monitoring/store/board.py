"""The newest reading of the fleet in Redis: published by the one who collects, followed by every other process.

| key | holds |
|---|---|
| `{om}:dash` | hash: `version`, `facts` (JSON), and the same body as `json`, `gz` and `zst` |
| `{om}:tick` | the fleet matrix of that version (`encode_tick`) |
| channel `om:tick` | a line of JSON with `version` and `prev`, then the delta from `prev` |

On the same subscription come the events of alerts (channel `om:alert`, `monitoring.alerts_record`).

Nothing here has a time to live: what is shown goes stale, it does not vanish.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from redis.exceptions import RedisError

from monitoring.errors import StoreUnavailable
from monitoring.store.connection import Connection, unavailable
from monitoring.store.scripts import WROTE

log = logging.getLogger(__name__)

BOARD = "{om}:dash"
TICK = "{om}:tick"
CHANNEL = "om:tick"
ALERTS = "om:alert"
CODINGS = {"identity": "json", "gzip": "gz", "zstd": "zst"}
"""Content coding → field of `{om}:dash`."""
RECONNECT_S = 0.5
SILENT_S = 20.0
"""Without a message for this long the subscription is made anew: its connection may be dead without saying so."""

PUBLISH = """
-- ARGV: version, facts, json, gz, zst, tick, message. Returns {1, version}, or {0, the version that stands} where it
-- is not older: somebody else has published meanwhile.
local have = tonumber(redis.call('HGET', '{om}:dash', 'version') or 0)
if have >= tonumber(ARGV[1]) then return {0, have} end
redis.call('HSET', '{om}:dash', 'version', ARGV[1], 'facts', ARGV[2], 'json', ARGV[3], 'gz', ARGV[4], 'zst', ARGV[5])
redis.call('SET', '{om}:tick', ARGV[6])
redis.call('PUBLISH', 'om:tick', ARGV[7])
return {1, tonumber(ARGV[1])}
"""


class Tick(NamedTuple):
    """The fleet as a matrix: a row for each server, a column for each concept; NaN where it is not reported."""

    version: int
    time: float
    """Unix seconds of the reading."""
    ids: list[str]
    concepts: list[str]
    values: NDArray[np.float32]


class Published(NamedTuple):
    """A board as it stands in Redis."""

    version: int
    facts: dict[str, Any]
    bodies: dict[str, bytes]
    """Content coding → the encoded body."""


class Message(NamedTuple):
    """What was said on the channel: `delta` leads from version `prev` to `version`."""

    version: int
    prev: int
    delta: bytes


class BoardStore:
    """The board's keys and its channel. All methods but `follow` raise StoreUnavailable."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.linked = False
        """True while `follow` hears the channel."""
        self.writes = 0
        """How often another process was heard to write samples."""
        self.alert: Callable[[bytes], None] = _nobody
        """Called with each event of an alert, as JSON, that any process wrote."""

    async def publish(
        self, version: int, prev: int, facts: Mapping[str, Any], bodies: Mapping[str, bytes], tick: bytes, delta: bytes
    ) -> int:
        """Set board and matrix and tell all followers, at once; returns the version that stands afterwards.

        Where that is not older than `version` already, nothing is written and it is returned.
        """
        message = orjson.dumps({"version": version, "prev": prev}) + b"\n" + delta
        encoded = [bodies[coding] for coding in CODINGS]
        accepted, stands = await self._connection.write(PUBLISH, version, orjson.dumps(facts), *encoded, tick, message)
        return version if accepted else max(int(stands), version + 1)

    async def load(self) -> Published | None:
        """The newest board; None where none was ever published. One round trip."""
        fields = ["version", "facts", *CODINGS.values()]
        redis = self._connection.redis
        found: Sequence[bytes | None] = await self._connection.guarded(lambda: redis.hmget(BOARD, fields))  # type: ignore[arg-type,return-value]
        version, facts, *bodies = found
        if version is None or facts is None or None in bodies:
            return None
        kept = {coding: bytes(body or b"") for coding, body in zip(CODINGS, bodies, strict=True)}
        return Published(int(version), orjson.loads(facts), kept)

    async def read_tick(self) -> Tick | None:
        """The newest fleet matrix; None where none was ever published. One round trip."""
        redis = self._connection.redis
        found = await self._connection.guarded(lambda: redis.get(TICK))
        return decode_tick(found) if isinstance(found, bytes) else None

    async def follow(self) -> AsyncGenerator[Message | None, None]:
        """Messages of the channel, until closed; None each time that it listens anew, when some may have been lost."""
        while True:
            try:
                async with aclosing(self._listen()) as messages:
                    async for message in messages:
                        yield message
            except StoreUnavailable as error:
                log.info("board.unheard cause=%s", error.cause)
            finally:
                self.linked = False
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self) -> AsyncGenerator[Message | None, None]:
        try:
            async with self._connection.redis.pubsub(ignore_subscribe_messages=False) as channel:
                await channel.subscribe(WROTE, CHANNEL, ALERTS)
                while True:
                    async with asyncio.timeout(SILENT_S):  # redis-py's own limit loses cancellations on Python 3.11
                        said = await channel.get_message(timeout=None)
                    if said is None:
                        continue
                    if said["type"] == "subscribe":
                        if not self.linked:
                            self.linked = True
                            yield None
                    elif said["channel"] == WROTE.encode():
                        self.writes += said["data"] != self._connection.name.encode()
                    elif said["channel"] == ALERTS.encode():
                        self.alert(said["data"])
                    elif said["type"] == "message":
                        head, _, delta = said["data"].partition(b"\n")
                        yield Message(**orjson.loads(head), delta=delta)
        except (RedisError, OSError) as exc:
            raise unavailable(exc) from exc
        finally:
            await asyncio.sleep(0)  # redis-py does not wait until the socket of a channel is closed


def _nobody(_: bytes) -> None:
    """Nobody listens."""


def encode_tick(tick: Tick) -> bytes:
    """A matrix as bytes: length of the header, header as JSON, float32 by rows.

    >>> tick = Tick(7, 1.5, ["a", "b"], ["cpu"], np.array([[1.0], [np.nan]], dtype=np.float32))
    >>> decode_tick(encode_tick(tick)).values.tolist()
    [[1.0], [nan]]
    """
    head = orjson.dumps({"version": tick.version, "time": tick.time, "ids": tick.ids, "concepts": tick.concepts})
    head += b" " * (-len(head) % 4)
    return len(head).to_bytes(4, "little") + head + np.ascontiguousarray(tick.values, dtype="<f4").tobytes()


def decode_tick(body: bytes) -> Tick:
    """The matrix that `encode_tick` wrote; its values are read only."""
    length = int.from_bytes(body[:4], "little")
    head = orjson.loads(body[4 : 4 + length])
    values = np.frombuffer(body, dtype="<f4", offset=4 + length)
    return Tick(**head, values=values.reshape(len(head["ids"]), len(head["concepts"])))
