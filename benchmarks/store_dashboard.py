"""The dashboard's bytes beside a hello-world of the same bytes, for fleets of 10 to 10,000 servers.

    python benchmarks/store_dashboard.py [seconds per measurement]

Boards are made by the product's own encoder from states of a made-up fleet whose values move a little each tick. Both
routes run on uvicorn in processes of their own, loaded by `wrk`; CPU is what the server's process used, per request.
Printed after the curve: bytes of a change against the whole, and what the cache headers save of a stated trace.
Read the ratios, not the microseconds.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

import numpy as np
import psutil
import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

from monitoring.fleet import FleetState, ServerState
from web.board import Board, Dashboard
from web.live import make
from web.middleware import SecurityHeaders, Shortcut
from web.performance import Measured, Performance

FLEETS = (10, 100, 1_000, 10_000)
LOAD = ("wrk", "-t1", "-c8", "--latency")
KINDS = {"identity": {}, "gzip": {"Accept-Encoding": "gzip"}, "zstd": {"Accept-Encoding": "zstd"}}
T0 = 1_790_000_000.0


def state(servers: int, tick: int) -> FleetState:
    """A fleet at a tick of 15 s: every value moves, one in fifty stays the same, as quiet machines do."""
    rng = np.random.default_rng(tick)
    names = ("cpu", "memory", "disk", "network_in", "network_out", "load", "uptime")
    base = np.array([40.0, 55.0, 60.0, 2e6, 1e6, 2.0, 86_400.0])
    drawn = base * (1 + 0.05 * rng.standard_normal((servers, len(names))))
    drawn[:, 2], drawn[:, 6] = base[2] + np.arange(servers) % 20, base[6] + 15.0 * tick
    now = T0 + 15.0 * tick
    found = []
    for k in range(servers):
        at = round(now - (k * 37 % 15_000) / 1000, 3)
        values = dict(zip(names, drawn[k].tolist(), strict=True))
        found.append(ServerState(f"web-{k:05}", "web", False, False, "healthy", (), values, last_seen=at))
    return FleetState(now, tuple(found), {}, "local", 0.0)


def sparks(servers: int, tick: int) -> dict[str, list[float | None]]:
    """Thirty points of an hour for each server; a new one every 120 s."""
    points = np.random.default_rng(1).uniform(20, 60, (servers, 60)).round(1)
    return {f"web-{k:05}": points[k, tick // 8 : tick // 8 + 30].tolist() for k in range(servers)}


def ours(board: Board) -> Any:
    """The product's road to the dashboard: measured, shortcut, handler, security headers, before FastAPI's routing."""

    async def current() -> tuple[Board, bool]:
        return board, False

    app = FastAPI()
    app.add_middleware(SecurityHeaders)
    paths = {"/api/dashboard": Dashboard(current, time.time)}
    app.add_middleware(Shortcut, paths=paths)
    app.add_middleware(Measured, performance=Performance(), shortcuts=paths)
    return app


def hello(body: bytes) -> Any:
    """The same bytes from a bare FastAPI route."""
    app = FastAPI()

    @app.get("/api/dashboard")
    async def route() -> Response:
        return Response(body, media_type="application/json")

    return app


def serve(servers: int, which: str, port: int) -> None:
    """One application on one port, until terminated."""
    board = make(state(servers, 0), sparks(servers, 0), None, 1).board
    app = ours(board) if which == "ours" else hello(board.bodies["identity"])
    uvicorn.run(app, port=port, log_level="error", access_log=False)


def measure(servers: int, which: str, seconds: int, kinds: dict[str, dict[str, str]]) -> dict[str, tuple[float, ...]]:
    """Kind → (p50 µs, p90 µs, CPU µs a request, requests a second)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(servers, which, port))
    process.start()
    url, found = f"http://127.0.0.1:{port}/api/dashboard", {}
    try:
        tag = wait(url)
        for kind, headers in kinds.items():
            sent = headers | ({"If-None-Match": tag} if kind == "304" else {})
            flags = [flag for name, value in sent.items() for flag in ("-H", f"{name}: {value}")]
            subprocess.run([*LOAD, "-d1s", *flags, url], capture_output=True, check=True)
            cpu = psutil.Process(process.pid).cpu_times()
            text = subprocess.run(
                [*LOAD, f"-d{seconds}s", *flags, url], capture_output=True, check=True
            ).stdout.decode()
            used = psutil.Process(process.pid).cpu_times()
            done = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
            p50, p90 = (micro(re.search(rf"{share}%\s+(\S+)", text)[1]) for share in (50, 90))  # type: ignore[index]
            spent = used.user + used.system - cpu.user - cpu.system
            found[kind] = p50, p90, spent / done * 1e6, done / seconds
    finally:
        process.terminate()
        process.join()
    return found


def micro(text: str) -> float:
    """A time of wrk's in µs."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def wait(url: str) -> str:
    """Waits for the server; returns the ETag, if it has one."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                return str(reply.headers.get("ETag") or "")
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not become ready")


def curve(seconds: int) -> None:
    """Prints the table of the curve."""
    print("| servers | bytes | kind | p50 µs | p90 µs | CPU µs/request | p50 ÷ hello | CPU ÷ hello |")
    print("|---|---|---|---|---|---|---|---|")
    unchanged = {}
    for servers in FLEETS:
        board = make(state(servers, 0), sparks(servers, 0), None, 1).board
        base = measure(servers, "hello", seconds, {"hello-world": {}})["hello-world"]
        print(f"| {servers:,} | {len(board.bodies['identity']):,} | hello-world | {row(base)} | 1 | 1 |")
        for kind, found in measure(servers, "ours", seconds, {**KINDS, "304": {}}).items():
            size = len(board.bodies[kind]) if kind in board.bodies else 0
            ratio = f"{found[0] / base[0]:.2f} | {found[2] / base[2]:.2f}"
            print(f"| {servers:,} | {size:,} | {kind} | {row(found)} | {ratio} |", flush=True)
            if kind == "304":
                unchanged[servers] = found
    few, many = unchanged[FLEETS[0]], unchanged[FLEETS[-1]]
    print(f"\n304 at 10,000 ÷ 304 at 10: p50 {many[0] / few[0]:.2f}, CPU {many[2] / few[2]:.2f}\n")


def row(found: tuple[float, ...]) -> str:
    """Times as cells."""
    return f"{found[0]:.0f} | {found[1]:.0f} | {found[2]:.0f}"


def encoding_and_changes() -> None:
    """Prints what one reading costs to encode, and the size of a change against the whole."""
    print(
        "| servers | encode ms | whole | change | change ÷ whole | gzipped: change ÷ whole |\n|---|---|---|---|---|---|"
    )
    import cramjam

    for servers in FLEETS:
        before = make(state(servers, 1), sparks(servers, 1), None, 1).board
        began = time.process_time()
        made = make(state(servers, 2), sparks(servers, 2), before, 2)
        took = (time.process_time() - began) * 1000
        whole, zipped = len(made.board.bodies["identity"]), len(made.board.bodies["gzip"])
        small = len(bytes(cramjam.gzip.compress(made.delta, level=6)))
        share = f"{len(made.delta) / whole:.3f} | {small / zipped:.3f}"
        print(f"| {servers:,} | {took:.1f} | {whole:,} | {len(made.delta):,} | {share} |")


def saved(pages: int = 50, hours: float = 8.0) -> None:
    """Prints the requests at the origin behind a shared cache that honours our headers.

    The trace: `pages` open pages, each asking every 30 s at its own phase for `hours`; a quarter asks through the
    change stream instead and reads the whole every 5 minutes.
    """
    rng = np.random.default_rng(0)
    asked = []
    for page in range(pages):
        every = 300.0 if page % 4 == 0 else 30.0
        asked += np.arange(rng.uniform(0, every), hours * 3600, every).tolist()
    origin, kept_at = 0, -1e9
    for at in sorted(asked):
        if at - kept_at > 30:  # s-maxage: past it the cache renews, in the foreground or behind the reply's back
            origin, kept_at = origin + 1, at
    print(
        f"\n{json.dumps({'requests': len(asked), 'at the origin': origin, 'saved': round(1 - origin / len(asked), 4)})}"
    )


if __name__ == "__main__":
    curve(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    encoding_and_changes()
    saved()
