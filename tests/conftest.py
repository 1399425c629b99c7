"""Fixtures that many tests share: a real Valkey, started once and emptied for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey


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
