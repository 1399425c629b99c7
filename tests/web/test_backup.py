"""Backup and restore by the commands, as an operator does them."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from monitoring.model import Batch, Matcher, Selection
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.server import EmbeddedValkey
from web.cli import main

NODES = [{"__name__": "node_load1", "instance": f"web-0{k}:9100"} for k in range(5)]
START_MS = (round(time.time()) - 7200) * 1000


async def fill(data_dir: Path, *, lease: bool = False) -> None:
    valkey = EmbeddedValkey(data_dir)
    await valkey.start()
    store = SampleStore(valkey.url)
    times = START_MS + np.tile(np.arange(60) * 60_000, len(NODES))
    await store.append(Batch(NODES, np.repeat(np.arange(5, dtype=np.int32), 60), times, times / 7))
    if lease:
        await store.connection.redis.set("{om}:leader", "somebody")
    await store.close()
    await valkey.close()


async def read(data_dir: Path) -> list[tuple[str, list[float]]]:
    valkey = EmbeddedValkey(data_dir)
    await valkey.start()
    cold = open_cold(None, data_dir)
    store = SampleStore(valkey.url, cold=cold)
    [found] = await store.select(
        [Selection((Matcher("__name__", "=", "node_load1"),), START_MS - 1, START_MS + 7200_000)]
    )
    await store.close()
    await cold.close()
    await valkey.close()
    return sorted((s.labels["instance"], s.values.tolist()) for s in found)


def test_an_operator_gets_everything_back_by_one_command_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, file = tmp_path / "data", tmp_path / "monday.db"
    asyncio.run(fill(data))
    before = asyncio.run(read(data))
    assert [name for name, values in before if len(values) == 60] == [n["instance"] for n in NODES]
    flags = ["--data-dir", str(data)]

    assert main(["backup", str(file), *flags]) == 0
    assert "backed up 5 servers, 5 series, 300 samples" in capsys.readouterr().out
    assert main(["restore", str(file), *flags]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["restore", str(file), "--replace", *flags]) == 0
    shutil.rmtree(data)
    capsys.readouterr()
    assert main(["restore", str(file), *flags]) == 0
    assert "restored 5 servers, 5 series, 300 samples" in capsys.readouterr().out
    assert asyncio.run(read(data)) == before


def test_nothing_is_restored_under_a_running_collector_or_from_a_foreign_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, file = tmp_path / "data", tmp_path / "monday.db"
    asyncio.run(fill(data, lease=True))
    flags = ["--data-dir", str(data)]
    assert main(["backup", str(file), *flags]) == 0
    assert main(["restore", str(file), "--replace", *flags]) == 2
    assert "stop `openmanager serve`" in capsys.readouterr().err
    file.write_text("no database")
    assert main(["restore", str(file), "--replace", *flags]) == 2
    assert "monday.db cannot be read" in capsys.readouterr().err
    assert len(asyncio.run(read(data))) == 5
