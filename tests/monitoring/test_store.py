"""What can be relied on of samples in a real Valkey."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import numpy as np
import pytest

from monitoring.errors import StoreUnavailable
from monitoring.model import STALE_NAN, Batch, Matcher, Selection, Series
from monitoring.store.redis import SampleStore
from monitoring.store.segments import HOUR_MS
from monitoring.store.server import EmbeddedValkey

NOON = 500_000 * HOUR_MS
"""The start of some hour, in Unix milliseconds."""
CPU = {"__name__": "cpu", "server_id": "web-01"}
EVERYTHING = Selection((), -1, 1 << 52)
ALL = (Matcher("__name__", "!=", ""),)


def metric(name: str) -> tuple[Matcher, ...]:
    return (Matcher("__name__", "=", name),)


def points(series: Sequence[Series]) -> dict[str, list[tuple[int, float]]]:
    return {
        ",".join(f"{k}={v}" for k, v in s.labels.items()): list(
            zip(s.times_ms.tolist(), s.values.tolist(), strict=True)
        )
        for s in series
    }


async def write(store: SampleStore, labels: dict[str, str], *samples: tuple[int, float]) -> None:
    times, values = zip(*samples, strict=True)
    index = np.zeros(len(samples), np.int32)
    await store.append(Batch([labels], index, np.array(times, np.int64), np.array(values, np.float64)))


async def commands(store: SampleStore) -> int:
    """How many commands clients have sent since the last CONFIG RESETSTAT, without those that scripts call."""
    stats = await store.connection.redis.info("commandstats")
    return sum(entry["calls"] for name, entry in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))


async def test_samples_come_back_in_order_between_an_exclusive_start_and_an_inclusive_end(store: SampleStore) -> None:
    await write(store, CPU, (NOON + 60_000, 3.0), (NOON - 60_000, 1.0), (NOON, 2.0), (0, 0.5))
    await write(store, {"__name__": "mem"}, (NOON, 7.0))

    cpu, mem, none = await store.select(
        [
            Selection(metric("cpu"), NOON - 60_000, NOON + 60_000),
            Selection((Matcher("__name__", "=~", "m.m"),), -1, NOON),
            Selection(metric("disk"), -1, NOON),
        ]
    )

    assert points(cpu) == {"__name__=cpu,server_id=web-01": [(NOON, 2.0), (NOON + 60_000, 3.0)]}
    assert points(mem) == {"__name__=mem": [(NOON, 7.0)]}
    assert none == []
    assert points((await store.select([Selection(metric("cpu"), -1, 0)]))[0]) == {
        "__name__=cpu,server_id=web-01": [(0, 0.5)]
    }
    assert store.newest_ms() == NOON + 60_000


async def test_a_select_and_a_write_of_known_series_are_one_command_each(store: SampleStore) -> None:
    fleet = [({"__name__": f"m{i % 5}", "server_id": f"s{i}"}, float(i)) for i in range(50)]
    await store.append(Batch.at(NOON / 1000, fleet))
    selections = [Selection(metric(f"m{i}"), NOON - 24 * HOUR_MS, NOON + HOUR_MS) for i in range(5)]
    await store.select(selections)
    await store.connection.redis.config_resetstat()

    await store.append(Batch.at(NOON / 1000 + 60, fleet))
    assert await commands(store) == 1
    found = await store.select(selections)

    assert await commands(store) == 2
    assert [len(series) for series in found] == [10] * 5
    assert {len(s.times_ms) for series in found for s in series} == {2}


async def test_the_later_write_wins_on_an_equal_time_sealed_or_not(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0), (NOON, 2.0))
    await write(store, CPU, (NOON + 1, 5.0), (NOON, 3.0))
    assert points((await store.select([EVERYTHING]))[0]) == {
        "__name__=cpu,server_id=web-01": [(NOON, 3.0), (NOON + 1, 5.0)]
    }

    assert await store.seal(now=NOON / 1000 + 7200) == 1
    await write(store, CPU, (NOON, 4.0), (NOON - 1, 0.0))

    expected = {"__name__=cpu,server_id=web-01": [(NOON - 1, 0.0), (NOON, 4.0), (NOON + 1, 5.0)]}
    assert points((await store.select([EVERYTHING]))[0]) == expected
    assert await store.seal(now=NOON / 1000 + 7200) == 2
    assert points((await store.select([EVERYTHING]))[0]) == expected


async def test_sealing_keeps_every_bit_of_every_value(store: SampleStore, valkey: EmbeddedValkey) -> None:
    odd = [np.nan, -np.nan, -0.0, 0.0, np.inf, -np.inf, 5e-324, 1 / 3, float(STALE_NAN), 99.9, 1e308]
    values = np.array(odd, np.float64)
    values[8] = STALE_NAN
    times = NOON + 1000 * np.arange(len(values), dtype=np.int64)
    await store.append(Batch([CPU], np.zeros(len(values), np.int32), times, values))

    assert await store.seal(now=NOON / 1000 + 7200) == 1

    other = SampleStore(valkey.url)
    [[series]] = await other.select([EVERYTHING])
    await other.close()
    assert series.values.view(np.uint64).tolist() == values.view(np.uint64).tolist()
    assert series.times_ms.tolist() == times.tolist()


async def test_an_hour_that_is_not_over_stays_open(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0))
    assert await store.seal(now=NOON / 1000 + 3600) == 0


async def test_processes_see_each_others_writes_seals_and_deletions(store: SampleStore, valkey: EmbeddedValkey) -> None:
    other = SampleStore(valkey.url)
    await write(store, CPU, (NOON, 1.0))
    assert points((await other.select([EVERYTHING]))[0]) == {"__name__=cpu,server_id=web-01": [(NOON, 1.0)]}

    await write(other, CPU, (NOON + 1, 2.0))
    await write(other, {"__name__": "mem"}, (NOON, 3.0))
    await store.seal(now=NOON / 1000 + 7200)
    await write(store, CPU, (NOON + 2, 4.0))
    cpu = [(NOON, 1.0), (NOON + 1, 2.0), (NOON + 2, 4.0)]
    for each in (store, other):
        assert points((await each.select([EVERYTHING]))[0]) == {
            "__name__=cpu,server_id=web-01": cpu,
            "__name__=mem": [(NOON, 3.0)],
        }

    assert await other.delete(metric("cpu"), 0, 1 << 52) == 3
    assert await store.labels() == [{"__name__": "mem"}]
    await write(store, CPU, (NOON + 3, 5.0))  # its old id is void
    assert points((await other.select([Selection(metric("cpu"), -1, 1 << 52)]))[0]) == {
        "__name__=cpu,server_id=web-01": [(NOON + 3, 5.0)]
    }
    await other.close()


async def test_two_processes_that_write_a_new_series_at_once_give_it_one_id(
    store: SampleStore, valkey: EmbeddedValkey
) -> None:
    others = [SampleStore(valkey.url) for _ in range(4)]
    await asyncio.gather(*(write(each, CPU, (NOON + k, float(k))) for k, each in enumerate(others)))
    assert points((await store.select([EVERYTHING]))[0]) == {
        "__name__=cpu,server_id=web-01": [(NOON + k, float(k)) for k in range(4)]
    }
    await asyncio.gather(*(each.close() for each in others))


async def test_an_empty_label_is_no_label(store: SampleStore) -> None:
    await write(store, {**CPU, "rack": ""}, (NOON, 1.0))
    await write(store, CPU, (NOON + 1, 2.0))
    assert await store.labels() == [CPU]
    assert [s.labels for s in (await store.select([EVERYTHING]))[0]] == [CPU]


async def test_labels_are_found_by_matchers_and_by_the_hours_that_hold_samples(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0))
    await write(store, {"__name__": "mem", "server_id": "db-01"}, (NOON + 5 * HOUR_MS, 1.0))
    before = store.catalog_version

    assert await store.labels([Matcher("server_id", "=~", "web.*")]) == [CPU]
    assert await store.labels(end_ms=NOON) == [CPU]
    assert await store.labels(start_ms=NOON + HOUR_MS) == [{"__name__": "mem", "server_id": "db-01"}]
    assert await store.labels(start_ms=NOON + 6 * HOUR_MS) == []
    assert store.remembered_labels() == await store.labels()
    assert store.catalog_version == before
    await write(store, {"__name__": "new"}, (NOON, 1.0))
    assert store.catalog_version > before


async def test_deleting_a_part_leaves_the_rest_and_narrows_where_the_series_is_found(store: SampleStore) -> None:
    await write(store, CPU, *((NOON + hour * HOUR_MS, float(hour)) for hour in range(6)))
    await store.seal(now=NOON / 1000 + 3 * 3600)

    assert await store.delete(metric("cpu"), NOON + 2 * HOUR_MS, NOON + 9 * HOUR_MS) == 4

    assert points((await store.select([EVERYTHING]))[0]) == {
        "__name__=cpu,server_id=web-01": [(NOON, 0.0), (NOON + HOUR_MS, 1.0)]
    }
    assert await store.labels(start_ms=NOON + 2 * HOUR_MS) == []
    assert await store.labels(start_ms=NOON + HOUR_MS) == [CPU]


async def test_deleting_everything_leaves_no_key_behind(store: SampleStore) -> None:
    for k in range(3):
        await write(store, {"__name__": f"m{k}"}, (0, 1.0), (NOON, 2.0))
    await store.seal(now=3 * 3600)

    assert await store.delete(ALL, 0, 1 << 60) == 6

    assert await store.labels() == []
    assert await store.select([EVERYTHING]) == [[]]
    assert sorted(await store.connection.redis.keys()) == [b"{om}:meta", b"{om}:sizes"]


async def test_trimming_drops_hours_past_retention_and_series_that_ended_before(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0), (NOON + 10 * HOUR_MS, 2.0))
    await write(store, {"__name__": "gone"}, (NOON, 1.0))

    assert await store.trim(5 * 3600, 5 * 3600, NOON / 1000 + 11 * 3600) == 2

    assert points((await store.select([EVERYTHING]))[0]) == {
        "__name__=cpu,server_id=web-01": [(NOON + 10 * HOUR_MS, 2.0)]
    }
    assert await store.labels() == [CPU]


async def test_a_store_emptied_by_others_is_empty_here_too(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0))
    await store.select([EVERYTHING])
    await store.connection.redis.flushall()

    assert await store.select([EVERYTHING]) == [[]]
    await write(store, {"__name__": "mem"}, (NOON, 9.0))
    await write(store, CPU, (NOON, 8.0))
    assert points((await store.select([EVERYTHING]))[0]) == {
        "__name__=mem": [(NOON, 9.0)],
        "__name__=cpu,server_id=web-01": [(NOON, 8.0)],
    }


async def test_a_small_memory_budget_changes_no_answer(store: SampleStore, valkey: EmbeddedValkey) -> None:
    small = SampleStore(valkey.url, cache_bytes=100)
    await write(small, CPU, *((NOON + hour * HOUR_MS, float(hour)) for hour in range(30)))
    await small.seal(now=NOON / 1000 + 20 * 3600)
    for _ in range(2):
        [[series]] = await small.select([EVERYTHING])
        assert series.values.tolist() == [float(hour) for hour in range(30)]
    assert small.copy.hours.nbytes <= 100
    await small.close()


async def test_a_cancelled_read_does_not_disturb_the_next(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0))
    tasks = [asyncio.ensure_future(store.select([EVERYTHING])) for _ in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert points((await store.select([EVERYTHING]))[0]) == {"__name__=cpu,server_id=web-01": [(NOON, 1.0)]}


async def test_a_server_that_hangs_is_reported_in_time_and_used_again(valkey: EmbeddedValkey) -> None:
    store = SampleStore(valkey.url, timeout_s=0.2)
    await write(store, CPU, (NOON, 1.0))
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable) as hung:
            await store.select([EVERYTHING])
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    assert hung.value.cause == "timeout"
    assert len((await store.select([EVERYTHING]))[0]) == 1
    await store.close()


async def test_a_cancelled_writer_stops(store: SampleStore) -> None:
    async def write_on() -> None:
        while True:
            await store.append(Batch.at(NOON / 1000, [(CPU, 1.0)]))

    for turns in range(60):
        writer = asyncio.create_task(write_on())
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([writer])
        assert writer.cancelled()


async def test_json_values_are_kept_until_their_time_is_over(store: SampleStore) -> None:
    await store.put_json("answer", "a1", {"text": "안녕", "rows": [1, None]}, ttl_s=60)
    assert await store.get_json("answer", "a1") == {"text": "안녕", "rows": [1, None]}
    assert await store.get_json("session", "a1") is None
    assert 0 < await store.connection.redis.ttl("{om}:json:answer:a1") <= 60


async def test_a_store_that_refuses_writes_or_connections_says_which(store: SampleStore) -> None:
    await write(store, CPU, (NOON, 1.0))
    await store.connection.redis.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable) as full:
        await write(store, CPU, (NOON + 1, 1.0))
    await store.connection.redis.config_set("maxmemory", 0)
    assert full.value.cause == "full"
    await store.connection.redis.replicaof("127.0.0.1", "1")
    with pytest.raises(StoreUnavailable) as readonly:
        await write(store, CPU, (NOON + 1, 1.0))
    await store.connection.redis.replicaof("NO", "ONE")
    assert readonly.value.cause == "readonly"
    nowhere = SampleStore("redis://127.0.0.1:1")
    with pytest.raises(StoreUnavailable) as refused:
        await nowhere.append(Batch.at(0.0, [(CPU, 1.0)]))
    assert refused.value.cause == "refused"
    assert (await nowhere.status())["cause"] == "refused"
    await nowhere.close()
    status = await store.status()
    assert (status["connected"], status["series"], status["samples_appended"]) == (True, 1, 1)
