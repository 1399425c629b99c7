"""Programs beside `serve`: the collector alone, the MCP server alone, a check of the settings, backup and restore."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mcp_server.server import create_server, http_app, run_stdio
from monitoring import catalog as catalogue
from monitoring import inventory
from monitoring.alerts_record import AlertRecord
from monitoring.baselines import BaselineRecord
from monitoring.environment import detect
from monitoring.errors import BackendUnavailable, BadQuery, BadSetting, QueryTooExpensive, StoreUnavailable
from monitoring.listing import Families
from monitoring.plugins import Plugins
from monitoring.queries import FleetQueries
from monitoring.rules_files import RuleFiles
from monitoring.store.backup import Copied, backup, restore
from monitoring.store.board import BoardStore
from monitoring.store.lease import held
from monitoring.store.redis import SampleStore
from web import __version__
from web.backends import open_sources
from web.collector import Collector
from web.collector_pages import own_pages
from web.opening import background, open_store
from web.settings import Settings

Asking = Callable[[str], Awaitable[dict[str, Any]]]


async def collect(settings: Settings, port: int | None = None) -> None:
    """Collects until SIGTERM or SIGINT. With a `port`, /healthz and /metrics are on it, on loopback.

    Raises BadSetting with `prometheus`, beside which there is nothing to collect.
    """
    if settings.prometheus is not None:
        raise BadSetting("with prometheus nothing is collected; start `openmanager serve` alone, or leave it out")
    async with AsyncExitStack() as stack:
        store, valkey = await open_store(settings, stack)
        collector = Collector(settings, store, time.time)
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        tasks = await stack.enter_async_context(background())
        if valkey is not None:
            tasks.create_task(valkey.watch(), name="valkey")
        tasks.create_task(collector.run(), name="collector")
        if port is not None:
            await stack.enter_async_context(own_pages(collector, store, port))
        await ended.wait()


async def serve_stdio(settings: Settings) -> None:
    """The MCP server on stdin and stdout, over the store that `serve` fills."""
    async with AsyncExitStack() as stack:
        queries, ask = await _queries(settings, stack)
        await run_stdio(create_server(queries, ask, __version__))


async def serve_http(settings: Settings, address: str) -> None:
    """The MCP server on HTTP alone, at /mcp. Raises BadSetting beyond loopback."""
    import uvicorn

    host, _, port = address.rpartition(":")
    if not port.isdigit() or host not in ("127.0.0.1", "localhost", "[::1]"):
        raise BadSetting(f"'{address}' is not HOST:PORT on loopback, for example 127.0.0.1:8001")
    async with AsyncExitStack() as stack:
        queries, ask = await _queries(settings, stack)
        app = http_app(create_server(queries, ask, __version__))
        config = uvicorn.Config(app, host=host.strip("[]"), port=int(port), log_level=settings.log_level)
        await uvicorn.Server(config).serve()


async def _queries(settings: Settings, stack: AsyncExitStack) -> tuple[FleetQueries, Asking]:
    """The questions to what the settings name, and `ask`."""
    store, _ = await open_store(settings, stack)
    sources = open_sources(settings, store, BoardStore(store.connection), _no_families, time.time, stack)
    if sources.remote is not None:
        tasks = await stack.enter_async_context(background())
        tasks.create_task(sources.remote.run(), name="remote")
    record, baselines = AlertRecord(store.connection, store.cold), BaselineRecord(store.cold)
    queries = FleetQueries(sources.backend, catalogue.load(), time.time, record, baselines)
    memory = FleetQueries(sources.memory, catalogue.load(), time.time, baselines=baselines)
    return queries, _lazy_engine(queries, memory, sources.newest)


async def _no_families() -> Families:
    return {}


async def check(settings: Settings) -> dict[str, Any]:
    """What is in force, and every connection that the settings lead to: what it is, and how it is."""
    effective = in_force(settings)
    async with AsyncExitStack() as stack:
        try:
            store, valkey = await open_store(settings, stack)
        except StoreUnavailable as error:
            return effective | {"store": error.cause, "message": str(error)}
        place = store.connection.address
        facts: dict[str, Any] = effective | {"redis": f"{place.kind} {place.shown}{' (embedded)' if valkey else ''}"}
        try:
            await store.labels()
            status = await store.status()
            facts |= {"store": "connected" if status.pop("connected") else "disconnected", **status}
            facts["collector"] = await _collector(store)
        except StoreUnavailable as error:
            facts |= {"store": error.cause, "message": str(error)}
        facts["history"] = await _history(store)
        if settings.prometheus is not None:
            facts |= await _prometheus(settings, store, stack)
        facts |= check_rules(settings)
        facts["mcp"] = await _mcp_server(settings.mcp_url) if settings.mcp_url else "in each web process"
        return facts


def check_rules(settings: Settings) -> dict[str, Any]:
    """How many rules there are in the rule files, or what is wrong with them."""
    if not settings.rules:
        return {}
    files = RuleFiles(settings.rules)
    rules = sum(len(group.rules) for group in files.current())
    if not files.problems:
        return {"rules": f"{rules} rules in {', '.join(settings.rules)}"}
    return {"rules": f"{rules} rules, {len(files.problems)} problems"} | {
        f"problem {number}": str(problem) for number, problem in enumerate(files.problems, 1)
    }


async def _prometheus(settings: Settings, store: SampleStore, stack: AsyncExitStack) -> dict[str, Any]:
    sources = open_sources(settings, store, BoardStore(store.connection), _no_families, time.time, stack)
    assert sources.remote is not None
    url = sources.remote.url
    try:
        servers = len(inventory.build(await sources.backend.labels(), catalogue.load()).servers)
        found = f"{url}: {await sources.remote.product()}, {servers} servers"
    except (BackendUnavailable, BadQuery, QueryTooExpensive) as error:
        cause = error.cause if isinstance(error, BackendUnavailable) else "refused_query"
        return {"prometheus": cause, "prometheus_message": str(error)}
    return {"prometheus": "connected", "prometheus_server": found}


def in_force(settings: Settings) -> dict[str, Any]:
    """What follows from the settings and from where we run: environment, simulated fleet, engine and collection."""
    here = detect(settings.environment)
    profile = here.profile(settings.profile)
    limits = "" if here.cpu_limit is None and here.memory_limit_bytes is None else ", limited by the container"
    plugins = ", ".join(f"{one['name']} {one['version']}" for one in Plugins(settings.disabled_plugins).report())
    return {
        "environment": f"{here.stage}, {here.cores:g} cores, {here.memory_bytes / 2**30:.1f} GiB of memory{limits}",
        "simulated fleet": f"{'on' if settings.demo else 'off'}, profile {profile.name}: {profile.servers} servers "
        f"each {profile.interval_s:g} s ({profile.manner}), seed {settings.demo_seed}",
        "plugins": plugins or "none",
        "engine": f"patterns+tfidf, embeddings {'present' if find_spec('sentence_transformers') else 'absent'}, "
        f"tools within {settings.mcp_timeout:g} s",
        "collection": f"{'on' if settings.collect else 'off'}, each {settings.scrape_interval:g} s, "
        f"kept {settings.retention}",
    }


async def _collector(store: SampleStore) -> str:
    holder, fence = await held(store.connection)
    if holder is None:
        return "none; start `openmanager collect`, or `openmanager serve`"
    return f"process {holder.pid} on {holder.host}, lease {fence}"


async def _mcp_server(url: str) -> str:
    from mcp import Client

    try:
        async with asyncio.timeout(5), Client(url) as client:
            return f"{url}: {len((await client.list_tools()).tools)} tools"
    except Exception as error:  # whatever the transport raises, as a group or alone
        return f"{url} does not answer ({type(error).__name__}); start `openmanager mcp --http HOST:PORT`"


async def make_backup(settings: Settings, file: Path) -> str:
    """Writes all of the store into a new file; returns a sentence about it."""
    async with AsyncExitStack() as stack:
        store, _ = await open_store(settings, stack)
        assert store.cold is not None
        await store.begin()
        copied = await backup(store, store.cold, file)
        return f"backed up {await _described(copied, store)}: {file}"


async def restore_backup(settings: Settings, file: Path, *, replace: bool) -> str:
    """Fills the store with what a backup holds; returns a sentence about it."""
    async with AsyncExitStack() as stack:
        store, _ = await open_store(settings, stack)
        assert store.cold is not None
        copied = await restore(file, store, store.cold, replace=replace)
        return f"restored {await _described(copied, store)}: {file}"


async def _described(copied: Copied, store: SampleStore) -> str:
    servers = len(inventory.build(await store.labels(), catalogue.load()).servers)
    return (
        f"{servers} servers, {copied.series} series, {copied.samples} samples, {copied.values} JSON values"
        f" ({copied.bytes} bytes, checked) in {copied.seconds:.1f} seconds"
    )


async def _history(store: SampleStore) -> dict[str, Any] | str:
    try:
        return await store.cold.status() if store.cold else "none"
    except StoreUnavailable as error:
        return f"{error.cause}: {error}"


def _lazy_engine(queries: FleetQueries, memory: FleetQueries, newest: Callable[[], float | None]) -> Asking:
    """`ask` for a server alone. The assistant (and scikit-learn) is imported by the first question, not at start."""

    async def asked(text: str) -> dict[str, Any]:
        from dataclasses import asdict

        from assistant.engine import Question, shared
        from web.app import local_zone, make_engine

        engine = shared(lambda: make_engine(None, queries, memory, newest))
        if engine.understanding.backend == "patterns":
            engine.understanding.warm()
        return asdict(await engine.answer(Question(text, time.time(), local_zone())))

    return asked
