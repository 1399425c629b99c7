"""What history in PostgreSQL survives: its restart, its absence, an emptied database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.store.cold import ColdStore, Segment, open_cold
from tests.conftest import emptied
from tests.postgres import PostgresServer

asyncpg = pytest.importorskip("asyncpg", reason="the extra 'postgres' is not installed")
BLOCK = Segment("cpu", 7, 0, 1, 240, 0.0, 1.0, 2.0, b"body")


@pytest.fixture
async def cold(postgres: PostgresServer) -> AsyncIterator[ColdStore]:
    """A store on an emptied database."""
    await emptied(postgres)
    store = open_cold(postgres.url, Path())
    await store.put([BLOCK])
    yield store
    await store.close()


async def test_a_restart_of_the_server_costs_nothing_and_its_absence_is_named(
    postgres: PostgresServer, cold: ColdStore
) -> None:
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(postgres.start)
    assert await cold.get([("cpu", 7, None)]) == [BLOCK]

    await asyncio.to_thread(postgres.stop)
    try:
        with pytest.raises(StoreUnavailable) as failure:
            await cold.get([("cpu", 7, None)])
        assert failure.value.cause == "refused"
        assert "start it" in str(failure.value)
    finally:
        await asyncio.to_thread(postgres.start)
    assert await cold.put([BLOCK._replace(generation=2)]) == 1
    assert "start it" in (await cold.status())["last_error"]


async def test_several_processes_may_begin_at_once_and_an_emptied_database_is_filled_again(
    postgres: PostgresServer, cold: ColdStore
) -> None:
    await emptied(postgres)
    others = [open_cold(postgres.url, Path()) for _ in range(4)]
    await asyncio.gather(*(other.open() for other in others), cold.open())
    await emptied(postgres)
    assert await cold.put([BLOCK]) == 1
    assert await others[0].get([("cpu", 7, None)]) == [BLOCK]
    for other in others:
        await other.close()


async def test_a_database_of_a_newer_version_or_of_another_program_is_refused(
    postgres: PostgresServer, cold: ColdStore
) -> None:
    connection = await asyncpg.connect(postgres.url)
    for change, message in (
        ("UPDATE fact SET value = '99' WHERE key = 'schema_version'", "newer OpenManager"),
        ("DROP TABLE fact; CREATE TABLE fact (mine int)", "another program"),
    ):
        await connection.execute(change)
        fresh = open_cold(postgres.url, Path())
        with pytest.raises(StoreUnavailable, match=message) as failure:
            await fresh.open()
        assert failure.value.cause == "refused"
        await fresh.close()
    await connection.close()


async def test_a_wrong_address_or_user_is_refused_without_telling_the_password() -> None:
    store = open_cold("postgresql://me:secret@127.0.0.1:1/history", Path())
    with pytest.raises(StoreUnavailable) as failure:
        await store.open()
    assert failure.value.cause == "refused"
    assert "127.0.0.1:1/history" in str(failure.value)
    assert "secret" not in str(failure.value)
    await store.close()


async def test_plain_sql_reads_the_history(postgres: PostgresServer, cold: ColdStore) -> None:
    connection = await asyncpg.connect(postgres.url)
    row = await connection.fetchrow(
        "SELECT metric, hour, started::text, count, min, max, sum FROM server_metrics_history"
    )
    await connection.close()
    assert tuple(row) == ("cpu", 7, "1970-01-01 07:00:00+00", 240, 0.0, 1.0, 2.0)


def test_without_the_extra_the_setting_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "monitoring.store.cold_postgres", None)
    with pytest.raises(BadSetting, match=r"pip install 'openmanager\[postgres\]'"):
        open_cold("postgresql://host/db", Path())
