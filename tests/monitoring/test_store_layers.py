"""What can be relied on of samples that leave Redis for the cold layer, and of a Redis that is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from monitoring.errors import StoreUnavailable
from monitoring.model import Batch, Matcher, Selection, Series
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.segments import GROUP, HOUR_MS
from monitoring.store.server import EmbeddedValkey

FIRST = 490_000
HOURS = 30
NOW = (FIRST + HOURS) * 3600.0 + 1_200
CPU = (Matcher("__name__", "=", "cpu"),)
ONE = (*CPU, Matcher("server", "=", "s7"))
SERVERS = GROUP + 10
"""More than one group."""

Points = dict[str, list[tuple[int, float]]]


def everything(matchers: Sequence[Matcher] = CPU) -> Selection:
    return Selection(tuple(matchers), FIRST * HOUR_MS - 1, (FIRST + HOURS) * HOUR_MS)


async def read(store: SampleStore, selection: Selection | None = None) -> Points:
    [found] = await store.select([selection or everything()])
    return points(found)


def points(series: Sequence[Series]) -> Points:
    return {s.labels["server"]: list(zip(s.times_ms.tolist(), s.values.tolist(), strict=True)) for s in series}


def fleet(hours: int = HOURS) -> Batch:
    """Four samples an hour of each server; each differs."""
    series = [{"__name__": "cpu", "server": f"s{k}"} for k in range(SERVERS)]
    index = np.repeat(np.arange(SERVERS, dtype=np.int32), hours * 4)
    times = FIRST * HOUR_MS + np.tile(np.arange(hours * 4) * (HOUR_MS // 4), SERVERS)
    return Batch(series, index, times, index + times / 1e13)


async def write(store: SampleStore, server: str, *samples: tuple[int, float]) -> None:
    times, values = zip(*samples, strict=True)
    index = np.zeros(len(samples), np.int32)
    labels = {"__name__": "cpu", "server": server}
    await store.append(Batch([labels], index, np.array(times, np.int64), np.array(values, np.float64)))


@pytest.fixture
async def layered(valkey: EmbeddedValkey, tmp_path: Path) -> AsyncIterator[Callable[[], SampleStore]]:
    """Makes processes over one Redis and one cold layer; the Redis is empty at first."""
    cold = open_cold(None, tmp_path)
    await cold.open()
    stores: list[SampleStore] = []

    def process() -> SampleStore:
        stores.append(SampleStore(valkey.url, cold=cold))
        return stores[-1]

    await process().connection.redis.flushall()
    yield process
    for store in stores:
        await store.close()
    await cold.close()


async def moved(store: SampleStore) -> None:
    """The round of upkeep that an hour's change brings."""
    await store.seal(NOW)
    await store.archive(NOW)


async def test_a_question_has_the_same_figures_hot_warm_and_cold(layered: Callable[[], SampleStore]) -> None:
    writer = layered()
    await writer.append(fleet())
    hot = await read(writer)
    open_ = await read(layered())
    await writer.seal(NOW)
    warm = await read(layered())
    await writer.archive(NOW)
    redis = writer.connection.redis
    gone = [await redis.exists(f"{{om}}:sealed:{FIRST + k}:cpu") == 0 for k in (0, 4, 5)]
    cold = await read(layered())

    assert gone == [True, True, False]
    assert len(hot) == SERVERS
    assert len(hot["s7"]) == HOURS * 4
    assert hot == open_ == warm == cold
    assert await read(layered(), everything(ONE)) == {"s7": hot["s7"]}
    remembering = layered()
    await read(remembering)
    assert points(remembering.remembered([everything()])[0]) == hot


async def test_one_server_of_many_is_read_without_the_others(layered: Callable[[], SampleStore]) -> None:
    writer, reader = layered(), layered()
    await writer.append(fleet())
    await moved(writer)

    await read(reader, everything(ONE))

    assert 0 < reader.copy.hours.nbytes <= HOURS * 4 * GROUP * 20
    before = reader.copy.hours.nbytes
    assert len(await read(reader)) == SERVERS
    assert reader.copy.hours.nbytes > before


async def test_a_late_sample_reaches_an_hour_that_is_cold_and_wins(layered: Callable[[], SampleStore]) -> None:
    writer = layered()
    await writer.append(fleet())
    await moved(writer)
    late = FIRST * HOUR_MS + 60_000

    await write(writer, "s7", (late, 70.5), (FIRST * HOUR_MS, -1.0))
    expected = [(FIRST * HOUR_MS, -1.0), (late, 70.5)]
    assert (await read(layered()))["s7"][:2] == expected
    await moved(writer)

    fresh = await read(layered())
    assert fresh["s7"][:2] == expected
    assert len(fresh) == SERVERS
    assert await writer.connection.redis.exists(f"{{om}}:sealed:{FIRST}:cpu") == 0
    assert await read(writer) == fresh


async def test_what_is_deleted_stays_deleted_though_the_cold_layer_had_it(layered: Callable[[], SampleStore]) -> None:
    writer = layered()
    await writer.append(fleet(hours=2))
    await moved(writer)

    assert await writer.delete(ONE, FIRST * HOUR_MS, (FIRST + 1) * HOUR_MS - 1) == 4
    assert len((await read(layered()))["s7"]) == 4
    await moved(writer)
    assert len((await read(layered()))["s7"]) == 4

    assert await writer.delete(CPU, 0, 1 << 60) == SERVERS * 8 - 4
    await moved(writer)
    assert await read(layered()) == {}
    assert await writer.cold.hours(None, 0, 1 << 40) == []  # type: ignore[union-attr]


async def test_a_lost_redis_comes_back_from_the_cold_layer_and_goes_on(layered: Callable[[], SampleStore]) -> None:
    writer = layered()
    await writer.append(fleet())
    await moved(writer)
    before = await read(writer)
    await writer.connection.redis.flushall()

    restarted = layered()
    await write(restarted, "s7", (FIRST * HOUR_MS + HOURS * HOUR_MS, 1.0))
    await write(restarted, "new", (FIRST * HOUR_MS + HOURS * HOUR_MS, 2.0))

    after = await read(layered())
    assert after.pop("new") == [(FIRST * HOUR_MS + HOURS * HOUR_MS, 2.0)]
    assert after["s7"].pop() == (FIRST * HOUR_MS + HOURS * HOUR_MS, 1.0)
    assert after == before
    assert await read(writer, everything(ONE)) == await read(layered(), everything(ONE))


async def test_a_redis_that_came_back_as_of_an_earlier_time_is_told_what_it_forgot(
    layered: Callable[[], SampleStore],
) -> None:
    writer = layered()
    redis = writer.connection.redis
    await writer.append(fleet(hours=1))
    names = sorted(await redis.keys())
    earlier = {name: await redis.dump(name) for name in names}
    await writer.append(fleet())
    await moved(writer)
    before = await read(writer)
    await redis.flushall()
    for name, body in earlier.items():
        await redis.restore(name, 0, body)

    restarted = layered()
    await restarted.begin()
    assert await read(restarted) == before
    await write(restarted, "s7", (FIRST * HOUR_MS + 60_000, 70.5))
    await moved(restarted)
    assert (await read(layered()))["s7"][1] == (FIRST * HOUR_MS + 60_000, 70.5)


async def test_trimming_reaches_the_cold_layer(layered: Callable[[], SampleStore]) -> None:
    writer = layered()
    await writer.append(fleet())
    await moved(writer)

    await writer.trim(2 * 3600, 400 * 86_400, NOW)

    day = (FIRST + HOURS) // 24 * 24
    assert day > FIRST
    left = await read(layered())
    assert {len(samples) for samples in left.values()} == {(FIRST + HOURS - day) * 4}
    kept = await writer.cold.hours(None, 0, 1 << 40)  # type: ignore[union-attr]
    assert [hour for _, hour, _ in kept] == list(range(day, FIRST + HOURS))


async def test_an_hour_that_grows_large_is_sealed_before_it_is_over(
    layered: Callable[[], SampleStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.store.upkeep.SEAL_BYTES", 1_000)
    writer = layered()
    await writer.append(fleet(hours=1))
    beginning = FIRST * 3600.0 + 3_000
    assert await writer.seal(beginning) == 1
    await write(writer, "s7", (FIRST * HOUR_MS + 3_100_000, 9.0))

    again = await read(layered())
    assert again["s7"][-1] == (FIRST * HOUR_MS + 3_100_000, 9.0)
    assert await writer.archive(beginning) == 0
    assert len(again) == SERVERS


async def test_a_store_is_taken_out_whole_and_put_into_an_empty_one(
    layered: Callable[[], SampleStore], valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    writer = layered()
    await writer.append(fleet())
    await moved(writer)
    await write(writer, "s7", (FIRST * HOUR_MS + 60_000, 70.5))
    before = await read(writer)
    catalogue = await writer.catalogue()
    exported = [segments async for segments in writer.export()]

    async def again() -> AsyncIterator[list[object]]:
        for segments in exported:
            yield list(segments)

    with pytest.raises(StoreUnavailable, match="not empty"):
        await writer.adopt(catalogue, again())  # type: ignore[arg-type]
    await writer.connection.redis.flushall()
    with_other = open_cold(None, tmp_path / "other")
    await with_other.open()
    other = SampleStore(valkey.url, cold=with_other)
    assert await other.adopt(catalogue, again()) == SERVERS * HOURS * 4 + 1  # type: ignore[arg-type]
    assert await read(other) == before
    await other.close()
    await with_other.close()


async def test_an_older_lease_may_not_append(layered: Callable[[], SampleStore]) -> None:
    store = layered()
    batch = fleet(hours=1)
    await store.connection.redis.set("{om}:fence", 7)

    await store.append(batch, fence=7)
    with pytest.raises(StoreUnavailable, match="another collector"):
        await store.append(batch, fence=6)
    await store.append(batch)
