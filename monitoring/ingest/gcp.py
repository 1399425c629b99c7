"""Google Cloud Monitoring: `timeSeries.list` by REST, one call per metric a minute, as our `server_*` gauges.

Source: cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list. Tried against a simulated API only.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from monitoring.errors import BackendUnavailable, BadSetting
from monitoring.ingest.founding_keys import Sample, batch
from monitoring.model import Batch
from monitoring.windows import rfc3339

log = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/monitoring.read"
INTERVAL_S = 60.0
"""Google samples these metrics once a minute."""
FIRST_S = 600.0
"""How far the first reading looks back."""
LATE_S = 300.0
"""Points show up some minutes after their time: each reading looks back over the ones before."""
TRIES = 4
PAGE = 1_000
TIMEOUT_S = 20.0
Token = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Source:
    """One metric of theirs, the gauge of ours, and what lies between."""

    theirs: str
    ours: str
    scale: float = 1.0
    filter: str = ""
    per_second: bool = False
    """A count over the point's interval."""
    part: str | None = None
    """A label that is kept: several of these make one server. All others are summed."""


SOURCES = (
    Source("compute.googleapis.com/instance/cpu/utilization", "server_cpu_usage", scale=100.0),
    Source(
        "agent.googleapis.com/memory/percent_used", "server_memory_usage", filter=' AND metric.labels.state = "used"'
    ),
    Source(
        "agent.googleapis.com/disk/percent_used",
        "server_disk_usage",
        filter=' AND metric.labels.state = "used"',
        part="device",
    ),
    Source(
        "compute.googleapis.com/instance/network/received_bytes_count",
        "server_network_receive_bytes_per_second",
        per_second=True,
    ),
    Source(
        "compute.googleapis.com/instance/network/sent_bytes_count",
        "server_network_transmit_bytes_per_second",
        per_second=True,
    ),
    Source("compute.googleapis.com/instance/uptime_total", "server_uptime_seconds"),
)


class CloudMonitoring:
    """Reads the instances of one project. A feed of the scrape loop."""

    name = "gcp"
    interval_s = INTERVAL_S

    def __init__(
        self,
        project: str,
        endpoint: str,
        token_file: Path | None = None,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Raises BadSetting where nothing can give a token, or it would go over a plain connection."""
        plain = endpoint.startswith("http://") and not endpoint.startswith(("http://127.0.0.1", "http://localhost"))
        if plain or not endpoint.startswith(("http://", "https://")):
            raise BadSetting(f"gcp_endpoint '{endpoint}' is not an https URL; a token is not sent in clear")
        self.retries: Counter[str] = Counter()
        """Calls that were tried again, by HTTP status or error."""
        self.refused: Counter[str] = Counter()
        """Points that could not be read, by metric."""
        self._url = f"{endpoint.rstrip('/')}/v3/projects/{project}/timeSeries"
        self._token = _from_file(token_file) if token_file else _from_google()
        self._pause = pause
        self._names: dict[str, dict[str, str]] = {}
        """Instance id → the labels of its server: the agent's metrics do not name the instance."""
        self._newest: dict[tuple[str, ...], float] = {}
        """Metric, server and part → time of the newest point that was written."""

    async def collect(self, now: float) -> Batch:
        """The points that are new since the last reading. Raises BackendUnavailable."""
        token = await self._token()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "OpenManager"}
        samples: list[Sample] = []
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            for source in SOURCES:  # one after the other: the first tells the names
                series = [one async for one in self._list(session, source, now)]
                samples += self._samples(source, series)
        self._newest = {key: at for key, at in self._newest.items() if at > now - 86_400}
        return batch(samples)

    async def close(self) -> None:
        """There is nothing that stays open between two readings."""

    async def _list(self, session: aiohttp.ClientSession, source: Source, now: float) -> Any:
        newest = max((at for key, at in self._newest.items() if key[0] == source.ours), default=0.0)
        query = {
            "filter": f'metric.type = "{source.theirs}"{source.filter}',
            "interval.startTime": rfc3339(max(now - FIRST_S, newest - LATE_S)),
            "interval.endTime": rfc3339(now),
            "view": "FULL",
            "pageSize": str(PAGE),
        }
        while True:
            page = await self._get(session, query)
            for one in page.get("timeSeries", []):
                yield one
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    async def _get(self, session: aiohttp.ClientSession, query: dict[str, str]) -> dict[str, Any]:
        """One page; 429, 5xx and lost connections are tried again, later each time."""
        for attempt in range(TRIES):
            wait_s = 2.0**attempt * (1 + random.random())
            try:
                async with session.get(self._url, params=query) as reply:
                    if reply.status == 200:
                        found: dict[str, Any] = await reply.json()
                        return found
                    problem, cause = await _problem(reply), str(reply.status)
                    if reply.status != 429 and reply.status < 500:
                        raise BackendUnavailable(cause, f"Google Cloud Monitoring: {problem}")
                    wait_s = max(wait_s, _retry_after(reply))
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                problem, cause = f"{type(error).__name__}: {error}", type(error).__name__
            if attempt + 1 < TRIES:
                self.retries[cause] += 1
                await self._pause(min(wait_s, INTERVAL_S / 2))
        raise BackendUnavailable(cause, f"Google Cloud Monitoring: {problem}, {TRIES} times in a row")

    def _samples(self, source: Source, series: list[dict[str, Any]]) -> list[Sample]:
        """New points by server, part and time; those that differ in other labels (network cards) are added up."""
        sums: dict[tuple[str, str, float], float] = {}
        for one in series:
            if (server := self._server(one)) is None:
                continue
            part = one["metric"].get("labels", {}).get(source.part, "") if source.part else ""
            for at, value in self._points(source, one):
                sums[server, part, at] = sums.get((server, part, at), 0.0) + value
        found: list[Sample] = []
        by_id = {labels["server_id"]: labels for labels in self._names.values()}
        for (server, part, at), value in sorted(sums.items()):
            key = (source.ours, server, part)
            if at <= self._newest.get(key, 0.0):
                continue
            self._newest[key] = at
            extra = {source.part: part} if source.part and part else {}
            found.append(({**by_id[server], **extra, "__name__": source.ours}, at, value))
        return found

    def _points(self, source: Source, one: dict[str, Any]) -> Iterator[tuple[float, float]]:
        for point in one.get("points", []):
            try:
                end = _time(point["interval"]["endTime"])
                raw = point["value"]
                value = float(raw["doubleValue"] if "doubleValue" in raw else raw["int64Value"]) * source.scale
                if source.per_second:
                    value /= end - _time(point["interval"]["startTime"])
            except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
                self.refused[source.theirs] += 1
                log.debug("gcp.refused metric=%s error=%r point=%.200s", source.theirs, error, point)
                continue
            yield end, value

    def _server(self, one: dict[str, Any]) -> str | None:
        """The server of a series, whose labels are remembered by the instance's id; None where it has no name yet."""
        resource = one.get("resource", {}).get("labels", {})
        meta = one.get("metadata", {})
        user = meta.get("userLabels", {})
        number = resource.get("instance_id", "")
        name = one.get("metric", {}).get("labels", {}).get("instance_name") or meta.get("systemLabels", {}).get("name")
        if name:
            given = {"type": user.get("type") or user.get("role") or user.get("server_type") or ""}
            given |= {"zone": resource.get("zone", ""), "project": resource.get("project_id", "")}
            known = self._names.get(number, {})
            self._names[number] = known | {"server_id": name} | {k: v for k, v in given.items() if v}
        return self._names.get(number, {}).get("server_id")


def _from_file(path: Path) -> Token:
    async def token() -> str:
        try:
            return (await asyncio.to_thread(path.read_text, "utf-8")).strip()
        except (OSError, ValueError) as error:
            raise BackendUnavailable("no_token", f"gcp_token_file '{path}' cannot be read: {error}") from None

    return token


def _from_google() -> Token:
    """Google's own login: a service account's file, `gcloud auth application-default login`, or the machine's."""
    try:
        import google.auth
        import google.auth.transport.requests
    except ImportError:
        raise BadSetting(
            "gcp_project needs the extra 'gcp': pip install 'openmanager[gcp]', or name a gcp_token_file"
        ) from None
    held: list[Any] = []

    def refreshed() -> str:
        if not held:
            held.append(google.auth.default(scopes=[SCOPE])[0])
        if not held[0].valid:
            held[0].refresh(google.auth.transport.requests.Request())
        return str(held[0].token)

    async def token() -> str:
        try:
            return await asyncio.to_thread(refreshed)
        except google.auth.exceptions.GoogleAuthError as error:
            raise BackendUnavailable("no_token", f"Google gives no access token: {error}") from error

    return token


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _retry_after(reply: aiohttp.ClientResponse) -> float:
    text = reply.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


async def _problem(reply: aiohttp.ClientResponse) -> str:
    text = await reply.text()
    try:
        return f"{reply.status} {(await reply.json())['error']['message']}"
    except (ValueError, KeyError, TypeError, aiohttp.ClientError):
        return f"{reply.status} {reply.reason} {text[:200]}"
