"""What the history file survives: other processes, damage, a full disk, a folder that cannot be written."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.store.cold import Segment, open_cold
from monitoring.store.cold_sqlite import SqliteStore

BODY = bytes(range(256)) * 100


def segment(hour: int, generation: int = 1) -> Segment:
    return Segment("cpu", hour, 0, generation, 240, 0.0, 1.0, 2.0, BODY)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A history file with 100 hours, closed."""
    store = open_cold(None, tmp_path)
    await store.put([segment(hour) for hour in range(100)])
    await store.close()
    return tmp_path / "history.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqliteStore]:
    """The store over that file, not yet opened."""
    store = SqliteStore(file)
    yield store
    await store.close()


@pytest.fixture
def nobody() -> Iterator[None]:
    """Not the superuser, whom modes of files do not bind."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


async def test_only_the_owner_can_read_the_file_and_its_log(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new" / "history.db")
    await store.put([segment(1)])
    files = sorted(store.path.parent.iterdir())
    assert [f.name for f in files] == ["history.db", "history.db-shm", "history.db-wal", "history.db.lock"]
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    await store.close()


async def test_a_block_that_was_acknowledged_outlives_a_kill_and_another_process_reads_beside_the_writer(
    store: SqliteStore,
) -> None:
    code = f"""
import asyncio, os, signal
from pathlib import Path
from monitoring.store.cold import Segment, open_cold
async def main():
    store = open_cold(None, Path({str(store.path.parent)!r}))
    await store.put([Segment("cpu", 500, 0, 1, 1, 0.0, 1.0, 2.0, b"last")])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    assert len(await store.hours(None, 0, 1000)) == 100
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], timeout=30, check=False)
    assert (await store.get([("cpu", 500, None)]))[0].body == b"last"


@pytest.mark.parametrize("damage", [b"not a database at all", b""], ids=["header", "truncated"])
async def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(
    file: Path, store: SqliteStore, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    whole = file.read_bytes()
    broken = damage + whole[len(damage) :] if damage else whole[: len(whole) // 2]
    file.write_bytes(broken)
    (file.parent / "history.db.corrupt-1").write_bytes(b"of an earlier time")

    with caplog.at_level(logging.ERROR):
        await store.open()
    assert await store.hours(None, 0, 1000) == []
    assert await store.put([segment(1)]) == 1
    assert (file.parent / "history.db.corrupt-2").read_bytes() == broken
    assert "history.db.corrupt-2" in caplog.text


async def test_damage_that_shows_only_when_it_is_read_costs_one_answer_and_not_the_process(
    file: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.store.sqlite_file.CHECK_S", 0.0)
    with file.open("r+b") as raw:
        half = file.stat().st_size // 2 // 8192 * 8192
        raw.seek(half)
        raw.write(b"\xff" * half)
    await store.open()
    with pytest.raises(StoreUnavailable) as failure:
        await store.get([("cpu", hour, None) for hour in range(100)])
    assert failure.value.cause == "corrupt"
    assert await store.get([("cpu", 1, None)]) == []
    assert await store.put([segment(1)]) == 1
    assert (file.parent / "history.db.corrupt-1").exists()


async def test_a_full_disk_refuses_what_is_new_keeps_what_is_there_and_heals(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "history.db", limit_pages=60)
    await store.put([segment(hour) for hour in range(10)])
    with pytest.raises(StoreUnavailable) as failure:
        await store.put([segment(hour) for hour in range(10, 100)])
    assert failure.value.cause == "full"
    assert "free disk space" in str(failure.value)
    assert len(await store.get([("cpu", hour, None) for hour in range(100)])) == 10
    assert await store.drop_before(5) == 5
    assert await store.put([segment(50)]) == 1
    await store.close()


async def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    code = f"""
import asyncio, resource
from pathlib import Path
from monitoring.errors import StoreUnavailable
from monitoring.store.cold import Segment, open_cold
async def main():
    store = open_cold(None, Path({str(tmp_path)!r}))
    blocks = [Segment("cpu", hour, 0, 1, 1, 0.0, 1.0, 2.0, bytes(20_000)) for hour in range(100)]
    await store.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        await store.put(blocks)
    except StoreUnavailable as error:
        print(error.cause)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(await store.put(blocks))
    await store.close()
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], timeout=30, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["full", "100"]


async def test_a_folder_that_cannot_be_written_is_named_and_heals_without_a_restart(
    nobody: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path("/tmp") / f"openmanager-test-{os.getpid()}"
    folder.mkdir(mode=0o555)
    store = open_cold(None, folder)
    try:
        with pytest.raises(StoreUnavailable) as failure:
            await store.open()
        assert failure.value.cause == "readonly"
        assert str(folder) in str(failure.value)
        folder.chmod(0o755)
        assert await store.put([segment(1)]) == 1
    finally:
        await store.close()
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


async def test_a_file_of_a_newer_version_or_of_another_program_is_refused_and_left_alone(
    file: Path, store: SqliteStore, tmp_path: Path
) -> None:
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE fact SET value = '99' WHERE key = 'schema_version'")
    raw.close()
    with pytest.raises(StoreUnavailable, match="newer OpenManager") as failure:
        await store.open()
    assert failure.value.cause == "refused"

    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    foreign = SqliteStore(tmp_path / "other.db")
    with pytest.raises(StoreUnavailable, match="another program"):
        await foreign.open()
    await foreign.close()


async def test_a_writer_that_finds_the_file_locked_says_busy(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.store.sqlite_file.BUSY_MS", 50)
    await store.open()
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as failure:
        await store.put([segment(1, 2)])
    assert failure.value.cause == "busy"
    other.execute("ROLLBACK")
    other.close()
    assert await store.put([segment(1, 2)]) == 1


async def test_plain_sql_reads_the_history(file: Path) -> None:
    raw = sqlite3.connect(file)
    rows = raw.execute("SELECT metric, hour, started, count, min, max, sum FROM server_metrics_history LIMIT 1")
    assert rows.fetchall() == [("cpu", 0, "1970-01-01T00:00:00Z", 240, 0.0, 1.0, 2.0)]
    raw.close()


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite:history.db", "sqlite://host/x"])
def test_a_url_that_names_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="database-url"):
        open_cold(url, Path())
