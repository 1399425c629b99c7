"""`create_app`: the composition root. Everything is made here once, handed down, and closed here, last in first out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from assistant.conversation import Conversations
from assistant.engine import UnifiedAIEngine, forget, shared
from assistant.mcp_client import ToolClient
from assistant.query import Question
from assistant.understanding import Understanding
from assistant.ways import Ways
from mcp_server.server import HttpEndpoint, create_server, http_endpoint
from monitoring import catalog as catalogue
from monitoring.alerts_record import AlertRecord
from monitoring.baselines import BaselineRecord
from monitoring.errors import StoreUnavailable
from monitoring.forecasts import ForecastRecord
from monitoring.ingest.validation import Gate
from monitoring.ingest.written import MetadataBook
from monitoring.model import Selection
from monitoring.queries import FleetQueries
from monitoring.store.board import BoardStore
from web import __version__, envelope, openapi
from web.alerting import LoneLeader
from web.backends import REFRESH_S, open_sources
from web.cache import Cache
from web.collection import Collection
from web.collector import Collector
from web.live import IDLE_S, LiveFleet
from web.middleware import BodyLimit, SecurityHeaders, Shortcut, VersionedPaths
from web.opening import background, open_store
from web.parts import Answers, Parts, Sessions
from web.performance import Measured, Performance, Routed
from web.routes import (
    alerts,
    ask,
    baselines,
    fleet,
    forecasts,
    generator,
    graphql,
    ingest,
    metrics,
    otlp,
    pages,
    prometheus,
    prometheus_admin,
    prometheus_rules,
    prometheus_series,
    prometheus_status,
    prometheus_targets,
    remote,
    reports,
    series,
    system,
)
from web.settings import Settings

log = logging.getLogger(__name__)

PROMETHEUS = (
    prometheus,
    prometheus_series,
    prometheus_targets,
    prometheus_rules,
    prometheus_status,
    prometheus_admin,
)


def create_app(settings: Settings, clock: Callable[[], float] = time.time) -> FastAPI:
    """The whole product as one ASGI application. Nothing is opened before its lifespan begins."""

    opened: list[Parts] = []
    performance = Performance()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            parts, endpoint = await _open(settings, clock, stack, performance)
            app.state.parts = parts
            opened.append(parts)
            app.router.routes.insert(0, Route("/mcp", endpoint.app, include_in_schema=False))
            if parts.remote is not None:
                app.router.routes[:0] = remote.routes(parts.remote)
            yield

    app = FastAPI(
        title="OpenManager",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
    )
    envelope.install(app)
    openapi.install(app)
    for module in (
        *PROMETHEUS,
        ask,
        alerts,
        baselines,
        reports,
        forecasts,
        fleet,
        generator,
        metrics,
        series,
        ingest,
        otlp,
        graphql,
        system,
        pages,
    ):
        app.include_router(module.router)
    app.mount("/static", pages.Assets(directory=pages.STATIC))
    app.add_middleware(Routed)
    app.add_middleware(BodyLimit)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(VersionedPaths)
    app.add_middleware(SecurityHeaders)
    shortcuts = fleet.shortcuts(lambda: opened[-1].live, clock)
    app.add_middleware(Shortcut, paths=shortcuts)
    app.add_middleware(Measured, performance=performance, shortcuts=shortcuts)
    return app


def make_engine(
    tools: ToolClient | None,
    direct: FleetQueries,
    memory: FleetQueries,
    newest: Callable[[], float | None],
    conversations: Conversations | None = None,
    forecasts: ForecastRecord | None = None,
) -> UnifiedAIEngine:
    """The engine over its three ways. Without `conversations`, turns stay in this process."""
    ways = Ways(tools, direct, memory, newest)
    return UnifiedAIEngine(Understanding(direct.catalog), ways, direct, memory, conversations, forecasts)


async def _open(
    settings: Settings, clock: Callable[[], float], stack: AsyncExitStack, performance: Performance
) -> tuple[Parts, HttpEndpoint]:
    store, valkey = await open_store(settings, stack)
    catalog = catalogue.load()
    boards, said = BoardStore(store.connection), MetadataBook()
    collector = Collector(settings, store, clock) if settings.collect else None
    collection = Collection(store, collector, said, clock)
    sources = open_sources(settings, store, boards, collection.metadata, clock, stack)
    record = AlertRecord(store.connection, store.cold)
    habits = BaselineRecord(store.cold)
    direct = FleetQueries(sources.backend, catalog, clock, record, habits)
    leader = LoneLeader(settings, store, direct, clock) if sources.remote is not None else None
    memory = FleetQueries(sources.memory, catalog, clock, baselines=habits)
    holder: list[Parts] = []
    server = create_server(direct, _asker(holder), __version__, _recall(holder))
    endpoint = http_endpoint(server)
    tools = ToolClient(settings.mcp_url or server, timeout_s=settings.mcp_timeout)
    to_come = ForecastRecord(store.cold, clock)
    conversations = Conversations(Sessions(store), settings.session_ttl_s)
    engine = make_engine(tools, direct, memory, sources.newest, conversations, to_come)
    shared(lambda: engine)  # of several applications in one process (tests), the first has the name
    stack.callback(forget, engine)
    gate = Gate(store.append, clock, settings.retention_s)
    alone = sources.remote is not None and settings.workers == 1
    leads = partial(_leads, collector, alone)
    idle_s = IDLE_S if sources.remote is None else REFRESH_S
    live = LiveFleet(direct, sources.changed, clock, boards, leads, idle_s)
    boards.alert = live.stream.tell_alert
    answers, zone = Answers(store), local_zone()
    details: Cache[bytes] = Cache("details", len, fresh_s=5.0, stale_s=5.0, max_bytes=32 << 20, clock=clock)
    stack.push_async_callback(details.close)
    parts = Parts(
        settings,
        store,
        sources.backend,
        sources.listing,
        direct,
        engine,
        live,
        details,
        answers,
        collection,
        tools,
        clock,
        gate,
        said,
        performance,
        record,
        habits,
        to_come,
        collector,
        valkey,
        sources.remote,
        leader,
        zone,
    )
    holder.append(parts)
    await stack.enter_async_context(endpoint.lifespan())
    tasks = await stack.enter_async_context(background())
    if valkey is not None:
        tasks.create_task(valkey.watch(), name="valkey")
    if sources.remote is not None:
        tasks.create_task(sources.remote.run(), name="remote")
    tasks.create_task(tools.run(), name="mcp-client")
    await _begin(parts, tasks)
    return parts, endpoint


async def _begin(parts: Parts, tasks: asyncio.TaskGroup) -> None:
    """Starts what runs for as long as the application does."""
    now_ms = round(parts.clock() * 1000)
    try:
        await parts.store.begin()
        if parts.remote is None:
            await parts.store.select([Selection((), now_ms - 3_600_000, now_ms)])  # what memory can answer with
    except StoreUnavailable as error:
        log.warning("store.away_at_start cause=%s", error.cause)
    tasks.create_task(_warm(parts), name="warm")
    if parts.collector is not None:
        tasks.create_task(parts.collector.run(), name="collector")
        await parts.collector.lease.settled.wait()
    if parts.leader is not None:
        tasks.create_task(parts.leader.run(), name="alerts")
    tasks.create_task(parts.collection.run(), name="collection")
    tasks.create_task(parts.live.watch(), name="live")
    tasks.create_task(parts.live.follow(), name="board")
    tasks.create_task(parts.answers.run(), name="answers")
    tasks.create_task(parts.forecasts.run(), name="forecasts")
    parts.ready = True


def _leads(collector: Collector | None, alone: bool) -> bool:
    """Whether this process reads the fleet for all: it collects, or there is no other."""
    return alone or (collector is not None and collector.leading)


async def _warm(parts: Parts) -> None:
    await asyncio.to_thread(parts.engine.understanding.warm)
    log.info("assistant.warm backend=%s", parts.engine.understanding.backend)


def _asker(holder: list[Parts]) -> Callable[[str], Awaitable[dict[str, Any]]]:
    async def asked(text: str) -> dict[str, Any]:
        parts = holder[0]
        answer = await parts.engine.answer(Question(text, parts.clock(), parts.zone))
        body = asdict(answer)
        await parts.answers.keep(answer.id, body)
        return body

    return asked


def _recall(holder: list[Parts]) -> Callable[[str], Awaitable[dict[str, Any] | None]]:
    async def recalled(answer_id: str) -> dict[str, Any] | None:
        return await holder[0].answers.get(answer_id)

    return recalled


def local_zone() -> tzinfo:
    """The zone of this machine by its IANA name; UTC where it has none."""
    link = Path("/etc/localtime")
    name = str(link.resolve()).partition("zoneinfo/")[2] if link.exists() else ""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC
