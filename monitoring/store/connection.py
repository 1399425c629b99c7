"""The way to Redis: one pool, scripts by their hash, and every failure as StoreUnavailable with a named cause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from monitoring.errors import StoreUnavailable
from monitoring.store.scripts import META

T = TypeVar("T")
Argument = str | bytes | int

_READ_BACKOFF_S = (0.05, 0.25)
"""Pauses before a read is tried again after its connection dropped."""
_CONNECTIONS = 16


class Connection:
    """A pool of connections to `url` (redis://, rediss://, unix://)."""

    def __init__(self, url: str, timeout_s: float) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=None,  # `guarded` limits the time: redis-py's own limit loses cancellations on Python 3.11
            socket_connect_timeout=min(timeout_s, 2.0),
            socket_read_size=1 << 18,
            retry=Retry(NoBackoff(), 0),
        )
        self.redis: Redis = Redis.from_pool(pool)
        self.timeout_s = timeout_s
        self.connected_since: float | None = None
        """Unix seconds of the first success after the last failure."""
        self.last_error: str | None = None
        self._hashes: dict[str, str] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()

    async def read(self, script: str, *args: Argument) -> Any:
        """Run a script that changes nothing; a dropped connection is tried again twice. Raises StoreUnavailable."""
        for pause_s in _READ_BACKOFF_S:
            try:
                return await self.write(script, *args)
            except StoreUnavailable as exc:
                if exc.cause not in ("closed", "refused"):
                    raise
            await asyncio.sleep(pause_s)
        return await self.write(script, *args)

    async def write(self, script: str, *args: Argument) -> Any:
        """Run a script once. Raises StoreUnavailable; when the cause is "closed" or "timeout" it may have run."""
        return await self.guarded(lambda: self._evaluate(script, args))

    async def smembers(self, key: str) -> set[bytes]:
        """Members of a set. Raises StoreUnavailable."""
        members: set[bytes] = await self.guarded(lambda: self._command("SMEMBERS", key))
        return set(members)

    async def guarded(self, command: Callable[[], Awaitable[T]]) -> T:
        """Await one command of the client. Raises StoreUnavailable."""
        try:
            async with asyncio.timeout(self.timeout_s):
                reply = await command()
        except (RedisError, OSError) as exc:
            error = unavailable(exc)
            self.connected_since, self.last_error = None, str(error)
            raise error from exc
        if self.connected_since is None:
            self.connected_since = time.time()
        return reply

    async def _evaluate(self, script: str, args: Sequence[Argument]) -> Any:
        known = self._hashes.get(script)
        if known is not None:
            try:
                return await self._command("EVALSHA", known, 1, META, *args)
            except NoScriptError:  # the server was restarted
                pass
        self._hashes[script] = await self.redis.script_load(script)
        return await self._command("EVALSHA", self._hashes[script], 1, META, *args)

    async def _command(self, *words: Argument) -> Any:
        return await self.redis.execute_command(*words)  # type: ignore[no-untyped-call]


def unavailable(exc: Exception) -> StoreUnavailable:
    """What a failure of the client means. Errors in our own scripts are raised as they are."""
    message = f"Redis: {exc}"
    match exc:
        case BusyLoadingError():
            return StoreUnavailable("loading", message)
        case ReadOnlyError():
            return StoreUnavailable("readonly", message)
        case OutOfMemoryError():
            return StoreUnavailable("full", message)
        case RedisTimeoutError() | TimeoutError():
            return StoreUnavailable("timeout", message if str(exc) else "Redis did not answer in time")
        case ResponseError() if str(exc).startswith("MISCONF"):
            return StoreUnavailable("readonly", message)
        case RedisConnectionError() | OSError():
            return StoreUnavailable("refused" if _never_connected(exc) else "closed", message)
    raise exc


def _never_connected(exc: Exception) -> bool:
    below = exc if isinstance(exc, OSError) else exc.__context__
    return isinstance(below, OSError) and not isinstance(below, (ConnectionResetError, BrokenPipeError))
