"""The cold store in one SQLite file: a writer and a few readers, each in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from monitoring.errors import StoreUnavailable
from monitoring.store import sqlite_file
from monitoring.store.cold_rows import AlertRow
from monitoring.store.cold_schema import SQLITE
from monitoring.store.cold_tables import Change, ColdStore

log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Connect = Callable[[Path, int | None], tuple[sqlite3.Connection, int]]

READERS = 3


class SqliteStore(ColdStore):
    """Several processes may read and write the file at once; what `put` and the like return is on disk."""

    def __init__(self, path: Path, shard: int = 0, *, timeout_s: float = 10.0, limit_pages: int | None = None) -> None:
        super().__init__(shard, SQLITE)
        self.path = path
        self.timeout_s = timeout_s
        self._checked = _Checked()
        self._writer = self._thread("cold-writer", limit_pages)
        self._readers = [self._thread(f"cold-reader-{n}", limit_pages) for n in range(READERS)]

    def _thread(self, name: str, limit_pages: int | None) -> _Thread:
        return _Thread(self.path, name, self._checked, partial(sqlite_file.connect, limit_pages=limit_pages))

    async def open(self) -> None:
        await self._ask(self._writer, lambda _: None, None)

    async def close(self) -> None:
        for thread in (*self._readers, self._writer):
            await thread.close()

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        adapted = sqlite_file.adapted(sql)
        reader = min(self._readers, key=lambda thread: thread.waiting)
        return await self._ask(reader, lambda c: c.execute(adapted, arguments).fetchall(), self.timeout_s)

    async def _change(self, *changes: Change) -> list[int]:
        return await self._ask(self._writer, lambda connection: _transaction(connection, changes), None)

    async def _facts_of_database(self) -> dict[str, Any]:
        rows = await self._fetch("SELECT journal_mode FROM pragma_journal_mode")
        sides = (self.path.with_name(self.path.name + side) for side in ("", "-wal"))
        size = sum(side.stat().st_size for side in sides if side.exists())
        return {"kind": "sqlite", "place": str(self.path), "bytes": size, "journal_mode": rows[0][0]}

    async def _ask(self, thread: _Thread, work: Work[T], timeout_s: float | None) -> T:
        try:
            return await thread.run(work, timeout_s)
        except StoreUnavailable as error:
            self.last_error = str(error)
            raise


class SqliteArchive(SqliteStore):
    """A file of ours that is only read, checked as a whole when it is opened, and never renamed."""

    def _thread(self, name: str, limit_pages: int | None) -> _Thread:
        return _Thread(self.path, name, self._checked, sqlite_file.connect_to_archive, renames=False)

    async def alerts(self, start: float, end: float, kinds: Sequence[str], limit: int) -> list[AlertRow]:
        """None where the file was written before there was a history of alerts."""
        there = await self._fetch("SELECT 1 FROM sqlite_master WHERE name = 'alert_history'")
        return await super().alerts(start, end, kinds, limit) if there else []


@dataclass(slots=True)
class _Checked:
    """The inode of the file that one of the threads checked, so that the others need not."""

    inode: int | None = None


class _Thread:
    """One connection, made when it is first needed and again after a failure or when the file is another one."""

    def __init__(self, path: Path, name: str, checked: _Checked, connect: Connect, *, renames: bool = True) -> None:
        self.waiting = 0
        self._checked = checked
        self._path = path
        self._connect = connect
        self._renames = renames
        self._executor = ThreadPoolExecutor(1, name)
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    async def run(self, work: Work[T], timeout_s: float | None) -> T:
        """The result of `work` in this thread. A reader's work is broken off when its time is over."""
        if self._closed:
            raise StoreUnavailable("closed", f"{self._path} was closed by this process; open it anew")
        self.waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._guarded, work, timeout_s)
        future.add_done_callback(self._done)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody waits any more
            raise

    async def close(self) -> None:
        """End the thread after the work that waits."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disconnect)
        self._executor.shutdown()

    def _done(self, _: object) -> None:
        self.waiting -= 1

    def _guarded(self, work: Work[T], timeout_s: float | None) -> T:
        try:
            connection = self._connected()
            if timeout_s is not None:
                deadline = time.monotonic() + timeout_s
                connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000)
            return work(connection)
        except sqlite3.Error as error:
            if self._renames and sqlite_file.is_damage(error) and self._inode is not None:
                sqlite_file.set_aside_damaged(self._path, self._inode, error)
            failure = sqlite_file.unavailable(error, self._path)
            if failure.cause not in ("busy", "timeout"):
                self._disconnect()
            raise failure from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and sqlite_file.inode_of(self._path) != self._inode:
            self._disconnect()
        if self._connection is None:
            self._connection, self._inode = self._connect(self._path, self._checked.inode)
            self._checked.inode = self._inode
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _transaction(connection: sqlite3.Connection, changes: tuple[Change, ...]) -> list[int]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        counts = [connection.executemany(sqlite_file.adapted(c.sql), c.rows).rowcount for c in changes]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return [max(0, count) for count in counts]
