"""The product over a real Prometheus (`--prometheus`), beside one over our own store: the same samples and answers."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from tests.prometheus import BINARY, WHY_NOT, prometheus
from tests.web.conftest import NOW, Product, Sent, minutes, remote_write, running, servers

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason=WHY_NOT),
    pytest.mark.asyncio(loop_scope="module"),
]
AT = NOW + 11
"""The clock of both products: no sample and no step lies on the edge of a window, where Prometheus 2 and 3 differ."""
OFF_EDGE_S = 7.0

QUESTIONS = [
    "How are the servers doing?",
    "서버 상태 어때?",
    "What is the CPU usage of bravo-01?",
    "bravo-01 메모리 몇 퍼센트야?",
    "Which servers have the highest CPU?",
    "메모리 제일 많이 쓰는 서버 2대",
    "Which servers are over 80% CPU?",
    "How many web servers are there?",
    "What is the average memory of the web servers?",
    "What was the highest CPU of bravo-01 in the last 3 hours, and when?",
    "bravo-01 CPU 지난 1시간 추이 보여줘",
    "Compare alpha-01 and alpha-02",
    "When will the disk of bravo-01 be full?",
    "Was there anything unusual in the last hour?",
    "What is firing right now?",
    "Is delta-01 up?",
    "server_cpu_usage of alpha-02",
    "What is the CPU of echo-01?",
    "What changed on bravo-01 in the last hour?",
    "topk(2, server_memory_usage)",
]

QUERIES = [
    "up",
    "server_cpu_usage",
    'server_cpu_usage{type="web"}',
    'server_cpu_usage{server_id=~"alpha-.*"} > 30',
    "avg(server_cpu_usage)",
    "sum by (type) (server_memory_usage)",
    "max without (mountpoint) (server_disk_usage)",
    "count by (type) (server_cpu_usage)",
    "topk(2, server_cpu_usage)",
    "bottomk(1, server_memory_usage)",
    "quantile(0.9, server_cpu_usage)",
    "stddev(server_cpu_usage)",
    "sort_desc(server_memory_usage)",
    "avg_over_time(server_cpu_usage[5m])",
    "max_over_time(server_cpu_usage[1h])",
    "quantile_over_time(0.95, server_cpu_usage[1h])",
    "rate(node_cpu_seconds_total[5m])",
    "increase(node_cpu_seconds_total[30m])",
    '1 - sum(rate(node_cpu_seconds_total{mode="idle"}[5m])) / sum(rate(node_cpu_seconds_total[5m]))',
    "node_memory_MemAvailable_bytes / on (instance) node_memory_MemTotal_bytes",
    "node_memory_MemAvailable_bytes * on (instance) group_left (nodename) node_uname_info",
    "server_cpu_usage offset 1h",
    "server_cpu_usage - server_cpu_usage offset 45m",
    "avg_over_time(avg by (type) (server_cpu_usage)[1h:5m])",
    "timestamp(server_cpu_usage)",
    "absent(nothing_of_the_kind)",
    'label_replace(up, "host", "$1", "instance", "(.*):.*")',
    "server_cpu_usage[3m]",
    "scalar(avg(server_cpu_usage)) + 1",
    "vector(time())",
    "predict_linear(server_cpu_usage[1h], 3600)",
    "changes(server_cpu_usage[2h])",
    "server_cpu_usage and on (server_id) server_memory_usage > 60",
    "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
]


class Pair(NamedTuple):
    """Two products with the same samples: in our own store, and in the Prometheus at `url`."""

    own: Product
    over: Product
    url: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    await written(server, samples())
    folder = tmp_path_factory.mktemp("pair")
    async with contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(running(folder / "own", AT, retention="36500d", default_rules=False))
        over = await stack.enter_async_context(running(folder / "over", AT, prometheus=server, default_rules=False))
        await own.write(samples())
        yield Pair(own, over, server)


def samples() -> list[Sent]:
    """`servers`, and the requests of a web application, off the edges of windows."""
    found = servers(NOW - OFF_EDGE_S)
    for le, share in (("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0)):
        labels = {"__name__": "http_request_duration_seconds_bucket", "instance": "alpha-01:8080", "le": le}
        found.append((labels, [(t, share * (t - NOW + 50_000)) for t in minutes(NOW - OFF_EDGE_S)]))
    return found


async def written(url: str, series: list[Sent]) -> None:
    """Remote write into Prometheus."""
    async with httpx.AsyncClient() as client:
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        reply = await client.post(f"{url}/api/v1/write", content=remote_write(series), headers=headers)
        assert reply.status_code == 204, reply.text


@pytest.mark.parametrize("text", QUESTIONS)
async def test_a_question_has_the_same_answer_over_prometheus(pair: Pair, text: str) -> None:
    mine, theirs = await pair.own.ask(text), await pair.over.ask(text)
    assert theirs["engine"] == mine["engine"] == "mcp", theirs["fallbacks"]
    assert theirs["response"] == mine["response"]
    for key in ("status", "intent", "entities"):
        assert theirs[key] == mine[key]
    for a, b in zip(mine["evidence"], theirs["evidence"], strict=True):
        assert (b["query"], b["source"]) == (a["query"], "remote")
        assert same(a["age_s"], b["age_s"]), "how old the data is"
        assert same(sorted(a["rows"], key=str), sorted(b["rows"], key=str))


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_has_the_same_result_over_prometheus(pair: Pair, query: str) -> None:
    instant = {"query": query, "time": str(AT)}
    stretch = {"query": query, "start": str(AT - 3600), "end": str(AT), "step": "60"}
    for path, asked in (("query", instant), ("query_range", stretch)):
        mine, theirs = [(await one.client.post(f"/api/v1/{path}", data=asked)).json() for one in pair[:2]]
        assert mine["status"] == theirs["status"]
        assert same(ordered(mine.get("data")), ordered(theirs.get("data"))), path


async def test_the_dashboard_is_the_same_over_prometheus(pair: Pair) -> None:
    mine, theirs = [(await one.client.get("/api/dashboard")).json()["data"] for one in pair[:2]]
    for key in ("total", "counts", "stale", "age_s"):
        assert theirs[key] == mine[key]
    assert same(mine["servers"], theirs["servers"])


async def test_every_other_view_is_the_same_over_prometheus(pair: Pair) -> None:
    for path in (
        "/api/alerts",
        "/api/servers?type=web",
        "/api/servers/bravo-01",
        "/api/metrics/timeseries?metric=cpu,memory&window=3h",
        "/api/metrics/timeseries?server=echo-01&metric=cpu&agg=max",
    ):
        mine, theirs = [(await one.client.get(path)).json()["data"] for one in pair[:2]]
        for one in (mine, theirs):
            one.pop("source", None)
            one.pop("environment", None)
            one.get("series", []).sort(key=lambda row: (row["metric"], row["server"], sorted(row["labels"].items())))
        assert same(mine, theirs), path


async def test_labels_series_and_values_are_listed_as_prometheus_has_them(pair: Pair) -> None:
    for path in (
        'labels?match[]={__name__!~"ALERTS.*"}',
        "label/server_id/values",
        'label/__name__/values?match[]={__name__!~"ALERTS.*"}',
        "label/type/values?match[]=server_cpu_usage",
        "series?match[]=server_cpu_usage&match[]=up",
    ):
        mine, theirs = [(await one.client.get(f"/api/v1/{path}")).json() for one in pair[:2]]
        assert theirs == mine, path


async def test_while_prometheus_is_away_the_last_figures_answer_and_say_how_old_they_are(
    tmp_path: Path, until: Any
) -> None:
    asked = ["What is the CPU usage of bravo-01?", "메모리 제일 많이 쓰는 서버 2대", "How are the servers doing?"]
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(prometheus(tmp_path / "prometheus"))
        await written(url, samples())
        async with running(tmp_path / "data", prometheus=url) as product:
            parts = product.app.state.parts
            await until(lambda: so(parts.remote.samples.newest() == NOW - OFF_EDGE_S))
            before = {text: await product.ask(text) for text in asked}
            board = (await product.client.get("/api/dashboard")).json()["data"]
            stack.close()
            product.now += 120

            for text in asked:
                answer = await product.ask(text)
                assert (answer["status"], answer["engine"]) == ("answered", "basic")
                assert [fall["way"] for fall in answer["fallbacks"]] == ["mcp", "direct"]
                causes = {fall["cause"].removeprefix("unavailable:") for fall in answer["fallbacks"]}
                assert causes <= {"refused", "open"}
                note, _, said = answer["response"].partition("\n")
                assert ("2 minutes ago" in note) or ("2분 전" in note)
                assert said.splitlines()[0] == before[text]["response"].splitlines()[0]
                if "delta-01" in said:
                    assert "last seen 08:39" in said, "what ended before is remembered too"
            copy = (await product.client.get("/api/dashboard")).json()["data"]
            assert (copy["stale"], copy["counts"], copy["age_s"]) == (True, board["counts"], 127.0)
            ready = (await product.client.get("/readyz")).json()["data"]
            assert (ready["status"], ready["dependencies"]["store"]) == ("degraded", "connected")
            assert ready["dependencies"]["prometheus"] in ("refused", "open")
            reply = await product.client.get("/api/v1/query?query=up")
            assert (reply.status_code, reply.json()["errorType"]) == (503, "unavailable")


async def test_the_page_follows_what_prometheus_takes_in(tmp_path: Path, until: Any) -> None:
    with prometheus(tmp_path / "prometheus") as url:
        async with running(tmp_path / "data", prometheus=url) as product:
            empty = (await product.client.get("/api/dashboard")).json()["data"]
            assert (empty["total"], "--prometheus" in empty["message"]) == (0, True)
            await written(url, samples())
            await product.app.state.parts.remote.known.refresh()

            async def shown() -> bool:
                product.now += 15
                return bool(product.app.state.parts.live.board.data()["total"] == 6)

            await until(shown)


async def so(condition: bool) -> bool:
    return condition


async def test_samples_are_not_taken_in_beside_prometheus_and_its_own_routes_are_passed_on(pair: Pair) -> None:
    client = pair.over.client
    for path in ("/api/v1/write", "/api/v1/otlp/v1/metrics", "/v1/metrics", "/api/v1/admin/tsdb/delete_series"):
        reply = await client.post(path)
        assert reply.status_code == 409, path
        assert "without --prometheus" in reply.text
    async with httpx.AsyncClient(base_url=pair.url) as prometheus_itself:
        for path in ("targets", "rules", "alerts", "metadata", "query_exemplars?query=up&start=0&end=1"):
            mine, theirs = [(await one.get(f"/api/v1/{path}")).json() for one in (client, prometheus_itself)]
            assert mine == theirs, path
    environment = (await client.get("/api/servers?limit=1")).json()["data"]["environment"]
    assert (environment["demo"], environment["sources"]) == (False, [pair.url])


def ordered(data: Any) -> Any:
    """Results of a vector in one order, whichever the server chose."""
    if data and data["resultType"] in ("vector", "matrix"):
        return sorted(data["result"], key=lambda one: sorted(one["metric"].items()))
    return data


def same(a: Any, b: Any) -> bool:
    """Equal, figures to nine digits: sums differ in the last one by the order of their terms."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-9) or a == b
    except (TypeError, ValueError):
        return bool(a == b)


async def test_rules_are_evaluated_over_prometheus_by_one_of_our_processes(pair: Pair, tmp_path: Path) -> None:
    found = []
    for name, settings in {"over": {"prometheus": pair.url}, "own": {"retention": "36500d"}}.items():
        async with running(tmp_path / name, AT, **settings) as one, asyncio.timeout(10):
            if name == "own":
                await one.write(samples())
            while not (events := (await one.client.get("/api/alerts/history")).json()["data"]["events"]):
                await one.client.get("/api/v1/alerts")  # over our own store, what came is evaluated for the request
                await asyncio.sleep(0.02)
            found.append(events)
    assert found[0] == found[1]
    assert {(one["kind"], one["name"], one["server"]) for one in found[0]} == {
        ("firing", "cpu_critical", "bravo-01"),
        ("firing", "memory_warning", "bravo-01"),
        ("firing", "up_critical", "delta-01"),
    }
