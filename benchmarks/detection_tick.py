"""How long detection takes for 1,000 servers with eight concepts each: a tick, learning what is normal, and beginning.

Two days of gauges under our own names (a sample each two minutes) in an embedded Valkey. CPU time of this process, and
wall time with the store's answers waited for. `score` is the judging alone, without reading and writing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from monitoring import catalog
from monitoring.backends import LocalBackend
from monitoring.baselines import BaselineRecord
from monitoring.baselines_loop import BaselineLoop
from monitoring.detection import DetectionLoop
from monitoring.model import Batch, Labels
from monitoring.queries import FleetQueries
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey

SERVERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
HOURS = int(sys.argv[2]) if len(sys.argv) > 2 else 48
STEP_S, TICKS = 120, 9
METRICS = (
    "server_cpu_usage",
    "server_memory_usage",
    "server_disk_usage",
    "server_network_receive_bytes_per_second",
    "server_network_transmit_bytes_per_second",
    "nginx_http_requests_total",
    "pg_stat_database_numbackends",
    "rabbitmq_queue_messages",
)


def main() -> None:
    """Prints medians of some ticks."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


async def measure(folder: Path) -> None:
    """Fills the store, learns, begins, then a tick after each sample."""
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    store = SampleStore(valkey.url, cold=open_cold(None, folder))
    await store.begin()
    now, series = time.time() // STEP_S * STEP_S, labels()
    for k in range(HOURS * 3600 // STEP_S, -1, -1):
        await store.append(samples(series, now - k * STEP_S))
    queries = FleetQueries(LocalBackend(store), catalog.load(), lambda: now)
    record = BaselineRecord(store.cold)
    baselines = BaselineLoop(queries, record, lambda: now, 6 * 3600)
    loop = DetectionLoop(queries, record, baselines, lambda: now, store.append)
    learning = await timed(baselines.fit)
    begun = await timed(loop.tick)
    ticks, judged = [], []
    for _ in range(TICKS):
        now += 60.0
        await store.append(samples(series, now))
        ticks.append(await timed(loop.tick))
        judged.append(loop.judged_s * 1000)
    print(f"{SERVERS} servers, {loop.series} series with a habit, {HOURS} h of history")
    for name, (cpu, wall) in (("learning what is normal", learning), ("the first tick, which begins", begun)):
        print(f"{name:31} {cpu:6.0f} ms CPU {wall:6.0f} ms in all")
    cpu, wall = (statistics.median(column) for column in zip(*ticks, strict=True))
    print(f"{'a tick':31} {cpu:6.0f} ms CPU {wall:6.0f} ms in all, of which judging {statistics.median(judged):.0f} ms")
    await store.close()
    assert store.cold is not None
    await store.cold.close()
    await valkey.close()


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds of CPU and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def labels() -> list[Labels]:
    """Eight series a server."""
    return [
        {"__name__": metric, "server_id": f"web-{number:04}", "instance": f"web-{number:04}:9100"}
        for number in range(SERVERS)
        for metric in METRICS
    ]


def samples(series: list[Labels], at: float) -> Batch:
    """One sample of each series: a daily wave with noise."""
    count = len(series)
    noise = np.random.default_rng(int(at)).normal(0, 1, count)
    values = np.abs(40 + 20 * np.sin(2 * np.pi * at / 86_400) + noise)
    counters = np.array([one["__name__"].endswith("_total") for one in series])
    values = np.where(counters, at * 5 + noise, values)
    return Batch(series, np.arange(count, dtype=np.int32), np.full(count, round(at * 1000), dtype=np.int64), values)


if __name__ == "__main__":
    main()
