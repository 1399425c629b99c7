"""PromQL over HTTP on 10,000 series × 6 h: ours beside Debian's Prometheus and VictoriaMetrics, the same data in each.

    python benchmarks/promql_speed.py [--rounds 3] [--only SUBSTRING] [--gzip] [--no-victoria]

Starts the three on loopback with empty directories, sends the same remote write to all, checks that the answers agree
(the same series, values near each other), then asks every query in turns: ours, Prometheus, VictoriaMetrics, ours, …
Times are those of a client that keeps its connection open and reads the whole body; VictoriaMetrics is asked not to
answer from its cache of results (`nocache=1`): neither of the others has one. Prints medians, ratios, geometric means.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import math
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.promql_fleet import INTERVAL_MS, bodies, fleet

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WRITE = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Asked(NamedTuple):
    """A query; at one time where `hours` is 0, else over so many hours with `step` seconds."""

    query: str
    hours: float = 0
    step: int = 60


LE = "http_request_duration_seconds_bucket"
INSTANT = [
    Asked(query)
    for query in (
        "node_load1",
        '{job="node",instance="web-0100:9100"}',
        "node_load1 > 5",
        'node_load1{instance=~"web-.*|db-01.*"}',
        'count({__name__=~"node_.*"})',
        "count(node_cpu_seconds_total) by (mode)",
        "sum by (role) (rate(node_network_receive_bytes_total[5m]))",
        "rate(node_cpu_seconds_total[5m])",
        "irate(node_cpu_seconds_total[5m])",
        "increase(node_context_switches_total[1h])",
        'avg by (dc) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))',
        "topk(10, node_load5)",
        "quantile by (role) (0.95, node_load1)",
        f"histogram_quantile(0.95, sum by (le, role) (rate({LE}[5m])))",
        "avg_over_time(node_load1[1h])",
        "max_over_time(node_load1[6h])",
        "quantile_over_time(0.9, node_load1[1h])",
        "stddev_over_time(node_load1[1h])",
        "deriv(node_filesystem_avail_bytes[1h])",
        "predict_linear(node_filesystem_avail_bytes[6h], 86400) < 0",
        "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        "node_load1 / on (instance) group_left () node_load5",
        "max_over_time(sum by (role) (rate(node_context_switches_total[5m]))[1h:1m])",
        "node_load1 - node_load1 offset 1h",
        'absent(node_load1{role="mail"})',
        "node_load1[10m]",
    )
]
RANGE = [
    Asked("node_load1", 1, 15),
    Asked("node_load1", 6, 60),
    Asked('node_load1{instance="web-0100:9100"}', 6, 15),
    Asked("sum by (role) (node_load1)", 6, 60),
    Asked('rate(node_network_receive_bytes_total{device="eth0"}[5m])', 6, 60),
    Asked("rate(node_cpu_seconds_total[5m])", 1, 60),
    Asked("sum by (role) (rate(node_network_receive_bytes_total[5m]))", 6, 60),
    Asked('sum by (mode) (irate(node_cpu_seconds_total{instance=~"web-.*"}[5m]))', 6, 60),
    Asked("increase(node_context_switches_total[1h])", 6, 300),
    Asked('avg by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) * 100', 1, 15),
    Asked("topk(5, node_load1)", 6, 60),
    Asked("quantile by (role) (0.95, node_load1)", 6, 60),
    Asked(f"histogram_quantile(0.95, sum by (le, role) (rate({LE}[5m])))", 6, 60),
    Asked("avg_over_time(node_load1[1h])", 6, 300),
    Asked("max_over_time(node_load1[30m])", 6, 60),
    Asked("quantile_over_time(0.9, node_load1[1h])", 6, 300),
    Asked("stddev_over_time(node_load1[10m])", 1, 15),
    Asked("deriv(node_filesystem_avail_bytes[1h])", 6, 300),
    Asked("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", 6, 60),
    Asked("node_load1 > 1.5 * node_load5", 6, 60),
    Asked("max_over_time(sum by (role) (rate(node_context_switches_total[5m]))[30m:1m])", 6, 300),
    Asked("count(node_load1 > 5) by (dc)", 6, 60),
]


@dataclass(slots=True)
class Server:
    """One of the three, and a connection to it that stays open."""

    name: str
    port: int
    nocache: bool = False
    times: dict[Asked, list[float]] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None
    _used: float = 0.0

    def ask(self, asked: Asked, end: float, encoding: str) -> bytes:
        """The body of the answer."""
        values = {"query": asked.query, "time": end}
        if asked.hours:
            start = end - asked.hours * 3600
            values = {"query": asked.query, "start": start, "end": end, "step": asked.step}
        if self.nocache:
            values["nocache"] = 1
        path = "/api/v1/query_range" if asked.hours else "/api/v1/query"
        return self.send("POST", path, urlencode(values), FORM | {"Accept-Encoding": encoding})

    def send(self, method: str, path: str, body: str | bytes = "", headers: dict[str, str] | None = None) -> bytes:
        """One request on the connection; anything but success ends the run."""
        if self._connection is None or time.monotonic() - self._used > 2:  # an idle one may be closed by now
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self._connection.request(method, path, body, headers or {})
        reply = self._connection.getresponse()
        found = reply.read()
        self._used = time.monotonic()
        if reply.status >= 300:
            raise SystemExit(f"{self.name} answers {reply.status} to {path} {body[:200]!r}: {found[:300]!r}")
        return found

    def ready(self, path: str) -> None:
        """Returns when the server answers."""
        for _ in range(600):
            try:
                self.send("GET", path)
                return
            except (OSError, SystemExit):
                self._connection = None
                time.sleep(0.1)
        raise SystemExit(f"{self.name} did not become ready within a minute")


def main() -> None:
    """Prints a table for instant and one for range queries."""
    options = _options()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers = [stack.enter_context(_running(name, Path(folder))) for name in ("ours", "prometheus", "victoria")]
        servers = servers if options.victoria else servers[:2]
        end_ms = int(time.time()) * 1000 // INTERVAL_MS * INTERVAL_MS
        _write(servers, end_ms)
        chosen = [asked for asked in INSTANT + RANGE if options.only in asked.query]
        encoding = "gzip" if options.gzip else "identity"
        for asked in chosen:
            _compare(asked, [_values(server.ask(asked, end_ms / 1000, encoding)) for server in servers], servers)
        _time(servers, chosen, end_ms / 1000, encoding, options.rounds)
        for kind, asked_here in (("instant", INSTANT), ("range", RANGE)):
            _report(kind, servers, [asked for asked in asked_here if asked in chosen])
        if options.wait:
            input("the servers run on; Enter ends them")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--gzip", action="store_true", help="ask for compressed answers, as Grafana does")
    parser.add_argument("--victoria", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--wait", action="store_true", help="leave the servers running until Enter")
    return parser.parse_args()


@contextmanager
def _running(name: str, folder: Path) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = folder / name
    here.mkdir()
    (here / "empty.yml").write_text("{}")
    ours = [sys.executable, "-m", "web.cli", "serve", "--no-local", "--no-demo", "--log-level", "warning"]
    files = f"--config.file={here}/empty.yml", f"--storage.tsdb.path={here}/data"
    listen = f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=error"
    own = f"-storageDataPath={here}/data", f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=ERROR"
    commands = {
        "ours": [*ours, "--port", f"{port}", "--data-dir", f"{here}"],
        "prometheus": ["prometheus", *files, *listen],
        "victoria": ["victoria-metrics", *own, "-search.latencyOffset=0s", "-retentionPeriod=100y"],
    }
    paths = {"ours": "/readyz", "prometheus": "/-/ready", "victoria": "/health"}
    print(f"{name} on port {port}", flush=True)
    with subprocess.Popen(commands[name], stderr=subprocess.DEVNULL) as process:
        try:
            server = Server(name, port, nocache=name == "victoria")
            server.ready(paths[name])
            yield server
        finally:
            process.terminate()


def _write(servers: Sequence[Server], end_ms: int) -> None:
    data = fleet(end_ms)
    spent = dict.fromkeys((server.name for server in servers), 0.0)
    for body in bodies(data):
        for server in servers:
            began = time.perf_counter()
            server.send("POST", "/api/v1/write", body, WRITE)
            spent[server.name] += time.perf_counter() - began
    count = int(data.there.sum()) * data.values.shape[1]
    print(f"{count:,} samples written: " + ", ".join(f"{name} {s:.1f} s" for name, s in spent.items()), flush=True)


Values = dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]


def _values(body: bytes) -> Values:
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    data = orjson.loads(body)["data"]
    if data["resultType"] == "scalar":
        return {(): [_pair(data["result"])]}
    return {
        tuple(sorted(row["metric"].items())): [_pair(one) for one in row.get("values") or [row["value"]]]
        for row in data["result"]
    }


def _pair(point: Sequence[Any]) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _compare(asked: Asked, found: Sequence[Values], servers: Sequence[Server]) -> None:
    """Says where answers differ. VictoriaMetrics means something else by windows and staleness, and is only counted."""
    ours, reference = found[:2]
    if ours.keys() != reference.keys():
        print(f"!! {asked}: {len(ours)} series here, {len(reference)} in {servers[1].name}")
        return
    apart, points = 0, 0
    for key, values in reference.items():
        mine = dict(ours[key])
        points += len(values)
        apart += sum(not _near(mine.get(at, math.nan), value) for at, value in values) + abs(len(mine) - len(values))
    if apart > points / 1000:
        print(f"!! {asked}: {apart} of {points} values differ from {servers[1].name}")


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))


def _time(servers: Sequence[Server], chosen: Sequence[Asked], end: float, encoding: str, rounds: int) -> None:
    for _ in range(rounds):
        for asked in chosen:
            for server in servers:
                began = time.perf_counter()
                server.ask(asked, end, encoding)
                server.times.setdefault(asked, []).append((time.perf_counter() - began) * 1000)


def _report(kind: str, servers: Sequence[Server], chosen: Sequence[Asked]) -> None:
    if not chosen:
        return
    names = " | ".join(f"{server.name} ms" for server in servers)
    faster = " | ".join(f"{server.name} ÷ ours" for server in servers[1:])
    print(f"\n| {kind} | {names} | {faster} |\n|---|{'---|' * (2 * len(servers) - 1)}")
    ratios: list[list[float]] = [[] for _ in servers[1:]]
    for asked in chosen:
        ours, *others = (statistics.median(server.times[asked]) for server in servers)
        for other, column in zip(others, ratios, strict=True):
            column.append(other / ours)
        shown = f"`{asked.query}`" + (f" {asked.hours} h, {asked.step} s" if asked.hours else "")
        cells = " | ".join(f"{ms:.1f}" for ms in (ours, *others))
        print(f"| {shown} | {cells} | " + " | ".join(f"{column[-1]:.2f}" for column in ratios) + " |")
    means = " | ".join(f"**{statistics.geometric_mean(column):.2f}**" for column in ratios)
    worst = " | ".join(f"{min(column):.2f}" for column in ratios)
    blank = " | ".join("" for _ in servers)
    print(f"| geometric mean | {blank} | {means} |\n| slowest beside it | {blank} | {worst} |", flush=True)


if __name__ == "__main__":
    main()
