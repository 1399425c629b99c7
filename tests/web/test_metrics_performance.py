"""`/api/metrics/performance` and the histogram of `/metrics`: every request is counted once, under its route."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from web.performance import BOUNDS

URL = "/api/metrics/performance"


async def measured(product: Any) -> dict[str, Any]:
    """The `data` of the route."""
    reply = await product.client.get(URL)
    assert reply.status_code == 200, reply.text
    data: dict[str, Any] = reply.json()["data"]
    return data


async def test_the_counts_add_up_to_the_requests_that_were_sent(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    get = product.client.get
    paths = ["/api/dashboard", "/api/v1/dashboard", "/api/servers/bravo-01", "/api/servers/alpha-01", "/nowhere"]
    paths += ["/api/v1/query?query=up", "/api/v1/servers", "/wp-login.php", "/static/nothing.js", "/", "/healthz"]
    await asyncio.gather(*(get(path) for path in paths * 7))
    await product.client.head("/api/dashboard")
    await product.client.post("/api/ai-agent", json={"query": ""})
    await product.client.request("BREW", "/coffee")
    await product.client.put("/mcp")
    data = await measured(product)
    assert data["requests"] == sum(route["count"] for route in data["routes"]) == 1 + 7 * len(paths) + 4
    found = {(route["route"], route["method"]): route for route in data["routes"]}
    assert {key: route["count"] for key, route in found.items()} == {
        ("/api/v1/write", "POST"): 1,
        ("/api/dashboard", "GET"): 14,
        ("/api/dashboard", "HEAD"): 1,
        ("/api/servers/{server_id}", "GET"): 14,
        ("/api/servers", "GET"): 7,
        ("/api/v1/query", "GET"): 7,
        ("/static", "GET"): 7,
        ("/", "GET"): 7,
        ("/healthz", "GET"): 7,
        ("unmatched", "GET"): 14,
        ("unmatched", "other"): 1,
        ("/mcp", "PUT"): 1,
        ("/api/ai-agent", "POST"): 1,
    }
    assert found["/api/ai-agent", "POST"]["codes"] == {"4xx": 1}
    assert (await measured(product))["requests"] == data["requests"] + 1, "the request before is counted, once"


async def test_a_route_shows_how_long_it_took_and_what_it_spent(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    for _ in range(5):
        await product.client.get("/api/metrics/timeseries", params={"server": "bravo-01", "metric": "cpu"})
    data = await measured(product)
    route = next(r for r in data["routes"] if r["route"] == "/api/metrics/timeseries")
    assert (route["count"], route["errors"], route["codes"]) == (5, 0, {"2xx": 5})
    assert route["cache"] == {"hits": 4, "misses": 1}
    assert route["redis"]["round_trips"] >= 1
    assert 0 < route["redis"]["total_ms"] <= 5 * route["mean_ms"]
    assert 0 < route["p50_ms"] <= route["p95_ms"] <= route["p99_ms"]
    counts = [bucket["count"] for bucket in route["buckets"]]
    assert (counts, counts[-1]) == (sorted(counts), 5)
    assert [bucket["le"] for bucket in route["buckets"]] == [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    assert data["redis"]["round_trips"] >= route["redis"]["round_trips"]
    details = next(cache for cache in data["caches"] if cache["cache"] == "details")
    assert details["bytes"] > 0


async def test_what_is_under_way_is_in_flight_and_counted_when_it_ends(product: Any, until: Any) -> None:
    async with asyncio.timeout(5):
        stream = asyncio.create_task(product.client.get("/api/servers/realtime"))
        await until(lambda: _in_flight(product, 2))  # the stream, and this question
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
    data = await measured(product)
    assert data["in_flight"] == 1
    assert [r["count"] for r in data["routes"] if r["route"] == "/api/servers/realtime"] == [1]


async def _in_flight(product: Any, n: int) -> bool:
    return bool((await measured(product))["in_flight"] == n)


async def test_a_failing_route_is_counted_as_an_error(product: Any, stopped: Any) -> None:
    with stopped(product.app.state.parts.valkey):
        away = await product.client.get("/api/metrics/timeseries?metric=vector(1)&server=web-01")
        data = await measured(product)
    route = next(r for r in data["routes"] if r["route"] == "/api/metrics/timeseries")
    assert away.status_code == 503
    assert (route["codes"], route["errors"], data["errors"]) == ({"5xx": 1}, 1, 1)


async def test_the_page_of_our_own_metrics_holds_the_same_histogram(product: Any) -> None:
    for _ in range(3):
        await product.client.get("/healthz")
    data = await measured(product)
    text = (await product.client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    histogram = families["http_request_duration_seconds"]
    assert histogram.type == "histogram"
    labels = {"route": "/healthz", "method": "GET", "code": "2xx"}
    mine = [s for s in histogram.samples if labels.items() <= s.labels.items()]
    buckets = [{"le": s.labels["le"], "count": s.value} for s in mine if s.name.endswith("_bucket")]
    assert buckets == next(r["buckets"] for r in data["routes"] if r["route"] == "/healthz")
    assert [s.value for s in mine if s.name.endswith("_count")] == [3.0]
