"""What can be relied on of several processes: any worker answers, the dead come back, none is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parents[2]
WAIT_S = 60.0
"""Five interpreters that import scikit-learn on two shared cores; nothing is asserted about speed."""


@contextlib.contextmanager
def command(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`openmanager …` in a process of its own, which ends with the block."""
    line = [sys.executable, "-m", "web.cli", *words, "--log-level", "warning"]
    process = subprocess.Popen(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = WAIT_S) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            await asyncio.sleep(0.05)
        return found


async def fetch(url: str, path: str, body: Any = None) -> Any:
    """JSON over a connection of its own, so that any worker may get it; None while nobody answers."""
    try:
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            reply = await (client.get(path) if body is None else client.post(path, json=body))
            return reply.json()
    except (httpx.HTTPError, ValueError):
        return None


async def pids(url: str) -> set[int]:
    """The workers that answered among twenty requests."""
    found = await asyncio.gather(*(fetch(url, "/readyz") for _ in range(20)))
    return {one["data"]["pid"] for one in found if one and one.get("success")}


async def test_any_worker_answers_the_dead_return_and_none_is_left(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = (
        "serve",
        "--workers",
        "2",
        "--port",
        str(port),
        "--data-dir",
        str(tmp_path / "d"),
        "--demo",
        "--no-local",
        "--profile",
        "basic",
    )
    with command(*words) as parent:

        async def both() -> set[int] | None:
            found = await pids(url)
            return found if len(found) == 2 else None

        workers = await until(both)

        async def collected() -> bool:
            found = await fetch(url, "/api/servers")
            return bool(found and found["success"] and found["data"]["total"] >= 6)

        await until(collected)
        asked = {"query": "What is the CPU usage of web-01?", "session_id": "s1"}
        answer = (await fetch(url, "/api/ai-agent", asked))["data"]
        seen = [await fetch(url, f"/api/ai-agent/answers/{answer['id']}") for _ in range(8)]
        assert [one["data"]["response"] for one in seen] == [answer["response"]] * 8
        for _ in range(6):
            again = (await fetch(url, "/api/ai-agent", {"query": "and memory?", "session_id": "s1"}))["data"]
            assert again["entities"]["servers"] == ["web-01"], "the turn before, whichever worker got it"
            assert again["entities"]["concepts"] == ["memory"]
        for _ in range(6):
            targets = (await fetch(url, "/api/v1/targets"))["data"]["activeTargets"]
            assert len(targets) == 6
        for action, running in (("stop", False), ("start", True)):
            await fetch(url, "/api/data-generator", {"action": action})
            states = [(await fetch(url, "/api/data-generator"))["data"]["running"] for _ in range(6)]
            assert states == [running] * 6

        os.kill(min(workers), signal.SIGKILL)

        async def replaced() -> bool:
            found = await pids(url)
            return len(found) == 2 and min(workers) not in found

        await until(replaced)
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) == 4, "two workers, the collector, Valkey"
        parent.kill()
        parent.wait()

        async def alone() -> bool:
            return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family)

        await until(alone)

    with command(*words) as parent:
        await until(both)
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(parent.wait, WAIT_S) == 0
        await until(alone)


async def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        port = str(door.getsockname()[1])
        line = [sys.executable, "-m", "web.cli", "serve", "--workers", "2", "--port", port, "--data-dir", str(tmp_path)]
        done = await asyncio.to_thread(subprocess.run, line, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S)
    assert (done.returncode, f"cannot listen on 127.0.0.1:{port}" in done.stderr) == (2, True)
