"""The collector's own pages where it runs alone: /healthz and /metrics, on loopback."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from aiohttp import web

from monitoring.errors import BadSetting
from monitoring.ingest.targets import TargetHealth
from monitoring.store.redis import SampleStore
from web.collector import Collector

PAGE_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def own_pages(collector: Collector, store: SampleStore, port: int) -> AsyncIterator[int]:
    """Serves them while the block runs; yields the port. Raises BadSetting where the port is taken."""
    started = time.time()

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_request: web.Request) -> web.Response:
        body = "\n".join(_lines(collector, store, started)) + "\n"
        return web.Response(body=body.encode(), headers={"Content-Type": PAGE_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield int(runner.addresses[0][1])
    except OSError as error:
        raise BadSetting(f"cannot listen on 127.0.0.1:{port}: {error.strerror}; choose another --port") from None
    finally:
        await runner.cleanup()


def _lines(collector: Collector, store: SampleStore, started: float) -> list[str]:
    scrape = collector.scrape
    targets = [] if scrape is None else scrape.targets()
    waiting, dropped = (0, 0) if scrape is None else (scrape.outbox.waiting, scrape.outbox.dropped)
    facts: list[tuple[str, str, str, float]] = [
        ("openmanager_collector_leading", "gauge", "1 while this process holds the lease.", collector.leading),
        ("openmanager_collector_fence", "gauge", "Number of the lease held, 0 without.", collector.lease.fence or 0),
        ("openmanager_targets", "gauge", "Scrape targets.", len(targets)),
        ("openmanager_targets_up", "gauge", "Scrape targets that answered last time.", _up(targets)),
        ("openmanager_outbox_waiting", "gauge", "Samples that wait.", waiting),
        (
            "openmanager_outbox_dropped_total",
            "counter",
            "Samples lost.",
            dropped,
        ),
        ("openmanager_samples_appended_total", "counter", "Samples that this process wrote.", store.samples_appended),
        ("process_resident_memory_bytes", "gauge", "Resident memory.", psutil.Process().memory_info().rss),
        ("process_start_time_seconds", "gauge", "When this process began.", started),
    ]
    return [
        line
        for name, kind, help_text, value in facts
        for line in (f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", f"{name} {float(value):.15g}")
    ]


def _up(targets: list[TargetHealth]) -> int:
    return sum(one.health == "up" for one in targets)
