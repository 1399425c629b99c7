"""What can be relied on of two collectors on one store: one collects, the other follows it, and they never mix."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from monitoring.model import Matcher, Selection
from monitoring.store.lease import held
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey

ROOT = Path(__file__).parents[2]
ALL = Selection((Matcher("__name__", "=", "asked_total"),), -1, 1 << 52)


@contextmanager
def collector(url: str, port: int, name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`openmanager collect` that scrapes our page every second under a job of its own name."""
    targets = folder / f"{name}.json"
    targets.write_text(f'[{{"targets": ["127.0.0.1:{port}"], "labels": {{"job": "{name}"}}}}]')
    words = ["collect", "--redis-url", url, "--data-dir", str(folder), "--targets", str(targets), "--no-local"]
    words += ["--scrape-interval", "1", "--scrape-timeout", "0.5", "--lease-ttl", "2", "--log-level", "warning"]
    process = subprocess.Popen([sys.executable, "-m", "web.cli", *words], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(40):
        while not await holds():
            await asyncio.sleep(0.05)


@pytest.fixture
async def page() -> object:
    """The port of a page that counts."""
    asked = 0

    async def metrics(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(text=f"asked_total {asked}\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_takes_over_and_the_one_before_writes_no_more(
    store: SampleStore, valkey: EmbeddedValkey, tmp_path: Path, page: int, blow: signal.Signals
) -> None:
    async def times(job: str) -> list[int]:
        [found] = await store.select([ALL])
        return [t for one in found if one.labels["job"] == job for t in one.times_ms.tolist()]

    async def leads(process: subprocess.Popen[bytes]) -> bool:
        holder = (await held(store.connection)).holder
        return holder is not None and holder.pid == process.pid

    async def several(job: str, more_than: int = 1) -> bool:
        return len(await times(job)) > more_than

    with collector(valkey.url, page, "one", tmp_path) as one:
        await until(lambda: leads(one))
        await until(lambda: several("one"))
        with collector(valkey.url, page, "two", tmp_path) as two:
            os.kill(one.pid, blow)
            if blow is signal.SIGKILL:
                one.wait()
            await until(lambda: leads(two))
            await until(lambda: several("two"))
            if blow is signal.SIGSTOP:
                os.kill(one.pid, signal.SIGCONT)
                before = len(await times("two"))
                await until(lambda: several("two", before + 3))
                assert one.poll() is None, "it waits for its turn"
            assert (await held(store.connection)).fence == 2
            assert max(await times("one")) < min(await times("two")), "no sample of one after the first of two"
