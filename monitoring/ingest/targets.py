"""What is scraped: targets from the command line and from a file that may change while we run.

The file is Prometheus' file_sd format in JSON, or the same in TOML:

    [[group]]
    targets = ["db-01:9100", "https://db-02:9443/metrics"]
    labels = { job = "node", role = "db" }
"""

from __future__ import annotations

import json
import logging
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from monitoring.errors import BadSetting
from monitoring.model import LabelKey, Labels, label_key

log = logging.getLogger(__name__)

JOB = "scrape"
"""The job of targets that name none."""
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Target:
    """One page to scrape, and the labels that every sample of it gets (`job` and `instance` among them)."""

    url: str
    labels_key: LabelKey

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.labels_key)


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """How a target is doing. Times are Unix seconds, None before the first scrape."""

    target: Target
    health: Literal["up", "down", "unknown"] = "unknown"
    last_error: str = ""
    last_scrape: float | None = None
    last_duration_s: float = 0.0
    samples: int = 0
    interval_s: float = 0.0
    timeout_s: float = 0.0


def target(address: str, labels: Labels | None = None) -> Target:
    """The target at `HOST:PORT[/path]` or at a whole URL. Labels that begin with `__` steer, as in Prometheus.

    Raises BadSetting where no port and no scheme is given, or where the address is none.

    >>> target("db-01:9100").url, target("db-01:9100", {"role": "db"}).labels
    ('http://db-01:9100/metrics', {'instance': 'db-01:9100', 'job': 'scrape', 'role': 'db'})
    """
    given = dict(labels or {})
    scheme = given.get("__scheme__", "http")
    whole = "://" in address
    try:
        parts = urlsplit(address if whole else f"{scheme}://{address}")
        port = parts.port
    except ValueError as error:
        raise BadSetting(f"target '{address}': {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", address):
        raise BadSetting(f"target '{address}' is not HOST:PORT[/path] or an http or https URL")
    if port is None and not whole:
        raise BadSetting(f"target '{address}' has no port; write {address.partition('/')[0]}:9100 for a node_exporter")
    place = parts.netloc.rpartition("@")[2]
    instance = place if port is not None else f"{place}:{443 if parts.scheme == 'https' else 80}"
    path = parts.path if parts.path not in ("", "/") else given.get("__metrics_path__", "/metrics")
    url = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{parts.query}" if parts.query else "")
    own = {name: value for name, value in given.items() if not name.startswith("__") and value}
    return Target(url, label_key({"job": JOB, "instance": instance} | own))


class _Group(BaseModel):
    """One entry of a targets file."""

    model_config = ConfigDict(extra="forbid")
    targets: list[str]
    labels: dict[str, str] = {}


def read_targets(path: Path) -> tuple[Target, ...]:
    """The targets in a JSON or TOML file. Raises BadSetting, naming the file and the place in it."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise BadSetting(f"targets file '{path}': {error.strerror}") from None
    except ValueError as error:  # JSON, TOML and UTF-8 errors, each with its place
        raise BadSetting(f"targets file '{path}': {error}") from None
    found: dict[Target, None] = {}
    for place, group in _groups(path, raw):
        try:
            found.update(dict.fromkeys(target(address, group.labels) for address in group.targets))
        except BadSetting as error:
            raise BadSetting(f"targets file '{path}', {place}: {error}") from None
    return tuple(found)


def _groups(path: Path, raw: Any) -> list[tuple[str, _Group]]:
    entries = raw
    if path.suffix == ".toml":
        if other := raw.keys() - {"group"}:
            raise BadSetting(f"targets file '{path}': '{min(other)}' is not known; write [[group]]")
        entries = raw.get("group", [])
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise BadSetting(f"targets file '{path}': a list of groups is expected")
    groups = []
    for number, entry in enumerate(entries, 1):
        try:
            group = _Group.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the entry"
            raise BadSetting(f"targets file '{path}', group {number}: {place}: {first['msg']}") from None
        for name in group.labels:
            if not _LABEL_NAME.fullmatch(name):
                raise BadSetting(f"targets file '{path}', group {number}: '{name}' is not a label name")
        groups.append((f"group {number}", group))
    return groups


class TargetsFile:
    """The targets of one file, read again when it changes. A file that breaks later keeps the targets it had."""

    def __init__(self, path: Path) -> None:
        """Reads the file at once: a broken one raises BadSetting here."""
        self.path = path
        self.problem: str | None = None
        self._stamp = self._look()
        self._targets = read_targets(path)

    def current(self) -> tuple[Target, ...]:
        """The targets as of now; costs one `stat` where nothing changed."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._reload()
        return self._targets

    def _reload(self) -> None:
        try:
            self._targets = read_targets(self.path)
        except BadSetting as error:
            self.problem = str(error)
            log.warning("targets.broken file=%s kept=%d error=%s", self.path, len(self._targets), error)
            return
        self.problem = None
        log.info("targets.reloaded file=%s targets=%d", self.path, len(self._targets))

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
