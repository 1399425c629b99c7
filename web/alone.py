"""Programs beside `serve`: the MCP server alone, and a check of the settings."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from mcp_server.server import create_server, http_app, run_stdio
from monitoring import catalog as catalogue
from monitoring.backends import LocalBackend
from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.queries import FleetQueries
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey
from web import __version__
from web.settings import Settings


async def serve_stdio(settings: Settings) -> None:
    """The MCP server on stdin and stdout, over the store that `serve` fills."""
    async with AsyncExitStack() as stack:
        store = await _store(settings, stack)
        queries = FleetQueries(LocalBackend(store), catalogue.load(), time.time)
        await run_stdio(create_server(queries, _lazy_engine(queries, store), __version__))


async def serve_http(settings: Settings, address: str) -> None:
    """The MCP server on HTTP alone, at /mcp. Raises BadSetting beyond loopback."""
    import uvicorn

    host, _, port = address.rpartition(":")
    if not port.isdigit() or host not in ("127.0.0.1", "localhost", "[::1]"):
        raise BadSetting(f"'{address}' is not HOST:PORT on loopback, for example 127.0.0.1:8001")
    async with AsyncExitStack() as stack:
        store = await _store(settings, stack)
        queries = FleetQueries(LocalBackend(store), catalogue.load(), time.time)
        app = http_app(create_server(queries, _lazy_engine(queries, store), __version__))
        config = uvicorn.Config(app, host=host.strip("[]"), port=int(port), log_level=settings.log_level)
        await uvicorn.Server(config).serve()


async def check(settings: Settings) -> dict[str, Any]:
    """What the settings lead to: the store's state and how many series it holds."""
    async with AsyncExitStack() as stack:
        try:
            store = await _store(settings, stack)
            await store.labels()
            status = await store.status()
            status["history"] = await _history(store)
        except StoreUnavailable as error:
            return {"store": error.cause, "message": str(error)}
        return {"store": "connected" if status.pop("connected") else "disconnected", **status}


async def _history(store: SampleStore) -> dict[str, Any] | str:
    try:
        return await store.cold.status() if store.cold else "none"
    except StoreUnavailable as error:
        return f"{error.cause}: {error}"


async def _store(settings: Settings, stack: AsyncExitStack) -> SampleStore:
    url = settings.redis_url
    if url is None:
        valkey = EmbeddedValkey(settings.data_dir)
        await valkey.start()
        stack.push_async_callback(valkey.close)
        url = valkey.url
    cold = open_cold(settings.database_url, settings.data_dir)
    stack.push_async_callback(cold.close)
    store = SampleStore(url, cold=cold)
    stack.push_async_callback(store.close)
    return store


def _lazy_engine(queries: FleetQueries, store: SampleStore) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """`ask` for a server alone. The assistant (and scikit-learn) is imported by the first question, not at start."""

    async def asked(text: str) -> dict[str, Any]:
        from dataclasses import asdict

        from assistant.engine import Question, shared
        from web.app import local_zone, make_engine

        memory = FleetQueries(LocalBackend(store, memory=True), queries.catalog, time.time)
        engine = shared(lambda: make_engine(None, queries, memory, lambda: None))
        if engine.understanding.backend == "patterns":
            engine.understanding.warm()
        return asdict(await engine.answer(Question(text, time.time(), local_zone())))

    return asked
