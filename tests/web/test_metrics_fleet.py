"""`/api/metrics`: the fleet as Prometheus text, OpenMetrics and JSON, from the reading that the dashboard shows."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from web.fleet_page import COLUMNS, INFO

URL = "/api/metrics/prometheus"
COUNT = 'http_request_duration_seconds_count{route="/api/metrics/prometheus"} > 0'
BRAVO = {"server_id": "bravo-01", "type": "db"}


def needs(program: str) -> str:
    """Debian's program, never another of that name; skips where it is missing."""
    path = f"/usr/bin/{program}"
    if shutil.which(path) is None:
        pytest.skip(f"needs {path} (apt-get install prometheus)")
    return path


async def page(product: Any, url: str = URL, **params: Any) -> dict[tuple[str, str | None], dict[str, float]]:
    """(metric, server) → value, as prometheus_client reads it."""
    reply = await product.client.get(url, params=params, headers={"Accept": "text/plain"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(reply.text)
    return {(s.name, s.labels.get("server_id")): s.value for family in families for s in family.samples}


@pytest.mark.asyncio(loop_scope="session")
async def test_every_value_is_the_dashboards(fleet: Any) -> None:
    servers = (await fleet.client.get("/api/dashboard")).json()["data"]["servers"]
    expected = {(c.name, s["id"]): v for s in servers for c in COLUMNS if (v := c.value(s)) is not None}
    expected |= {(INFO, s["id"]): 1.0 for s in servers}
    for url in ("/api/metrics", URL, "/api/v1/metrics", "/api/v1/metrics/prometheus"):
        assert await page(fleet, url) == expected
    assert expected["server_cpu_usage", "bravo-01"] == 95.0


@pytest.mark.asyncio(loop_scope="session")
async def test_a_series_is_written_as_the_documents_promise(fleet: Any) -> None:
    lines = (await fleet.client.get(URL)).text.splitlines()
    first = lines.index("# TYPE server_cpu_usage gauge")
    assert lines[first - 1].startswith("# HELP server_cpu_usage ")
    assert 'server_cpu_usage{server_id="bravo-01",type="db"} 95.0' in lines[first:]
    assert (
        'server_info{server_id="bravo-01",type="db",status="critical",type_guessed="false",simulated="false"} 1'
        in lines
    )


@pytest.mark.asyncio(loop_scope="session")
async def test_an_offline_server_is_down_and_has_no_invented_values(fleet: Any) -> None:
    found = {name: value for (name, server), value in (await page(fleet)).items() if server == "delta-01"}
    assert found == {"server_up": 0.0, INFO: 1.0, "server_last_seen_timestamp_seconds": fleet.now - 1200}


@pytest.mark.asyncio(loop_scope="session")
async def test_the_accept_header_chooses_between_json_text_and_openmetrics(fleet: Any) -> None:
    prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    kinds = {}
    for accept in ("*/*", "application/json", "text/plain", prometheus):
        reply = await fleet.client.get("/api/metrics", headers={"Accept": accept})
        kinds[accept] = reply.headers["content-type"].partition(";")[0]
        assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert list(kinds.values()) == [
        "application/json",
        "application/json",
        "text/plain",
        "application/openmetrics-text",
    ]
    asked = await fleet.client.get("/api/metrics", params={"format": "openmetrics"}, headers={"Accept": "text/plain"})
    families = {family.name: family for family in openmetrics.text_string_to_metric_families(asked.text)}
    assert [s.value for s in families["server_cpu_usage"].samples if s.labels == BRAVO] == [95.0]
    always = await fleet.client.get(URL, headers={"Accept": "application/json"})
    assert always.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.asyncio(loop_scope="session")
async def test_json_holds_the_same_as_the_page(fleet: Any) -> None:
    data = (await fleet.client.get("/api/metrics")).json()["data"]
    listed = {(m["name"], s["server_id"]): s["value"] for m in data["metrics"] for s in m["samples"]}
    assert listed == {key: value for key, value in (await page(fleet)).items() if key[0] != INFO}
    assert (data["total"], data["timestamp"], data["stale"]) == (6, "2025-10-09T09:00:00Z", False)
    cpu = next(m for m in data["metrics"] if m["name"] == "server_cpu_usage")
    assert (cpu["type"], cpu["unit"]) == ("gauge", "percent")


@pytest.mark.asyncio(loop_scope="session")
async def test_servers_types_and_metrics_can_be_chosen(fleet: Any) -> None:
    names = {"name[]": ["server_up", "server_cpu_usage"]}
    assert await page(fleet, server=["bravo-01", "delta-01"], **names) == {
        ("server_up", "bravo-01"): 1.0,
        ("server_up", "delta-01"): 0.0,
        ("server_cpu_usage", "bravo-01"): 95.0,
    }
    assert {server for _, server in await page(fleet, type="db")} == {"bravo-01"}
    unknown = await fleet.client.get(URL, params={"server": "bravo-1"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_server")
    unknown = await fleet.client.get("/api/metrics", params={"name[]": "server_cpu"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_metric")


async def test_a_page_is_made_once_for_a_reading_and_reads_nothing_more(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    first = await product.client.get(URL)
    trips = product.app.state.parts.store.connection.round_trips
    tag = first.headers["etag"]
    again = await product.client.get(URL, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert (await product.client.get(URL)).text == first.text
    assert product.app.state.parts.store.connection.round_trips == trips
    await product.write([({"__name__": "server_memory_usage", **BRAVO}, [(product.now + 1, 12.5)])])
    product.now += 1
    later = await product.client.get(URL, headers={"If-None-Match": tag})
    assert 'server_memory_usage{server_id="bravo-01",type="db"} 12.5' in later.text
    for coding in ("gzip", "zstd", "identity"):
        same = await product.client.get(URL, headers={"Accept-Encoding": coding})
        if coding != "zstd":  # which this client cannot read
            assert same.text == later.text
        assert same.headers.get("content-encoding", "identity") == coding


async def test_values_older_than_five_minutes_are_not_given_out_as_current(
    product: Any, make_servers: Any, stopped: Any, until: Any
) -> None:
    await product.write(make_servers(product.now))
    assert (await product.client.get(URL)).status_code == 200
    with stopped(product.app.state.parts.valkey):
        product.now += 60
        await until(lambda: _status(product, 200))
        product.now += 300
        away = await product.client.get(URL)
    assert (away.status_code, away.json()["error"]["code"]) == (503, "store_unavailable")


async def _status(product: Any, status: int) -> bool:
    reply = await product.client.get(URL)
    return bool(reply.status_code == status)


async def test_names_are_escaped(product: Any) -> None:
    odd = 'a"b\\c\nd'
    labels = {"server_id": odd, "type": "웹"}
    await product.write([({"__name__": "server_cpu_usage", **labels}, [(product.now, 12.0)])])
    assert (await page(product))["server_cpu_usage", odd] == 12.0
    text = (await product.client.get("/api/metrics", params={"format": "openmetrics"})).text
    samples = [s for f in openmetrics.text_string_to_metric_families(text) for s in f.samples]
    assert next(s.labels for s in samples if s.name == "server_cpu_usage") == labels


async def test_an_empty_fleet_is_an_empty_page(product: Any) -> None:
    assert (await product.client.get(URL)).text.strip() == ""
    assert (await product.client.get("/api/metrics", params={"format": "openmetrics"})).text == "# EOF\n"


async def test_our_own_scraper_is_refused_so_that_no_server_lives_on_as_its_echo(
    product: Any, make_servers: Any
) -> None:
    await product.write(make_servers(product.now))
    for url in (URL, "/api/metrics?format=text"):
        refused = await product.client.get(url, headers={"User-Agent": "OpenManager"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("url", [URL, "/api/metrics?format=text", "/metrics"])
async def test_promtool_finds_nothing_to_say(fleet: Any, url: str) -> None:
    promtool = needs("promtool")
    await fleet.client.get("/api/dashboard")
    text = (await fleet.client.get(url)).content
    done = await asyncio.to_thread(subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


async def test_a_real_prometheus_scrapes_both_pages_and_answers_with_our_figures(
    product: Any, make_servers: Any, tmp_path: Path
) -> None:
    prometheus = needs("prometheus")
    await product.write(make_servers(product.now))
    async with listening(product.app) as port, scraping(prometheus, port, tmp_path) as client:
        async with asyncio.timeout(30):  # Prometheus looks for targets five seconds after it began
            while not (await ask(client, COUNT) and await ask(client, "count(up == 1)") == [2.0]):
                await asyncio.sleep(0.1)
        assert await ask(client, 'server_cpu_usage{server_id="bravo-01"}') == [95.0]
        assert await ask(client, "sum(server_up)") == [5.0]


@contextlib.asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    """The product on a loopback port; its lifespan is the fixture's."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error"))
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(5):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def scraping(prometheus: str, port: int, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A real Prometheus that scrapes the product every second."""
    static = f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]"
    jobs = [f"  - {{job_name: {path[1:3]}, metrics_path: {path}, {static}}}" for path in (URL, "/metrics")]
    config = folder / "prometheus.yml"
    config.write_text("\n".join(["global: {scrape_interval: 1s, scrape_timeout: 1s}", "scrape_configs:", *jobs]))
    flags = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", "--web.listen-address=127.0.0.1:8181"]
    process = await asyncio.create_subprocess_exec(
        prometheus, *flags, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url="http://127.0.0.1:8181") as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def ask(client: httpx.AsyncClient, query: str) -> list[float]:
    """The values of an instant query to Prometheus; none while it begins."""
    try:
        reply = await client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    return [float(row["value"][1]) for row in reply.json()["data"]["result"]] if reply.status_code == 200 else []
