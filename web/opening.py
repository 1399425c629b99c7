"""What every role opens first: the store, with its embedded server where no other was named, and a group of tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from monitoring.errors import StoreUnavailable
from monitoring.store.address import secured
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey
from web.settings import Settings

log = logging.getLogger(__name__)
STORE_TIMEOUT_S = 3.0
"""A hung store: 2 s of MCP and 3 s of direct leave time for an answer from memory within the 10 s."""


async def open_store(settings: Settings, stack: AsyncExitStack) -> tuple[SampleStore, EmbeddedValkey | None]:
    """The store, with its embedded server where no other was named; both are closed by `stack`."""
    valkey = None
    url = settings.redis_url
    if url is None:
        valkey = EmbeddedValkey(settings.data_dir)
        await valkey.start()
        stack.push_async_callback(valkey.close)
        url = valkey.url
    else:
        url = redis_url(settings)
    cold = open_cold(settings.database_url, settings.data_dir)
    stack.push_async_callback(cold.close)
    try:
        await cold.open()
    except StoreUnavailable as error:  # every call tries again
        log.warning("cold.away_at_start cause=%s error=%s", error.cause, error)
    store = SampleStore(url, cold=cold, cache_bytes=settings.cache << 20, timeout_s=STORE_TIMEOUT_S)
    stack.push_async_callback(store.close)
    return store, valkey


def redis_url(settings: Settings) -> str:
    """The URL of `redis_url` with the TLS files of the settings. Raises BadSetting."""
    assert settings.redis_url is not None
    return secured(
        settings.redis_url,
        ca=settings.redis_ca,
        cert=settings.redis_cert,
        key=settings.redis_key,
        required=settings.redis_tls_required,
    )


@asynccontextmanager
async def background() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group whose tasks are cancelled when the block ends."""
    async with asyncio.TaskGroup() as group:
        try:
            yield group
        finally:
            for task in group._tasks:
                task.cancel()
