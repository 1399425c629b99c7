"""Every route that a page or another program reads: its shape, its headers, its figures."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
OURS = ["/api/dashboard", "/api/servers", "/api/servers/bravo-01", "/api/servers/next", "/api/alerts", "/api/health"]
OURS += ["/api/redis/status", "/api/data-generator", "/readyz"]
THEIRS = ["/api/v1/query?query=1", "/api/v1/alerts", "/api/v1/labels", "/metrics", "/healthz", "/", "/chat", "/nowhere"]


@pytest.mark.parametrize("path", [*OURS, *THEIRS])
async def test_every_route_carries_the_security_headers(fleet: Any, path: str) -> None:
    reply = await fleet.client.get(path)
    assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in reply.headers["content-security-policy"]


@pytest.mark.parametrize("path", OURS)
async def test_our_routes_answer_in_the_envelope(fleet: Any, path: str) -> None:
    reply = await fleet.client.get(path)
    assert reply.status_code == 200
    assert reply.json().keys() == {"success", "data", "timestamp", "version"}
    assert reply.json()["success"] is True


@pytest.mark.parametrize("path", ["dashboard", "servers", "servers/bravo-01", "redis/status", "servers/next"])
async def test_every_route_of_ours_answers_below_v1_too(fleet: Any, path: str) -> None:
    plain, versioned = [(await fleet.client.get(f"/api/{way}{path}")).json()["data"] for way in ("", "v1/")]
    assert plain.keys() == versioned.keys()


async def test_where_prometheus_has_the_path_its_meaning_stands(fleet: Any) -> None:
    ours = (await fleet.client.get("/api/alerts")).json()["data"]["alerts"]
    theirs = (await fleet.client.get("/api/v1/alerts")).json()
    assert theirs["status"] == "success"
    assert {a["labels"]["server"] for a in theirs["data"]["alerts"]} == {a["server"] for a in ours}
    assert {a["server"] for a in ours} == {"bravo-01", "delta-01"}


async def test_the_dashboard_has_every_server_worst_first(fleet: Any) -> None:
    data = (await fleet.client.get("/api/dashboard")).json()["data"]
    shown = {s["id"]: (s["status"], s["cpu"], s["memory"]) for s in data["servers"]}
    assert [s["id"] for s in data["servers"]][:2] == ["bravo-01", "delta-01"]
    assert data["counts"] == {"critical": 1, "offline": 1, "warning": 0, "unknown": 0, "healthy": 4}
    assert shown["bravo-01"] == ("critical", 95.0, 83.0)
    assert shown["delta-01"] == ("offline", None, None)
    assert shown["echo-01"] == ("healthy", pytest.approx(60), pytest.approx(45))


async def test_the_list_of_servers_filters_and_pages(fleet: Any) -> None:
    async def listed(**given: Any) -> tuple[list[str], int]:
        data = (await fleet.client.get("/api/servers", params=given)).json()["data"]
        return [s["id"] for s in data["servers"]], data["total"]

    assert await listed(status="critical") == (["bravo-01"], 1)
    assert await listed(type="web", status="healthy") == (["alpha-01", "alpha-02"], 2)
    assert await listed(match="CHARLIE") == (["charlie-01"], 1)
    everyone, total = await listed()
    assert (await listed(limit=2, offset=2))[0] == everyone[2:4]
    assert total == 6


async def test_one_server_comes_with_its_series_and_what_is_firing_on_it(fleet: Any) -> None:
    data = (await fleet.client.get("/api/servers/bravo-01", params={"window": "1h"})).json()["data"]
    cpu = data["metrics"]["cpu"]
    assert (data["server"]["id"], data["server"]["type"], data["server"]["status"]) == ("bravo-01", "db", "critical")
    assert (cpu["unit"], cpu["values"][0], cpu["values"][-1]) == ("percent", 40.0, 95.0)
    assert data["metrics"]["disk:/data"]["values"][-1] == 72.0
    assert {alert["concept"] for alert in data["alerts"]} == {"cpu", "memory"}


async def test_the_state_of_redis_is_measured(fleet: Any) -> None:
    data = (await fleet.client.get("/api/redis/status")).json()["data"]
    assert (data["status"], data["connected"]) == ("connected", True)
    assert data["performance"]["actual"] == data["responseTime"] > 0


async def test_readiness_names_each_dependency(fleet: Any) -> None:
    data = (await fleet.client.get("/readyz")).json()["data"]
    assert data["status"] == "ready"
    assert data["dependencies"] == {"store": "connected", "mcp": "connected", "model": "patterns+tfidf"}
    assert (await fleet.client.get("/healthz")).text == "ok\n"


async def test_our_own_metrics_count_answers(fleet: Any) -> None:
    async def answers() -> float:
        page = (await fleet.client.get("/metrics")).text
        return sum(
            float(line.split()[-1]) for line in page.splitlines() if line.startswith("openmanager_answers_total{")
        )

    before = await answers()
    await fleet.ask("cpu of bravo-01")
    assert await answers() == before + 1


async def test_labels_and_series_are_those_that_were_written(fleet: Any) -> None:
    async def get(path: str, **given: Any) -> Any:
        return (await fleet.client.get(f"/api/v1/{path}", params=given)).json()["data"]

    assert set(await get("labels")) >= {"__name__", "server_id", "type", "mountpoint", "instance", "nodename"}
    assert await get("label/server_id/values") == ["alpha-01", "alpha-02", "bravo-01", "charlie-01", "delta-01"]
    assert await get("series", **{"match[]": 'server_cpu_usage{type="db"}'}) == [
        {"__name__": "server_cpu_usage", "server_id": "bravo-01", "type": "db"}
    ]


@pytest.mark.asyncio(loop_scope="function")
async def test_without_sources_there_are_no_servers_and_an_answer_says_so(product: Any) -> None:
    data = (await product.client.get("/api/dashboard")).json()["data"]
    assert (data["servers"], data["total"]) == ([], 0)
    assert "--scrape" in data["message"]
    assert (await product.ask("지금 서버 상태 어때?"))["status"] == "no_data"
