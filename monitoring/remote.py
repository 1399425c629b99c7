"""PromQL over another server: Prometheus, Thanos, Mimir, VictoriaMetrics. Every query goes down to it unchanged."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from monitoring import remote_age, remote_shapes
from monitoring.listing import Among, Families
from monitoring.model import Labels, Matrix, Vector, label_key
from monitoring.promql import Result
from monitoring.remote_http import Params, PrometheusClient, Reply, aside
from monitoring.remote_inventory import KnownSeries

LOOKBACK_S = 300.0
API_TIMEOUT_S = 30.0
"""What a query of `/api/v1` may take; a reading of ours has the client's own timeout, since somebody waits."""
SLACK_S = 1.0
EXACT = ("nocache", "1")
"""VictoriaMetrics would move start and end to multiples of the step; the others pass over this."""
ORDERED = re.compile(r"\b(sort\w*|topk|bottomk|limitk)\b")
"""Functions whose result comes in an order that means something."""


class RemoteBackend:
    """PromQL in, values out (`monitoring.backends.Backend`), by the HTTP API of another server."""

    source = "remote"

    def __init__(self, client: PrometheusClient, known: KnownSeries) -> None:
        self._client, self._known = client, known

    @property
    def catalog_version(self) -> int:
        """Grows when a series is first seen."""
        return self._known.version

    async def labels(self) -> list[Labels]:
        """The labels of the series that servers are known by, and the name of every metric."""
        return await self._known.labels()

    async def evaluate(
        self,
        query: str,
        start: float,
        end: float,
        step: float,
        *,
        lookback_s: float = LOOKBACK_S,
        timeout_s: float | None = None,
    ) -> tuple[Result, float | None]:
        """The result as the other server gives it. The time of the newest sample is not asked for here: None."""
        most_s = max(API_TIMEOUT_S, self._client.timeout_s)
        limit_s = most_s if timeout_s is None else min(timeout_s, most_s)
        return await self._result(query, start, end, step, lookback_s=lookback_s, timeout_s=limit_s), None

    async def instants(self, queries: Sequence[str], time: float) -> list[Vector]:
        """One value per series at `time` for each query, read together; a scalar is one value without labels."""
        matrices = await self.ranges([(query, time, time, 1.0) for query in queries])
        return [
            Vector(one.query, time, one.labels, tuple(one.values[:, 0].tolist()), self.source, one.age_s)
            for one in matrices
        ]

    async def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """Values at `start`, `start + step`, … up to `end`; NaN where there is none."""
        [found] = await self.ranges([(query, start, end, step)])
        return found

    async def ranges(self, asked: Sequence[tuple[str, float, float, float]]) -> list[Matrix]:
        """`range` of several (query, start, end, step), read together; those at one time have start = end."""
        looks = [remote_age.looks(*one) for one in asked]
        results, newest = await asyncio.gather(
            asyncio.gather(*(self._result(*one) for one in asked)),
            remote_age.newest(self._client, [look for some in looks for look in some]),
        )
        found = []
        for (query, start, end, step), result, some in zip(asked, results, looks, strict=True):
            remote_shapes.one_value_each(query, result)
            times = [newest[look] for look in some if look in newest]
            age_s = end - max(times) if times else None
            found.append(Matrix(query, start, end, step, tuple(result.labels), result.values, self.source, age_s))
        return found

    async def _result(
        self,
        query: str,
        start: float,
        end: float,
        step: float,
        *,
        lookback_s: float = LOOKBACK_S,
        timeout_s: float | None = None,
    ) -> Result:
        """`timeout_s` is the other server's to keep: it says so in its own words, a moment before we stop waiting."""
        wait_s = self._client.timeout_s if timeout_s is None else timeout_s + SLACK_S
        start_ms, end_ms, step_ms = round(start * 1000), round(end * 1000), max(round(step * 1000), 1)
        params: Params = (("query", query), ("timeout", f"{timeout_s or wait_s:g}s"))
        if lookback_s != LOOKBACK_S:
            params += (("lookback_delta", f"{lookback_s:g}s"),)
        if start_ms == end_ms:
            reply = await self._client.post("query", (*params, ("time", f"{start_ms / 1000:.3f}")), wait_s)
            result = await aside(reply.size, remote_shapes.instant, reply, start_ms)
        else:
            span = ("start", f"{start_ms / 1000:.3f}"), ("end", f"{end_ms / 1000:.3f}"), ("step", f"{step_ms / 1000:g}")
            reply = await self._client.post("query_range", (*params, *span, EXACT), wait_s)
            times = np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)
            result = await aside(reply.size, remote_shapes.ranged, reply, times, step_ms)
        return result if ORDERED.search(query) else await aside(reply.size, remote_shapes.in_order, result)


class RemoteSeries:
    """The series of the other server (`monitoring.listing.SeriesSource`), and what else its API tells."""

    def __init__(self, client: PrometheusClient) -> None:
        self._client = client

    async def label_names(self, among: Among) -> list[str]:
        """The names of their labels, sorted."""
        return sorted(remote_shapes.names(await self._listed("labels", among)))

    async def label_values(self, name: str, among: Among) -> list[str]:
        """The values of one label, sorted."""
        return sorted(remote_shapes.names(await self._listed(f"label/{_segment(name)}/values", among)))

    async def series(self, among: Among) -> list[Labels]:
        """Their labels, sorted."""
        return sorted(remote_shapes.label_sets(await self._listed("series", among)), key=label_key)

    async def metadata(self) -> Families:
        """What it knows about metrics."""
        found: Families = await self.tell("metadata")
        return found

    async def tell(self, path: str, params: Sequence[tuple[str, str]] = ()) -> Any:
        """The `data` of `GET /api/v1/{path}`: targets, rules, alerts, query_exemplars, as it gives them."""
        return (await self._client.get(path, params, API_TIMEOUT_S)).data

    async def _listed(self, path: str, among: Among) -> Reply:
        times = (("start", among.start), ("end", among.end))
        params = [("match[]", text) for text in among.matches]
        params += [(name, f"{time:.3f}") for name, time in times if time is not None]
        if among.limit:
            params.append(("limit", str(among.limit + 1)))
        ask = self._client.get if path.startswith("label/") else self._client.post  # selectors may be long
        return await ask(path, params, API_TIMEOUT_S)


def _segment(name: str) -> str:
    """A label's name as a segment of a path: others than Prometheus' classic ones are escaped as it does (U__).

    >>> _segment("job"), _segment("http.route")
    ('job', 'U__http_2e_route')
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return name
    letters = (c if re.fullmatch(r"[A-Za-z0-9]", c) else "__" if c == "_" else f"_{ord(c):x}_" for c in name)
    return "U__" + "".join(letters)
