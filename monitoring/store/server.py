"""The embedded Valkey and its supervisor: one server per data directory, no TCP port, no orphan, back after a crash."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitoring.errors import BadSetting, StoreUnavailable
from monitoring.store import aof
from monitoring.store.processes import dies_with_parent, find_binary, private_directory, runs, take_lock

log = logging.getLogger(__name__)

_SUN_PATH = 100
"""Longest socket path in bytes; the kernel takes 108 on Linux, 104 elsewhere."""
_POLL_S = 0.005
_ANSWER_S = 2.0
"""A server that does not answer within this is asked again."""
_READY_S = 120.0
"""A server that reads back its log may take this long; 24 h of 1,000 servers need under 2 s."""
_STOP_S = 10.0
_WATCH_S = 0.05


class EmbeddedValkey:
    """A Valkey on a unix socket that keeps its files in `data_dir`/valkey, shared by all processes of one user.

    The process that holds the lock of the directory runs the server; others attach to it and take over when the
    holder is gone. Every write is on disk when it is acknowledged (`appendfsync always`).
    """

    def __init__(self, data_dir: Path, *, maxmemory_bytes: int = 0, runtime_dir: Path | None = None) -> None:
        self.data_dir = data_dir.resolve() / "valkey"
        self.maxmemory_bytes = maxmemory_bytes
        self.restarts = 0
        """How often `watch` had to start the server again."""
        self.pid: int | None = None
        self._runtime_dir = runtime_dir or Path(tempfile.gettempdir())
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._closing = False

    @property
    def holder(self) -> bool:
        """True where this process runs the server, false where it attached to another's."""
        return self._lock is not None

    @property
    def socket_path(self) -> Path:
        """In the data directory, or below the runtime directory where that path is too long for a socket."""
        inside = self.data_dir / "valkey.sock"
        if len(os.fsencode(inside)) <= _SUN_PATH:
            return inside
        name = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return self._runtime_dir / f"openmanager-{os.getuid()}" / f"{name}.sock"

    @property
    def url(self) -> str:
        """For redis clients: `unix://…`."""
        return "unix://" + quote(str(self.socket_path))

    async def start(self) -> None:
        """Start the server, or attach to the one that runs. Call it from a thread that lasts: on Linux the server is
        killed when the thread that started it ends. Raises StoreUnavailable, BadSetting."""
        private_directory(self.data_dir)
        private_directory(self.socket_path.parent)
        self._closing = False
        self._lock = take_lock(self.data_dir / "supervisor.lock")
        try:
            await (self._run() if self.holder else self._attach())
        except BaseException:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None
            self._release()
            raise

    async def close(self) -> None:
        """Shut the server down where this process holds it; attached processes just leave."""
        self._closing = True
        if self.holder and (self.pid is not None or self._process is not None):  # None: it is being started again
            await self._shut_down()
            self.socket_path.unlink(missing_ok=True)
        self.pid = None
        self._release()

    async def watch(self) -> None:
        """Run until cancelled: start the server again when it dies, take over when its holder is gone."""
        pause_s = _WATCH_S
        while True:
            await asyncio.sleep(pause_s)
            if self._closing or self._alive():
                pause_s = _WATCH_S
                continue
            log.error("store.died pid=%s holder=%s", self.pid, self.holder)
            try:
                await self._revive()
            except (StoreUnavailable, BadSetting, OSError) as exc:
                pause_s = min(pause_s * 2, 5.0)
                log.error("store.restart_failed error=%s next_s=%.2f", exc, pause_s)

    async def _revive(self) -> None:
        self.pid, self._process = None, None
        self._lock = self._lock or take_lock(self.data_dir / "supervisor.lock")
        if not self.holder:
            await self._attach()
            return
        await self._run()
        self.restarts += 1
        log.warning("store.restarted pid=%s restarts=%d", self.pid, self.restarts)

    # -- one server for one directory

    async def _run(self) -> None:
        """Adopt the server that a dead supervisor left, or start one when nothing writes to the directory."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if (pid := await self._answering()) is not None:
                self._process, self.pid = None, pid
                log.info("store.adopted pid=%d", pid)
                return
            writer = take_lock(self.data_dir / "writer.lock")
            if writer is not None:
                with writer:  # the server inherits the lock and keeps it as long as it lives
                    self._process = self._spawn(writer.fileno())
                try:
                    await self._ready(deadline)
                    return
                except StoreUnavailable as error:
                    if not aof.is_damage(str(error)) or not aof.mend(self.data_dir):
                        raise
                continue
            await asyncio.sleep(_POLL_S)
        raise StoreUnavailable("loading", f"another server still writes to '{self.data_dir}' and does not answer")

    async def _attach(self) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if (pid := await self._answering()) is not None:
                self.pid = pid
                return
            self._lock = take_lock(self.data_dir / "supervisor.lock")
            if self.holder:  # its holder gave up
                await self._run()
                return
            await asyncio.sleep(_POLL_S)
        raise StoreUnavailable("loading", f"the server of '{self.data_dir}' does not answer")

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        self.socket_path.unlink(missing_ok=True)
        with (self.data_dir / "valkey.log").open("wb") as output:
            return subprocess.Popen(
                [str(find_binary()), *self._settings()],
                cwd=self.data_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C in a terminal is ours to handle
                preexec_fn=dies_with_parent(),
            )

    def _settings(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory": str(self.maxmemory_bytes),
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return [word for name, value in settings.items() for word in (f"--{name}", value)]

    async def _ready(self, deadline: float) -> None:
        process = self._process
        assert process is not None
        while time.monotonic() < deadline:
            if process.poll() is not None:
                tail = (self.data_dir / "valkey.log").read_text(errors="replace").strip().splitlines()[-3:]
                raise StoreUnavailable("refused", f"the server ended with {process.returncode}: {' '.join(tail)}")
            if await self._answering() is not None:
                self.pid = process.pid
                return
            await asyncio.sleep(_POLL_S)
        process.kill()
        raise StoreUnavailable("loading", f"the server of '{self.data_dir}' was not ready within {_READY_S:.0f} s")

    async def _answering(self) -> int | None:
        """The process id of the server that answers on our socket for our directory, or None. Raises BadSetting."""
        try:
            async with asyncio.timeout(_ANSWER_S), self._client() as redis:
                folder = (await redis.config_get("dir"))["dir"]
                pid: int = (await redis.info("server"))["process_id"]
        except (RedisError, OSError):  # BusyLoadingError and TimeoutError among them
            return None
        if folder is None or not self.data_dir.samefile(folder):
            raise BadSetting(f"the server at '{self.socket_path}' keeps '{folder}', not '{self.data_dir}'")
        return pid

    def _client(self) -> Redis:
        """Its calls go under `asyncio.timeout`: redis-py's own limit loses cancellations on Python 3.11."""
        return Redis(
            unix_socket_path=str(self.socket_path),
            decode_responses=True,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )

    def _alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self.pid is not None and runs(self.pid)

    async def _shut_down(self) -> None:
        """SHUTDOWN, and after a while SIGKILL; returns when the process is gone."""
        if self.pid is None and self._process is not None:  # it was just started and does not listen yet
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_S / 2), self._client() as redis:
                await redis.shutdown(nosave=True)
        except (RedisError, OSError) as exc:
            log.info("store.shutdown_refused error=%s", exc)
        deadline = time.monotonic() + _STOP_S
        while self._alive() and time.monotonic() < deadline:  # noqa: ASYNC110 - a process raises no event
            await asyncio.sleep(_POLL_S)
        if self._alive() and self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
        self._lock = None
