"""The rule files that a setting names, read again when they change; what is wrong in them stands in `problems`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitoring.errors import BadRule
from monitoring.rules import RuleGroup, read_groups

log = logging.getLogger(__name__)
Stamp = tuple[int, int, int]


class RuleFiles:
    """The groups of all files. A file that cannot be read any more keeps the groups it had."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """`patterns` are paths, with `*`, `?` and `**` where several files are meant."""
        self._patterns = tuple(patterns)
        self._stamps: dict[Path, Stamp] = {}
        self._groups: dict[Path, list[RuleGroup]] = {}
        self._problems: dict[Path, list[BadRule]] = {}
        self._missing: list[BadRule] = []

    @property
    def problems(self) -> list[BadRule]:
        """What cannot be used, as of the last reading."""
        return [*self._missing, *(one for path in sorted(self._problems) for one in self._problems[path])]

    def current(self) -> list[RuleGroup]:
        """The groups as of now, by file; costs a `stat` of each file where nothing changed."""
        paths, self._missing = _found(self._patterns)
        for path in self._groups.keys() - paths.keys():
            log.info("rules.gone file=%s", path)
            for known in (self._groups, self._problems, self._stamps):
                known.pop(path, None)
        for path, stamp in paths.items():
            if self._stamps.get(path) != stamp:
                self._stamps[path] = stamp
                self._read(path)
        return [group for path in sorted(self._groups) for group in self._groups[path]]

    def _read(self, path: Path) -> None:
        try:
            self._groups[path], self._problems[path] = read_groups(path)
        except BadRule as error:
            self._groups.setdefault(path, [])
            self._problems[path] = [error]
        for problem in self._problems[path]:
            log.warning("rules.broken error=%s", problem)
        log.info("rules.read file=%s groups=%d", path, len(self._groups[path]))


def _found(patterns: Iterable[str]) -> tuple[dict[Path, Stamp], list[BadRule]]:
    """The files there are with what changes when they do, and the patterns that lead to none."""
    paths: dict[Path, Stamp] = {}
    missing = []
    for pattern in patterns:
        whole = Path(pattern).expanduser().absolute()
        found = sorted(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))
        stamps = {path: stamp for path in found if (stamp := _look(path)) is not None}
        if not stamps:
            missing.append(BadRule(pattern, None, None, "there is no such file; check the path"))
        paths |= stamps
    return paths, missing


def _look(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if path.is_file() else None
