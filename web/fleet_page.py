"""The fleet as `server_*` metrics: what the dashboard shows, for Prometheus and for programs that want JSON.

Values come without times: a scraper gives them its own, and so notices when a server's are gone. When a server was last
measured is a metric itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engines.matching import closest
from monitoring.errors import UnknownMetric, UnknownServer
from monitoring.windows import moment
from web.delta import Data
from web.exposition import Family, Format, escaped, page


class Column(NamedTuple):
    """A metric, and where its value stands in a server of the dashboard. None where there is no value."""

    name: str
    unit: str
    help: str
    value: Callable[[Data], float | None]


class Filter(NamedTuple):
    """Which servers and metrics are wanted; empty for all."""

    servers: tuple[str, ...] = ()
    type: str | None = None
    names: tuple[str, ...] = ()


def _field(name: str, divisor: int = 1) -> Callable[[Data], float | None]:
    def value(server: Data) -> float | None:
        found: float | None = server[name]
        return found if found is None or divisor == 1 else found / divisor

    return value


def _up(server: Data) -> float:
    return int(server["status"] != "offline")


def _last_seen(server: Data) -> float | None:
    return None if server["last_seen"] is None else moment(server["last_seen"])


COLUMNS = (
    Column("server_up", "", "1 where the server answers, 0 where it is offline.", _up),
    Column("server_cpu_usage", "percent", "CPU in use, mean of five minutes, percent.", _field("cpu")),
    Column("server_memory_usage", "percent", "Memory in use, percent.", _field("memory")),
    Column("server_disk_usage", "percent", "Use of the fullest real filesystem, percent.", _field("disk")),
    Column(
        "server_network_receive_bytes_per_second",
        "bytes_per_second",
        "Bytes received a second, mean of five minutes.",
        _field("network_in"),
    ),
    Column(
        "server_network_transmit_bytes_per_second",
        "bytes_per_second",
        "Bytes sent a second, mean of five minutes.",
        _field("network_out"),
    ),
    Column("server_load1", "", "Load average of one minute.", _field("load")),
    Column(
        "server_http_requests_per_second",
        "per_second",
        "HTTP requests a second, mean of five minutes.",
        _field("requests"),
    ),
    Column(
        "server_http_errors_ratio",
        "ratio",
        "Share of HTTP requests that were answered with a 5xx status, 0 to 1.",
        _field("errors", 100),
    ),
    Column(
        "server_http_request_duration_mean_seconds",
        "seconds",
        "Mean time that an HTTP request took.",
        _field("latency", 1000),
    ),
    Column("server_uptime_seconds", "seconds", "Time since the server was booted.", _field("uptime_s")),
    Column("server_last_seen_timestamp_seconds", "seconds", "Unix time of the server's newest sample.", _last_seen),
)
INFO = "server_info"
"""Always 1. Its labels say the status, where the type was guessed, and that a server is simulated."""
INFO_HELP = "What is known of the server: its status, whether its type is a guess, whether it is simulated."


def chosen(data: Data, wanted: Filter) -> tuple[list[Data], list[Column]]:
    """The servers by name, and the metrics. Raises UnknownServer, UnknownMetric."""
    servers = {server["id"]: server for server in data["servers"]}
    for name in wanted.servers:
        if name not in servers:
            raise UnknownServer(name, tuple(closest(name, list(servers))))
    known = [INFO, *(column.name for column in COLUMNS)]
    for name in wanted.names:
        if name not in known:
            raise UnknownMetric(name, tuple(closest(name, known)))
    found = [servers[name] for name in sorted(set(wanted.servers) or servers)]
    columns = [column for column in COLUMNS if not wanted.names or column.name in wanted.names]
    return [s for s in found if wanted.type is None or s["type"] == wanted.type], columns


def text(data: Data, wanted: Filter, form: Format) -> bytes:
    """The page in Prometheus' text format or OpenMetrics. Raises UnknownServer, UnknownMetric."""
    servers, columns = chosen(data, wanted)
    named = [(f'{{server_id="{escaped(s["id"])}",type="{escaped(s["type"])}"', s) for s in servers]
    families = [
        Family(
            column.name,
            "gauge",
            column.help,
            [(f"{column.name}{start}}}", value) for start, s in named if (value := column.value(s)) is not None],
        )
        for column in columns
    ]
    if not wanted.names or INFO in wanted.names:
        families.append(Family(INFO, "gauge", INFO_HELP, [(f"{INFO}{start},{_info(s)}}}", 1) for start, s in named]))
    return page(families, form).encode()


def _info(server: Data) -> str:
    facts = {"status": server["status"], "type_guessed": server["type_guessed"], "simulated": server["simulated"]}
    return ",".join(f'{name}="{str(value).lower()}"' for name, value in facts.items())


def listed(data: Data, wanted: Filter) -> Data:
    """The same as plain data. Raises UnknownServer, UnknownMetric."""
    servers, columns = chosen(data, wanted)
    return {
        **{name: data[name] for name in ("timestamp", "age_s", "stale")},
        "total": len(servers),
        "metrics": [
            {"name": c.name, "type": "gauge", "unit": c.unit or None, "help": c.help, "samples": _samples(c, servers)}
            for c in columns
        ],
        "servers": [
            {name: s[name] for name in ("id", "type", "type_guessed", "simulated", "status", "last_seen")}
            for s in servers
        ],
    }


def _samples(column: Column, servers: Sequence[Data]) -> list[dict[str, Any]]:
    return [
        {"server_id": s["id"], "type": s["type"], "value": value}
        for s in servers
        if (value := column.value(s)) is not None
    ]
