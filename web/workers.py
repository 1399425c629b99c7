"""`serve --workers N`: one parent that keeps the store, a collector and N web processes running, and ends them all.

The parent binds the port and never listens; each worker listens on a socket of its own at the same port
(SO_REUSEPORT), so that the kernel spreads connections and a dead worker takes none. Settings go to a child on its
standard input, where no other user can read them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from typing import Any, Literal

from monitoring.errors import BadSetting
from monitoring.store.processes import dies_with_parent
from monitoring.store.server import EmbeddedValkey
from web.opening import background
from web.settings import Settings

log = logging.getLogger(__name__)
Role = Literal["web", "collect"]
STOP_S = 6.0
"""A child that has not ended so long after SIGTERM is killed."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
STEADY_S = 10.0
"""A child that lived so long is started again without a pause."""


async def supervise(settings: Settings) -> None:
    """Runs the store, the collector and the workers until SIGTERM or SIGINT. Raises BadSetting for a taken port."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        door = stack.enter_context(reserved(settings.host, settings.port))
        port = door.getsockname()[1]
        tasks = await stack.enter_async_context(background())
        url = settings.redis_url
        if url is None:
            # The kernel kills the server with the thread that started it: this one, which lasts.
            valkey = EmbeddedValkey(settings.data_dir)
            await valkey.start()
            stack.push_async_callback(valkey.close)
            stack.callback(tasks.create_task(valkey.watch(), name="valkey").cancel)
            url = valkey.url
            settings = settings.model_copy(update={"redis_ca": None, "redis_cert": None, "redis_key": None})
        common: dict[str, Any] = {"redis_url": url, "port": port, "collect": False}
        children: list[tuple[Role, Settings]] = [("web", settings.model_copy(update=common))] * settings.workers
        if settings.collect:
            children.append(("collect", settings.model_copy(update=common | {"collect": True})))
        log.info("serve.started address=%s:%d workers=%d pid=%d", settings.host, port, settings.workers, os.getpid())
        async with background() as keepers:
            for role, one in children:
                keepers.create_task(_keep(role, one), name=role)
            await ended.wait()


def reserved(host: str, port: int) -> socket.socket:
    """A socket that keeps the port for our workers. Raises BadSetting where another program has it."""
    with bound(host, port, socket.SO_REUSEADDR) as probe:  # fails where another listens, also one of several
        found: int = probe.getsockname()[1]
    return bound(host, found, socket.SO_REUSEPORT)


def bound(host: str, port: int, option: int) -> socket.socket:
    """A TCP socket at the address. Raises BadSetting. With protocol 0 asyncio would leave Nagle's algorithm on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        raise BadSetting(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from None
    return door


async def _keep(role: Role, settings: Settings) -> None:
    """Starts a child again whenever it ends. Cancelled, it ends the child and waits for it."""
    pause_s = FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        child = await _start(role, settings)
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            await _stop(child)
            raise
        log.error("child.died role=%s pid=%d code=%s", role, child.pid, code)
        pause_s = FIRST_PAUSE_S if time.monotonic() - began > STEADY_S else min(pause_s * 2, LONGEST_PAUSE_S)
        await asyncio.sleep(pause_s)


async def _start(role: Role, settings: Settings) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "web.workers",
        role,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in a terminal is the parent's to handle
        preexec_fn=dies_with_parent(),
    )
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):
        child.stdin.write(settings.model_dump_json().encode())
        await child.stdin.drain()
        child.stdin.close()
    log.info("child.started role=%s pid=%d", role, child.pid)
    return child


async def _stop(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def main() -> int:
    """A child: reads its settings from standard input and does its part."""
    settings = Settings(**json.load(sys.stdin))
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("mcp", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if sys.argv[1:] == ["collect"]:
        from web.alone import collect

        asyncio.run(collect(settings))
        return 0
    import uvicorn

    from web.app import create_app

    door = bound(settings.host, settings.port, socket.SO_REUSEPORT)
    config = uvicorn.Config(
        create_app(settings), log_level=settings.log_level, access_log=False, timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[door])
    return 0


if __name__ == "__main__":
    sys.exit(main())
