"""Scraping over real HTTP: schedules, failures, vanished series, an absent store, target lists."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.ingest.host import collect
from monitoring.ingest.scrape import ScrapeLoop
from monitoring.ingest.targets import Target, target
from monitoring.ingest.targets_file import TargetsFile
from monitoring.model import Batch, is_stale

Handler = Callable[[web.Request], Awaitable[web.Response]]
PATIENCE_S = 5.0


class Kept:
    """A store that keeps everything in a list, or is away."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.away = False
        self.grown = asyncio.Condition()

    async def append(self, batch: Batch) -> int:
        if self.away:
            raise StoreUnavailable("refused", "connection refused")
        async with self.grown:
            self.batches.append(batch)
            self.grown.notify_all()
        return len(batch)

    def values(self, name: str, **labels: str) -> list[float | str]:
        """The values of the matching series in order; "stale" for the marker."""
        wanted = {"__name__": name, **labels}
        return [
            "stale" if gone else value
            for batch in self.batches
            for k, value, gone in zip(batch.index, batch.values.tolist(), is_stale(batch.values), strict=True)
            if wanted.items() <= batch.series[k].items()
        ]

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self.grown:
            await self.grown.wait_for(enough)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on a free loopback port: its HOST:PORT."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(loop: ScrapeLoop) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def page(text: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        response = web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})
        response.enable_compression()
        return response

    return answer


async def test_a_scrape_gives_the_page_and_what_prometheus_adds():
    kept = Kept()
    text = '# TYPE temp gauge\ntemp{instance="inner",job="x",room="a"} 21.5\nold 3 1000\n'
    async with serving(page(text)) as address:
        wanted = target(address, {"job": "node", "role": "db"})
        loop = ScrapeLoop(kept.append, lambda: [wanted], now=lambda: 1_760_000_000.0)
        await loop.scrape_once()
    (batch,) = kept.batches
    common = {"instance": address, "job": "node", "role": "db"}
    assert batch.series == [
        {"__name__": "temp", "exported_instance": "inner", "exported_job": "x", "room": "a", **common},
        {"__name__": "old", **common},
        {"__name__": "up", **common},
        {"__name__": "scrape_duration_seconds", **common},
        {"__name__": "scrape_samples_scraped", **common},
        {"__name__": "scrape_samples_post_metric_relabeling", **common},
        {"__name__": "scrape_series_added", **common},
    ]
    assert batch.times_ms.tolist() == [1_760_000_000_000, 1_000, *[1_760_000_000_000] * 5]
    assert [batch.values[k] for k in (0, 1, 2, 4, 5, 6)] == [21.5, 3.0, 1.0, 2.0, 2.0, 1.0]
    (health,) = loop.targets()
    assert (health.health, health.last_error, health.samples, health.last_scrape) == ("up", "", 2, 1_760_000_000.0)
    assert loop.metadata()["temp"].type == "gauge"


async def test_a_series_that_vanishes_and_a_target_that_fails_get_stale_markers():
    kept, now = Kept(), 1_000.0
    answers = iter(["a 1\nb 2\n", "a  1\n", "a 1\nbroken{\n", None])

    async def answer(request: web.Request) -> web.Response:
        text = next(answers)
        return web.Response(status=500) if text is None else await page(text)(request)

    async with serving(answer) as address:
        loop = ScrapeLoop(kept.append, lambda: [target(address)], now=lambda: now)
        await loop.scrape_once()
        await loop.scrape_once()
        assert (kept.values("a"), kept.values("b")) == ([1.0, 1.0], [2.0, "stale"])
        await loop.scrape_once()
        assert "line 2" in loop.targets()[0].last_error
        await loop.scrape_once()
        assert "answered 500" in loop.targets()[0].last_error
    assert (kept.values("a"), kept.values("b")) == ([1.0, 1.0, "stale"], [2.0, "stale"])
    assert kept.values("up") == [1.0, 1.0, 0.0, 0.0]
    assert loop.failures == {"bad_page": 1, "down": 1}


async def test_a_target_that_is_no_longer_wanted_ends_in_stale_markers():
    kept = Kept()
    async with serving(page("a 1\n")) as address:
        wanted = [target(address)]
        loop = ScrapeLoop(kept.append, lambda: wanted)
        await loop.scrape_once()
        wanted.clear()
        await loop.scrape_once()
    assert (kept.values("a"), kept.values("up")) == ([1.0, "stale"], [1.0, "stale"])
    assert loop.targets() == []


async def test_a_slow_target_does_not_delay_the_others():
    kept, release = Kept(), asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(never) as slow, serving(page("a 1\n")) as fast:
        wanted = [target(slow), target(fast)]
        loop = ScrapeLoop(kept.append, lambda: wanted, interval_s=0.3, timeout_s=60)
        async with running(loop):
            # each has its own place in the interval, by its port: either may be the first
            await kept.until(lambda: min(len(kept.values("up", instance=one)) for one in (slow, fast)) >= 2)
            release.set()
    assert kept.values("up", instance=slow)[:2] == [0.0, 0.0]
    assert len(kept.values("a", instance=fast)) >= 2
    assert "did not answer within 0.27 s" in next(t.last_error for t in loop.targets() if t.target == wanted[0])


async def test_a_page_over_the_limit_is_not_read_to_its_end():
    kept = Kept()
    async with serving(page("a 1\n" * 100_000)) as address:
        loop = ScrapeLoop(kept.append, lambda: [target(address)], body_limit=10_000)
        await loop.scrape_once()
    assert kept.values("up") == [0.0]
    assert "sends more than 10000 bytes" in loop.targets()[0].last_error


async def test_ticks_wait_while_the_store_is_away_and_the_oldest_are_dropped(caplog: pytest.LogCaptureFixture):
    kept = Kept()
    kept.away = True
    times = iter([10.0, 20.0, 30.0])
    async with serving(page("a 1\n")) as address:
        loop = ScrapeLoop(kept.append, lambda: [target(address)], waiting_limit=12, now=lambda: next(times))
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                await loop.scrape_once()
    assert (loop.outbox.waiting, loop.outbox.dropped) == (12, 6)
    assert "outbox.dropped samples=6 dropped_total=6" in caplog.text
    kept.away = False
    assert await loop.outbox.flush()
    (batch,) = kept.batches
    assert batch.times_ms.tolist() == [20_000] * 6 + [30_000] * 6
    assert loop.outbox.waiting == 0


async def test_this_machine_agrees_with_proc_meminfo():
    kept = Kept()
    await ScrapeLoop(kept.append, local=collect).scrape_once()
    here = {"instance": f"{socket.gethostname()}:9100", "job": "node"}
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        pytest.skip("no /proc/meminfo here")
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    available, total = (int(fields[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    assert kept.values("node_memory_MemTotal_bytes", **here) == [total]
    (measured,) = kept.values("node_memory_MemAvailable_bytes", **here)
    assert measured == pytest.approx(available, abs=0.03 * total)
    space = os.statvfs("/")
    assert kept.values("up", **here) == [1.0]
    assert len(kept.values("node_cpu_seconds_total", mode="idle")) == os.cpu_count()
    for size in kept.values("node_filesystem_size_bytes", mountpoint="/"):
        assert size == space.f_blocks * space.f_frsize


@pytest.mark.skipif(not shutil.which("prometheus-node-exporter"), reason="needs prometheus-node-exporter")
async def test_a_real_node_exporter_is_read_whole():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        "prometheus-node-exporter", f"--web.listen-address={address}", stderr=asyncio.subprocess.PIPE
    )
    kept = Kept()
    loop = ScrapeLoop(kept.append, lambda: [target(address)], local=collect)
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while b"istening on" not in await process.stderr.readline():
                pass
        await loop.scrape_once()
    finally:
        process.terminate()
        await process.communicate()
    assert loop.targets()[0].last_error == ""
    assert loop.metadata()["node_cpu_seconds_total"].type == "counter"
    local = f"{socket.gethostname()}:9100"
    for metric in ("node_memory_MemTotal_bytes", "node_uname_info", "node_boot_time_seconds"):
        assert kept.values(metric, instance=address) == kept.values(metric, instance=local), metric
    root = {"mountpoint": "/"}
    theirs = kept.values("node_filesystem_avail_bytes", instance=address, **root)
    ours = kept.values("node_filesystem_avail_bytes", instance=local, **root)
    assert not ours or ours == pytest.approx(theirs, rel=0.01)


def test_targets_are_told_by_address_or_url():
    assert target("db-01:9100/x?a=b").url == "http://db-01:9100/x?a=b"
    assert target("https://u:p@db-01/metrics").labels == {"instance": "db-01:443", "job": "scrape"}
    steered = target("[::1]:1", {"__scheme__": "https", "__metrics_path__": "/m", "job": "n", "role": "db"})
    assert steered == Target("https://[::1]:1/m", (("instance", "[::1]:1"), ("job", "n"), ("role", "db")))
    for wrong in ("db-01", "", "a b:1", "ftp://x/y", "db-01:port", "http://"):
        with pytest.raises(BadSetting, match="target "):
            target(wrong)


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_targets_file_is_followed_and_a_broken_one_keeps_the_old_targets(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
):
    def text(name: str) -> str:
        labels = {"job": "node", "role": "db"}
        if suffix == "json":
            return json.dumps([{"targets": [f"{name}:9100"], "labels": labels}])
        return f'[[group]]\ntargets = ["{name}:9100"]\nlabels = {{ job = "node", role = "db" }}\n'

    path = tmp_path / f"targets.{suffix}"
    path.write_text(text("a"))
    file = TargetsFile(path)
    assert file.current() == (target("a:9100", {"job": "node", "role": "db"}),)
    path.write_text(text("longer-name"))
    assert [t.labels["instance"] for t in file.current()] == ["longer-name:9100"]
    for broken in (text("b").replace("targets", "target"), text("no-port").replace(":9100", ""), "{", "[1]"):
        path.write_text(broken)
        assert [t.labels["instance"] for t in file.current()] == ["longer-name:9100"]
        assert str(path) in (file.problem or "")
    assert "targets.broken" in caplog.text
    path.unlink()
    assert len(file.current()) == 1
    with pytest.raises(BadSetting, match="No such file"):
        TargetsFile(path)
