"""The way to Redis: one bounded pool, scripts by their hash, every failure as StoreUnavailable with a named cause."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar, cast

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection as TcpConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from monitoring.errors import StoreUnavailable
from monitoring.spent import spent
from monitoring.store.address import Address, address
from monitoring.store.failures import FAILURES, LOST, READ_ONLY, unavailable
from monitoring.store.scripts import META

__all__ = ["Connection", "StoreUnavailable", "unavailable"]

log = logging.getLogger(__name__)
T = TypeVar("T")
Argument = str | bytes | int
State = Literal["connected", "disconnected", "reconnecting", "error"]

_READ_BACKOFF_S = (0.05, 0.25)
"""Pauses before a read is tried again after its connection dropped."""
_CONNECTIONS = 16
_LISTENERS = 4
"""Connections beyond those for commands: subscriptions keep theirs."""
_KEEPALIVE_S = 30
_REFUSED_S = 30.0
"""A refused write stands for the state so long, unless a later one succeeds: reads alone do not prove the contrary."""
_CHANGES = 50


class Connection:
    """A pool of connections to `url` (`address` explains it), and how they have been."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Connects by the first command. Raises BadSetting for a URL that is none."""
        self.address = address(url)
        self.redis: Redis = _client(self.address, min(timeout_s, 2.0))
        self.timeout_s = timeout_s
        self.name = secrets.token_hex(6)
        """Tells what this process wrote from what others did."""
        self.round_trips = 0
        self.seconds = 0.0
        """Waited for in all round trips together."""
        self.state: State = "disconnected"
        """disconnected → reconnecting (tried again) → connected; error: it answers, and refuses."""
        self.connected_since: float | None = None
        """Unix seconds of the first success after the last failure."""
        self.last_error: str | None = None
        self.last_error_at: float | None = None
        self.changes: deque[tuple[float, State]] = deque(maxlen=_CHANGES)
        """When which state began, oldest first."""
        self._refused_at: float | None = None
        self._hashes: dict[str, str] = {}
        self._slots = asyncio.Semaphore(_CONNECTIONS)

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()
        if self.address.kind == "sentinel":
            pool = cast("Any", self.redis.connection_pool)
            await asyncio.gather(*(one.aclose() for one in pool.sentinel_manager.sentinels))

    async def read(self, script: str, *args: Argument) -> Any:
        """Run a script that changes nothing; a dropped connection is tried again twice. Raises StoreUnavailable."""
        for pause_s in _READ_BACKOFF_S:
            try:
                return await self.guarded(lambda: self._evaluate(script, args))
            except StoreUnavailable as exc:
                if exc.cause not in ("closed", "refused"):
                    raise
            await asyncio.sleep(pause_s)
        return await self.guarded(lambda: self._evaluate(script, args))

    async def write(self, script: str, *args: Argument) -> Any:
        """Run a script once. Raises StoreUnavailable; when the cause is "closed" or "timeout" it may have run."""
        reply = await self.guarded(lambda: self._evaluate(script, args))
        if self._refused_at is not None:
            self._refused_at = None
            self._enter("connected")
        return reply

    async def smembers(self, key: str) -> set[bytes]:
        """Members of a set. Raises StoreUnavailable."""
        members: set[bytes] = await self.guarded(lambda: self._command("SMEMBERS", key))
        return set(members)

    async def guarded(self, command: Callable[[], Awaitable[T]]) -> T:
        """Await one command of the client. Raises StoreUnavailable."""
        self.round_trips += 1
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout_s), self._slots:
                reply = await command()
        except FAILURES as exc:
            error = unavailable(exc, self.address.shown)
            self._failed(error)
            raise error from exc
        finally:
            self._count(time.perf_counter() - began)
        self._succeeded()
        return reply

    def _count(self, took_s: float) -> None:
        self.seconds += took_s
        if (request := spent.get()) is not None:
            request.round_trips += 1
            request.redis_s += took_s

    def _succeeded(self) -> None:
        if self.connected_since is None:
            self.connected_since = time.time()
        if self._refused_at is None or time.time() - self._refused_at > _REFUSED_S:
            self._refused_at = None
            self._enter("connected")

    def _failed(self, error: StoreUnavailable) -> None:
        self.last_error, self.last_error_at = str(error), time.time()
        if error.cause in LOST:
            self.connected_since = None
            self._enter("disconnected" if self.state in ("connected", "error") else "reconnecting")
            return
        if error.cause in READ_ONLY:
            self._refused_at = time.time()
        else:
            self.connected_since = None
        self._enter("error")

    def _enter(self, state: State) -> None:
        if state != self.state or not self.changes:
            self.state = state
            self.changes.append((time.time(), state))
            level = logging.INFO if state == "connected" else logging.WARNING
            log.log(level, "redis.%s at=%s error=%s", state, self.address.shown, self.last_error)

    async def _evaluate(self, script: str, args: Sequence[Argument]) -> Any:
        known = self._hashes.get(script)
        if known is not None:
            try:
                return await self._command("EVALSHA", known, 1, META, *args)
            except NoScriptError:  # the server was restarted, or another took its place
                pass
        self._hashes[script] = await self.redis.script_load(script)
        return await self._command("EVALSHA", self._hashes[script], 1, META, *args)

    async def _command(self, *words: Argument) -> Any:
        return await self.redis.execute_command(*words)  # type: ignore[no-untyped-call]


def _client(place: Address, connect_s: float) -> Redis:
    """The client for an address. `guarded` limits the time: redis-py's own limit loses cancellations on Python 3.11."""
    common: dict[str, Any] = {
        "socket_timeout": None,
        "socket_connect_timeout": connect_s,
        "retry": Retry(NoBackoff(), 0),
        "db": place.db,
        **place.options,
    }
    if place.kind == "socket":
        return _pooled(UnixDomainSocketConnection, path=place.path, socket_read_size=1 << 18, **common)
    common |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    if place.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in place.hosts]
        del common["db"]  # a cluster has one
        # It has the commands that we use, under the same names.
        return cast("Redis", RedisCluster(startup_nodes=nodes, require_full_coverage=False, **common))
    if place.kind == "sentinel":
        limits = {"socket_timeout": connect_s, "socket_connect_timeout": connect_s, "retry": Retry(NoBackoff(), 0)}
        limits |= place.sentinel_options
        sentinel = Sentinel(place.hosts, sentinel_kwargs=limits, **common)  # type: ignore[no-untyped-call]
        return cast("Redis", sentinel.master_for(place.service, max_connections=_CONNECTIONS + _LISTENERS))
    host, port = place.hosts[0]
    kind = SSLConnection if common.pop("ssl", False) else TcpConnection
    return _pooled(kind, host=host, port=port, socket_read_size=1 << 18, **common)


def _pooled(kind: type[Any], **options: Any) -> Redis:
    connect_s = options["socket_connect_timeout"]
    pool = BlockingConnectionPool(
        max_connections=_CONNECTIONS + _LISTENERS, timeout=connect_s, connection_class=kind, **options
    )
    return Redis.from_pool(pool)


def _keepalive() -> dict[int, int]:
    """Probes of idle connections; names that this system lacks are left out."""
    wanted = {"TCP_KEEPIDLE": _KEEPALIVE_S, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
