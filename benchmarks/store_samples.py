"""Samples into the store and out of it: a tick of a fleet, remote write, a day of one metric, and a kill.

    python benchmarks/store_samples.py

Beside each: what it is measured by in the same run. The embedded Valkey writes every append to disk (fsync) before it
acknowledges; the founding layout (2 HSET for each server) runs on the same server. Read the ratios.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import soak

from monitoring.ingest.remote_write import decode
from monitoring.model import Batch, Matcher, Selection
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.segments import HOUR_MS
from monitoring.store.server import EmbeddedValkey

SERVERS, METRICS = 1_000, 20
START_MS = 490_000 * HOUR_MS
PER_HOUR = 240
RNG = np.random.default_rng(1)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder))
        await valkey.start()
        cold = open_cold(None, Path(folder))
        await cold.open()
        store = SampleStore(valkey.url, cold=cold)
        try:
            await store.begin()
            await ticks(store)
            await remote_write(store)
            await a_day(store, lambda: SampleStore(valkey.url, cold=cold))
            await a_kill(valkey, store)
        finally:
            await store.close()
            await cold.close()
            await valkey.close()


async def ticks(store: SampleStore) -> None:
    """One sample of each of 20 metrics of 1,000 servers, against two HSET a server in one pipeline."""
    series = tuple(
        {"__name__": f"metric_{m}", "server_id": f"web-{n:04}", "type": "web"}
        for n in range(SERVERS)
        for m in range(METRICS)
    )
    index = np.arange(len(series), dtype=np.int32)
    values = RNG.uniform(10, 90, len(series))

    async def tick(k: int) -> None:
        times = np.full(len(series), START_MS + k * 10_000, dtype=np.int64)
        await store.append(Batch(series, index, times, values))

    async def founding(k: int) -> None:
        pipe = store.connection.redis.pipeline(transaction=False)
        for n in range(SERVERS):
            pipe.hset(
                f"metrics:web-{n:04}", mapping={f"metric_{m}": str(values[n * METRICS + m]) for m in range(METRICS)}
            )
            pipe.hset(f"status:web-{n:04}", mapping={"status": "healthy", "timestamp": str(k)})
        await pipe.execute()

    first = await timed(lambda: tick(0))
    ours = await median(tick, 200)
    theirs = await median(founding, 10)
    ping = await median(lambda _: store.connection.redis.ping(), 200)
    print(
        f"tick, {SERVERS:,} servers x {METRICS} metrics: {ours:.2f} ms ({ours / ping:.0f} x PING), first {first:.0f} ms"
    )
    print(f"2 HSET a server (no history): {theirs:.1f} ms, {theirs / ours:.0f} x ours")


async def remote_write(store: SampleStore) -> None:
    """Bodies with ten samples of each series, as a sender that was held up brings them; decoded and stored."""
    heads = {n: [soak.head(n, metric) for metric in soak.METRICS] for n in range(SERVERS)}
    walks = soak.Walks(SERVERS)
    for samples in (1, 10):
        bodies = [many(range(k, SERVERS, 10), heads, walks, samples, k) for k in range(10)]
        await spend(store, bodies)
        began = time.process_time()
        count = await spend(store, bodies)
        spent = time.process_time() - began
        print(f"remote write, {samples} samples a series: {count / spent / 1000:.0f} k samples/s of CPU")


def many(part: range, heads: dict[int, list[bytes]], walks: soak.Walks, samples: int, offset: int) -> bytes:
    times = [b"\x10" + soak.varint(START_MS + 60_000 + offset * 97 + s * 15_000) for s in range(samples)]
    message = b""
    for n in part:
        rows = [walks.next(n) for _ in range(samples)]
        for m, labels in enumerate(heads[n]):
            body = b"".join(
                soak.field(2, b"\x09" + np.float64(rows[s][m]).tobytes() + times[s]) for s in range(samples)
            )
            message += soak.field(1, labels + body)
    return bytes(soak.cramjam.snappy.compress_raw(message))


async def spend(store: SampleStore, bodies: list[bytes]) -> int:
    return sum([await store.append(decode(body)) for body in bodies])


async def a_day(store: SampleStore, fresh: Callable[[], SampleStore]) -> None:
    """24 hours of one metric, 240 samples an hour, read by a process that holds nothing: from Redis, then cold."""
    series = tuple({"__name__": "cpu", "server_id": f"web-{n:04}", "type": "web"} for n in range(SERVERS))
    offsets = RNG.integers(0, 15_000, SERVERS)
    for hour in range(24):
        times = (START_MS + (hour + 2) * HOUR_MS + np.arange(PER_HOUR) * 15_000)[None, :] + offsets[:, None]
        values = np.round(50 + np.cumsum(RNG.normal(0, 0.3, (SERVERS, PER_HOUR)), axis=1), 2)
        index = np.repeat(np.arange(SERVERS, dtype=np.int32), PER_HOUR)
        await store.append(Batch(series, index, times.ravel(), values.ravel()))
    now = START_MS / 1000 + 28 * 3600
    await store.seal(now)
    for layer in ("Redis", "SQLite"):
        if layer == "SQLite":
            await store.archive(now + 30 * 3600)
        for name, matchers in (("one server", (Matcher("server_id", "=", "web-0500"),)), ("1,000 servers", ())):
            took = [await read_day(fresh(), matchers) for _ in range(7)]
            print(f"24 h of one metric from {layer}, {name}: {statistics.median(took):.1f} ms")


async def read_day(store: SampleStore, matchers: tuple[Matcher, ...]) -> float:
    """Milliseconds, without those that the catalogue takes once."""
    await store.labels()
    first = START_MS + 2 * HOUR_MS
    selection = Selection((Matcher("__name__", "=", "cpu"), *matchers), first - 1, first + 24 * HOUR_MS + 15_000)
    store.copy.find(selection)
    took = await timed(lambda: store.select([selection]))
    await store.close()
    return took


async def a_kill(valkey: EmbeddedValkey, store: SampleStore) -> None:
    """SIGKILL of the store that holds the day above; how long until it answers again, and what it lost."""
    before = await store.connection.redis.dbsize()
    watch = asyncio.create_task(valkey.watch())
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    began = time.perf_counter()
    while True:
        try:
            after = await store.connection.guarded(store.connection.redis.dbsize)
            break
        except Exception:
            await asyncio.sleep(0.005)
    print(f"killed: answers again after {time.perf_counter() - began:.2f} s with {after} of {before} keys")
    watch.cancel()


async def timed(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return (time.perf_counter() - began) * 1000


async def median(act: Callable[[int], Awaitable[object]], rounds: int) -> float:
    return statistics.median([await timed(lambda k=k: act(k)) for k in range(1, rounds + 1)])


if __name__ == "__main__":
    asyncio.run(main())
