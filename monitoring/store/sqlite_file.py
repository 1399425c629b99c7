"""One SQLite file of ours: opened, checked, brought to the newest schema, and set aside when it is damaged.

Everything here blocks. Nothing is ever deleted: a damaged file is renamed and its name is logged.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from monitoring.errors import StoreUnavailable
from monitoring.store.cold_schema import DATABASE, NEWEST, SQLITE, VERSION_KEY, steps
from monitoring.store.cold_tables import FACT, PUT_FACT

log = logging.getLogger(__name__)

APPLICATION_ID = 0x4F4D4844
"""In the file's header (`file history.db` shows it): this database is ours."""
PAGE_BYTES = 8192
CHECK_S = 1.0
"""How long a file is checked at open; what is left shows when it is read."""
BUSY_MS = 5_000
_SIDES = ("", "-wal", "-shm")


class Damaged(Exception):
    """The file is no database, or its check found faults."""


def connect(path: Path, checked: int | None, limit_pages: int | None = None) -> tuple[sqlite3.Connection, int]:
    """A connection to the file at `path`, made where it is missing, and its inode, for the next `checked`.

    A damaged file is set aside and a new one begun. Raises StoreUnavailable.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path):
            try:
                return _connect(path, checked, limit_pages)
            except (sqlite3.DatabaseError, Damaged) as error:
                if not is_damage(error):
                    raise
                set_aside(path, error)
                return _connect(path, None, limit_pages)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error, path) from error


def connect_to_archive(path: Path, checked: int | None) -> tuple[sqlite3.Connection, int]:
    """A connection that changes nothing, to a file that is whole and ours. Raises StoreUnavailable."""
    try:
        inode = path.stat().st_ino
        # `immutable` makes no files beside it; with a log beside it the log is read too.
        mode = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
        uri = f"{path.absolute().as_uri()}?mode=ro{mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            if inode != checked:
                check(connection, None)
            if not _version(connection, path):
                raise Damaged("it is empty")
        except BaseException:
            connection.close()
            raise
        return connection, inode
    except FileNotFoundError:
        raise StoreUnavailable("closed", f"there is no file {path}") from None
    except (sqlite3.Error, Damaged) as error:
        if not is_damage(error):
            raise unavailable(error, path) from error
        way_out = "it is no backup, or a damaged one; use another"
        raise StoreUnavailable("corrupt", f"{path} cannot be read ({error}): {way_out}") from error
    except OSError as error:
        raise StoreUnavailable("closed", f"{path} cannot be read: {error}") from error


def finish(path: Path) -> None:
    """Check a file that nobody has open as a whole, and make it one file without a log beside it. Raises Damaged."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        check(connection, None)
        connection.execute("PRAGMA journal_mode = DELETE")
    finally:
        connection.close()
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


def set_aside_damaged(path: Path, inode: int, error: Exception) -> None:
    """Set the file aside that turned out damaged while it was read, unless another process did so already."""
    with suppress(OSError), _alone(path):
        if inode_of(path) == inode:
            set_aside(path, error)


def set_aside(path: Path, error: Exception) -> Path:
    """Rename a damaged file, with what belongs to it, to the next free NAME.corrupt-N."""
    number = 1
    while (kept := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for side in _SIDES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + side).rename(kept.with_name(kept.name + side))
    log.error("cold.corrupt file=%s kept_as=%s error=%s", path, kept, error)
    return kept


def inode_of(path: Path) -> int | None:
    """The file's identity: it changes when the file is set aside, restored or deleted."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def adapted(sql: str) -> str:
    """Numbered parameters as SQLite writes them.

    >>> adapted("SELECT $1, '$[0]'")
    "SELECT ?1, '$[0]'"
    """
    return re.sub(r"\$(\d)", r"?\1", sql)


def is_damage(error: Exception) -> bool:
    """True where the file itself is at fault."""
    return isinstance(error, Damaged) or _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def unavailable(error: Exception, path: Path) -> StoreUnavailable:
    """What a failure means, and the way out."""
    code = _code(error)
    extended = getattr(error, "sqlite_errorcode", 0)
    if is_damage(error):
        return StoreUnavailable("corrupt", f"{path} is damaged ({error}); it is set aside and a new one begun")
    if code == sqlite3.SQLITE_FULL or extended in _CANNOT_GROW or getattr(error, "errno", None) in _NO_ROOM:
        return StoreUnavailable("full", f"{path} cannot grow ({error}); free disk space or shorten --retention")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable("busy", f"{path} is locked by another process ({error}); it is tried again")
    if code == sqlite3.SQLITE_INTERRUPT:
        return StoreUnavailable("timeout", f"{path} did not answer in time; ask for a shorter time")
    if code in _NO_ACCESS or isinstance(error, OSError):
        return StoreUnavailable("readonly", f"{path} cannot be written ({error}); give this user the right to write it")
    return StoreUnavailable("closed", f"{path}: {error}")


_CANNOT_GROW = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_FSYNC)
_NO_ROOM = (28, 122, 27)
"""ENOSPC, EDQUOT, EFBIG."""
_NO_ACCESS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process or thread at a time opens or renames the file."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _connect(path: Path, checked: int | None, limit_pages: int | None) -> tuple[sqlite3.Connection, int]:
    with suppress(FileExistsError):  # never opened where it exists: closing it would drop this process's locks
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    inode = path.stat().st_ino
    # Made in the thread that uses it, closed by whichever ends it.
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if limit_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {limit_pages}")
        if inode != checked:
            check(connection, CHECK_S)
        _update(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection, inode


def check(connection: sqlite3.Connection, most_s: float | None) -> None:
    """Look for faults for at most `most_s` seconds. Raises Damaged or sqlite3.DatabaseError."""
    if most_s == 0:
        return
    # A progress handler is not called inside the check.
    timer = threading.Timer(threading.TIMEOUT_MAX if most_s is None else most_s, connection.interrupt)
    timer.start()
    try:
        faults = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    finally:
        timer.cancel()
        timer.join()
    if faults != ["ok"]:
        raise Damaged("; ".join(" ".join(faults).splitlines()))


def _update(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or bring older ones to ours."""
    if _version(connection, path) == NEWEST:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in steps(_version(connection, path), SQLITE, str(path)):
            connection.execute(statement)
        connection.execute(adapted(PUT_FACT), (DATABASE, VERSION_KEY, str(NEWEST)))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version, 0 for an empty file. Raises StoreUnavailable for somebody else's or a newer database."""
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StoreUnavailable("refused", f"{path} is a database of another program; name another file")
    version = int(connection.execute(adapted(FACT), (DATABASE, VERSION_KEY)).fetchone()[0])
    steps(version, SQLITE, str(path))
    return version
