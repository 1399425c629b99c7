"""The collector's lease: one holder at a time, and a fencing number that voids what an earlier holder still sends.

Redis's own clock decides when a lease is over, so that a clock that jumps on a host does no harm. The holder may
sleep through the end of its lease (a paused process); its writes carry its number, and the store refuses them
once a newer number was granted.

| key | holds |
|---|---|
| `{om}:leader` | who holds the lease, as JSON; it expires with the lease |
| `{om}:fence` | the number of the newest lease; it only grows |
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil

from monitoring.errors import StoreUnavailable
from monitoring.store.connection import Connection

log = logging.getLogger(__name__)

TTL_S = 10.0
_RELEASE_S = 1.0
"""What the end of a process waits for Redis to take the lease back."""
_SOON_S = 0.02
_SAME_BIRTH_S = 2.0
"""Two readings of a process's start differ by less."""

_ACQUIRE = """
-- ARGV: who, time to live (ms), a holder known to be dead or ''. Returns {number or 0, ms until it ends, its holder}.
local holder = redis.call('GET', '{om}:leader')
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
  return {0, redis.call('PTTL', '{om}:leader'), holder}
end
redis.call('SET', '{om}:leader', ARGV[1], 'PX', ARGV[2])
return {redis.call('INCR', '{om}:fence'), tonumber(ARGV[2]), ARGV[1]}
"""

_RENEW = """
-- ARGV: who, time to live (ms), number. A lease that ended while nobody else took it goes on. Returns 1, or 0: lost.
local holder = redis.call('GET', '{om}:leader')
if holder and holder ~= ARGV[1] then return 0 end
if tonumber(redis.call('GET', '{om}:fence') or 0) ~= tonumber(ARGV[3]) then return 0 end
redis.call('SET', '{om}:leader', ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = """
-- ARGV: who.
if redis.call('GET', '{om}:leader') ~= ARGV[1] then return 0 end
return redis.call('DEL', '{om}:leader')
"""

_HOLDER = "return {redis.call('GET', '{om}:leader'), tonumber(redis.call('GET', '{om}:fence') or 0)}"


class Holder(NamedTuple):
    """Who holds the lease. `space` names the process table that `pid` belongs to; `born` is the process's start."""

    host: str
    space: str
    pid: int
    born: float
    key: str

    @classmethod
    def here(cls) -> Holder:
        """This process, under a key that is new at each call."""
        born = psutil.Process().create_time()
        return cls(platform.node(), _process_table(), os.getpid(), born, uuid.uuid4().hex)

    @classmethod
    def of(cls, text: bytes) -> Holder:
        """The holder that the store names."""
        return cls(**orjson.loads(text))

    def text(self) -> bytes:
        """As the store keeps it."""
        return orjson.dumps(self._asdict())

    def surely_dead(self) -> bool:
        """True where the process was one of this machine and is gone: then nobody need wait for its lease to end."""
        if not self.space or self.space != _process_table():
            return False
        try:
            born: float = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return True
        return abs(born - self.born) > _SAME_BIRTH_S


class Held(NamedTuple):
    """Who collects now, and under which number."""

    holder: Holder | None
    fence: int


async def held(connection: Connection) -> Held:
    """Who holds the lease now. Raises StoreUnavailable."""
    text, fence = await connection.read(_HOLDER)
    return Held(Holder.of(text) if text else None, fence)


class Lease:
    """One process's claim to be the collector."""

    def __init__(self, connection: Connection, ttl_s: float = TTL_S) -> None:
        self.fence: int | None = None
        """The number of our lease; None while another holds it. It may be over without our knowing."""
        self.settled = asyncio.Event()
        """Set once it is known who holds the lease, or that Redis is away; the holder's work sets it when it began."""
        self.ending = False
        """True when the work is cancelled because this process ends, not because the lease was lost."""
        self._connection = connection
        self._ttl_s = ttl_s
        self._me = Holder.here()
        self._lost = asyncio.Event()
        self._other: str | None = None

    async def lead(self, work: Callable[[int], Awaitable[None]]) -> None:
        """Runs `work(number)` whenever the lease is ours and cancels it when it is lost. Runs until cancelled."""
        while True:
            fence = await self._won()
            try:
                await self._term(work, fence)
            finally:
                self.fence = None
                await self._release()

    def lose(self) -> None:
        """A write under our number was refused: the lease is over, whatever we think."""
        self._lost.set()

    async def _term(self, work: Callable[[int], Awaitable[None]], fence: int) -> None:
        self.fence = fence
        self._lost.clear()
        log.info("lease.won fence=%d", fence)
        working = asyncio.ensure_future(work(fence))
        keeping = asyncio.create_task(self._keep(fence), name="lease")
        try:
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.ending = True
            raise
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(working, keeping, return_exceptions=True)
        for task in (working, keeping):
            if not task.cancelled():
                task.result()
        log.warning("lease.lost fence=%d", fence)

    async def _won(self) -> int:
        """Waits until the lease is ours; returns its number."""
        dead = b""
        while True:
            try:
                fence, left_ms, text = await self._connection.write(
                    _ACQUIRE, self._me.text(), round(self._ttl_s * 1000), dead
                )
            except StoreUnavailable as error:
                log.warning("lease.waiting cause=%s", error.cause)
                self.settled.set()
                await asyncio.sleep(min(1.0, self._ttl_s / 3))
                continue
            if fence:
                return int(fence)
            self._note(text)
            if not dead and Holder.of(text).surely_dead():
                dead = text
                continue
            self.settled.set()
            dead = b""
            await asyncio.sleep(min(max(left_ms, 0) / 1000 + _SOON_S, self._ttl_s / 3))

    def _note(self, text: bytes) -> None:
        holder = Holder.of(text)
        if holder.key != self._other:
            self._other = holder.key
            log.info("lease.held_by host=%s pid=%d", holder.host, holder.pid)

    async def _keep(self, fence: int) -> None:
        """Renews; returns when the lease is lost. While Redis is away it is kept: writes are fenced anyway."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ttl_s / 3):
                    await self._lost.wait()
                return
            try:
                if not await self._connection.write(_RENEW, self._me.text(), round(self._ttl_s * 1000), fence):
                    return
            except StoreUnavailable as error:
                log.warning("lease.not_renewed cause=%s", error.cause)

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(_RELEASE_S):
                await self._connection.write(_RELEASE, self._me.text())
        except (StoreUnavailable, TimeoutError) as error:
            log.info("lease.not_released error=%s", error)


def _process_table() -> str:
    """Names the boot and the PID namespace that this process lives in; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
