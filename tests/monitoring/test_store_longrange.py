"""What can be relied on of long ranges that are answered from rolled up samples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from monitoring.backends import LocalBackend
from monitoring.model import STALE_NAN, Batch
from monitoring.promql import LongRange
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey

DAY = 86_400
START = 20_000 * DAY
DAYS = 5
END = START + DAYS * DAY
NOW = END + 7_200.0
SERVERS = 3
QUERIES = [
    "cpu",
    "max by (server) (cpu)",
    "avg_over_time(cpu[1h])",
    "max_over_time(cpu[6h]) - min_over_time(cpu[6h])",
    "sum(sum_over_time(cpu[30m])) / sum(count_over_time(cpu[30m]))",
    "avg_over_time(cpu[1h] offset 1d) > 40",
    "rate(cpu[1h])",
    "cpu @ 1728100000",
]


def days() -> Batch:
    """One sample in 37 s of each server, so that no bucket is like another; one server pauses, with a marker."""
    times = np.arange(START * 1000 + 1_234, END * 1000, 37_000, dtype=np.int64)
    rng = np.random.default_rng(7)
    values = 50 + rng.normal(0, 10, (SERVERS, len(times)))
    values[1, 3_000] = STALE_NAN
    values[1, 5_000] = np.nan
    keep = np.ones(values.shape, np.bool_)
    keep[1, 3_001:4_500] = False
    index = np.repeat(np.arange(SERVERS, dtype=np.int32), len(times))[keep.ravel()]
    series = [{"__name__": "cpu", "server": f"s{k}"} for k in range(SERVERS)]
    return Batch(series, index, np.tile(times, SERVERS)[keep.ravel()], values.ravel()[keep.ravel()])


@pytest.fixture
async def rolled(valkey: EmbeddedValkey, tmp_path: Path) -> AsyncIterator[SampleStore]:
    """Five days, rolled up; the last hours are in Redis only."""
    cold = open_cold(None, tmp_path)
    await cold.open()
    store = SampleStore(valkey.url, cold=cold)
    await store.connection.redis.flushall()
    await store.append(days())
    await store.seal(NOW)
    await store.archive(NOW)
    assert await store.roll_up(NOW) == DAYS
    yield store
    await store.close()
    await cold.close()


def backend(store: SampleStore, *, raw_from_ms: int = 0) -> LocalBackend:
    return LocalBackend(store, long_range=lambda: LongRange(over_ms=2 * DAY * 1000, raw_from_ms=raw_from_ms))


@pytest.mark.parametrize("query", QUERIES)
async def test_a_long_range_gives_the_figures_of_the_raw_samples(rolled: SampleStore, query: str) -> None:
    steps = START + 2 * DAY, END - 3600, 3600
    raw = await LocalBackend(rolled).range(query, *steps)
    reduced = await backend(rolled).range(query, *steps)

    assert [dict(labels) for labels in reduced.labels] == [dict(labels) for labels in raw.labels]
    assert len(raw.labels) > 0
    np.testing.assert_allclose(reduced.values, raw.values, rtol=1e-12)


async def test_what_came_after_a_day_was_rolled_up_counts_at_once_and_for_good(rolled: SampleStore) -> None:
    late = START + 3 * DAY + 12 * 3600
    steps = START + DAY, END, 3600
    query = "max_over_time(cpu[1h])"
    await rolled.append(Batch.at(late, [({"__name__": "cpu", "server": "s0"}, 999.0)]))

    assert np.nanmax((await backend(rolled).range(query, *steps)).values) == 999.0
    await rolled.seal(NOW)
    await rolled.archive(NOW)
    assert await rolled.roll_up(NOW) == 1
    assert np.nanmax((await backend(rolled).range(query, *steps)).values) == 999.0


async def test_days_whose_raw_samples_are_gone_still_answer(rolled: SampleStore) -> None:
    before = await LocalBackend(rolled).range("avg_over_time(cpu[1h])", START + DAY, START + 2 * DAY, 3600)
    await rolled.trim(2 * DAY, 400 * DAY, NOW)
    assert (await LocalBackend(rolled).range("cpu", START, START + 2 * DAY, 3600)).labels == ()

    old = backend(rolled, raw_from_ms=round((NOW - 2 * DAY) * 1000))
    after = await old.range("avg_over_time(cpu[1h])", START + DAY, START + 2 * DAY, 3600)
    np.testing.assert_allclose(after.values, before.values, rtol=1e-12)
    moment = await old.instants(["cpu", "rate(cpu[1h])"], START + DAY + 17.0)
    assert [len(vector.values) for vector in moment] == [SERVERS, SERVERS]

    rolled.trimmed_before = None
    await rolled.trim(2 * DAY, 2 * DAY, NOW)
    assert (await old.range("cpu", START, START + 2 * DAY, 3600)).labels == ()
