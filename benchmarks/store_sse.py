"""Changes of 8 KB pushed to 1,000 subscribers: our stream on uvicorn beside bare sockets that are written in a loop.

Each server runs in a process of its own and pushes `TICKS` changes, 0.5 s apart; every change carries the time when it
was pushed. CPU is what the server's process used between the first and the last push; the time from push to screen is
taken by the subscribers, who share the other core. Read the ratios.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
import statistics
import time
from typing import Any

import psutil
import uvicorn

from web.stream import Realtime, Stream, frame

READERS, TICKS, SIZE, EVERY_S = 1_000, 20, 8_000, 0.5
REQUEST = b"GET /api/servers/realtime HTTP/1.1\r\nHost: a\r\n\r\n"


def body() -> bytes:
    """One change with the time of its push."""
    return f'{{"at":{time.time():.6f},"x":"{"x" * SIZE}"}}'.encode()


def ours(port: int, begin: Any) -> None:
    """The product's stream under uvicorn."""
    stream = Stream()

    async def run() -> None:
        app = Realtime(lambda: stream, time.time)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off", backlog=2_048))
        serving = asyncio.create_task(server.serve())
        await asyncio.to_thread(begin.wait)
        for tick in range(TICKS):
            stream.push(tick + 1, frame("delta", body(), tick + 1))
            await asyncio.sleep(EVERY_S)
        server.should_exit = server.force_exit = True
        await serving

    import uvloop

    uvloop.run(run())


def limit(port: int, begin: Any) -> None:
    """The least that can be done: accept, then one send a socket and change."""
    with socket.create_server(("127.0.0.1", port), backlog=2_048) as server:
        readers = []
        for _ in range(READERS):
            reader, _ = server.accept()
            reader.recv(1_000)
            reader.sendall(b"hello")
            readers.append(reader)
        begin.wait()
        for tick in range(TICKS):
            sent = frame("delta", body(), tick + 1)
            for reader in readers:
                reader.sendall(sent)
            time.sleep(EVERY_S)


async def listen(port: int, late: list[float], ready: asyncio.Semaphore) -> None:
    """One subscriber: notes how long after its push each change came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(REQUEST)
    await reader.read(1 << 16)
    ready.release()
    rest = b""
    while piece := await reader.read(1 << 16):
        rest += piece
        while (start := rest.find(b'"at":')) >= 0 and len(rest) >= start + SIZE:
            late.append(time.time() - float(rest[start + 5 : start + 22]))
            rest = rest[start + SIZE :]
    writer.close()


async def measure(target: Any) -> tuple[float, float, float]:
    """(CPU ms a change, p50 ms, p95 ms from push to screen)."""
    context = multiprocessing.get_context("spawn")
    begin = context.Event()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = context.Process(target=target, args=(port, begin))
    process.start()
    await until_open(port) if target is ours else await asyncio.sleep(3)
    late: list[float] = []
    ready = asyncio.Semaphore(0)
    readers = [asyncio.create_task(listen(port, late, ready)) for _ in range(READERS)]
    for _ in range(READERS):
        await ready.acquire()
    watched = psutil.Process(process.pid)
    before = watched.cpu_times()
    begin.set()
    used = before
    while len(late) < READERS * TICKS and process.is_alive():
        used = watched.cpu_times()
        await asyncio.sleep(0.1)
    spent = used.user + used.system - before.user - before.system
    process.terminate()
    process.join()
    await asyncio.gather(*readers, return_exceptions=True)
    late.sort()
    return spent / TICKS * 1e3, statistics.median(late) * 1e3, late[int(len(late) * 0.95)] * 1e3


async def until_open(port: int) -> None:
    """Waits for the server."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return


def main() -> None:
    """Prints both, and the ratio."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8_192, max(8_192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    found = {name: asyncio.run(measure(target)) for name, target in (("limit", limit), ("ours", ours))}
    print("| | CPU ms a change | p50 ms | p95 ms |\n|---|---|---|---|")
    for name, (cpu, p50, p95) in found.items():
        print(f"| {name} | {cpu:.1f} | {p50:.0f} | {p95:.0f} |")
    print(f"ours ÷ limit: {found['ours'][0] / found['limit'][0]:.2f}")


if __name__ == "__main__":
    main()
