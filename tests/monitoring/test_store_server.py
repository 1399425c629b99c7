"""What can be relied on of the embedded Valkey: one per directory, no orphan, back after kill -9 with nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.model import Batch, Matcher, Selection
from monitoring.store.processes import runs
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey

CPU = {"__name__": "cpu"}
ALL = Selection((Matcher("__name__", "=", "cpu"),), -1, 1 << 52)

HOLDER = """
import asyncio, sys
from pathlib import Path
from monitoring.store.server import EmbeddedValkey

async def hold() -> None:
    server = EmbeddedValkey(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


async def test_kill_9_loses_no_acknowledged_sample_and_the_server_comes_back(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "with space")
    await server.start()
    first = server.pid
    assert first is not None
    watch = asyncio.create_task(server.watch())
    store = SampleStore(server.url)
    acknowledged: list[int] = []

    async def keep_writing() -> None:
        for second in range(10_000):
            try:
                await store.append(Batch.at(second, [(CPU, float(second))]))
            except StoreUnavailable:
                await asyncio.sleep(0.01)
                continue
            acknowledged.append(second)

    writing = asyncio.create_task(keep_writing())
    await until(lambda: len(acknowledged) > 50)
    os.kill(first, signal.SIGKILL)
    await until(lambda: server.restarts == 1)
    before = len(acknowledged)
    await until(lambda: len(acknowledged) > before)
    writing.cancel()
    await asyncio.wait([writing])

    fresh = SampleStore(server.url)
    [[series]] = await fresh.select([ALL])
    assert set(acknowledged) <= {int(value) for value in series.values}
    [[same]] = await store.select([ALL])
    assert same.values.tolist() == series.values.tolist()
    watch.cancel()
    last = server.pid
    await asyncio.gather(store.close(), fresh.close(), server.close())
    assert last is not None
    assert not runs(last)


async def test_what_was_read_or_written_is_remembered_when_the_server_is_gone(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    store = SampleStore(server.url)
    await store.append(Batch.at(60.0, [(CPU, 1.0)]))
    await server.close()

    with pytest.raises(StoreUnavailable) as gone:
        await store.select([ALL])
    assert gone.value.cause in ("refused", "closed")
    [[series]] = store.remembered([ALL])
    assert (series.labels, series.times_ms.tolist(), series.values.tolist()) == (CPU, [60_000], [1.0])
    assert store.remembered_labels() == [CPU]
    assert (await store.status())["connected"] is False

    await server.start()
    assert (await store.select([ALL]))[0][0].values.tolist() == [1.0]
    await store.close()
    await server.close()


async def test_a_second_supervisor_attaches_and_takes_over_without_a_second_writer(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert holder.stdout is not None
    first = int(await holder.stdout.readline())
    second = EmbeddedValkey(tmp_path)
    await second.start()
    assert (second.pid, second.holder) == (first, False)
    store = SampleStore(second.url)
    await store.append(Batch.at(60.0, [(CPU, 1.0)]))
    watch = asyncio.create_task(second.watch())

    holder.kill()
    await holder.wait()
    await until(lambda: second.restarts == 1)

    assert second.holder
    assert second.pid != first
    assert not runs(first)  # it was killed with the process that held it
    assert (await store.select([ALL]))[0][0].values.tolist() == [1.0]
    watch.cancel()
    await store.close()
    await second.close()


async def test_the_server_has_no_port_and_lets_no_other_user_in(valkey: EmbeddedValkey) -> None:
    store = SampleStore(valkey.url)
    settings = await store.connection.redis.config_get("port", "appendonly", "appendfsync", "maxmemory-policy")
    await store.close()
    assert settings == {"port": "0", "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    assert stat.S_IMODE(valkey.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(valkey.socket_path.stat().st_mode) == 0o700


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("long" * 30), runtime_dir=tmp_path / "run")
    await server.start()
    assert server.socket_path.is_relative_to(tmp_path / "run")
    await server.close()


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "data"
    taken.write_text("a file")
    with pytest.raises(BadSetting, match="data"):
        await EmbeddedValkey(taken).start()


async def test_a_damaged_log_is_cut_off_at_its_last_whole_command_and_kept_beside(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    async with Redis.from_url(server.url) as redis:
        for k in range(100):
            await redis.set(f"k{k:02}", "x" * 100)
    await server.close()
    [part] = (tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof")
    body = part.read_bytes()
    part.write_bytes(body.replace(b"k50", b"k50\0", 1))

    again = EmbeddedValkey(tmp_path)
    await again.start()
    async with Redis.from_url(again.url) as redis:
        assert sorted(await redis.keys()) == [b"k%02d" % k for k in range(50)]
    await again.close()
    [kept] = (tmp_path / "valkey" / "appendonlydir.corrupt-1").glob("*.incr.aof")
    assert len(kept.read_bytes()) == len(body) + 1


async def test_a_log_whose_beginning_is_damaged_is_set_aside_whole(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    await server.start()
    async with Redis.from_url(server.url) as redis:
        await redis.set("k", "v")
    await server.close()
    [base] = (tmp_path / "valkey" / "appendonlydir").glob("*.base.rdb")
    base.write_bytes(b"REDIS9999" + base.read_bytes()[9:])

    again = EmbeddedValkey(tmp_path)
    await again.start()
    async with Redis.from_url(again.url) as redis:
        assert await redis.keys() == []
    await again.close()
    assert (tmp_path / "valkey" / "appendonlydir.corrupt-1" / base.name).exists()
