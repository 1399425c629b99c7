"""The cold store in PostgreSQL, by asyncpg (extra `postgres`): a small pool that comes back with the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from monitoring.errors import StoreUnavailable
from monitoring.store.cold_schema import DATABASE, NEWEST, POSTGRES, VERSION_KEY, steps
from monitoring.store.cold_tables import FACT, PUT_FACT, Change, ColdStore

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECTIONS = 4
_CONNECT_S = 5.0
_TRIES = 2
"""Every change may be repeated, so work whose connection broke is done once more on a new one."""
_MIGRATION_LOCK = 0x4F4D4844
_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""All that a driver's call raises."""


class PostgresStore(ColdStore):
    """Any number of processes and machines may share the database. A call that takes over `timeout_s` is cancelled."""

    def __init__(self, url: str, shard: int = 0, *, timeout_s: float = 30.0) -> None:
        super().__init__(shard, POSTGRES)
        self.place = place(url)
        self._url = url
        self._timeout_s = timeout_s
        self._pool: asyncpg.Pool | None = None
        self._updated = self._closed = False
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        await self._try(_nothing)

    async def close(self) -> None:
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CONNECT_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        async def work(connection: asyncpg.Connection) -> list[Any]:
            return list(await connection.fetch(sql, *arguments))

        return await self._try(work)

    async def _change(self, *changes: Change) -> list[int]:
        async def work(connection: asyncpg.Connection) -> list[int]:
            counts = []
            async with connection.transaction():
                for sql, rows in changes:
                    done = await connection.fetchmany(f"{sql} RETURNING 1", rows) if rows else ()
                    counts.append(len(done))
            return counts

        return await self._try(work)

    async def _facts_of_database(self) -> dict[str, Any]:
        sql = "SELECT pg_total_relation_size('seg'), current_setting('server_version')"
        size, version = (await self._fetch(sql))[0]
        return {"kind": "postgresql", "place": self.place, "bytes": size, "version": version}

    async def _try(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreUnavailable("closed", f"PostgreSQL at {self.place} was closed by this process; open it anew")
        for attempt in range(1, _TRIES + 1):
            try:
                pool = await self._connected()
                async with pool.acquire(timeout=self._timeout_s) as connection:
                    return await work(connection)
            except _ERRORS as error:
                if isinstance(error, asyncpg.UndefinedTableError):
                    log.warning("cold.emptied place=%s error=%s", self.place, error)
                    self._updated = False
                failure = unavailable(error, self.place)
                self.last_error = str(failure)
                if attempt == _TRIES or failure.cause != "closed":
                    raise failure from error
        raise AssertionError("unreachable")

    async def _connected(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=CONNECTIONS,
                    timeout=_CONNECT_S,
                    command_timeout=self._timeout_s,
                    reset=_leave,
                    server_settings={"application_name": "openmanager"},
                )
            if not self._updated:
                async with self._pool.acquire() as connection, connection.transaction():
                    await _update(connection, self.place)
                self._updated = True
            return self._pool


async def _leave(_: asyncpg.Connection) -> None:
    """Nothing of ours outlives a transaction, so the driver's round trip of resets is spared."""


async def _nothing(connection: asyncpg.Connection) -> None:
    await connection.fetchval("SELECT 1")


async def _update(connection: asyncpg.Connection, where: str) -> None:
    """Make the tables, or bring older ones to ours; one process at a time."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
    version = 0
    if await connection.fetchval("SELECT to_regclass('fact')") is not None:
        try:
            found = await connection.fetchval(FACT, DATABASE, VERSION_KEY)
        except asyncpg.UndefinedColumnError:
            found = None
        if found is None:
            raise StoreUnavailable("refused", f"{where} has a table 'fact' of another program; name another database")
        version = int(found)
    for statement in steps(version, POSTGRES, where):
        await connection.execute(statement)
    if version != NEWEST:
        await connection.execute(PUT_FACT, DATABASE, VERSION_KEY, str(NEWEST))


def place(url: str) -> str:
    """Host and database of a URL, without user and password.

    >>> place("postgresql://me:secret@db.example:5433/metrics")
    'db.example:5433/metrics'
    """
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2] or 'local socket'}{parts.path}"


def unavailable(error: Exception, where: str) -> StoreUnavailable:
    """What a failure of the driver means, and the way out."""
    cause, way_out = _meaning(error)
    return StoreUnavailable(cause, f"PostgreSQL at {where}: {str(error) or type(error).__name__}; {way_out}")


def _meaning(error: Exception) -> tuple[str, str]:
    match error:
        case TimeoutError() | asyncpg.QueryCanceledError():
            return "timeout", "it did not answer in time; look at its load, or ask for a shorter time"
        case asyncpg.DiskFullError() | asyncpg.OutOfMemoryError():
            return "full", "give it room, or shorten --retention"
        case asyncpg.ReadOnlySQLTransactionError() | asyncpg.InsufficientPrivilegeError():
            return "readonly", "name the primary, and a user who may create tables"
        case asyncpg.DataCorruptedError() | asyncpg.IndexCorruptedError():
            return "corrupt", "restore it from a backup"
        case asyncpg.CannotConnectNowError() | asyncpg.TooManyConnectionsError():
            return "busy", "it is tried again"
        case asyncpg.LockNotAvailableError() | asyncpg.TransactionRollbackError():
            return "busy", "it is tried again"
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            return "refused", "check user, password and database in --database-url"
        case asyncpg.ClientConfigurationError():
            return "refused", "write --database-url as postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        case ConnectionResetError() | BrokenPipeError() | asyncpg.UndefinedTableError():
            return "closed", "it is tried again"
        case OSError():
            return "refused", "start it, or check the address in --database-url"
        case asyncpg.PostgresConnectionError() | asyncpg.OperatorInterventionError() | asyncpg.InterfaceError():
            return "closed", "it is tried again"
        case _:
            return "refused", "it did not take what was sent"
