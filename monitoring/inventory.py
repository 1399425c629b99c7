"""Which servers there are, by the labels of the series that exist, and how a result's row finds its server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engines.matching import closest
from monitoring.catalog import Catalog, Source
from monitoring.errors import UnknownServer
from monitoring.model import Labels

IDENTITY = ("server_id", "server", "host", "host_name", "hostname", "nodename", "instance")
"""The labels that name a server, the first present wins (CONTRACT, "What a server is")."""

PARTS = ("mountpoint", "volume", "path", "system_filesystem_mountpoint")

SCORE = "anomaly_score"
"""What the detection writes, with `server_id` and `concept`."""
ABOUT_SERVERS = ("ALERTS", "ALERTS_FOR_STATE", SCORE)
"""Series of our own about servers: that one was written does not say that the server lives, nor is it its metric."""

TYPE = ("role", "type", "server_type")


@dataclass(slots=True)
class Server:
    """One host, with every label value that it is known by."""

    id: str
    type: str = "unknown"
    type_label: str | None = None
    """The label that says the type; None where it was guessed from the name or is unknown."""
    simulated: bool = False
    addresses: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)

    @property
    def type_guessed(self) -> bool:
        """True where no label says the type."""
        return self.type_label is None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The servers of one catalogue version."""

    servers: Mapping[str, Server]
    identities: Mapping[tuple[str, str], str]
    """(label, value) → server id"""
    reports: Mapping[tuple[str, str | None], Mapping[str, frozenset[str]]]
    """(metric that a source needs, its label) → server id → values of the source's `by` label"""
    metrics: frozenset[str]
    parts: frozenset[str] = frozenset()
    """Mounts and volumes."""

    def server_of(self, labels: Labels) -> str | None:
        """The server that a row with these labels speaks of; None where it names none."""
        for name in IDENTITY:
            if value := labels.get(name):
                return self.identities.get((name, value)) or _host(name, value)
        return None

    def resolve(self, name: str) -> Server:
        """The server of that id or address, whatever the case. Raises UnknownServer with the closest names."""
        if name in self.servers:
            return self.servers[name]
        wanted = name.lower()
        for server in self.servers.values():
            if wanted == server.id.lower() or wanted in server.addresses:
                return server
        raise UnknownServer(name, tuple(closest(name, list(self.servers))))

    def of_type(self, kind: str) -> list[str]:
        """Ids of the servers of a type, sorted."""
        return sorted(server.id for server in self.servers.values() if server.type == kind)

    def reporting(self, source: Source) -> Mapping[str, frozenset[str]]:
        """Server id → identities, of the servers that this source covers."""
        return self.reports.get((source.needs, source.label), {})

    def matchers(self, source: Source, wanted: Sequence[str]) -> str | None:
        """PromQL matchers that narrow `source` to the `wanted` servers; None where it covers none of them.

        A whole type is written by its label (`role="web"`), anything else by the identities.
        """
        covered = self.reporting(source)
        chosen = [server for server in wanted if server in covered]
        if not chosen:
            return None
        if len(chosen) == len(covered):
            return ""
        if by_type := self._by_type(chosen, covered):
            return by_type
        values = sorted(value for server in chosen for value in covered[server])
        if len(values) == 1:
            return f'{source.by}="{escape(values[0])}"'
        return f'{source.by}=~"{any_of(values)}"'

    def _by_type(self, chosen: Sequence[str], covered: Mapping[str, frozenset[str]]) -> str | None:
        kinds = {(self.servers[server].type_label, self.servers[server].type) for server in chosen}
        if len(chosen) < 2 or len(kinds) != 1:
            return None
        label, kind = kinds.pop()
        same = [s for s in covered if self.servers[s].type == kind]
        return f'{label}="{escape(kind)}"' if label and len(same) == len(chosen) else None


def escape(text: str) -> str:
    """Text for a PromQL string in double quotes.

    >>> escape('a"b')
    'a\\\\"b'
    """
    return text.replace("\\", "\\\\").replace('"', '\\"')


def any_of(values: Iterable[str]) -> str:
    """A regular expression for exactly these values, ready for a PromQL string.

    >>> any_of(["a.b", "c-1"])
    'a\\\\\\\\.b|c-1'
    """
    return escape("|".join(re.sub(r"([.^$*+?{}\[\]|()\\])", r"\\\1", value) for value in values))


def build(series: Iterable[Labels], catalog: Catalog) -> Inventory:
    """The inventory of everything that was ever seen in `series`."""
    series = list(series)
    names = _host_names(series)
    servers: dict[str, Server] = {}
    identities: dict[tuple[str, str], str] = {}
    needed = _needs(catalog)
    reports: dict[tuple[str, str | None], dict[str, set[str]]] = {}
    metrics: set[str] = set()
    parts: set[str] = set()
    for labels in series:
        metric = labels.get("__name__", "")
        metrics.add(metric)
        parts.update(labels[name] for name in PARTS if name in labels)
        if (found := _identity(labels, names)) is None or metric in ABOUT_SERVERS:
            continue
        server = servers.setdefault(found, Server(found))
        server.metrics.add(metric)
        _learn(server, labels)
        for name in IDENTITY:
            if value := labels.get(name):
                identities[name, value] = found
        for label, by in needed.get(metric, ()):
            if (label is None or label in labels) and by in labels:
                reports.setdefault((metric, label), {}).setdefault(found, set()).add(labels[by])
    for server in servers.values():
        if server.type == "unknown" and (guess := catalog.type_of_name(server.id)):
            server.type = guess
    frozen = {key: {s: frozenset(v) for s, v in rows.items()} for key, rows in reports.items()}
    return Inventory(servers, identities, frozen, frozenset(metrics), frozenset(parts))


def _needs(catalog: Catalog) -> dict[str, set[tuple[str | None, str]]]:
    needed: dict[str, set[tuple[str | None, str]]] = {}
    for concept in catalog.concepts.values():
        for source in concept.sources:
            needed.setdefault(source.needs, set()).add((source.label, source.by))
    return needed


def _host_names(series: Sequence[Labels]) -> dict[str, str]:
    """Host part of `instance` → nodename, as node_uname_info says."""
    return {
        _host("instance", labels["instance"]): labels["nodename"]
        for labels in series
        if labels.get("__name__") == "node_uname_info" and labels.get("nodename") and labels.get("instance")
    }


def _identity(labels: Labels, names: Mapping[str, str]) -> str | None:
    for name in IDENTITY:
        if value := labels.get(name):
            host = _host(name, value)
            return names.get(host, host) if name == "instance" else value
    return None


def _host(name: str, value: str) -> str:
    """A label's value without the port, where it is an `instance`.

    >>> _host("instance", "[::1]:9100"), _host("instance", "db-01:9100"), _host("host", "a:1")
    ('[::1]', 'db-01', 'a:1')
    """
    return re.sub(r":\d+$", "", value) if name == "instance" else value


def _learn(server: Server, labels: Labels) -> None:
    if instance := labels.get("instance"):
        server.addresses.update((instance.lower(), _host("instance", instance).lower()))
    if addresses := labels.get("host_ip"):  # of target_info, a list in JSON
        server.addresses.update(re.findall(r"[0-9a-f.:]+", addresses.lower()))
    if labels.get("simulated") == "true":
        server.simulated = True
    if server.type_label is None:
        for name in TYPE:
            if (value := labels.get(name)) and not (name == "type" and "server_id" not in labels):
                server.type, server.type_label = value, name
                return
