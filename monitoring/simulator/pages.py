"""One day of one server as its exporters would show it: every series at each minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from monitoring.model import Labels
from monitoring.simulator.models import LATENCY_SHAPE, MEAN_OF_MEDIAN, QUEUES, TASKS, Curves, Hours, behave
from monitoring.simulator.registry import MetricSpec
from monitoring.simulator.servers import GIB, Role
from monitoring.simulator.shapes import Floats

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram in seconds: the Prometheus client libraries' defaults."""
MAX_CONNECTIONS = 200.0


class Sheet:
    """What one server shows in one day, under construction: rows of 1,441 minutes (both midnights)."""

    def __init__(self, hours: Hours) -> None:
        self.hours = hours
        self.server = hours.server
        self.labels: list[Labels] = []
        self.points: list[Floats] = []
        self.counts: list[bool] = []
        """True for counters, whose points are what was added since midnight."""
        self.whole: list[bool] = []

    def gauge(self, name: str, values: Floats | float, whole: bool = False, /, **labels: str) -> None:
        """A value that goes up and down."""
        shape = self.hours.minutes.shape
        self._add(name, np.broadcast_to(np.asarray(values, dtype=np.float64), shape), labels, False, whole)

    def counter(self, name: str, rate: Floats, whole: bool = True, /, **labels: str) -> None:
        """The integral of a rate per second. `whole`: it counts things, so a half one is not shown."""
        added = np.cumsum((rate[:-1] + rate[1:]) * 30.0)
        self._add(name, np.concatenate([[0.0], added]), labels, True, whole)

    def _add(self, name: str, points: Floats, labels: dict[str, str], counts: bool, whole: bool) -> None:
        self.labels.append({"__name__": name, **labels})
        self.points.append(points)
        self.counts.append(counts)
        self.whole.append(whole)


def sheet(hours: Hours, registry: Sequence[MetricSpec] = (), calls: Sequence[str] = ()) -> Sheet:
    """Everything that a server shows; `calls` are the servers that it depends on."""
    page, curves = Sheet(hours), behave(hours)
    _ROLES[hours.server.role](page, curves)
    _host(page, curves)
    for spec in registry:
        if spec.shown_by(hours.server):
            show = page.counter if spec.kind == "counter" else page.gauge
            show(spec.name, spec.values(hours, curves), spec.whole, **spec.labels)
    for other in calls:
        page.gauge("server_depends_on", 1.0, on=other)
    return page


def _web(page: Sheet, curves: Curves) -> None:
    _http(page, curves)
    page.gauge("active_users", curves["users"], True)


def _api(page: Sheet, curves: Curves) -> None:
    _http(page, curves)
    page.gauge("db_pool_connections", curves["pool"], True, state="used")
    page.gauge("db_pool_connections_max", 60.0)
    page.gauge("orders_per_minute", curves["orders"])


def _db(page: Sheet, curves: Curves) -> None:
    for state in ("active", "idle"):
        page.gauge("pg_stat_activity_count", curves[state], True, datname="app", state=state)
    page.gauge("pg_stat_database_numbackends", curves["active"] + curves["idle"], True, datname="app")
    page.gauge("pg_settings_max_connections", MAX_CONNECTIONS)
    page.gauge("pg_up", 1.0)
    for name, curve in (("xact_commit", "commits"), ("xact_rollback", "rollbacks")):
        page.counter(f"pg_stat_database_{name}", curves[curve], datname="app")
    for name, curve in (("blks_hit", "hits"), ("blks_read", "reads")):
        page.counter(f"pg_stat_database_{name}", curves[curve], datname="app")


def _cache(page: Sheet, curves: Curves) -> None:
    page.gauge("redis_up", 1.0)
    page.gauge("redis_connected_clients", curves["clients"], True)
    page.counter("redis_keyspace_hits_total", curves["hits"])
    page.counter("redis_keyspace_misses_total", curves["misses"])
    page.counter("redis_commands_processed_total", curves["commands"])
    page.counter("redis_evicted_keys_total", curves["evicted"])
    page.gauge("redis_memory_used_bytes", curves["used"] * 24 * GIB, True)
    page.gauge("redis_memory_max_bytes", 24 * GIB)


def _queue(page: Sheet, curves: Curves) -> None:
    for queue, _ in QUEUES:
        page.gauge("rabbitmq_queue_messages", curves[f"depth/{queue}"], True, queue=queue)
        page.gauge("rabbitmq_queue_consumers", 4.0, queue=queue)
        page.counter("rabbitmq_queue_messages_published_total", curves[f"published/{queue}"], queue=queue)


def _batch(page: Sheet, curves: Curves) -> None:
    for task, _ in TASKS:
        page.counter("batch_jobs_total", curves[f"done/{task}"] * 0.985, task=task, status="success")
        page.counter("batch_jobs_total", curves[f"done/{task}"] * 0.015, task=task, status="failed")
        page.gauge("batch_job_duration_seconds", curves[f"seconds/{task}"], task=task)
    page.gauge("batch_jobs_running", curves["running"], True)


_ROLES: Mapping[Role, Callable[[Sheet, Curves], None]] = {
    "web": _web,
    "api": _api,
    "db": _db,
    "cache": _cache,
    "queue": _queue,
    "batch": _batch,
}


def _http(page: Sheet, curves: Curves) -> None:
    """Request counters by code and a latency histogram that add up to the same total rate."""
    requests, errors, missing, median_s = (curves[name] for name in ("requests", "errors", "missing", "latency"))
    for code, share in (("200", (1 - errors - missing).clip(0)), ("404", missing), ("500", errors)):
        page.counter("http_requests_total", requests * share, code=code, method="GET")
    cubed = median_s * median_s * median_s
    for bound in BUCKETS:
        below = 1 / (1 + cubed * bound**-LATENCY_SHAPE)
        page.counter("http_request_duration_seconds_bucket", requests * below, le=f"{bound:g}")
    page.counter("http_request_duration_seconds_bucket", requests, le="+Inf")
    page.counter("http_request_duration_seconds_sum", requests * median_s * MEAN_OF_MEDIAN, False)
    page.counter("http_request_duration_seconds_count", requests)


def _host(page: Sheet, curves: Curves) -> None:
    _cpu(page, curves)
    _memory(page, curves["memory"])
    _disks(page, curves)
    for window, smooth in (("1", 2), ("5", 10), ("15", 30)):
        load = page.server.cores * curves["busy"] * (1.05 + 0.08 * page.hours.noise(f"load{window}", smooth))
        page.gauge(f"node_load{window}", np.round(load + 4 * curves["iowait"], 2))
    page.counter("node_network_receive_bytes_total", curves["received"], device="eth0")
    page.counter("node_network_transmit_bytes_total", curves["sent"], device="eth0")
    page.counter("node_network_receive_errs_total", curves["net_errors"], device="eth0")
    page.counter("node_netstat_Tcp_RetransSegs", curves["retransmits"])
    page.gauge("node_netstat_Tcp_CurrEstab", 30 + 200 * curves["busy"], True)
    page.gauge("node_filefd_allocated", 1_200 + 3_000 * curves["memory"], True)
    names = {"nodename": page.server.name, "sysname": "Linux", "release": "6.1.0-simulated", "machine": "x86_64"}
    page.gauge("node_uname_info", 1.0, **names)


def _cpu(page: Sheet, curves: Curves) -> None:
    for cpu in range(page.server.cores):
        mine = (curves["busy"] * (1 + 0.05 * page.hours.noise(f"cpu{cpu}", 5))).clip(0.005, 0.99)
        stolen = np.minimum(curves["steal"], 1 - mine)
        waits = np.minimum(curves["iowait"], 1 - mine - stolen)
        shares = {"user": 0.72 * mine, "system": 0.28 * mine, "steal": stolen, "iowait": waits}
        for mode, share in (shares | {"idle": 1 - mine - stolen - waits}).items():
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


def _disks(page: Sheet, curves: Curves) -> None:
    for (device, mountpoint, size), name in zip(page.server.disks, ("root", "disk"), strict=False):
        place = {"device": device, "fstype": "ext4", "mountpoint": mountpoint}
        free = size * (1 - curves[name].clip(0, 0.999))
        page.gauge("node_filesystem_size_bytes", size, **place)
        page.gauge("node_filesystem_avail_bytes", free, True, **place)
        page.gauge("node_filesystem_free_bytes", np.minimum(free + 0.001 * size, size), True, **place)
    read = 2e5 + 4e7 * curves["iowait"] * (1 + 0.2 * page.hours.noise("read", 5))
    page.counter("node_disk_read_bytes_total", read, device="sda")
    page.counter("node_disk_written_bytes_total", 3e5 + 0.6 * read, device="sda")
    page.counter("node_disk_io_time_seconds_total", (0.01 + 4 * curves["iowait"]).clip(0, 1), False, device="sda")
