"""Six hours of 500 hosts, 20 series each, as remote write bodies: the data of `promql_speed.py`, the same every time.

Every host is scraped every 15 s at its own moment, as a scraper spreads its targets; its series share those times.
Gauges wander, counters grow at a rate that wanders and start again after a restart now and then; 1 % of the hosts miss
a scrape in a hundred. Memory and disks come in whole bytes, loads with two decimals, CPU seconds with two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cramjam
import numpy as np
from numpy.typing import NDArray

HOSTS = 500
INTERVAL_MS = 15_000
HOURS = 6
TICKS = HOURS * 3_600_000 // INTERVAL_MS
PIECE = 120
"""Ticks that are written together: half an hour, so that Prometheus, whose head is an hour wide, takes the next."""
HOSTS_A_BODY = 50
ROLES = ("web", "db", "cache", "api", "batch")
BUCKETS = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
GIB = 2.0**30

SAMPLE = np.dtype([("head", "S3"), ("value", "<f8"), ("field", "u1"), ("time", "u1", 6)])
"""A sample on the wire: field 2 of a time series, 16 bytes long, its value and its time (a varint of 6 bytes)."""


class Fleet(NamedTuple):
    """Labels [hosts × series], times [hosts × ticks] in unix ms, values [hosts × series × ticks], what was scraped."""

    labels: list[list[dict[str, str]]]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    there: NDArray[np.bool_]


def fleet(end_ms: int) -> Fleet:
    """The hosts, their last scrape within 15 s before `end_ms`."""
    rng = np.random.default_rng(4)
    first = end_ms - TICKS * INTERVAL_MS + rng.integers(1, INTERVAL_MS, HOSTS)
    times = first[:, None] + np.arange(TICKS, dtype=np.int64) * INTERVAL_MS
    flaky = rng.random(HOSTS) < 0.01
    there = ~(flaky[:, None] & (rng.random((HOSTS, TICKS)) < 0.01))
    hosts = [_host(number, rng) for number in range(HOSTS)]
    labels = [[dict(one) for one, _ in host] for host in hosts]
    return Fleet(labels, times, np.array([[values for _, values in host] for host in hosts]), there)


def _host(number: int, rng: np.random.Generator) -> list[tuple[dict[str, str], NDArray[np.float64]]]:
    role = ROLES[number % len(ROLES)]
    own = {"instance": f"{role}-{number:04}:9100", "job": "node", "role": role, "dc": f"dc{number % 3}"}
    load, memory = _gauge(rng, 0.2, 12), np.round(_gauge(rng, 2, 60) * GIB)
    found = [
        ({"__name__": "node_load1"}, np.round(load, 2)),
        ({"__name__": "node_load5"}, np.round(np.convolve(load, np.full(20, 0.05), "same"), 2)),
        ({"__name__": "node_memory_MemTotal_bytes"}, np.full(TICKS, 64 * GIB)),
        ({"__name__": "node_memory_MemAvailable_bytes"}, memory),
        ({"__name__": "node_context_switches_total"}, np.round(_counter(rng, 9_000))),
    ]
    for cpu_mode, per_s in (("idle", 0.7), ("user", 0.2), ("system", 0.08), ("iowait", 0.02)):
        named = {"__name__": "node_cpu_seconds_total", "cpu": "0", "mode": cpu_mode}
        found.append((named, np.round(_counter(rng, per_s), 2)))
    for device in ("eth0", "eth1"):
        named = {"__name__": "node_network_receive_bytes_total", "device": device}
        found.append((named, np.round(_counter(rng, 2e6))))
    for mount in ("/", "/var"):
        left = np.round(np.linspace(400, rng.uniform(10, 390), TICKS) * GIB + rng.normal(0, 1e6, TICKS))
        found.append(({"__name__": "node_filesystem_avail_bytes", "mountpoint": mount, "fstype": "ext4"}, left))
    within = np.sort(rng.random(len(BUCKETS)))
    within[-1] = 1.0
    requests = _counter(rng, 40)
    for le, share in zip(BUCKETS, within.tolist(), strict=True):
        found.append(({"__name__": "http_request_duration_seconds_bucket", "le": le}, np.floor(requests * share)))
    return [({**named, **own}, values) for named, values in found]


def _gauge(rng: np.random.Generator, low: float, high: float) -> NDArray[np.float64]:
    walk = rng.uniform(low, high) + rng.normal(0, (high - low) / 100, TICKS).cumsum()
    folded = np.abs((walk - low) % (2 * (high - low)) - (high - low))  # reflected at both ends
    return np.asarray(low + folded)


def _counter(rng: np.random.Generator, per_s: float) -> NDArray[np.float64]:
    total = (per_s * INTERVAL_MS / 1000 * rng.gamma(4, 0.25, TICKS)).cumsum() + per_s * rng.uniform(0, 1e6)
    if rng.random() < 0.1:
        restart = int(rng.integers(TICKS))
        total[restart:] -= total[restart]
    return np.asarray(total)


def bodies(data: Fleet) -> Iterator[bytes]:
    """Remote write 1.0 bodies in the order of time."""
    for start in range(0, TICKS, PIECE):
        ticks = slice(start, start + PIECE)
        for first in range(0, HOSTS, HOSTS_A_BODY):
            parts = [_host_body(data, host, ticks) for host in range(first, first + HOSTS_A_BODY)]
            yield bytes(cramjam.snappy.compress_raw(b"".join(parts)))


def _host_body(data: Fleet, host: int, ticks: slice) -> bytes:
    there = data.there[host, ticks]
    samples = np.zeros(int(there.sum()), SAMPLE)
    samples["head"], samples["field"] = b"\x12\x10\x09", 0x10
    times = data.times_ms[host, ticks][there]
    for k in range(6):
        samples["time"][:, k] = (times >> (7 * k) & 0x7F) | (0x80 if k < 5 else 0)
    written = []
    for labels, values in zip(data.labels[host], data.values[host, :, ticks], strict=True):
        samples["value"] = values[there]
        head = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in sorted(labels.items()))
        written.append(_field(1, head + samples.tobytes()))
    return b"".join(written)


def _field(number: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body
