"""What can be relied on of a backup: one file that gives back every sample, value and fact, or says why not."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.model import Batch, Matcher, Selection
from monitoring.store.backup import backup, restore
from monitoring.store.cold import ColdStore, ScenarioRun, ServerTemplate, open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.segments import HOUR_MS
from monitoring.store.server import EmbeddedValkey
from tests.conftest import emptied

FIRST = 490_000
HOURS = 30
NOW = (FIRST + HOURS) * 3600.0
ALL = Selection((Matcher("__name__", "!=", ""),), -1, 1 << 52)


@pytest.fixture(params=["sqlite", "postgresql"])
async def cold(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ColdStore]:
    """An empty cold store."""
    url = None
    if request.param == "postgresql":
        url = (await emptied(request.getfixturevalue("postgres"))).url
    cold = open_cold(url, tmp_path)
    yield cold
    await cold.close()


@pytest.fixture
async def store(valkey: EmbeddedValkey, cold: ColdStore) -> AsyncIterator[SampleStore]:
    """An empty store over it."""
    store = SampleStore(valkey.url, cold=cold)
    await store.connection.redis.flushall()
    yield store
    await store.close()


def fleet(first: int = FIRST, hours: int = HOURS) -> Batch:
    """Two metrics of 70 servers, four samples an hour."""
    series = [{"__name__": m, "server": f"s{k}", "zone": "서울"} for m in ("cpu", "mem") for k in range(70)]
    index = np.repeat(np.arange(140, dtype=np.int32), hours * 4)
    times = first * HOUR_MS + np.tile(np.arange(hours * 4) * (HOUR_MS // 4), 140)
    return Batch(series, index, times, index + times / 1e13)


async def contents(store: SampleStore) -> dict[str, list[tuple[int, float]]]:
    [found] = await store.select([ALL])
    return {str(s.labels): list(zip(s.times_ms.tolist(), s.values.tolist(), strict=True)) for s in found}


async def fill(store: SampleStore, cold: ColdStore) -> None:
    """Some hours in the cold layer only, some sealed, some open."""
    await store.append(fleet())
    await store.seal(NOW)
    await store.archive(NOW)
    await store.append(fleet(FIRST + HOURS, 1))
    await store.put_json("session", "a:b", {"turns": ["씨퓨"]})
    await store.put_json("answer", "1", {"x": 1.5}, 3600)
    await cold.put_fact("born", "then")
    await cold.put_templates([ServerTemplate("web-01", "web", {"cores": 2})])
    await cold.put_runs([ScenarioRun("leak@1", "leak", 1.0, 2.0, {}, {"server": "api-02"})])


async def test_what_was_backed_up_comes_back_after_everything_was_lost(
    store: SampleStore, cold: ColdStore, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    await fill(store, cold)
    before, file = await contents(store), tmp_path / "backup file.db"
    written = await backup(store, cold, file)
    assert written[:4] == (140, 140 * 4 * (HOURS + 1), 2 * 2 * (HOURS + 1), 2)
    assert written.bytes == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path for path in tmp_path.iterdir() if path.name.startswith("backup")] == [file]

    await store.connection.redis.flushall()
    await cold.empty()
    fresh = SampleStore(valkey.url, cold=cold)
    assert (await restore(file, fresh, cold))[:4] == written[:4]
    assert await contents(fresh) == before
    assert await fresh.get_json("session", "a:b") == {"turns": ["씨퓨"]}
    assert await fresh.get_json("answer", "1") == {"x": 1.5}
    assert 3500 < await fresh.connection.redis.ttl("{om}:json:answer:1") <= 3600
    assert await cold.fact("born") == "then"
    assert len(await cold.templates()) == len(await cold.runs()) == 1
    await fresh.append(fleet(FIRST + HOURS + 1, 1))
    assert len((await contents(fresh))[str({"__name__": "cpu", "server": "s7", "zone": "서울"})]) == 4 * (HOURS + 2)
    assert await contents(store) == await contents(fresh), "a process of before the loss reads on"
    await fresh.close()


async def test_a_store_that_is_not_empty_is_left_alone_unless_it_is_to_be_replaced(
    store: SampleStore, cold: ColdStore, tmp_path: Path
) -> None:
    await fill(store, cold)
    before, file = await contents(store), tmp_path / "backup.db"
    await backup(store, cold, file)
    with pytest.raises(BadSetting, match="exists; name a new file"):
        await backup(store, cold, file)
    other = Batch([{"__name__": "disk"}], np.zeros(1, np.int32), np.array([FIRST * HOUR_MS]), np.ones(1))
    await store.append(other)
    await store.put_json("session", "later", 1)
    with pytest.raises(BadSetting, match="--replace"):
        await restore(file, store, cold)
    assert len(await contents(store)) == len(before) + 1

    await restore(file, store, cold, replace=True)
    assert await contents(store) == before
    assert await store.get_json("session", "later") is None


async def test_a_backup_made_while_samples_arrive_has_all_that_were_there_before(
    store: SampleStore, cold: ColdStore, tmp_path: Path
) -> None:
    await fill(store, cold)
    before, file = await contents(store), tmp_path / "backup.db"
    async with asyncio.TaskGroup() as group:
        copy = group.create_task(backup(store, cold, file))
        hour = FIRST + HOURS + 1
        while not copy.done():
            await store.append(fleet(hour, 1))
            hour += 1
    await restore(file, store, cold, replace=True)
    after = await contents(store)
    assert {name: points[: len(before[name])] for name, points in after.items()} == before


async def test_a_file_that_is_damaged_foreign_or_missing_is_named_and_kept(
    store: SampleStore, cold: ColdStore, tmp_path: Path
) -> None:
    await fill(store, cold)
    file = tmp_path / "backup.db"
    await backup(store, cold, file)
    whole = file.read_bytes()
    damaged = whole[: len(whole) // 2] + b"\xff" * 20_000 + whole[len(whole) // 2 + 20_000 :]
    inside = whole.index(b"OMS") + 200  # of a block
    flipped = whole[:inside] + bytes([whole[inside] ^ 1]) + whole[inside + 1 :]
    for content in (damaged, flipped, whole[: len(whole) // 3], b"a text\n" * 1000, b""):
        file.write_bytes(content)
        with pytest.raises(StoreUnavailable, match=r"backup\.db cannot be read .*use another") as failure:
            await restore(file, store, cold, replace=True)
        assert failure.value.cause == "corrupt"
        assert file.read_bytes() == content
    with pytest.raises(StoreUnavailable, match="there is no file"):
        await restore(tmp_path / "none.db", store, cold, replace=True)
    assert len(await contents(store)) == 140, "nothing was removed for a file that cannot be used"
