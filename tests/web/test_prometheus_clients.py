"""Programs that know nothing of us but that we are a Prometheus: Grafana's data source, promtool, a Python client.

Grafana and `prometheus-api-client` are replayed, call by call; promtool is Debian's own.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn

pytestmark = pytest.mark.asyncio(loop_scope="session")

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: install Debian's prometheus")
CPU = "server_cpu_usage"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(fleet: Any) -> AsyncIterator[str]:
    """The fleet behind a real port of this machine."""
    server = uvicorn.Server(uvicorn.Config(fleet.app, port=0, lifespan="off", log_level="warning"))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


async def run(*words: str) -> tuple[int, str]:
    """The exit code and all that a command printed."""
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(20):
        printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def test_grafana_adds_us_as_a_data_source_and_draws(address: str, fleet: Any) -> None:
    span = {"start": str(fleet.now - 3600), "end": str(fleet.now)}
    async with httpx.AsyncClient(base_url=address, headers={"X-Grafana-Org-Id": "1"}) as grafana:

        async def call(method: str, path: str, given: dict[str, str]) -> Any:
            asked = {"params": given} if method == "GET" else {"data": given}
            reply = await grafana.request(method, f"/api/v1/{path}", **asked)
            assert (reply.status_code, reply.json()["status"]) == (200, "success"), reply.text
            assert reply.headers["content-type"] == "application/json"
            return reply.json()["data"]

        # save & test: what is it, and does it count?
        assert (await call("GET", "status/buildinfo", {}))["version"].startswith("3.")
        assert (await call("GET", "rules", {}))["groups"]
        one = await call("POST", "query", {"query": "1+1", "time": str(fleet.now)})
        assert one == {"resultType": "scalar", "result": [fleet.now, "2"]}
        # explore: what is there?
        metrics = await call("GET", "label/__name__/values", span)
        assert CPU in metrics
        assert await call("GET", "metadata", {"limit": "40000"}) is not None
        labels = await call("POST", "labels", {"match[]": CPU, **span})
        assert labels == ["__name__", "server_id", "type"]
        kinds = await call("GET", "label/type/values", {"match[]": CPU, **span, "limit": "40000"})
        assert kinds == ["cache", "db", "web"]
        assert len(await call("POST", "series", {"match[]": CPU, **span, "limit": "40000"})) == 5
        # a panel: lines, points, and the exemplars that it always asks for
        query = f"avg by (type) (rate({CPU}[5m]))"
        lines = await call("POST", "query_range", {"query": query, **span, "step": "15"})
        assert [row["metric"] for row in lines["result"]] == [{"type": "cache"}, {"type": "db"}, {"type": "web"}]
        assert {len(row["values"]) for row in lines["result"]} == {241}
        assert await call("POST", "query_exemplars", {"query": query, **span}) == []
        table = await call("POST", "query", {"query": f"topk(2, {CPU})", "time": str(fleet.now), "timeout": "60s"})
        assert [row["metric"]["server_id"] for row in table["result"]] == ["bravo-01", "alpha-02"]
        assert (await call("GET", "alerts", {}))["alerts"]
        assert await call("GET", "format_query", {"query": "up==0"}) == "up == 0"


@promtool
async def test_promtool_asks_and_reads_what_it_gets(address: str, fleet: Any) -> None:
    at, start = str(int(fleet.now)), str(int(fleet.now) - 120)
    db = '{type="db"}'
    span = (f"--start={start}", f"--end={at}")
    row = f'{CPU}{{server_id="bravo-01", type="db"}}'
    instant, ranged, series, labels = await asyncio.gather(
        run("promtool", "query", "instant", f"--time={at}", address, CPU + db),
        run("promtool", "query", "range", *span, "--step=60s", address, CPU + db),
        run("promtool", "query", "series", *span, f"--match={CPU}{db}", address),
        run("promtool", "query", "labels", *span, address, "type"),
    )
    assert instant == (0, f"{row} => 95 @[{at}]\n")
    assert ranged == (0, f"{row} =>\n" + "".join(f"95 @[{int(at) - back}]\n" for back in (120, 60, 0)))
    assert series == (0, f'{{__name__="{CPU}", server_id="bravo-01", type="db"}}\n')
    assert labels == (0, "cache\ndb\nweb\n")


@promtool
async def test_promtool_is_told_what_is_wrong(address: str) -> None:
    code, said = await run("promtool", "query", "instant", address, "sum(")
    assert code != 0
    assert "bad_data" in said


@promtool
async def test_promtool_finds_us_healthy_and_ready(address: str) -> None:
    for word in ("healthy", "ready"):
        code, said = await run("promtool", "check", word, f"--url={address}")
        if "expected command" in said:
            pytest.skip(f"this promtool has no `check {word}`")
        assert code == 0, said


async def test_the_python_client_connects_reads_and_aggregates(address: str, fleet: Any) -> None:
    """The calls of `prometheus-api-client`, which brings pandas and matplotlib: connect, all metrics, current value,
    range data (an instant query of a range, chunk by chunk), custom query and its range."""
    async with httpx.AsyncClient(base_url=address) as client:

        async def call(path: str, **given: Any) -> Any:
            reply = await client.get(f"/api/v1/{path}", params=given)
            assert reply.status_code == 200, reply.text
            return reply.json()["data"]

        assert (await client.get("/", params=None)).status_code == 200
        assert CPU in await call("label/__name__/values")
        [now] = (await call("query", query=f'{CPU}{{server_id="bravo-01"}}', time=fleet.now))["result"]
        assert now["value"] == [fleet.now, "95"]
        chunk = await call("query", query=f'{CPU}{{server_id="bravo-01"}}[600s]', time=int(fleet.now))
        assert chunk["resultType"] == "matrix"
        assert [value for _, value in chunk["result"][0]["values"]] == ["95"] * 10
        found = await call("query_range", query=f"max({CPU})", start=fleet.now - 60, end=fleet.now, step="60")
        assert found["result"][0]["values"][-1] == [fleet.now, "95"]
        assert [t["labels"]["job"] for t in (await call("targets", state="active"))["activeTargets"]] == []
