"""What exporters and senders say about metric families, shared by all processes through Redis.

`{om}:families` is a hash: family → [type, help, unit, Unix seconds when it was last said].
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from monitoring.ingest.exposition import Metadata
from monitoring.store.connection import Connection

KEPT_S = 86_400.0
"""A family that nobody speaks of for so long is forgotten."""
AGAIN_S = KEPT_S / 4
"""How often what did not change is said again."""

_SAY = """
-- ARGV: how long the hash is kept without a word (s), family, JSON, …
for i = 2, #ARGV, 2 do redis.call('HSET', '{om}:families', ARGV[i], ARGV[i + 1]) end
return redis.call('EXPIRE', '{om}:families', ARGV[1])
"""
_READ = "return redis.call('HGETALL', '{om}:families')"
_FORGET = "return redis.call('HDEL', '{om}:families', unpack(ARGV))"
_AT_ONCE = 1_000


class Families:
    """Tells the others what this process learnt, and knows what they told."""

    def __init__(self, connection: Connection) -> None:
        self.known: dict[str, Metadata] = {}
        """As of the last `read`."""
        self._connection = connection
        self._told: dict[str, tuple[Metadata, float]] = {}

    async def tell(self, said: Mapping[str, Metadata], now: float) -> None:
        """Writes what is new, changed, or was last told long ago. Raises StoreUnavailable."""
        fresh = {name: one for name, one in said.items() if self._is_news(name, one, now)}
        names = list(fresh)
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            words = [word for name in some for word in (name, _text(fresh[name], now))]
            await self._connection.write(_SAY, round(KEPT_S), *words)
            self._told |= {name: (fresh[name], now) for name in some}
        for name in self._told.keys() - said.keys():
            del self._told[name]

    async def read(self, now: float) -> None:
        """Learns what all processes told; what is too old is taken out. Raises StoreUnavailable."""
        reply = await self._connection.read(_READ)
        found = {name.decode(): orjson.loads(text) for name, text in zip(reply[::2], reply[1::2], strict=True)}
        old = [name for name, (*_, at) in found.items() if now - at > KEPT_S]
        for start in range(0, len(old), _AT_ONCE):
            await self._connection.write(_FORGET, *old[start : start + _AT_ONCE])
        self.known = {name: Metadata(*one[:3]) for name, one in found.items() if name not in set(old)}

    def _is_news(self, name: str, said: Metadata, now: float) -> bool:
        told = self._told.get(name)
        return told is None or told[0] != said or now - told[1] > AGAIN_S


def _text(said: Metadata, now: float) -> bytes:
    return orjson.dumps([said.type, said.help, said.unit, now])
