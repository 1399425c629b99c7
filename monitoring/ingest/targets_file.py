"""The file of targets, followed while we run, with what its groups discover by files and by DNS.

The file is Prometheus' file_sd format in JSON, the same in TOML, or a `prometheus.yml`:

    [[group]]
    targets = ["db-01:9100", "https://db-02:9443/metrics"]
    labels = { job = "node", role = "db" }
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitoring.errors import BadSetting
from monitoring.ingest.dns_names import Names, Resolve
from monitoring.ingest.groups import Entry, Job, a_list, entries_of, job
from monitoring.ingest.prometheus_yml import jobs, read_yaml
from monitoring.ingest.targets import DroppedTarget, Target

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
_YAML = (".yml", ".yaml")


def read_jobs(path: Path) -> list[Job]:
    """The groups of a JSON, TOML or YAML file. Raises BadSetting, naming the file and the place in it."""
    raw = _read(path)
    if path.suffix in _YAML and not isinstance(raw, list):
        return jobs(path, raw)
    if path.suffix == ".toml":
        if other := raw.keys() - {"group"}:
            raise BadSetting(f"targets file '{path}': '{min(other)}' is not known; write [[group]]")
        raw = raw.get("group", [])
    return [job(path, f"group {number}", one) for number, one in enumerate(a_list(path, raw), 1)]


class TargetsFile:
    """The targets of one file, read again when it changes. A file that breaks later keeps the targets it had."""

    def __init__(self, path: Path, resolve: Resolve | None = None) -> None:
        """Reads the file at once: a broken one raises BadSetting here. `resolve` asks DNS (default: the system's)."""
        self.path = path
        self.problem: str | None = None
        self.dropped: tuple[DroppedTarget, ...] = ()
        self.names = Names(resolve)
        self._files: dict[str, _EntriesFile] = {}
        self._stamp = look(path)
        self._jobs = read_jobs(path)
        self._targets: tuple[Target, ...] = ()
        self._seen: object = None
        self._assemble(strict=True)

    def current(self) -> tuple[Target, ...]:
        """The targets as of now; costs a `stat` of each file where nothing changed."""
        stamp = look(self.path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._reload()
        self._assemble()
        return self._targets

    async def run(self) -> None:
        """Asks DNS for the names of the groups until cancelled."""
        await self.names.run(lambda: [query for one in self._jobs for query in one.names])

    def _reload(self) -> None:
        before = self._jobs
        try:
            self._jobs = read_jobs(self.path)
            self._assemble(strict=True)
        except BadSetting as error:
            self._jobs = before
            self.problem = str(error)
            log.warning("targets.broken file=%s kept=%d error=%s", self.path, len(self._targets), error)
            return
        self.problem = None
        log.info("targets.reloaded file=%s targets=%d", self.path, len(self._targets))

    def _assemble(self, *, strict: bool = False) -> None:
        """Makes the targets anew where something changed. `strict`: an address of the file itself must be sound."""
        found = [(one, self._discovered(one)) for one in self._jobs]
        seen = [entries for _, entries in found]
        if seen == self._seen and not strict:
            return
        made: list[Target | DroppedTarget] = []
        for one, entries in found:
            made += one.make(one.entries)
            for entry in entries:
                try:
                    made += one.make([entry])
                except BadSetting as error:
                    log.warning("targets.discovered_broken address=%s error=%s", entry[0], error)
        self._targets = tuple(dict.fromkeys(target for target in made if isinstance(target, Target)))
        self.dropped = tuple(target for target in made if isinstance(target, DroppedTarget))
        self._seen = seen

    def _discovered(self, one: Job) -> list[Entry]:
        entries = [entry for query in one.names for entry in self.names.found(query)]
        for pattern in one.globs:
            for path in sorted(Path(Path(pattern).anchor).glob(str(Path(pattern).relative_to(Path(pattern).anchor)))):
                file = self._files.setdefault(str(path), _EntriesFile(path))
                entries += file.current()
        return entries


class _EntriesFile:
    """One file that a glob found. While it is broken, what it said before stands."""

    def __init__(self, path: Path) -> None:
        self.stamp: Stamp = None
        self._path = path
        self._entries: list[Entry] = []

    def current(self) -> Sequence[Entry]:
        stamp = look(self._path)
        if stamp != self.stamp:
            self.stamp = stamp
            try:
                meta = {"__meta_filepath": str(self._path)}
                found = entries_of(self._path, _read(self._path))
                self._entries = [(address, {**labels, **meta}) for address, labels in found]
            except BadSetting as error:
                log.warning("targets.broken file=%s kept=%d error=%s", self._path, len(self._entries), error)
        return self._entries


def look(path: Path) -> Stamp:
    """What changes when the file does; None where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix in _YAML:
            return read_yaml(path, text)
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise BadSetting(f"targets file '{path}': {error.strerror}") from None
    except ValueError as error:  # JSON, TOML and UTF-8 errors, each with its place
        raise BadSetting(f"targets file '{path}': {error}") from None
