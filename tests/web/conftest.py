"""The whole product in this process: an application with its own Valkey, a client, a small fleet of known figures."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from web.app import create_app
from web.settings import Settings

NOW = 1_760_000_400.0
"""2025-10-09 09:00:00 UTC, the clock of every test here."""
HOURS = 6
Sent = tuple[dict[str, str], list[tuple[float, float]]]
"""Labels with `__name__`, and (Unix seconds, value) pairs."""


@dataclass(slots=True)
class Product:
    """A running application and the doors to it."""

    app: FastAPI
    client: httpx.AsyncClient
    now: float = NOW

    async def write(self, series: Iterable[Sent]) -> None:
        """Remote write; returns when the samples are acknowledged."""
        reply = await self.client.post("/api/v1/write", content=remote_write(series))
        assert reply.status_code == 204, reply.text

    async def ask(self, text: str, **more: Any) -> dict[str, Any]:
        """The `data` of an answer, as of the product's clock."""
        context = {"timezone": "UTC", **more.pop("context", {})}
        reply = await self.client.post("/api/ai-agent", json={"query": text, "context": context, **more})
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()["data"]
        return found

    async def query(self, promql: str, time: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query."""
        reply = await self.client.get("/api/v1/query", params={"query": promql, "time": time or self.now})
        assert reply.status_code == 200, reply.text
        found: list[dict[str, Any]] = reply.json()["data"]["result"]
        return found


@contextlib.asynccontextmanager
async def running(data_dir: Path, now: float = NOW, **settings: Any) -> AsyncIterator[Product]:
    """The application with its lifespan entered and left by one task, as a server does it."""
    product: Product
    settings.setdefault("rule_interval", 3600)  # a round at the start, and for the requests that show rules
    settings.setdefault("detect", False)  # it writes a version and scores of its own accord
    given: dict[str, Any] = {"local": False, "demo": False, "data_dir": data_dir, **settings}
    app = create_app(Settings(**given), clock=lambda: product.now)
    begun, over = asyncio.Event(), asyncio.Event()

    async def life() -> None:
        try:
            async with app.router.lifespan_context(app):
                begun.set()
                await over.wait()
        finally:
            begun.set()

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30) as client:
        product = Product(app, client, now)
        task = asyncio.create_task(life())
        await begun.wait()
        await first_round(app)
        try:
            yield product
        finally:
            over.set()
            await task


async def first_round(app: FastAPI) -> None:
    """Waits, where this process evaluates rules, until it did so once: what it writes does not mix with the test's."""
    parts = getattr(app.state, "parts", None)
    if parts is not None and parts.collector is not None and parts.collector.leading:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while not parts.collector.alerts.rounds:
                    await asyncio.sleep(0.005)


@pytest.fixture
async def product(tmp_path: Path) -> AsyncIterator[Product]:
    """An empty product of the test's own."""
    async with running(tmp_path / "data") as product:
        yield product


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """A product that knows the six servers of `servers()`; tests only read from it."""
    async with running(tmp_path_factory.mktemp("fleet") / "data", retention="36500d") as product:
        await product.write(servers(NOW))
        async with asyncio.timeout(20):
            while product.app.state.parts.engine.understanding.backend == "patterns":
                await asyncio.sleep(0.02)
        yield product


@pytest.fixture
def make_servers() -> Callable[[float], list[Sent]]:
    """`servers`, for tests that write them into a product of their own."""
    return servers


@pytest.fixture
def make_body() -> Callable[[Iterable[Sent]], bytes]:
    """`remote_write`, for tests that spoil the body."""
    return remote_write


@pytest.fixture
def make_product() -> Callable[..., contextlib.AbstractAsyncContextManager[Product]]:
    """`running`, for tests that start a product more than once or with settings."""
    return running


@pytest.fixture
def stopped() -> Callable[[Any], contextlib.AbstractContextManager[None]]:
    """A context for a product's `EmbeddedValkey`: killed with -9, and not started again until the block ends."""

    @contextlib.contextmanager
    def block(valkey: Any) -> Iterator[None]:
        spawn = valkey._spawn

        def refuse(_: int) -> None:
            raise OSError("not yet")

        valkey._spawn = refuse
        os.kill(valkey.pid, signal.SIGKILL)
        try:
            yield
        finally:
            valkey._spawn = spawn

    return block


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Asks again and again until it is so, for at most 5 s."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(5):
            while not await condition():
                await asyncio.sleep(0.02)

    return wait


def servers(now: float) -> list[Sent]:
    """Six hours of six servers, one sample a minute.

    bravo-01 (db) has had 95 % CPU for 30 minutes, before that 40 %; delta-01 fell silent 20 minutes ago; echo-01 is a
    node_exporter's (CPU 60 %, memory 45 %); the others are quiet.
    """
    quiet = {"alpha-01": (22.0, 51.0, 41.0), "alpha-02": (35.0, 64.0, 42.0), "delta-01": (15.0, 33.0, 25.0)}
    found: list[Sent] = []
    for name, (cpu, memory, disk) in quiet.items():
        last = now - 1200 if name == "delta-01" else now
        found += gauges(name, "web", "/", {"cpu": [(t, cpu) for t in minutes(now, last)]}, memory, disk)
    stormy = [(t, 95.0 if t > now - 1800 else 40.0) for t in minutes(now)]
    found += gauges("bravo-01", "db", "/data", {"cpu": stormy}, 83.0, 72.0)
    found += gauges("charlie-01", "cache", "/", {"cpu": [(t, 12.0) for t in minutes(now)]}, 30.0, 20.0)
    return [*found, *node("echo-01", "10.7.0.5:9100", now)]


def gauges(
    name: str, kind: str, mount: str, given: dict[str, list[tuple[float, float]]], memory: float, disk: float
) -> Iterator[Sent]:
    """A server under our own `server_*` names."""
    labels = {"server_id": name, "type": kind}
    times = [t for t, _ in given["cpu"]]
    yield {"__name__": "server_cpu_usage", **labels}, given["cpu"]
    yield {"__name__": "server_memory_usage", **labels}, [(t, memory) for t in times]
    yield {"__name__": "server_disk_usage", "mountpoint": mount, **labels}, [(t, disk) for t in times]


def node(name: str, instance: str, now: float) -> Iterator[Sent]:
    """A host under node_exporter's names: 60 % CPU, 45 % memory."""
    labels = {"instance": instance, "job": "node"}
    for mode, share in (("idle", 0.4), ("user", 0.6)):
        counted = [(t, share * (t - now + 100_000)) for t in minutes(now)]
        yield {"__name__": "node_cpu_seconds_total", "cpu": "0", "mode": mode, **labels}, counted
    for metric, value in (("MemTotal", 16e9), ("MemAvailable", 16e9 * 0.55)):
        yield {"__name__": f"node_memory_{metric}_bytes", **labels}, [(t, value) for t in minutes(now)]
    yield {"__name__": "node_uname_info", "nodename": name, **labels}, [(t, 1.0) for t in minutes(now)]
    yield {"__name__": "up", **labels}, [(t, 1.0) for t in minutes(now)]


def minutes(now: float, last: float | None = None) -> list[float]:
    """Every minute of the last hours, up to `last`."""
    return [t for k in range(HOURS * 60, -1, -1) if (t := now - 60 * k) <= (last or now)]


def remote_write(series: Iterable[Sent]) -> bytes:
    """A remote write 1.0 body (prometheus/prompb/remote.proto), written by hand."""
    message = b""
    for labels, samples in series:
        pairs = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in sorted(labels.items()))
        values = b"".join(
            _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(time * 1000)))
            for time, value in samples
        )
        message += _field(1, pairs + values)
    return bytes(cramjam.snappy.compress_raw(message))


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
