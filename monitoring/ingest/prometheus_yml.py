"""`prometheus.yml` read as a targets file: its `scrape_configs`, in the words of our own groups.

What we know is taken over; a field that we do not know is named in a warning and passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from monitoring.errors import BadSetting
from monitoring.ingest.groups import Job, job

log = logging.getLogger(__name__)

_SAME = {
    "job_name": "job",
    "scrape_interval": "interval",
    "scrape_timeout": "timeout",
    "scheme": "scheme",
    "metrics_path": "path",
    "params": "params",
    "honor_labels": "honor_labels",
    "bearer_token_file": "bearer_token_file",
    "bearer_token": "bearer_token",
    "sample_limit": "sample_limit",
    "body_size_limit": "body_limit",
    "relabel_configs": "relabel_configs",
    "metric_relabel_configs": "metric_relabel_configs",
}
"""Their name → ours."""
_TAKEN = {*_SAME, "static_configs", "file_sd_configs", "dns_sd_configs", "basic_auth", "authorization", "tls_config"}
_GLOBAL = {"scrape_interval", "scrape_timeout", "body_size_limit", "sample_limit"}
_TOP = {"global", "scrape_configs"}


def read_yaml(path: Path, text: str) -> Any:
    """The content of a YAML file. Raises BadSetting with the line."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSetting(f"targets file '{path}': {' '.join(str(error).split())}") from None


def jobs(path: Path, raw: Any) -> list[Job]:
    """The jobs of a `prometheus.yml`. Raises BadSetting, naming the job and the field."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("scrape_configs"), list):
        raise BadSetting(f"targets file '{path}': a list 'scrape_configs' is expected, as in prometheus.yml")
    common = raw.get("global") or {}
    ignored = {str(name) for name in raw.keys() - _TOP} | {f"global.{name}" for name in common.keys() - _GLOBAL}
    made = []
    for number, config in enumerate(raw["scrape_configs"], 1):
        if not isinstance(config, Mapping):
            raise BadSetting(f"targets file '{path}', scrape_config {number}: a mapping is expected")
        place = f"job '{config.get('job_name', number)}'"
        ignored |= {f"{place}.{name}" for name in config.keys() - _TAKEN}
        made += _parts(path, place, {name: common[name] for name in common.keys() & _GLOBAL}, config, ignored)
    if ignored:
        log.warning("targets.fields_ignored file=%s fields=%s", path, ", ".join(sorted(ignored)))
    return made


def _parts(path: Path, place: str, common: Mapping[str, Any], own: Mapping[str, Any], ignored: set[str]) -> list[Job]:
    """A job is one group for each of its static configs, and one for what is discovered."""
    config = {**common, **own}
    shared = {ours: config[theirs] for theirs, ours in _SAME.items() if theirs in config}
    shared |= _security(place, config, ignored)
    _shorten_timeout(path, place, own, shared)
    found = []
    for static in config.get("static_configs") or []:
        ignored |= {f"{place}.static_configs.{name}" for name in static.keys() - {"targets", "labels"}}
        found.append(shared | {"targets": static.get("targets") or [], "labels": static.get("labels") or {}})
    files = [name for one in config.get("file_sd_configs") or [] for name in one.get("files") or []]
    names = [_dns(place, one, ignored) for one in config.get("dns_sd_configs") or []]
    if files or names:
        found.append(shared | {"file_sd": files, "dns_sd": names})
    return [job(path, place, one, port_optional=True) for one in found]


def _dns(place: str, config: Mapping[str, Any], ignored: set[str]) -> dict[str, Any]:
    known = {"names", "type", "port", "refresh_interval"}
    ignored |= {f"{place}.dns_sd_configs.{name}" for name in config.keys() - known}
    return {name: config[name] for name in config.keys() & known}


def _security(place: str, config: Mapping[str, Any], ignored: set[str]) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    if basic := config.get("basic_auth"):
        taken["basic_auth"] = basic
    if bearer := config.get("authorization"):
        if str(bearer.get("type", "Bearer")).lower() != "bearer":
            raise BadSetting(f"{place}: authorization of type '{bearer['type']}' is not known; Bearer is")
        taken |= {"bearer_token_file": bearer.get("credentials_file"), "bearer_token": bearer.get("credentials")}
    tls = config.get("tls_config") or {}
    ignored |= {f"{place}.tls_config.{name}" for name in tls.keys() - {"ca_file", "insecure_skip_verify"}}
    return taken | {name: tls[name] for name in ("ca_file", "insecure_skip_verify") if name in tls}


def _shorten_timeout(path: Path, place: str, own: Mapping[str, Any], shared: dict[str, Any]) -> None:
    """Prometheus lets a timeout be as long as the interval, and cuts the global one to it.

    Ours ends before the next scrape begins.
    """
    terms = job(path, place, {"timeout": shared.get("timeout")}).manner.terms
    interval = job(path, place, {"interval": shared.get("interval")}).manner.terms.interval_s
    if terms.timeout_s is None or interval is None or terms.timeout_s < interval:
        return
    if terms.timeout_s == interval or "scrape_timeout" not in own:
        shared["timeout"] = 0.9 * interval
