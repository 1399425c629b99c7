"""How long requests take, by route: counted once around everything, and shown as histograms and quantiles.

Routes are those of the application (`/api/servers/{server_id}`), never what was asked for, so there are only so many.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitoring.spent import Spent, spent

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets in seconds; one more is open."""
UNMATCHED = "unmatched"
"""Stands for all paths that no route has."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
CLASSES = tuple(f"{k}xx" for k in range(10))
BROKEN_OFF = 499
"""The status of a request whose client left before there was a reply (as nginx logs it)."""


class Key(NamedTuple):
    """What requests are counted by. `code` is a class: 2xx, 4xx, …"""

    route: str
    method: str
    code: str


@dataclass(slots=True)
class Request(Spent):
    """A request under way: what it spends, and its route as soon as that is known."""

    route: str | None = None


@dataclass(slots=True)
class Timing:
    """The requests of one key: how many took how long (by `BOUNDS`, not cumulated), and what they spent."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    total: Spent = field(default_factory=Spent)

    @property
    def count(self) -> int:
        """How many requests."""
        return sum(self.buckets)

    def add(self, took_s: float, request: Spent) -> None:
        """One request more."""
        self.buckets[bisect_left(BOUNDS, took_s)] += 1
        self.seconds += took_s
        total = self.total
        total.round_trips += request.round_trips
        total.redis_s += request.redis_s
        total.hits += request.hits
        total.misses += request.misses

    @classmethod
    def sum(cls, timings: Iterable[Timing]) -> Timing:
        """All of them together."""
        found = cls()
        for one in timings:
            found.buckets = [a + b for a, b in zip(found.buckets, one.buckets, strict=True)]
            found.seconds += one.seconds
            found.total = Spent(
                found.total.round_trips + one.total.round_trips,
                found.total.redis_s + one.total.redis_s,
                found.total.hits + one.total.hits,
                found.total.misses + one.total.misses,
            )
        return found

    def quantile(self, q: float) -> float | None:
        """Seconds within which a share of `q` was done, as `histogram_quantile` estimates it; None without requests.

        >>> Timing([0, 0, 2, 2, *[0] * 11]).quantile(0.5), Timing([*[0] * 14, 1]).quantile(0.5), Timing().quantile(0.5)
        (0.0025, 10.0, None)
        """
        sums = list(accumulate(self.buckets))
        if sums[-1] == 0:
            return None
        rank = q * sums[-1]
        k = bisect_left(sums, rank)
        if k == len(BOUNDS):
            return BOUNDS[-1]
        low, below = (BOUNDS[k - 1], sums[k - 1]) if k else (0.0, 0)
        return low + (BOUNDS[k] - low) * (rank - below) / self.buckets[k]


class Performance:
    """The requests of one process since it began."""

    def __init__(self) -> None:
        self.timings: dict[Key, Timing] = {}
        self.in_flight = 0
        """Requests that are being answered; open streams among them."""

    def add(self, key: Key, took_s: float, request: Spent) -> None:
        """Counts a request that is over."""
        timing = self.timings.get(key)
        if timing is None:
            timing = self.timings[key] = Timing()
        timing.add(took_s, request)

    def by_route(self) -> Mapping[tuple[str, str], Mapping[str, Timing]]:
        """(route, method) → class of status codes → its requests; sorted."""
        found: dict[tuple[str, str], dict[str, Timing]] = {}
        for key in sorted(self.timings):
            found.setdefault((key.route, key.method), {})[key.code] = self.timings[key]
        return found


class Measured:
    """Counts every request with all that is done for it; stands around the whole application.

    `shortcuts` are paths that are answered ahead of the routing, and so are routes by themselves.
    """

    def __init__(self, app: ASGIApp, performance: Performance, shortcuts: Collection[str] = ()) -> None:
        self._app = app
        self._performance = performance
        self._shortcuts = {path: path for path in shortcuts}
        self._shortcuts |= {path.replace("/api/", "/api/v1/", 1): path for path in shortcuts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if status == 0:
                status = message["status"]
            await send(message)

        request, failed = Request(), False
        token = spent.set(request)
        self._performance.in_flight += 1
        began = time.perf_counter()
        try:
            await self._app(scope, receive, sent)
        except Exception:
            failed = True
            raise
        finally:
            took_s = time.perf_counter() - began
            self._performance.in_flight -= 1
            spent.reset(token)
            status = status or (500 if failed else BROKEN_OFF)
            self._performance.add(self._key(scope, request, status), took_s, request)

    def _key(self, scope: Scope, request: Request, status: int) -> Key:
        route = request.route or self._shortcuts.get(scope["path"], UNMATCHED)
        method = scope["method"] if scope["method"] in METHODS else "other"
        return Key(route, method, CLASSES[status // 100])


class Routed:
    """Tells `Measured` which route it was; stands right before the routing, whose marks others may not see."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        root = scope.get("root_path", "")
        try:
            await self._app(scope, receive, send)
        finally:
            request = spent.get()
            if isinstance(request, Request):
                request.route = _route(scope, root)


def _route(scope: Scope, root: str) -> str | None:
    """The route that the routing chose: of a mounted application its mount, of one without a template its path."""
    if (route := scope.get("route")) is not None:
        path: str = route.path
        return path
    if (mount := scope.get("root_path", "")) != root:
        return str(mount).removeprefix(root)
    return scope["path"] if scope.get("endpoint") and not scope.get("path_params") else None
