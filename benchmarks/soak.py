"""A soak: 1,000 servers with 20 metrics each, written every 10 s, while dashboards and questions are asked for.

    python benchmarks/soak.py [minutes] [servers]

Starts the product on a free port with an empty data directory, sends remote write from this process (its cost is not
counted), asks for the dashboard five times a second and one question every two seconds. Prints, for each minute, the
CPU of the server and of its Valkey in cores, their resident memory, and the times of replies; at the end whether CPU
stayed below one core, the slope of the memory, and the percentiles of the whole run.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import cramjam
import httpx
import numpy as np
import psutil

INTERVAL_S = 10.0
PARTS = 20
"""A tick comes as this many requests, spread over the interval, as from as many agents."""
METRICS = (
    *("server_cpu_usage", "server_memory_usage", "server_disk_usage", "server_up", "server_uptime_seconds"),
    *("server_network_receive_bytes_per_second", "server_network_transmit_bytes_per_second"),
    *("node_load1", "node_load5", "node_load15", "node_filefd_allocated", "node_netstat_Tcp_CurrEstab"),
    *("node_context_switches_total", "node_forks_total", "node_procs_running", "node_procs_blocked"),
    *("node_vmstat_pgfault", "node_entropy_available_bits", "process_open_fds", "process_resident_memory_bytes"),
)
QUESTIONS = (
    "How are the servers doing?",
    "top 3 servers by CPU",
    "memory usage of web-0007",
    "average CPU across the db servers",
    "which servers have more than 80 % memory?",
    "max cpu of web-0042 in the last 5 minutes",
)
TYPES = ("web", "db", "cache", "api", "batch")


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    servers = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "web.cli", "serve", "--no-local", "--no-demo", "--port", str(port)]
        with subprocess.Popen([*command, "--data-dir", folder, "--log-level", "warning"]) as server:
            try:
                asyncio.run(soak(f"http://127.0.0.1:{port}", server.pid, servers, minutes))
            finally:
                server.terminate()


async def soak(url: str, pid: int, servers: int, minutes: float) -> None:
    """Loads the server at `url` and prints what it costs."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        await ready(client)
        times: dict[str, list[float]] = {"write": [], "dashboard": [], "ask": []}
        tasks = [
            asyncio.create_task(write(client, servers, times["write"])),
            asyncio.create_task(repeat(0.2, lambda: client.get("/api/dashboard"), times["dashboard"])),
            asyncio.create_task(repeat(2.0, lambda: ask(client), times["ask"])),
        ]
        await asyncio.sleep(INTERVAL_S * 2)
        for spent in times.values():
            spent.clear()
        await report(pid, minutes, times)
        for task in tasks:
            task.cancel()
        total = (await client.get("/api/dashboard")).json()["data"]["total"]
        print(f"servers on the dashboard at the end: {total}")


async def report(pid: int, minutes: float, times: dict[str, list[float]]) -> None:
    print("minute  cores server  cores Valkey  MB server  MB Valkey  dashboard p95 ms  write p95 ms  ask p95 ms")
    server = psutil.Process(pid)
    valkey = next(child for child in server.children(recursive=True) if "valkey" in child.name())
    memory, cores, everything = [], [], {name: list[float]() for name in times}
    for minute in range(1, round(minutes) + 1):
        before, began = [spent(process) for process in (server, valkey)], time.monotonic()
        await asyncio.sleep(60)
        elapsed = time.monotonic() - began
        used = [(spent(p) - b) / elapsed for p, b in zip((server, valkey), before, strict=True)]
        held = [process.memory_info().rss / 1e6 for process in (server, valkey)]
        shown = [percentile(times[name], 95) for name in ("dashboard", "write", "ask")]
        for name, found in times.items():
            everything[name] += found
            found.clear()
        cores.append(sum(used))
        memory.append(sum(held))
        print(f"{minute:6} {used[0]:13.2f} {used[1]:13.2f} {held[0]:10.0f} {held[1]:10.0f}", end="")
        print(f" {shown[0]:17.1f} {shown[1]:13.1f} {shown[2]:11.1f}", flush=True)
    half = len(memory) // 2
    slope = np.polyfit(np.arange(half, len(memory)), memory[half:], 1)[0] if len(memory) - half > 1 else float("nan")
    print(f"cores: mean {np.mean(cores):.2f}, highest minute {max(cores):.2f}")
    print(f"memory: {memory[0]:.0f} MB after a minute, {memory[-1]:.0f} MB at the end, {slope:+.1f} MB a minute")
    for name, found in everything.items():
        p50, p95, p99 = (percentile(found, q) for q in (50, 95, 99))
        print(f"{name}: {len(found)} replies, p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms")


def spent(process: psutil.Process) -> float:
    """CPU seconds so far."""
    used = process.cpu_times()
    return float(used.user + used.system)


def percentile(values: list[float], q: float) -> float:
    return float(np.percentile(values, q)) if values else float("nan")


async def ready(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await client.get("/readyz")).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the server did not become ready within a minute")


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/api/ai-agent", json={"query": random.choice(QUESTIONS)})


async def repeat(pause_s: float, act: object, times: list[float]) -> None:
    """Acts again and again and notes the milliseconds; a reply that is no success ends the run."""
    while True:
        began = time.perf_counter()
        reply = await act()  # type: ignore[operator]
        times.append((time.perf_counter() - began) * 1000)
        reply.raise_for_status()
        await asyncio.sleep(pause_s)


async def write(client: httpx.AsyncClient, servers: int, times: list[float]) -> None:
    """Every interval one sample of each series, in `PARTS` requests."""
    parts = [list(range(servers))[k::PARTS] for k in range(PARTS)]
    walks = Walks(servers)
    heads = {number: [head(number, metric) for metric in METRICS] for number in range(servers)}
    began = time.time()
    for tick in itertools.count():
        for k, part in enumerate(parts):
            due = began + tick * INTERVAL_S + k * INTERVAL_S / PARTS
            await asyncio.sleep(max(0.0, due - time.time()))
            body = await asyncio.to_thread(message, part, heads, walks, round(time.time() * 1000))
            sent = time.perf_counter()
            reply = await client.post("/api/v1/write", content=body)
            times.append((time.perf_counter() - sent) * 1000)
            reply.raise_for_status()


class Walks:
    """Values that wander: gauges between bounds, counters upwards."""

    def __init__(self, servers: int) -> None:
        rng = np.random.default_rng(1)
        self._rng = rng
        self._values = rng.uniform(20, 70, (servers, len(METRICS)))
        self._values[:, METRICS.index("server_up")] = 1.0
        self._counters = np.array([metric.endswith(("_total", "_seconds", "pgfault")) for metric in METRICS])

    def next(self, server: int) -> list[float]:
        row = self._values[server]
        steps = self._rng.normal(0, 1.0, len(METRICS))
        row[:] = np.where(self._counters, row + np.abs(steps) * 50, np.clip(row + steps, 1, 99))
        row[METRICS.index("server_up")] = 1.0
        return [round(value, 2) for value in row.tolist()]


def message(part: list[int], heads: dict[int, list[bytes]], walks: Walks, at_ms: int) -> bytes:
    """A remote write 1.0 body with one sample of each series of some servers."""
    stamp = b"\x10" + varint(at_ms)
    return bytes(cramjam.snappy.compress_raw(b"".join(series(heads[n], walks.next(n), stamp) for n in part)))


def series(labels: list[bytes], values: list[float], stamp: bytes) -> bytes:
    return b"".join(
        field(1, head + field(2, b"\x09" + struct.pack("<d", value) + stamp))
        for head, value in zip(labels, values, strict=True)
    )


def head(number: int, metric: str) -> bytes:
    """The labels of a series as they go over the wire."""
    kind = TYPES[number % len(TYPES)]
    labels = {"__name__": metric, "server_id": f"{kind}-{number:04}", "type": kind}
    return b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(number: int) -> bytes:
    return bytes(septets(number))


def septets(number: int) -> Iterator[int]:
    while number >= 0x80:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number


if __name__ == "__main__":
    main()
