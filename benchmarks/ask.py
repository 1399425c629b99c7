"""How long an answer takes over HTTP, beside the bare route /healthz in the same run.

Starts the product with the simulated fleet on a free port, waits until a day of history is there, and asks each
question `ROUNDS` times, one after another. Read the ratios, not the milliseconds.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROUNDS = 20
QUESTIONS = (
    "How are the servers doing?",
    "지금 서버 상태 어때?",
    "memory usage of db-01",
    "top 3 servers by CPU",
    "디스크 80% 넘는 서버",
    "average CPU across the web servers",
    "max cpu of db-01 in the last 6 hours",
    "web-01 CPU 어제 이 시간",
    "when will batch-01 run out of disk?",
    "anything unusual in the last hour?",
)


def main() -> None:
    """Prints a table: question, p50 and p95 in ms, ratio of p50 to /healthz."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "web.cli", "serve", "--demo", "--no-local", "--port", str(port)]
        with subprocess.Popen([*command, "--data-dir", folder, "--log-level", "error"]) as server:
            try:
                measure(f"http://127.0.0.1:{port}")
            finally:
                server.terminate()


def measure(url: str) -> None:
    """Waits for the server and its history, then asks."""
    wait(lambda: fetch(f"{url}/healthz"))
    wait(lambda: "batch" in ask(url, "max cpu of batch-01 20 hours ago to 19 hours ago"))
    base = statistics.median(timed(lambda: fetch(f"{url}/healthz")) for _ in range(100))
    print(f"{'/healthz':42} {base:8.2f} ms")
    for question in QUESTIONS:
        took = sorted(timed(lambda q=question: ask(url, q)) for _ in range(ROUNDS))
        p50, p95 = statistics.median(took), took[int(ROUNDS * 0.95) - 1]
        print(f"{question:42} {p50:8.2f} ms  p95 {p95:8.2f} ms  {p50 / base:6.1f} x")


def timed(act: object) -> float:
    """Milliseconds that a call takes."""
    started = time.perf_counter()
    act()  # type: ignore[operator]
    return (time.perf_counter() - started) * 1000


def ask(url: str, question: str) -> str:
    """The response text of an answered question; empty where there is no data yet."""
    body = json.dumps({"query": question}).encode()
    data = json.loads(fetch(f"{url}/api/ai-agent", body))["data"]
    return str(data["response"]) if data["status"] == "answered" else ""


def fetch(url: str, body: bytes | None = None) -> bytes:
    """The body of a reply."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return bytes(reply.read())


def wait(holds: object, seconds: float = 60.0) -> None:
    """Polls until the condition holds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if holds():  # type: ignore[operator]
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.2)
    raise SystemExit("the server did not become ready in time")


if __name__ == "__main__":
    main()
