"""Another server as back end: what it is sent, what its failures are called, how it is spared. The peer is scripted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitoring import catalog, inventory
from monitoring.errors import BackendUnavailable, BadQuery, BadSetting, FailedQuery, QueryTooExpensive
from monitoring.listing import Among
from monitoring.model import Vector
from monitoring.promql import TIMED_OUT
from monitoring.remote import RemoteBackend, RemoteSeries
from monitoring.remote_address import place
from monitoring.remote_http import PrometheusClient
from monitoring.remote_inventory import FEW, KnownSeries
from tests.redis_servers import certificates

NOW = 1_760_000_400.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peer:
    """A server that answers as `answer` says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[tuple[str, dict[str, str], dict[str, str]]] = []
        """Path below /api/v1, parameters, headers."""
        self.answer: Callable[[str, dict[str, str]], Awaitable[web.StreamResponse] | web.StreamResponse] = well

    async def handle(self, request: web.Request) -> web.StreamResponse:
        given = dict(request.query) | {name: str(value) for name, value in (await request.post()).items()}
        path = request.path.removeprefix("/api/v1/")
        self.seen.append((path, given, dict(request.headers)))
        found = self.answer(path, given)
        return found if isinstance(found, web.StreamResponse) else await found

    def asked(self, path: str) -> list[dict[str, str]]:
        return [given for one, given, _ in self.seen if one == path]


def vector(*rows: tuple[dict[str, str], float]) -> web.Response:
    result = [{"metric": labels, "value": [NOW, f"{value}"]} for labels, value in rows]
    return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})


def data(found: Any) -> web.Response:
    return web.json_response({"status": "success", "data": found})


def well(_path: str, given: dict[str, str]) -> web.Response:
    """One series, whose newest sample is 20 s old."""
    aged = "timestamp(" in given.get("query", "")
    return vector(({"of": "0"}, NOW - 20)) if aged else vector(({"job": "node"}, 1.5))


def fault(status: int, kind: str = "", error: str = "", **headers: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": kind, "error": error}, status=status, headers=headers)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with serving() as peer:
        yield peer


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    peer, app = Peer(), web.Application()
    app.router.add_route("*", "/{tail:.*}", peer.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    peer.url = f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    yield peer
    await runner.cleanup()


@contextlib.asynccontextmanager
async def client(
    url: str, timeout_s: float = 5.0, clock: Callable[[], float] | None = None, **who: Any
) -> AsyncIterator[PrometheusClient]:
    found = PrometheusClient(place(url, **who), timeout_s, **({"clock": clock} if clock else {}))
    try:
        yield found
    finally:
        await found.close()


async def ask(connection: PrometheusClient, query: str = "up") -> Any:
    return (await connection.post("query", (("query", query),))).data


async def test_a_query_goes_down_unchanged_and_comes_back_as_a_vector(peer: Peer) -> None:
    query = 'sum by (job) (rate(x_total{path=~"/a|\\"b\\""}[5m])) or vector(1) # 씨퓨'
    async with client(peer.url) as connection:
        known = KnownSeries(connection, catalog.load(), lambda: NOW)
        [found] = await RemoteBackend(connection, known).instants(["up"], NOW)
        await ask(connection, query)
    assert found == Vector("up", NOW, ({"job": "node"},), (1.5,), "remote", 20.0)
    assert peer.asked("query")[0] == {"query": "up", "time": f"{NOW:.3f}", "timeout": "5s"}
    assert peer.asked("query")[-1]["query"] == query


@pytest.mark.parametrize(
    ("answer", "error", "cause", "requests"),
    [
        (fault(400, "bad_data", "parse error"), BadQuery, "", 1),
        (fault(422, "execution", "many-to-many matching not allowed"), FailedQuery, "", 1),
        (fault(422, "execution", "query processing would load too many samples"), QueryTooExpensive, "", 1),
        (fault(503, "timeout", "query timed out"), QueryTooExpensive, "", 1),
        (fault(401), BackendUnavailable, "denied", 1),
        (fault(403), BackendUnavailable, "denied", 1),
        (fault(404), BackendUnavailable, "no_api", 1),
        (fault(500), BackendUnavailable, "http_500", 1),
        (fault(502), BackendUnavailable, "http_502", 3),
        (fault(503), BackendUnavailable, "http_503", 3),
        (fault(429, **{"Retry-After": "600"}), BackendUnavailable, "busy", 1),
        (fault(429), BackendUnavailable, "busy", 3),
        (fault(307, Location="http://other.example/api/v1/query"), BackendUnavailable, "redirected", 1),
        (web.Response(text="<html>login</html>"), BackendUnavailable, "garbage", 1),
        (data({"resultType": "vector", "result": [{"metric": {}, "value": "x"}]}), BackendUnavailable, "garbage", 1),
        (data(None), BackendUnavailable, "garbage", 1),
    ],
)
async def test_each_failure_has_its_name_and_only_what_may_pass_is_tried_again(
    peer: Peer, answer: web.Response, error: type[Exception], cause: str, requests: int
) -> None:
    body, status, headers = answer.body, answer.status, dict(answer.headers)
    peer.answer = lambda *_: web.Response(body=body, status=status, headers=headers)
    async with client(peer.url) as connection:
        known = KnownSeries(connection, catalog.load(), lambda: NOW)
        with pytest.raises(error) as caught:
            await RemoteBackend(connection, known).evaluate("up", NOW, NOW, 1)
    assert type(caught.value) is error
    assert getattr(caught.value, "cause", "") == cause
    assert len(peer.seen) == requests
    if status == 307:
        assert "http://other.example" in str(caught.value), "the way out is named"
    if error is QueryTooExpensive and status == 503:
        assert str(caught.value) == TIMED_OUT


async def test_a_server_that_hangs_or_is_not_there_is_given_up_in_time(peer: Peer, unused_tcp_port: int) -> None:
    over = asyncio.Event()

    async def hang(*_: Any) -> web.Response:
        await over.wait()
        return well("", {})

    peer.answer = hang
    async with client(peer.url, timeout_s=0.2) as connection:
        with pytest.raises(BackendUnavailable) as caught:
            await ask(connection)
        assert caught.value.cause == "timeout"
    over.set()
    async with client(f"http://127.0.0.1:{unused_tcp_port}") as connection:
        with pytest.raises(BackendUnavailable) as caught:
            await ask(connection)
        assert caught.value.cause == "refused"


async def test_a_server_that_comes_back_within_the_deadline_is_not_noticed(peer: Peer) -> None:
    async def twice(*_: Any) -> web.Response:
        return fault(503) if len(peer.seen) < 3 else well("", {})

    peer.answer = twice
    async with client(peer.url) as connection:
        assert (await ask(connection))["resultType"] == "vector"
    assert len(peer.seen) == 3


async def test_after_five_failures_it_is_left_alone_and_then_tried_once(peer: Peer) -> None:
    now = 0.0
    peer.answer = lambda *_: fault(500)
    async with client(peer.url, clock=lambda: now) as connection:
        for _ in range(5):
            with pytest.raises(BackendUnavailable, match="500"):
                await ask(connection)
        with pytest.raises(BackendUnavailable) as caught:
            await ask(connection)
        assert (caught.value.cause, len(peer.seen)) == ("open", 5)
        assert "http_500" in str(caught.value)
        now, peer.answer = 30.0, well
        assert (await ask(connection))["resultType"] == "vector"
        assert connection.last_error is None


async def test_queries_that_are_wrong_and_routes_that_are_missing_open_no_breaker(peer: Peer) -> None:
    async with client(peer.url) as connection:
        peer.answer = lambda *_: fault(400, "bad_data", "parse error")
        for _ in range(6):
            with pytest.raises(BadQuery):
                await ask(connection)
        peer.answer = lambda *_: fault(404)
        for _ in range(6):
            with pytest.raises(BackendUnavailable, match="no Prometheus API"):
                await RemoteSeries(connection).tell("targets")
        peer.answer = well
        assert (await ask(connection))["resultType"] == "vector"


async def test_equal_queries_at_one_time_are_asked_once_and_at_most_eight_run_at_once(peer: Peer) -> None:
    running, most, go = 0, 0, asyncio.Event()

    async def slow(*_: Any) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1
        return well("", {})

    peer.answer = slow
    async with client(peer.url) as connection, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(connection, "q0"))
        for k in range(40):
            tasks.create_task(ask(connection, f"q{k % 20}"))
        async with asyncio.timeout(5):
            while running < 8:
                await asyncio.sleep(0.01)
        first.cancel()  # whoever asked first may leave without harm to the others
        go.set()
    assert most == 8
    assert len(peer.seen) == 20


@pytest.mark.parametrize("kind", ["url", "file", "token"])
async def test_it_is_told_who_we_are_and_nothing_shows_it(peer: Peer, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    url, who = {
        "url": (peer.url.replace("//", "//om:s3cret@"), {}),
        "file": (peer.url, {"user": "om", "password_file": secret}),
        "token": (peer.url, {"token_file": secret}),
    }[kind]
    async with client(url, tenant="team-a", **who) as connection:
        await ask(connection)
        secret.write_text("n3w\n")
        await ask(connection)
        shown = repr(connection.where) + connection.where.url
    basic = [f"Basic {base64.b64encode(f'om:{word}'.encode()).decode()}" for word in ("s3cret", "n3w")]
    wanted = {"url": [basic[0]] * 2, "file": basic, "token": ["Bearer s3cret", "Bearer n3w"]}[kind]
    assert [headers["Authorization"] for _, _, headers in peer.seen] == wanted
    assert {headers["X-Scope-OrgID"] for _, _, headers in peer.seen} == {"team-a"}
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("ftp://a", {}, "http or https"),
        ("http://om:s3cret@a:x", {}, "not a URL"),
        ("http://a?x=1", {}, "without '[?]'"),
        ("http://a", {"user": "om"}, "prometheus_password_file"),
        ("http://om:s3cret@a", {"user": "other"}, "two users"),
        ("http://a", {"token_file": Path("/nowhere")}, "cannot be read"),
        ("http://a", {"ca": Path("ca.pem")}, "https://"),
        ("https://a", {"ca": Path("/nowhere.pem")}, "no file"),
        ("http://a", {"tenant": "a\r\nb"}, "prometheus_tenant"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_with_the_way_out(url: str, more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting, match=said) as caught:
        place(url, **more)
    assert "s3cret" not in str(caught.value)


async def test_tls_is_verified_and_a_client_certificate_is_shown(tmp_path: Path) -> None:
    files, other = certificates(tmp_path / "ours"), certificates(tmp_path / "other")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.load_cert_chain(files.cert, files.key)
    context.verify_mode = ssl.CERT_REQUIRED
    async with serving(context) as peer:
        async with client(peer.url, ca=files.ca, cert=files.cert, key=files.key) as connection:
            assert (await ask(connection))["resultType"] == "vector"
        async with client(peer.url, ca=other.ca, cert=files.cert, key=files.key) as connection:
            with pytest.raises(BackendUnavailable, match="prometheus_ca") as caught:
                await ask(connection)
            assert caught.value.cause == "tls"


async def test_of_a_metric_with_many_series_only_what_names_servers_is_asked_for(peer: Peer) -> None:
    hosts = [{"instance": f"db-{k:02}:9100"} for k in range(3)]
    cores = "node_cpu_seconds_total"

    def big(path: str, given: dict[str, str]) -> web.Response:
        if path == "label/__name__/values":
            return data([cores, "up", "go_goroutines"])
        if path == "series":
            return data([{"__name__": "up", "job": "node", **host} for host in hosts])
        if given["query"].startswith("count"):
            return vector(({"__name__": cores}, FEW + 1), ({"__name__": "up"}, 3))
        assert given["query"].startswith("group by")
        return vector(*((host, 1) for host in hosts))

    peer.answer = big
    async with client(peer.url) as connection:
        known = KnownSeries(connection, catalog.load(), lambda: NOW)
        labels = await known.labels()
        assert known.version == 1
    servers = inventory.build(labels, catalog.load())
    assert sorted(servers.servers) == ["db-00", "db-01", "db-02"]
    assert {"go_goroutines", cores, "up"} == servers.metrics
    assert [given["match[]"] for given in peer.asked("series")] == ['{__name__=~"up"}']
    [query] = {given["query"] for given in peer.asked("query") if "group" in given["query"]}
    assert query.endswith(f") ({cores})")


async def test_selectors_times_and_limits_of_a_listing_are_pushed_down(peer: Peer) -> None:
    peer.answer = lambda *_: data(["b", "a"])
    async with client(peer.url) as connection:
        series = RemoteSeries(connection)
        assert await series.label_names(Among(('up{a=~"b"}',), 1.0, 2.0, 10)) == ["a", "b"]
        assert await series.label_values("http.route", Among()) == ["a", "b"]
    path, given, _ = peer.seen[0]
    assert (path, given) == ("labels", {"match[]": 'up{a=~"b"}', "start": "1.000", "end": "2.000", "limit": "11"})
    assert peer.seen[1][0] == "label/U__http_2e_route/values"
