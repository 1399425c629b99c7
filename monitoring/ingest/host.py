"""This machine, read by psutil and reported under node_exporter's metric names.

Nothing downstream can tell the difference from a scraped node_exporter: the labels are `job="node"` and
`instance="<hostname>:9100"`. What the platform does not offer is left out.
"""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psutil

from monitoring.model import Batch

JOB = "node"
Row = tuple[str, dict[str, str], float]
"""Metric, labels, value."""

_CPU_MODES = {"interrupt": "irq", "dpc": "softirq", "guest": None, "guest_nice": None}
"""psutil's names where they differ from node_exporter's modes. Guest time is part of user time already."""
_MEMINFO = ("MemTotal", "MemAvailable", "MemFree", "Buffers", "Cached", "SwapTotal", "SwapFree")
_PARTITION = re.compile(r"(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+")
"""Block devices that node_exporter leaves out by default: parts of disks that are counted as a whole."""


def collect(now: float) -> Batch:
    """One sample of everything this machine tells, at `now` (Unix seconds). Blocks for some milliseconds."""
    common = {"instance": instance(), "job": JOB}
    rows: list[Row] = [("up", {}, 1.0), ("node_time_seconds", {}, now)]
    for read in _READERS:
        rows.extend(read())
    return Batch.at(now, [({"__name__": name, **labels, **common}, value) for name, labels, value in rows])


@cache
def instance() -> str:
    """The name that this machine goes by: its host name, with node_exporter's port."""
    return f"{socket.gethostname()}:9100"


def _cpu() -> Iterator[Row]:
    for cpu, times in enumerate(psutil.cpu_times(percpu=True)):
        for field, seconds in times._asdict().items():
            if mode := _CPU_MODES.get(field, field):
                yield "node_cpu_seconds_total", {"cpu": str(cpu), "mode": mode}, seconds


def _memory() -> Iterator[Row]:
    for name, value in (_meminfo() or _memory_by_psutil()).items():
        yield f"node_memory_{name}_bytes", {}, value


def _meminfo() -> dict[str, float]:
    """The kernel's own figures in bytes; empty where there is no /proc/meminfo."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return {name: float(fields[name][0]) * 1024 for name in _MEMINFO if name in fields}


def _memory_by_psutil() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    found = {"MemTotal": memory.total, "MemAvailable": memory.available, "MemFree": memory.free}
    return {name: float(value) for name, value in (found | {"SwapTotal": swap.total, "SwapFree": swap.free}).items()}


def _filesystems() -> Iterator[Row]:
    """Each real filesystem once, at its shortest mount point, so that bind mounts do not repeat it."""
    seen: set[str] = set()
    for part in sorted(psutil.disk_partitions(all=False), key=lambda part: len(part.mountpoint)):
        if part.device in seen or not Path(part.mountpoint).is_dir():
            continue
        try:
            size, avail, free = _space(part.mountpoint)
        except OSError:  # a drive without a disk, a mount that we may not look into
            continue
        seen.add(part.device)
        labels = {"device": part.device, "fstype": part.fstype, "mountpoint": part.mountpoint}
        yield "node_filesystem_size_bytes", labels, size
        yield "node_filesystem_avail_bytes", labels, avail
        yield "node_filesystem_free_bytes", labels, free


def _space(mountpoint: str) -> tuple[float, float, float]:
    """Size, bytes that users may still fill, free bytes."""
    if not hasattr(os, "statvfs"):
        usage = psutil.disk_usage(mountpoint)
        return usage.total, usage.free, usage.free
    found = os.statvfs(mountpoint)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_bfree * found.f_frsize


def _network() -> Iterator[Row]:
    for device, counters in psutil.net_io_counters(pernic=True).items():
        yield "node_network_receive_bytes_total", {"device": device}, counters.bytes_recv
        yield "node_network_transmit_bytes_total", {"device": device}, counters.bytes_sent


def _disks() -> Iterator[Row]:
    for device, counters in (psutil.disk_io_counters(perdisk=True) or {}).items():
        if _PARTITION.fullmatch(device):
            continue
        labels = {"device": device}
        yield "node_disk_read_bytes_total", labels, counters.read_bytes
        yield "node_disk_written_bytes_total", labels, counters.write_bytes
        if hasattr(counters, "busy_time"):
            yield "node_disk_io_time_seconds_total", labels, counters.busy_time / 1000


def _system() -> Iterator[Row]:
    for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
        yield f"node_load{minutes}", {}, load
    yield "node_boot_time_seconds", {}, psutil.boot_time()
    name = platform.uname()
    labels = {"nodename": name.node, "sysname": name.system, "release": name.release, "machine": name.machine}
    yield "node_uname_info", labels, 1.0


def _kernel() -> Iterator[Row]:
    """What only Linux tells: open files and established TCP connections."""
    try:
        allocated, _, maximum = Path("/proc/sys/fs/file-nr").read_text(encoding="ascii").split()
        lines = Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    yield "node_filefd_allocated", {}, float(allocated)
    yield "node_filefd_maximum", {}, float(maximum)
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    yield "node_netstat_Tcp_CurrEstab", {}, float(dict(zip(names, values, strict=True))["CurrEstab"])


_READERS: tuple[Callable[[], Iterator[Row]], ...] = (_cpu, _memory, _filesystems, _network, _disks, _system, _kernel)
