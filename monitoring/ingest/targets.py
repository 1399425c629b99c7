"""What is scraped: one page each, known by its URL and its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

from monitoring.errors import BadQuery, BadSetting
from monitoring.ingest.relabel import Rule, relabel
from monitoring.ingest.terms import DEFAULTS, Credentials, Terms
from monitoring.model import LabelKey, Labels, label_key
from monitoring.windows import seconds

JOB = "scrape"
"""The job of targets that name none."""
_PARAM = "__param_"


@dataclass(frozen=True, slots=True)
class Target:
    """One page to scrape, and the labels that every sample of it gets (`job` and `instance` among them)."""

    url: str
    labels_key: LabelKey
    terms: Terms = field(default=DEFAULTS, hash=False)
    discovered: LabelKey = field(default=(), compare=False)
    """The labels before relabelling, those with `__` among them."""

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.labels_key)


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A target that relabelling drops, by the labels that it was found with."""

    discovered: LabelKey


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """How a target is doing. Times are Unix seconds, None before the first scrape."""

    target: Target
    health: Literal["up", "down", "unknown"] = "unknown"
    last_error: str = ""
    last_scrape: float | None = None
    last_duration_s: float = 0.0
    samples: int = 0
    interval_s: float = 0.0
    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Manner:
    """What a group gives to all of its targets: labels to begin with, rules, parameters and terms."""

    labels: Labels = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    params: Mapping[str, Sequence[str]] = field(default_factory=dict)
    terms: Terms = DEFAULTS
    port_optional: bool = False
    """Prometheus takes an address without a port; ours is asked for one, since it is mostly forgotten."""


def target(address: str, labels: Labels | None = None) -> Target:
    """The target at `HOST:PORT[/path]` or at a whole URL. Labels that begin with `__` steer, as in Prometheus.

    Raises BadSetting where no port and no scheme is given, or where the address is none.

    >>> target("db-01:9100").url, target("db-01:9100", {"role": "db"}).labels
    ('http://db-01:9100/metrics', {'instance': 'db-01:9100', 'job': 'scrape', 'role': 'db'})
    """
    made = found(address, labels or {}, Manner())
    assert isinstance(made, Target)  # without rules nothing is dropped
    return made


def found(address: str, labels: Labels, manner: Manner) -> Target | DroppedTarget:
    """The target of a group at `address`, after the group's rules. Raises BadSetting as `target` does."""
    begin = {"job": JOB, "__scheme__": "http", "__metrics_path__": "/metrics"}
    begin |= {f"{_PARAM}{name}": values[0] for name, values in manner.params.items() if values}
    begin |= {**manner.labels, **labels, "__address__": address}
    discovered = label_key({name: value for name, value in begin.items() if value} | {"__address__": _public(address)})
    changed = relabel(manner.rules, begin)
    if changed is None:
        return DroppedTarget(discovered)
    parts = _parts(changed)
    if parts.port is None and "://" not in changed["__address__"] and not manner.port_optional:
        shown = _public(address)
        raise BadSetting(f"target '{shown}' has no port; write {shown.partition('/')[0]}:9100 for a node_exporter")
    place = parts.netloc.rpartition("@")[2]
    instance = place if parts.port is not None else f"{place}:{443 if parts.scheme == 'https' else 80}"
    own = {name: value for name, value in changed.items() if not name.startswith("__") and value}
    url = f"{parts.scheme}://{place}{_path(parts, changed)}{_query(parts, changed, manner.params)}"
    return Target(url, label_key({"instance": instance} | own), _terms(manner.terms, changed, parts), discovered)


def _parts(labels: Labels) -> SplitResult:
    address = labels.get("__address__", "")
    try:
        parts = urlsplit(address if "://" in address else f"{labels.get('__scheme__', 'http')}://{address}")
        _ = parts.port
    except ValueError as error:
        raise BadSetting(f"target '{_public(address)}': {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", address):
        raise BadSetting(f"target '{_public(address)}' is not HOST:PORT[/path] or an http or https URL")
    return parts


def _path(parts: SplitResult, labels: Labels) -> str:
    path = parts.path if parts.path not in ("", "/") else labels.get("__metrics_path__", "/metrics")
    return path if path.startswith("/") else f"/{path}"


def _query(parts: SplitResult, labels: Labels, params: Mapping[str, Sequence[str]]) -> str:
    """The parameters of the group, `__param_x` in place of the first value of `x`, then those of the address."""
    wanted = {name: list(values) for name, values in params.items()}
    for label, value in labels.items():
        if label.startswith(_PARAM):
            name = label.removeprefix(_PARAM)
            wanted[name] = [value, *wanted.get(name, [])[1:]]
    wanted |= parse_qs(parts.query, keep_blank_values=True)
    return f"?{urlencode(wanted, doseq=True)}" if wanted else ""


def _terms(terms: Terms, labels: Labels, parts: SplitResult) -> Terms:
    """The group's terms, changed by `__scrape_interval__`, `__scrape_timeout__` and a user in the address."""
    try:
        if text := labels.get("__scrape_interval__"):
            terms = replace(terms, interval_s=seconds(text))
        if text := labels.get("__scrape_timeout__"):
            terms = replace(terms, timeout_s=seconds(text))
    except BadQuery as error:
        raise BadSetting(str(error)) from None
    if parts.username is not None and terms.credentials is None:
        user = Credentials(unquote(parts.username), secret=unquote(parts.password or ""))
        terms = replace(terms, credentials=user)
    return terms


def _public(address: str) -> str:
    """An address without the user and password that it may carry.

    >>> _public("https://u:p@db-01/metrics")
    'https://db-01/metrics'
    """
    return re.sub(r"(^|//)[^/@]*@", r"\1", address)
