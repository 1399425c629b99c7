"""A real Prometheus for tests: Debian's, on loopback, with the remote write receiver on."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.redis_servers import free_port

BINARY = shutil.which("prometheus")
WHY_NOT = "no prometheus on PATH; Debian: apt-get install prometheus"
CONFIG = "storage: {tsdb: {out_of_order_time_window: 100d}}\n"


@contextlib.contextmanager
def prometheus(folder: Path, *options: str) -> Iterator[str]:
    """The URL of a server that keeps its samples in `folder`. It ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(CONFIG)
    port = free_port()
    words = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
    )
    process = subprocess.Popen([str(BINARY), *words, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _ready(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _ready(url: str) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
