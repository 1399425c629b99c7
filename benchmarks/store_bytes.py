"""Bytes a sample on a node_exporter recording: our sealed blocks, Prometheus' blocks, VictoriaMetrics' storage.

    python benchmarks/store_bytes.py [scrapes] [hosts]

Debian's prometheus-node-exporter is scraped `scrapes` times, a second apart, while this machine is kept a little busy;
the samples are then dated 15 s apart with a jitter of a few milliseconds, as a scraper's are, and repeated for `hosts`
hosts, each with a part of the recording of its own. The same samples go into all three: into ours by `SampleStore`,
into Prometheus by `promtool tsdb create-blocks-from openmetrics`, into VictoriaMetrics by its import API. Sizes are
those of the files that hold samples; indexes are shown beside.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monitoring.ingest.exposition import SeriesCache, parse
from monitoring.model import Batch, Labels
from monitoring.store.cold import open_cold
from monitoring.store.redis import SampleStore
from monitoring.store.segments import HOUR_MS
from monitoring.store.server import EmbeddedValkey

START_MS = 490_000 * HOUR_MS
RNG = np.random.default_rng(1)


def main() -> None:
    scrapes = int(sys.argv[1]) if len(sys.argv) > 1 else 240
    hosts = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    batch = for_hosts(*recorded(scrapes), hosts)
    print(f"{len(batch.series):,} series of {hosts} hosts, {len(batch):,} samples")
    with tempfile.TemporaryDirectory() as folder:
        results = {"ours": asyncio.run(ours(batch, Path(folder)))}
        if shutil.which("promtool"):
            results["Prometheus"] = prometheus(batch, Path(folder))
        if shutil.which("victoria-metrics"):
            results["VictoriaMetrics"] = victoria(batch, Path(folder) / "vm")
    mine = results["ours"][0]
    for name, (samples, index) in results.items():
        print(f"{name:16} {samples / len(batch):6.3f} bytes a sample (ours is {mine / samples:.2f} of it)", end="")
        print(f", index {index / len(batch.series):.0f} bytes a series")


def recorded(scrapes: int) -> tuple[list[Labels], np.ndarray]:
    """Labels, and values [scrape, series] of the series that every scrape has."""
    port = free_port()
    command = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    pages, cache = [], SeriesCache()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as exporter:
        try:
            wait(port)
            for _ in range(scrapes):
                began = time.monotonic()
                page = parse(fetch(f"http://127.0.0.1:{port}/metrics"), "text/plain", 0, cache)
                pages.append(
                    {id(labels): value for labels, value in zip(page.labels, page.values.tolist(), strict=True)}
                )
                sum(range(RNG.integers(100_000, 3_000_000)))
                time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
        finally:
            exporter.terminate()
    series = [labels for labels in cache.values() if all(id(labels) in page for page in pages)]
    return series, np.array([[page[id(labels)] for labels in series] for page in pages])


def for_hosts(series: list[Labels], values: np.ndarray, hosts: int) -> Batch:
    """The recording as of many hosts: each is scraped at a time of its own, and begins at another scrape."""
    scrapes = len(values)
    labels = [{**one, "instance": f"host-{h:02}:9100", "job": "node"} for h in range(hosts) for one in series]
    times, rows = [], []
    for _ in range(hosts):
        jitter = RNG.integers(-2, 3, scrapes) + RNG.integers(0, 15_000)
        times.append(np.tile(START_MS + np.arange(scrapes) * 15_000 + jitter + 10, len(series)))
        rows.append(np.roll(values, -int(RNG.integers(scrapes)), axis=0).T.ravel())
    index = np.repeat(np.arange(len(labels), dtype=np.int32), scrapes)
    return Batch(labels, index, np.concatenate(times), np.concatenate(rows))


async def ours(batch: Batch, folder: Path) -> tuple[int, int]:
    """Bytes of the sealed blocks, and of the catalogue."""
    valkey = EmbeddedValkey(folder)
    await valkey.start()
    cold = open_cold(None, folder)
    await cold.open()
    store = SampleStore(valkey.url, cold=cold)
    try:
        await store.begin()
        for start in range(0, len(batch), 200_000):
            part = slice(start, start + 200_000)
            await store.append(Batch(batch.series, batch.index[part], batch.times_ms[part], batch.values[part]))
        now = batch.times_ms.max() / 1000 + 7200
        await store.seal(now)
        await store.archive(now)
        hours = await cold.hours(None, 0, 1 << 30)
        blocks = await cold.get([(metric, hour, None) for metric, hour, _ in hours])
        assert sum(block.count for block in blocks) == len(batch)
        return sum(len(block.body) for block in blocks), sum(len(one.labels) for one in await cold.series())
    finally:
        await store.close()
        await cold.close()
        await valkey.close()


def prometheus(batch: Batch, folder: Path) -> tuple[int, int]:
    """Bytes of the chunks, and of the indexes, of the blocks that promtool makes."""
    page, blocks = folder / "recording.om", folder / "prometheus"
    with page.open("w") as file:
        for line in lines(batch):
            file.write(line)
        file.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(page), str(blocks)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return size(blocks, "chunks"), size(blocks, "index")


def lines(batch: Batch) -> Iterator[str]:
    """The OpenMetrics text of the samples, which must stand by metric."""
    names = [labels["__name__"] for labels in batch.series]
    heads = [head(labels) for labels in batch.series]
    starts = np.searchsorted(batch.index, np.arange(len(names) + 1))
    for k in sorted(range(len(names)), key=names.__getitem__):
        for at in range(starts[k], starts[k + 1]):
            yield f"{heads[k]} {float(batch.values[at])!r} {batch.times_ms[at] / 1000:.3f}\n"


def head(labels: Labels) -> str:
    pairs = ",".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items() if name[0] != "_"
    )
    return f"{labels['__name__']}{{{pairs}}}"


def victoria(batch: Batch, folder: Path) -> tuple[int, int]:
    """Bytes of the data parts, and of the index, after a merge."""
    port = free_port()
    command = ["victoria-metrics", f"-storageDataPath={folder}", f"-httpListenAddr=127.0.0.1:{port}"]
    command += ["-retentionPeriod=100y", "-loggerLevel=ERROR", "-memory.allowedBytes=256MB"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait(port)
            for body in chunks(batch):
                request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/import/prometheus", body)
                urllib.request.urlopen(request).close()
            for path in ("internal/force_flush", "internal/force_merge"):
                fetch(f"http://127.0.0.1:{port}/{path}")
            settled(folder)
        finally:
            server.terminate()
    return size(folder / "data"), size(folder / "indexdb")


def chunks(batch: Batch) -> Iterator[bytes]:
    """The text of the samples with times in milliseconds, some megabytes at a time."""
    heads = [head(labels) for labels in batch.series]
    for start in range(0, len(batch), 100_000):
        part = slice(start, start + 100_000)
        rows = zip(batch.index[part].tolist(), batch.values[part].tolist(), batch.times_ms[part].tolist(), strict=True)
        yield "".join(f"{heads[k]} {value!r} {at}\n" for k, value, at in rows).encode()


def settled(folder: Path) -> None:
    """Returns when the size has not changed for three seconds: merging is over."""
    seen = [-1, -2, -3]
    while len(set(seen[-3:])) > 1:
        time.sleep(1)
        seen.append(size(folder / "data"))


def size(folder: Path, word: str = "") -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and word in str(f.relative_to(folder)))


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as reply:
        body: bytes = reply.read()
    return body


def wait(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
