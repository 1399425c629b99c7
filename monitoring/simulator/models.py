"""How one simulated server behaves, minute by minute: a few curves per role, drawn from shapes, habits and strain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from monitoring.simulator.kinds import Knob
from monitoring.simulator.scenarios import Strain
from monitoring.simulator.servers import Role, SimulatedServer
from monitoring.simulator.shapes import CYCLE, DAY, Floats, Minutes, daily, habit, noise, pick, wander, weekday

Curves = dict[str, Floats]
"""Name → value at each minute. Shares run from 0 to 1, rates are per second, times are seconds."""
LATENCY_SHAPE = 3.0
"""Latencies are log-logistic with this shape: the share below b is 1 / (1 + (b / median) ^ -shape)."""
MEAN_OF_MEDIAN = float((np.pi / LATENCY_SHAPE) / np.sin(np.pi / LATENCY_SHAPE))
QUEUES = (("orders", 60.0), ("mail", 25.0), ("exports", 4.0))
TASKS = (("invoices", 0.05), ("reports", 0.02), ("cleanup", 0.004))


@dataclass(frozen=True, slots=True)
class Hours:
    """One server over some minutes (counted from the epoch), under a strain."""

    server: SimulatedServer
    seed: int
    minutes: Minutes
    strain: Strain

    def noise(self, key: str, period: int = 10) -> Floats:
        """This server's own noise, -1 to 1."""
        return noise(self.minutes, f"{self.server.name}/{key}", self.seed, period)

    def wander(self, key: str) -> Floats:
        """This server's own noise with a memory."""
        return wander(self.minutes, f"{self.server.name}/{key}", self.seed)

    def pick(self, key: str, low: float, high: float) -> float:
        """A fixed number of this server."""
        return pick(f"{self.server.name}/{key}", self.seed, low, high)

    def turned(self, knob: Knob) -> Floats:
        """How far a failure turns a knob; 0 without one."""
        return self.strain.get(knob, np.zeros(len(self.minutes)))

    def load(self, peak_hour: float = 14.0, weekend: float = 0.6) -> Floats:
        """The load that people make: 0.1 at night to about 1, more in a surge."""
        level = self.pick("share", 0.8, 1.1) * (0.12 + 0.88 * daily(self.minutes, peak_hour))
        level = level * weekday(self.minutes, weekend) * (1 + 0.09 * self.wander("load"))
        return np.asarray(level * (1 + self.turned("traffic"))).clip(0.0)

    def habit(self, key: str, hour: float, length: int, weekday_only: int | None = None) -> Floats:
        """1 while a job of this server's cron runs; each server has its own few minutes."""
        shift = self.pick(f"{key}/shift", -0.15, 0.15)
        return habit(self.minutes, hour + shift, length, self.seed, f"{self.server.name}/{key}", weekday_only)


def behave(hours: Hours) -> Curves:
    """All curves of a server."""
    curves = _ROLES[hours.server.role](hours)
    turned, server = hours.turned, hours.server.name
    kept = 1 - turned("loss").clip(0, 0.95)
    rotation = hours.habit("logrotate", 0.2, 5)
    curves["steal"] = (0.004 + 0.003 * hours.noise("steal", 5) + turned("steal")).clip(0, 0.6)
    curves["busy"] = (curves["busy"] + turned("cpu") + 0.05 * rotation).clip(0.01, 0.98 - curves["steal"])
    waits = curves["iowait"] + turned("iowait") + 0.04 * rotation
    curves["iowait"] = np.minimum(waits.clip(0, 0.25), 1 - curves["busy"] - curves["steal"])
    curves["memory"] = (curves["memory"] + turned("memory")).clip(0.02, 0.975)
    root = hours.pick("root", 0.3, 0.55) + 0.04 * _ramp(hours.minutes, DAY)
    curves["root"] = root.clip(0, 0.97)
    if len(hours.server.disks) > 1:
        curves["disk"] = (curves["disk"] + turned("disk")).clip(0, 0.985)
    else:
        curves["root"] = (root + turned("disk")).clip(0, 0.985)
    packets = (curves["received"] + curves["sent"]) / 900
    curves["net_errors"] = packets * turned("loss") * 0.05
    curves["retransmits"] = (0.2 + 0.1 * noise(hours.minutes, f"{server}/tcp", hours.seed, 10)) + packets * (
        0.04 * turned("loss")
    )
    curves["received"], curves["sent"] = curves["received"] * kept, curves["sent"] * kept
    return curves


def _web(hours: Hours) -> Curves:
    load = hours.load()
    curves = _http(hours, 140.0 * load, 0.002, 0.012, 0.04 + 0.02 * load)
    curves["load"] = load
    curves["users"] = load * 210 * (1 + 0.05 * hours.wander("users")) * (1 - 1.5 * hours.turned("errors")).clip(0)
    curves["busy"] = 0.06 + 0.45 * load + 0.025 * hours.wander("cpu")
    curves["memory"] = 0.42 + 0.08 * load + 0.02 * hours.wander("memory")
    curves["received"], curves["sent"] = curves["requests"] * 3_000, curves["requests"] * 42_000
    curves["iowait"] = 0.004 + 0 * load
    return curves


def _api(hours: Hours) -> Curves:
    load, errors = hours.load(), hours.turned("errors")
    curves = _http(hours, 210.0 * load, 0.001, 0.02, 0.025 + 0.02 * load)
    curves["load"] = load
    curves["pool"] = (6 + 22 * load + 2 * hours.noise("pool", 5) + 1.4 * hours.turned("latency")).clip(0, 60)
    curves["orders"] = 38 * load * (1 + 0.06 * hours.wander("orders")) * (1 - 5 * errors).clip(0)
    waiting = 0.03 * hours.turned("latency").clip(0, 4)
    curves["busy"] = 0.07 + 0.5 * load * (1 - waiting) + 0.025 * hours.wander("cpu")
    curves["memory"] = 0.46 + 0.07 * load + 0.015 * hours.wander("memory")
    curves["received"], curves["sent"] = curves["requests"] * 9_000, curves["requests"] * 14_000
    curves["iowait"] = 0.004 + 0 * load
    return curves


def _db(hours: Hours) -> Curves:
    load, full = hours.load(weekend=0.65), hours.turned("connections")
    backup, tidy = hours.habit("backup", 2.5, 35), hours.habit("vacuum", 4.0, 50, weekday_only=6)
    commits = 420.0 * load
    return {
        "load": load,
        "commits": commits,
        "rollbacks": commits * (0.002 + hours.turned("errors")),
        "hits": commits * 48,
        "reads": commits * (0.5 + 2.5 * full) + 9_000 * backup + 5_000 * tidy,
        "active": (4 + 26 * load + 3 * hours.noise("active", 5) + 150 * full).clip(0),
        "idle": ((38 + 6 * hours.noise("idle", 30)) * (1 - 0.6 * full)).clip(0),
        "busy": 0.08 + 0.42 * load + 0.025 * hours.wander("cpu") + 0.12 * backup + 0.22 * tidy,
        "memory": 0.63 + 0.04 * load + 0.01 * hours.wander("memory") + 0.03 * tidy,
        "received": commits * 2_500,
        "sent": commits * 11_000 + 4.5e7 * backup,
        "disk": 0.52 + 0.06 * _ramp(hours.minutes, CYCLE) + 0.004 * hours.wander("disk") + 0.02 * backup,
        "iowait": 0.02 + 0.03 * load + 0.07 * backup + 0.04 * tidy,
    }


def _cache(hours: Hours) -> Curves:
    load, full = hours.load(), hours.turned("connections")
    reads = 2_600.0 * load
    share = (0.94 + 0.02 * hours.wander("hits") - 0.02 * load).clip(0, 0.999)
    used = 0.55 + 0.12 * load + 0.02 * hours.wander("memory")
    dump = hours.habit("dump", 5.0, 8)
    return {
        "load": load,
        "commands": reads * 1.3,
        "hits": reads * share,
        "misses": reads * (1 - share),
        "clients": 46 + 30 * load + 4 * hours.noise("clients", 10) + 150 * full,
        "used": used,
        "evicted": 2.5 * (used - 0.6).clip(0) * load,
        "busy": 0.05 + 0.3 * load + 0.015 * hours.wander("cpu") + 0.1 * dump,
        "memory": 0.12 + 0.7 * used + 0.06 * dump,
        "received": reads * 900,
        "sent": reads * 3_200,
        "iowait": 0.002 + 0.03 * dump + 0 * load,
    }


def _queue(hours: Hours) -> Curves:
    load = hours.load(peak_hour=15.0)
    compaction = hours.habit("compaction", 4.3, 12)
    curves: Curves = {
        "load": load,
        "busy": 0.05 + 0.22 * load + 0.015 * hours.wander("cpu") + 0.06 * compaction,
        "memory": 0.35 + 0.07 * load + 0.02 * hours.wander("memory"),
        "received": load * 320_000,
        "sent": load * 290_000,
        "disk": 0.28 + 0.05 * load + 0.01 * hours.wander("disk"),
        "iowait": 0.01 + 0.02 * load + 0.06 * compaction,
    }
    for queue, rate in QUEUES:
        published = rate * load * (1 + 0.08 * hours.noise(queue, 10))
        depth = 2 + published * (0.8 + 0.5 * hours.noise(f"{queue}/depth", 15)) + 700 * hours.turned("loss")
        curves |= {f"published/{queue}": published, f"depth/{queue}": depth.clip(0)}
    return curves


def _batch(hours: Hours) -> Curves:
    load = hours.load(peak_hour=2.5, weekend=0.9)
    nightly = hours.habit("nightly", 1.0, 80)
    curves: Curves = {
        "load": load,
        "running": (6 * load + 3 * nightly + hours.noise("running", 10)).clip(0),
        "busy": 0.04 + 0.52 * load + 0.03 * hours.wander("cpu") + 0.12 * nightly,
        "memory": 0.3 + 0.2 * load + 0.03 * hours.wander("memory") + 0.04 * nightly,
        "received": load * 2.2e6,
        "sent": load * 1.4e6,
        "disk": 0.44 + 0.02 * load + 0.005 * hours.wander("disk"),
        "iowait": 0.02 + 0.06 * load,
    }
    for task, rate in TASKS:
        seconds = (20 + 900 * rate) * (1 + 0.5 * load + 0.15 * hours.noise(task, 30))
        curves |= {f"done/{task}": rate * load, f"seconds/{task}": seconds}
    return curves


_ROLES: Mapping[Role, Callable[[Hours], Curves]] = {
    "web": _web,
    "api": _api,
    "db": _db,
    "cache": _cache,
    "queue": _queue,
    "batch": _batch,
}


def _http(hours: Hours, requests: Floats, errors: float, missing: float, median_s: Floats) -> Curves:
    """Requests, their errors and how long they take. Errors have calm noise, so that a quiet night stays quiet."""
    usual = errors * (1 + 0.4 * hours.noise("errors", 15))
    return {
        "requests": requests,
        "errors": (usual + hours.turned("errors")).clip(0, 1),
        "missing": missing + 0 * requests,
        "latency": median_s * (1 + 0.05 * hours.wander("latency")) * (1 + hours.turned("latency").clip(0)),
    }


def _ramp(minutes: Minutes, period: int) -> Floats:
    """A slow saw tooth that rises for 95 % of its period, then falls."""
    phase = (minutes % period) / period
    return np.minimum(phase / 0.95, (1 - phase) / 0.05)
