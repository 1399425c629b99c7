"""How long a round of the default rules takes for 1,000 servers, beside reading the same fleet for the dashboard.

Six hours of node_exporter's metrics (seven series a server, one sample each two minutes) in an embedded Valkey; one
server in twenty reaches a threshold. CPU time of this process, and wall time with the store's answers waited for.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from monitoring import catalog
from monitoring.alerts_loop import AlertLoop, Options
from monitoring.alerts_record import AlertRecord
from monitoring.backends import LocalBackend
from monitoring.model import Batch
from monitoring.queries import FleetQueries
from monitoring.rules_files import RuleFiles
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey

SERVERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
HOURS, STEP_S, ROUNDS = 6, 120, 9


def main() -> None:
    """Prints medians of some rounds."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


async def measure(folder: Path) -> None:
    """A round after each sample, then the reading."""
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    store = SampleStore(valkey.url, cold=open_cold(None, folder))
    await store.begin()
    now = time.time() // STEP_S * STEP_S
    for k in range(HOURS * 3600 // STEP_S, -1, -1):
        await store.append(samples(now - k * STEP_S))
    queries = FleetQueries(LocalBackend(store), catalog.load(), lambda: now)
    record = AlertRecord(store.connection, store.cold)
    loop = AlertLoop(queries, RuleFiles([]), record, lambda: now, Options(), fence=lambda: None, append=store.append)
    first = await timed(loop.round)
    rounds, readings = [], []
    for _ in range(ROUNDS):
        now += 15.0
        await store.append(samples(now))
        rounds.append(await timed(loop.round))
        readings.append(await timed(queries.state))
    assert loop.state is not None
    print(f"{SERVERS} servers, {len(loop.state.book.alerts)} alerts")
    print(f"first round, every alert dated  {first[0]:6.0f} ms CPU {first[1]:6.0f} ms in all")
    for name, found in (("a round", rounds), ("a reading of the dashboard", readings)):
        cpu, wall = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:31} {cpu:6.0f} ms CPU {wall:6.0f} ms in all")
    await store.close()
    assert store.cold is not None
    await store.cold.close()
    await valkey.close()


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds of CPU and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def samples(at: float) -> Batch:
    """One sample of each series."""
    found = []
    for number in range(SERVERS):
        labels = {"instance": f"web-{number:04}:9100", "job": "node"}
        idle = 0.05 if number % 50 == 0 else 0.6
        values = {"MemTotal": 16e9, "MemAvailable": 8e9 if number % 33 else 1e9}
        for mode, share in (("idle", idle), ("user", 1 - idle)):
            found.append(({"__name__": "node_cpu_seconds_total", "cpu": "0", "mode": mode, **labels}, share * at))
        found += [({"__name__": f"node_memory_{name}_bytes", **labels}, value) for name, value in values.items()]
        for name, value in (("avail", 4e10), ("size", 1e11)):
            place = {"mountpoint": "/", "fstype": "ext4"}
            found.append(({"__name__": f"node_filesystem_{name}_bytes", **place, **labels}, value))
        found.append(({"__name__": "up", **labels}, 1.0))
    return Batch.at(at, found)


if __name__ == "__main__":
    main()
