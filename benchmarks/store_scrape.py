"""How many targets a core scrapes: ours (fetch, parse, label, batch) beside httpx and prometheus_client, in one run.

A page of about 1,000 series with the names of a node_exporter is served gzipped by another process; its values change
with each request. CPU time of this process only, so that the server and the other tenants of the machine do not count.
Read the ratio, not the milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from aiohttp import web

from monitoring.ingest.exposition import SeriesCache, parse
from monitoring.ingest.targets import target
from monitoring.ingest.watch import Limits, Watch
from monitoring.model import Batch

try:
    import httpx
    from prometheus_client.parser import text_string_to_metric_families
except ImportError as error:
    raise SystemExit(f"{error}: the comparison needs the extra 'bench': pip install 'openmanager[bench]'") from None

ROUNDS, REPEATS = 5, 40
SERIES = 1_000
LABELS = {"instance": "db-01:9100", "job": "node"}


def main() -> None:
    """Prints CPU milliseconds of each way, warm and cold, and the ratios."""
    ours_end, theirs_end = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs_end,), daemon=True)
    server.start()
    try:
        asyncio.run(measure(ours_end.recv()))
    finally:
        server.terminate()
        server.join()


async def measure(port: int) -> None:
    """Both ways in turn, so that a busy machine is busy for both."""
    url = f"http://127.0.0.1:{port}/metrics"
    async with ours(port) as our_way, theirs(url) as their_way:
        await our_way()
        await their_way()
        rounds = [(await cpu_ms(our_way), await cpu_ms(their_way)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"page: {SERIES} series, {len(page())} bytes")
    print(f"ours, warm                    {mine:8.2f} ms CPU a target")
    print(f"httpx + prometheus_client     {other:8.2f} ms CPU a target")
    ratio = f"{other / mine:.1f} x the targets a core"
    print(f"ratio                         {ratio:>8}  (goal: 10)")
    await parsers()


async def parsers() -> None:
    """The parsers alone: the same page's shape again, and a page never seen."""
    pages = [page().encode() for _ in range(REPEATS)]
    cache, turn = SeriesCache(), iter(pages * (ROUNDS + 1))
    parse(pages[0], "text/plain", 0, cache)

    async def warm() -> None:
        parse(next(turn), "text/plain", 0, cache)

    async def cold() -> None:
        parse(pages[0], "text/plain", 0)

    async def client() -> None:
        list(text_string_to_metric_families(pages[0].decode()))

    rows = [[await cpu_ms(way) for way in (warm, cold, client)] for _ in range(ROUNDS)]
    warm_ms, cold_ms, client_ms = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"parse, warm                   {warm_ms:8.2f} ms  {SERIES / warm_ms / 1000:.2f} M samples/s")
    print(f"parse, cold                   {cold_ms:8.2f} ms  {SERIES / cold_ms / 1000:.2f} M samples/s")
    ratios = f"{client_ms / cold_ms:.1f} x cold, {client_ms / warm_ms:.1f} x warm"
    print(f"parse, prometheus_client      {client_ms:8.2f} ms  {ratios}")


@contextlib.asynccontextmanager
async def ours(port: int) -> AsyncIterator[Callable[[], Awaitable[Batch]]]:
    """A scrape as the loop does it."""
    watch = Watch(target(f"127.0.0.1:{port}", {"job": "node"}), Limits(15.0, 10.0, 1 << 26))
    async with aiohttp.ClientSession() as session:

        async def scrape() -> Batch:
            batch, failure = await watch.scrape(session, time.time())
            if failure is not None:
                raise failure
            return batch

        yield scrape


@contextlib.asynccontextmanager
async def theirs(url: str) -> AsyncIterator[Callable[[], Awaitable[Batch]]]:
    """The same result by the usual libraries."""
    async with httpx.AsyncClient() as client:

        async def scrape() -> Batch:
            reply = await client.get(url)
            reply.raise_for_status()
            samples: list[tuple[dict[str, str], float]] = [
                ({**sample.labels, **LABELS, "__name__": sample.name}, sample.value)
                for family in text_string_to_metric_families(reply.text)
                for sample in family.samples
            ]
            return Batch.at(time.time(), samples)

        yield scrape


async def cpu_ms(act: Callable[[], Awaitable[Any]]) -> float:
    """CPU milliseconds of this process for one call."""
    before = time.process_time()
    for _ in range(REPEATS):
        await act()
    return (time.process_time() - before) * 1000 / REPEATS


def page() -> str:
    """A page with the shape of a node_exporter's, its values new each time."""
    lines = []
    for metric in range(SERIES // 20):
        name = f"node_subsystem_{metric}_bytes_total"
        lines += [f"# HELP {name} What this counter of the subsystem counts.", f"# TYPE {name} counter"]
        lines += [
            f'{name}{{cpu="{place}",device="nvme{place}n1",fstype="ext4",mountpoint="/var/lib/data{place}"}} '
            f"{random.random() * 10 ** random.randint(1, 9):.6g}"
            for place in range(20)
        ]
    return "\n".join([*lines, ""])


def serve(pipe: Connection) -> None:
    """Serves pages on a free port, which it tells through the pipe."""
    pages = [page() for _ in range(50)]

    async def answer(_: web.Request) -> web.Response:
        response = web.Response(text=random.choice(pages), headers={"Content-Type": "text/plain; version=0.0.4"})
        response.enable_compression()
        return response

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/metrics", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
