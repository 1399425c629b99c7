"""Requests to a Prometheus-compatible server: few at a time, each once for all who ask, tried again where that is safe.

Every failure has a named cause: refused, unknown_host, closed, timeout, tls, denied, redirected, no_api, busy, garbage,
no_secret, http_503 (or another status), and open: it failed five times in a row and is left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import aiohttp
import orjson

from monitoring.breaker import Breaker
from monitoring.errors import BackendUnavailable, BadQuery, FailedQuery, OpenManagerError, QueryTooExpensive
from monitoring.promql import TIMED_OUT
from monitoring.remote_address import Place

log = logging.getLogger(__name__)
AT_ONCE = 8
TRIES = 3
PAUSE_S = 0.1
"""Before the second try, doubled before each further one; half of it is left to chance."""
MOST_BYTES = 256 << 20
IN_THREAD_BYTES = 256 << 10
"""Replies above this are read beside the event loop (about 5 ms)."""
AGAIN = frozenset(("refused", "closed", "busy", "http_502", "http_503", "http_504"))
"""Causes after which the same request may do better: all of ours only read."""
P = ParamSpec("P")
R = TypeVar("R")
Params = tuple[tuple[str, str], ...]

requests_total: Counter[str] = Counter()
"""Outcome ("ok", "refused_query", or a cause) → requests that were sent, for `/metrics`."""


class Reply(NamedTuple):
    """What a success said."""

    data: Any
    warnings: tuple[str, ...]
    infos: tuple[str, ...]
    size: int = 0
    """Bytes of the body: what it takes to read it."""


class PrometheusClient:
    """Reads one server. Raises BadQuery, QueryTooExpensive, BackendUnavailable. Closed by `close`."""

    def __init__(self, where: Place, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.where = where
        self.timeout_s = timeout_s
        self.breaker = Breaker(clock)
        self.last_error: BackendUnavailable | None = None
        """None where the last request was answered."""
        self.heard: float | None = None
        """When it last answered (monotonic seconds)."""
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._flying: dict[tuple[str, Params, float], asyncio.Task[Reply]] = {}

    def heard_within(self, seconds: float) -> bool:
        """True where the last request was answered, and not longer ago."""
        return self.last_error is None and self.heard is not None and self._clock() - self.heard <= seconds

    async def get(self, path: str, params: Sequence[tuple[str, str]] = (), timeout_s: float | None = None) -> Reply:
        """The reply to `GET /api/v1/{path}`."""
        return await self._once("GET", path, tuple(params), timeout_s)

    async def post(self, path: str, params: Sequence[tuple[str, str]], timeout_s: float | None = None) -> Reply:
        """The reply to `POST /api/v1/{path}` with a form, where a GET would mean the same and may be too long."""
        return await self._once("POST", path, tuple(params), timeout_s)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._flying.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _once(self, method: str, path: str, params: Params, timeout_s: float | None) -> Reply:
        """Equal requests at one time are one request; whoever asked first may leave without harm to the others."""
        key = path, params, timeout_s or self.timeout_s
        if (task := self._flying.get(key)) is None:
            task = asyncio.create_task(self._ask(method, *key), name=f"prometheus-{path}")
            self._flying[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: tuple[str, Params, float], task: asyncio.Task[Reply]) -> None:
        del self._flying[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("prometheus.failed path=%s error=%s", key[0], error)

    async def _ask(self, method: str, path: str, params: Params, timeout_s: float) -> Reply:
        if not self.breaker.admits():
            cause = self.last_error.cause if self.last_error else "open"
            wait_s = self.breaker.rests_s()
            raise BackendUnavailable(
                "open", f"{self.where.url} failed five times in a row (last: {cause}); next try in {wait_s:.0f} s"
            )
        try:
            reply = await self._within(method, path, params, timeout_s)
        except BackendUnavailable as error:
            if error.cause == "no_api" and not path.startswith("query"):  # not every server has every route
                self._answered("no_api")
            else:
                self._failed(error)
            raise
        except (BadQuery, QueryTooExpensive):
            self._answered("refused_query")
            raise
        except BaseException:
            self.breaker.given_up()
            raise
        self._answered("ok")
        return reply

    def _answered(self, outcome: str) -> None:
        if self.last_error is not None:
            log.info("prometheus.back url=%s after=%s", self.where.url, self.last_error.cause)
        requests_total[outcome] += 1
        self.last_error, self.heard = None, self._clock()
        self.breaker.succeeded()

    def _failed(self, error: BackendUnavailable) -> None:
        if self.last_error is None or self.last_error.cause != error.cause:
            log.warning("prometheus.away url=%s cause=%s error=%s", self.where.url, error.cause, error)
        requests_total[error.cause] += 1
        self.last_error = error
        self.breaker.failed()

    async def _within(self, method: str, path: str, params: Params, timeout_s: float) -> Reply:
        """One request with its repetitions, inside one deadline."""
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                return await self._tried(method, path, params, self._clock() + timeout_s)
        except TimeoutError:
            said = f"{self.where.url} did not answer within {timeout_s:g} s; see prometheus_timeout"
            raise BackendUnavailable("timeout", said) from None

    async def _tried(self, method: str, path: str, params: Params, until: float) -> Reply:
        for attempt in range(TRIES):
            try:
                return await self._send(method, path, params)
            except _Again as again:
                wait_s = max(again.after_s, PAUSE_S * 2**attempt * (0.5 + random.random() / 2))
                if attempt == TRIES - 1 or self._clock() + wait_s >= until:
                    raise again.error from None
                await asyncio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    async def _send(self, method: str, path: str, params: Params) -> Reply:
        url = f"{self.where.url}/api/v1/{path}"
        headers = await asyncio.to_thread(self.where.headers) if self._has_file() else self.where.headers()
        given: dict[str, Any] = {"data" if method == "POST" else "params": params}
        try:
            # A redirect would carry the credentials elsewhere.
            async with self._opened().request(method, url, headers=headers, allow_redirects=False, **given) as reply:
                return await aside(len(body := await _body(reply, url)), _read, self.where, reply, body)
        except (aiohttp.ClientError, OSError) as error:
            failure = _unreachable(self.where, error)
            raise (_Again(failure) if failure.cause in AGAIN else failure) from None

    def _has_file(self) -> bool:
        return self.where.password_file is not None or self.where.token_file is not None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls: Any = self.where.context or True
            connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=tls, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self._session


class _Again(Exception):
    """It may be tried again, after `after_s` at the earliest."""

    def __init__(self, error: BackendUnavailable, after_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.after_s = error, after_s


async def aside(size: int, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `act` returns; beside the event loop where `size` bytes of a reply are to be read and that is much."""
    return act(*args, **kwargs) if size <= IN_THREAD_BYTES else await asyncio.to_thread(act, *args, **kwargs)


async def _body(reply: aiohttp.ClientResponse, url: str) -> bytes:
    found = bytearray()
    async for chunk in reply.content.iter_chunked(1 << 20):
        found += chunk
        if len(found) > MOST_BYTES:
            raise QueryTooExpensive(f"the reply of {url} is over {MOST_BYTES >> 20} MiB; narrow the query")
    return bytes(found)


def _read(where: Place, reply: aiohttp.ClientResponse, body: bytes) -> Reply:
    """What a reply says, or the error that it stands for."""
    said = _parsed(body)
    if reply.status == 200 and said.get("status") == "success" and "data" in said:
        return Reply(said["data"], tuple(said.get("warnings") or ()), tuple(said.get("infos") or ()), len(body))
    failure = _refused(where, reply, said)
    if isinstance(failure, BackendUnavailable) and failure.cause in AGAIN:
        raise _Again(failure, _retry_after(reply))
    raise failure


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refused(where: Place, reply: aiohttp.ClientResponse, said: dict[str, Any]) -> OpenManagerError:
    status, url = reply.status, where.url
    kind, message = str(said.get("errorType", "")), str(said.get("error", ""))[:2_000]
    if kind in ("timeout", "canceled"):
        return QueryTooExpensive(TIMED_OUT)
    match status:
        case 200:
            return BackendUnavailable("garbage", f"{url} does not speak the Prometheus API; check prometheus")
        case 400 | 422 if message:
            return _query_error(status, kind, message)
        case 401 | 403:
            hint = "check prometheus_user, prometheus_password_file, prometheus_token_file and prometheus_tenant"
            return BackendUnavailable("denied", f"{url} refuses us ({status}); {hint}")
        case 404 | 405:
            hint = "Mimir's is below /prometheus, VictoriaMetrics cluster's below /select/TENANT/prometheus"
            return BackendUnavailable("no_api", f"{url} has no Prometheus API at this path ({status}); {hint}")
        case 429:
            return BackendUnavailable("busy", f"{url} takes no more requests now (429)")
    if 300 <= status < 400:
        target = reply.headers.get("Location", "").partition("?")[0].partition("/api/v1")[0]
        target = target.rpartition("@")[2] if "@" in target else target
        hint = f"write that address into prometheus: {target}" if target else "check prometheus"
        return BackendUnavailable("redirected", f"{url} sends us elsewhere ({status}), where we do not follow; {hint}")
    return BackendUnavailable(f"http_{status}", f"{url} answers {status}{f': {message[:300]}' if message else ''}")


def _query_error(status: int, kind: str, message: str) -> OpenManagerError:
    """400 is the asker's mistake. 422 is a query that cannot be carried out; VictoriaMetrics calls both so."""
    if status == 400 or "parse" in message[:200]:
        return BadQuery(message.removeprefix("bad_data: "))
    return QueryTooExpensive(message) if "too many samples" in message else FailedQuery(message)


def _retry_after(reply: aiohttp.ClientResponse) -> float:
    text = reply.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _unreachable(where: Place, error: Exception) -> BackendUnavailable:
    url = where.url
    match error:
        case aiohttp.ClientConnectorDNSError():
            return BackendUnavailable("unknown_host", f"no address for {url}; check prometheus")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            hint = "check prometheus_ca, prometheus_cert, prometheus_key and the name in prometheus"
            return BackendUnavailable("tls", f"no trusted TLS to {url}: {_short(error)}; {hint}")
        case aiohttp.ClientConnectorError():
            return BackendUnavailable("refused", f"nothing answers at {url}: {_short(error)}")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return BackendUnavailable("closed", f"{url} closed the connection")
        case aiohttp.ClientPayloadError():
            return BackendUnavailable("closed", f"{url} closed the connection within its reply")
    return BackendUnavailable("garbage", f"{url} does not speak HTTP as we know it: {_short(error)}")


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]
