"""Where we run: cores, memory and the limits of a container; and the profile of the simulated fleet that fits there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

Stage = Literal["development", "staging", "production"]
STAGES: tuple[Stage, ...] = ("development", "staging", "production")
_UNLIMITED = 1 << 60
"""cgroup v1 writes a number beyond this where there is no limit."""
_CALLED: Mapping[str, Stage] = {"dev": "development", "stage": "staging", "prod": "production"}


@dataclass(frozen=True, slots=True)
class Profile:
    """How much a simulated fleet may cost."""

    name: str
    servers: int
    interval_s: float
    manner: Literal["aggressive", "balanced", "minimal"]
    cores: float
    """From how many cores on it is chosen by itself."""
    memory_bytes: float


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("local", 50, 5.0, "aggressive", 4.0, 8e9),
        Profile("premium", 20, 10.0, "balanced", 2.0, 2e9),
        Profile("basic", 6, 15.0, "minimal", 0.0, 0.0),
    )
}
"""From the largest to the smallest."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What was found. `cores` and `memory_bytes` are what we may use; the limits are None where there are none."""

    stage: Stage
    cores: float
    memory_bytes: float
    cpu_limit: float | None
    memory_limit_bytes: float | None
    container: bool

    def profile(self, wanted: str = "auto") -> Profile:
        """The profile of that name; with `auto` the largest that fits here.

        >>> Environment("development", 2.0, 4e9, None, None, False).profile().name
        'premium'
        """
        if wanted in PROFILES:
            return PROFILES[wanted]
        fitting = (p for p in PROFILES.values() if self.cores >= p.cores and self.memory_bytes >= p.memory_bytes)
        return next(fitting)


def detect(wanted: str = "auto", root: Path = Path("/"), names: Mapping[str, str] = os.environ) -> Environment:
    """This machine, or the container that we are in. `root` is where /sys and /proc are.

    Without `wanted` the stage is what the usual variables say (APP_ENV, ENVIRONMENT, NODE_ENV), else development.
    """
    cpu, memory = _cpu_limit(root), _memory_limit(root)
    cores = float(len(os.sched_getaffinity(0)))
    whole = float(psutil.virtual_memory().total)
    return Environment(
        _stage(wanted, names),
        cores if cpu is None else min(cores, cpu),
        whole if memory is None else min(whole, memory),
        cpu,
        memory,
        _contained(root, names),
    )


def _stage(wanted: str, names: Mapping[str, str]) -> Stage:
    for said in (wanted, *(names.get(name, "") for name in ("APP_ENV", "ENVIRONMENT", "NODE_ENV"))):
        word = _CALLED.get(said.lower(), said.lower())
        for stage in STAGES:
            if word == stage:
                return stage
    return "development"


def _contained(root: Path, names: Mapping[str, str]) -> bool:
    marks = (root / ".dockerenv", root / "run/.containerenv")
    return any(mark.exists() for mark in marks) or "KUBERNETES_SERVICE_HOST" in names


def _cpu_limit(root: Path) -> float | None:
    """Cores by the quota of cgroup v2, or of v1."""
    if words := _read(root / "sys/fs/cgroup/cpu.max").split():
        return _share(words[0], words[1]) if len(words) == 2 else None
    quota, period = (_read(root / f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))
    return _share(quota, period)


def _share(quota: str, period: str) -> float | None:
    """Quota over period; None where one of them is no limit (`max`, -1, nothing).

    >>> _share("150000", "100000"), _share("max", "100000")
    (1.5, None)
    """
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _memory_limit(root: Path) -> float | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read(root / "sys/fs/cgroup" / name)
        if text.isdigit() and int(text) < _UNLIMITED:
            return float(text)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
