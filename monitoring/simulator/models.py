"""What one simulated server does in one day: every series at each minute, drawn from a few shapes per role."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitoring.model import Labels
from monitoring.simulator import scenarios
from monitoring.simulator.servers import GIB, SimulatedServer
from monitoring.simulator.shapes import CYCLE, DAY, Floats, daily, noise, pick, weekday

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram in seconds: the Prometheus client libraries' defaults."""
_SHAPE = 3.0
"""Latencies are log-logistic with this shape: the share below b is 1 / (1 + (b / median) ^ -shape)."""
_MEAN_OF_MEDIAN = (np.pi / _SHAPE) / np.sin(np.pi / _SHAPE)
MAX_CONNECTIONS = 200.0


class Host(NamedTuple):
    """What the operating system shows, at each minute. Shares run from 0 to 1, rates are per second."""

    busy: Floats
    memory: Floats
    received: Floats
    sent: Floats
    disk: Floats
    """Used share of the second disk, where there is one."""
    iowait: Floats


class Sheet:
    """One day of one server under construction: rows of 1,441 minutes (both midnights)."""

    def __init__(self, server: SimulatedServer, seed: int, day: int) -> None:
        self.server = server
        self.seed = seed
        self.minutes = np.arange(day * DAY, (day + 1) * DAY + 1, dtype=np.int64)
        self.labels: list[Labels] = []
        self.points: list[Floats] = []
        self.counts: list[bool] = []
        """True for counters, whose points are what was added since midnight."""
        self.whole: list[bool] = []

    def noise(self, key: str, period: int = 10) -> Floats:
        """This server's own noise, -1 to 1."""
        return noise(self.minutes, f"{self.server.name}/{key}", self.seed, period)

    def wave(self, peak_hour: float = 14.0, weekend: float = 0.6) -> Floats:
        """The load that people make: 0.1 at night to about 1."""
        share = pick(f"{self.server.name}/share", self.seed, 0.8, 1.1)
        level = share * (0.12 + 0.88 * daily(self.minutes, peak_hour)) * weekday(self.minutes, weekend)
        return level * (1 + 0.06 * self.noise("load", 10) + 0.04 * self.noise("load", 2))

    def gauge(self, name: str, values: Floats | float, whole: bool = False, /, **labels: str) -> None:
        """A value that goes up and down."""
        self._add(name, np.broadcast_to(np.asarray(values, dtype=np.float64), self.minutes.shape), labels, False, whole)

    def counter(self, name: str, rate: Floats, whole: bool = True, /, **labels: str) -> None:
        """The integral of a rate per second. `whole`: it counts things, so a half one is not shown."""
        added = np.cumsum((rate[:-1] + rate[1:]) * 30.0)
        self._add(name, np.concatenate([[0.0], added]), labels, True, whole)

    def _add(self, name: str, points: Floats, labels: dict[str, str], counts: bool, whole: bool) -> None:
        self.labels.append({"__name__": name, **labels})
        self.points.append(points)
        self.counts.append(counts)
        self.whole.append(whole)


def sheet(server: SimulatedServer, seed: int, day: int) -> Sheet:
    """Everything that `server` shows on `day` (0 to 27) of the cycle."""
    page = Sheet(server, seed, day)
    roles = {"web": _web, "api": _api, "db": _db, "cache": _cache, "queue": _queue, "batch": _batch}
    _host(page, roles[server.role](page))
    return page


def _web(page: Sheet) -> Host:
    load, storm = page.wave(), scenarios.DB_SATURATION.strength(page.minutes)
    requests = 140.0 * load
    errors = 0.002 + 0.001 * page.noise("errors", 15) + 0.085 * storm
    _http(page, requests, errors, 0.012, (0.04 + 0.02 * load) * (1 + 4.0 * storm))
    busy = 0.06 + 0.45 * load + 0.02 * page.noise("cpu", 5)
    memory = 0.42 + 0.08 * load + 0.02 * page.noise("memory", 60)
    return Host(busy, memory, requests * 3_000, requests * 42_000, 0 * load, 0.004 + 0 * load)


def _api(page: Sheet) -> Host:
    load, storm = page.wave(), scenarios.DB_SATURATION.strength(page.minutes)
    requests = 210.0 * load
    errors = 0.001 + 0.0008 * page.noise("errors", 15) + 0.025 * storm
    _http(page, requests, errors, 0.02, (0.025 + 0.02 * load) * (1 + 14.0 * storm))
    memory = 0.46 + 0.07 * load + 0.015 * page.noise("memory", 60)
    if page.server.name == scenarios.MEMORY_LEAK.server:
        memory = memory + 0.42 * scenarios.MEMORY_LEAK.progress(page.minutes)
    busy = 0.07 + 0.5 * load - 0.12 * storm * load + 0.02 * page.noise("cpu", 5)
    return Host(busy, memory.clip(0, 0.975), requests * 9_000, requests * 14_000, 0 * load, 0.004 + 0 * load)


def _db(page: Sheet) -> Host:
    load, storm = page.wave(weekend=0.65), _here(page, scenarios.DB_SATURATION)
    commits = 420.0 * load * (1 - 0.55 * storm)
    active = 4 + 26 * load + 3 * page.noise("active", 5) + 150 * storm
    idle = (38 + 6 * page.noise("idle", 30)) * (1 - 0.6 * storm)
    for state, number in (("active", active), ("idle", idle)):
        page.gauge("pg_stat_activity_count", number.clip(0), True, datname="app", state=state)
    page.gauge("pg_stat_database_numbackends", (active + idle).clip(0), True, datname="app")
    page.gauge("pg_settings_max_connections", MAX_CONNECTIONS)
    page.gauge("pg_up", 1.0)
    page.counter("pg_stat_database_xact_commit", commits, datname="app")
    page.counter("pg_stat_database_xact_rollback", commits * (0.002 + 0.05 * storm), datname="app")
    page.counter("pg_stat_database_blks_hit", commits * 48, datname="app")
    page.counter("pg_stat_database_blks_read", commits * (0.5 + 2.5 * storm), datname="app")
    busy = 0.08 + 0.42 * load + 0.02 * page.noise("cpu", 5) + 0.45 * storm
    memory = 0.63 + 0.04 * load + 0.01 * page.noise("memory", 120)
    disk = 0.52 + 0.06 * _ramp(page, CYCLE) + 0.004 * page.noise("disk", 60)
    return Host(busy, memory, commits * 2_500, commits * 11_000, disk, 0.02 + 0.03 * load + 0.10 * storm)


def _cache(page: Sheet) -> Host:
    load = page.wave()
    reads = 2_600.0 * load
    share = 0.94 + 0.015 * page.noise("hits", 30) - 0.02 * load
    clients = 46 + 30 * load + 4 * page.noise("clients", 10)
    used = 0.55 + 0.12 * load + 0.02 * page.noise("memory", 60)
    page.gauge("redis_up", 1.0)
    page.gauge("redis_connected_clients", clients, True)
    page.counter("redis_keyspace_hits_total", reads * share)
    page.counter("redis_keyspace_misses_total", reads * (1 - share))
    page.counter("redis_commands_processed_total", reads * 1.3)
    page.gauge("redis_memory_used_bytes", used * 24 * GIB, True)
    page.gauge("redis_memory_max_bytes", 24 * GIB)
    busy = 0.05 + 0.3 * load + 0.015 * page.noise("cpu", 5)
    return Host(busy, 0.12 + 0.7 * used, reads * 900, reads * 3_200, 0 * load, 0.002 + 0 * load)


def _queue(page: Sheet) -> Host:
    load = page.wave(peak_hour=15.0)
    for queue, rate in (("orders", 60.0), ("mail", 25.0), ("exports", 4.0)):
        published = rate * load * (1 + 0.08 * page.noise(queue, 10))
        depth = 2 + published * (0.8 + 0.5 * page.noise(f"{queue}/depth", 15))
        page.gauge("rabbitmq_queue_messages", depth.clip(0), True, queue=queue)
        page.gauge("rabbitmq_queue_consumers", 4.0, queue=queue)
        page.counter("rabbitmq_queue_messages_published_total", published, queue=queue)
    busy = 0.05 + 0.22 * load + 0.015 * page.noise("cpu", 5)
    memory = 0.35 + 0.07 * load + 0.02 * page.noise("memory", 60)
    disk = 0.28 + 0.05 * load + 0.01 * page.noise("disk", 120)
    return Host(busy, memory, load * 320_000, load * 290_000, disk, 0.01 + 0.02 * load)


def _batch(page: Sheet) -> Host:
    load = page.wave(peak_hour=2.5, weekend=0.9)
    for task, rate in (("invoices", 0.05), ("reports", 0.02), ("cleanup", 0.004)):
        done = rate * load
        page.counter("batch_jobs_total", done * 0.985, task=task, status="success")
        page.counter("batch_jobs_total", done * 0.015, task=task, status="failed")
        seconds = (20 + 900 * rate) * (1 + 0.5 * load + 0.15 * page.noise(task, 30))
        page.gauge("batch_job_duration_seconds", seconds, task=task)
    page.gauge("batch_jobs_running", (6 * load + page.noise("running", 10)).clip(0), True)
    busy = 0.04 + 0.6 * load + 0.03 * page.noise("cpu", 5)
    memory = 0.3 + 0.22 * load + 0.03 * page.noise("memory", 60)
    disk = 0.44 + 0.02 * load + 0.005 * page.noise("disk", 60)
    if page.server.name == scenarios.DISK_FILL.server:
        disk = disk + 0.5 * scenarios.DISK_FILL.progress(page.minutes)
    return Host(busy, memory, load * 2.2e6, load * 1.4e6, disk, 0.02 + 0.06 * load)


def _here(page: Sheet, scenario: scenarios.Scenario) -> Floats:
    """The scenario's strength on the server where its cause is; 0 on others."""
    return scenario.strength(page.minutes) * float(page.server.name == scenario.server)


def _ramp(page: Sheet, period: int) -> Floats:
    """A slow saw tooth that rises for 95 % of its period, then falls."""
    phase = (page.minutes % period) / period
    return np.minimum(phase / 0.95, (1 - phase) / 0.05)


def _http(page: Sheet, requests: Floats, errors: Floats, missing: float, median_s: Floats) -> None:
    """Request counters by code and a latency histogram that add up to the same total rate."""
    errors = errors.clip(0, 1)
    for code, share in (("200", 1 - errors - missing), ("404", missing + 0 * errors), ("500", errors)):
        page.counter("http_requests_total", requests * share, code=code, method="GET")
    for bound in BUCKETS:
        below = 1 / (1 + (bound / median_s) ** -_SHAPE)
        page.counter("http_request_duration_seconds_bucket", requests * below, le=f"{bound:g}")
    page.counter("http_request_duration_seconds_bucket", requests, le="+Inf")
    page.counter("http_request_duration_seconds_sum", requests * median_s * _MEAN_OF_MEDIAN, False)
    page.counter("http_request_duration_seconds_count", requests)


def _host(page: Sheet, host: Host) -> None:
    server = page.server
    busy, iowait = host.busy.clip(0.01, 0.98), host.iowait.clip(0, 0.2)
    _cpu(page, busy, iowait)
    _memory(page, host.memory.clip(0.02, 0.99))
    _disks(page, host, iowait)
    for window, smooth in (("1", 2), ("5", 10), ("15", 30)):
        load = server.cores * busy * (1.05 + 0.08 * page.noise(f"load{window}", smooth)) + 4 * iowait
        page.gauge(f"node_load{window}", np.round(load, 2))
    page.counter("node_network_receive_bytes_total", host.received, device="eth0")
    page.counter("node_network_transmit_bytes_total", host.sent, device="eth0")
    page.gauge("node_netstat_Tcp_CurrEstab", 30 + 200 * busy, True)
    page.gauge("node_filefd_allocated", 1_200 + 3_000 * host.memory, True)
    names = {"nodename": server.name, "sysname": "Linux", "release": "6.1.0-simulated", "machine": "x86_64"}
    page.gauge("node_uname_info", 1.0, **names)


def _cpu(page: Sheet, busy: Floats, iowait: Floats) -> None:
    for cpu in range(page.server.cores):
        mine = (busy * (1 + 0.05 * page.noise(f"cpu{cpu}", 5))).clip(0.005, 0.99)
        waits = np.minimum(iowait, 1 - mine)
        shares = {"user": 0.72 * mine, "system": 0.28 * mine, "iowait": waits, "idle": 1 - mine - waits}
        for mode, share in shares.items():
            page.counter("node_cpu_seconds_total", share, False, cpu=str(cpu), mode=mode)


def _memory(page: Sheet, used: Floats) -> None:
    total = page.server.memory_bytes
    available = total * (1 - used)
    page.gauge("node_memory_MemTotal_bytes", total)
    page.gauge("node_memory_MemAvailable_bytes", available, True)
    for name, share in (("MemFree", 0.35), ("Cached", 0.55), ("Buffers", 0.08)):
        page.gauge(f"node_memory_{name}_bytes", available * share, True)
    page.gauge("node_memory_SwapTotal_bytes", 2 * GIB)
    page.gauge("node_memory_SwapFree_bytes", 2 * GIB * (1 - 0.3 * (used - 0.7).clip(0)), True)


def _disks(page: Sheet, host: Host, iowait: Floats) -> None:
    root = pick(f"{page.server.name}/root", page.seed, 0.3, 0.55) + 0.03 * _ramp(page, DAY)
    for (device, mountpoint, size), used in zip(page.server.disks, (root, host.disk), strict=False):
        place = {"device": device, "fstype": "ext4", "mountpoint": mountpoint}
        free = size * (1 - used.clip(0, 0.999))
        page.gauge("node_filesystem_size_bytes", size, **place)
        page.gauge("node_filesystem_avail_bytes", free, True, **place)
        page.gauge("node_filesystem_free_bytes", np.minimum(free + 0.001 * size, size), True, **place)
    read = 2e5 + 4e7 * iowait * (1 + 0.2 * page.noise("read", 5))
    page.counter("node_disk_read_bytes_total", read, device="sda")
    page.counter("node_disk_written_bytes_total", 3e5 + 0.6 * read, device="sda")
    page.counter("node_disk_io_time_seconds_total", (0.01 + 4 * iowait).clip(0, 1), False, device="sda")
