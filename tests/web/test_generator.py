"""The simulated fleet by its routes: start, stop, scenarios with their truth, what is saved, and profiles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from monitoring.simulator import SimulatedFleet
from web.cli import main

Start = Callable[..., AbstractAsyncContextManager[Any]]
METRICS = """
[metrics.tickets_open]
level = 7
noise = 0
follows = "nothing"
"""


ERRORS = 'http_requests_total{instance="web-01:9100",code="500"}'
SHARE = f'sum(rate({ERRORS}[5m])) / sum(rate(http_requests_total{{instance="web-01:9100"}}[5m]))'


async def said(product: Any, path: str = "", **body: Any) -> dict[str, Any]:
    url = f"/api/data-generator{path}"
    reply = await (product.client.post(url, json=body) if body else product.client.get(url))
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["data"]
    return found


async def runs(product: Any) -> None:
    """Waits until the fleet is served and each server was scraped."""
    async with asyncio.timeout(20):
        while True:
            state, up = await said(product), await product.query('count(up{simulated="true"})')
            ours = product.app.state.parts.collector.demo.running  # the state may be that of the process before
            if ours and up and int(up[0]["value"][1]) == state["size"]:
                return
            await asyncio.sleep(0.05)


async def scraped(product: Any, seconds: float) -> None:
    """The clock goes on, then everything is scraped once; returns when it is written."""
    product.now += seconds
    collector = product.app.state.parts.collector
    await collector.scrape.scrape_once()
    expected = len(collector.demo.targets())
    async with asyncio.timeout(10):
        while expected:  # the outbox may be writing what it took before
            fresh = await product.query(f'count(timestamp(up{{simulated="true"}}) == {product.now})')
            if fresh and int(fresh[0]["value"][1]) == expected:
                return
            await asyncio.sleep(0.02)


async def test_started_values_change_and_stopped_they_stay(make_product: Start, tmp_path: Path) -> None:
    async with make_product(tmp_path, demo=True, profile="basic") as product:
        await runs(product)
        asked = 'sum by (instance) (http_requests_total{instance="web-01:9100"})'
        values = []
        for _ in range(3):
            await scraped(product, 15)
            values += [float(one["value"][1]) for one in await product.query(asked)]
        assert values[0] < values[1] < values[2]
        assert not (await said(product, action="stop"))["running"]
        await scraped(product, 15)
        end = {"query": asked, "start": product.now - 45, "end": product.now, "step": 15}
        (series,) = (await product.client.get("/api/v1/query_range", params=end)).json()["data"]["result"]
        assert [float(value) for _, value in series["values"]] == values
        assert (await said(product, "/optimized", action="start"))["running"]
        await scraped(product, 15)
        assert float((await product.query(asked))[0]["value"][1]) > values[-1]


async def test_what_baseline_and_differences_save_is_what_was_served_less_what_was_written(
    make_product: Start, tmp_path: Path
) -> None:
    async with make_product(tmp_path, demo=True, profile="basic", disabled_plugins=["demo-scenarios"]) as product:
        await runs(product)
        assert (await said(product, "/optimized", action="start"))["mode"] == "baseline+delta"
        before = (await said(product, "/optimized"))["savings"]
        served = 0
        fleet = SimulatedFleet(size=6, schedule=False)
        for _ in range(3):
            await scraped(product, 15)
            served += sum(len(fleet.page(name, product.now)) for name in fleet.names())
        saved = (await said(product, "/optimized"))["savings"]
        assert saved["pages"] - before["pages"] >= 18  # the loop may have come by, too
        assert saved["bytes_served"] - before["bytes_served"] >= served
        assert saved["bytes_saved"] == saved["bytes_served"] - saved["bytes_written"] > 0
        assert (await said(product, action="start"))["mode"] == "anew"
        await scraped(product, 15)
        assert (await said(product, "/optimized"))["savings"] == saved


async def test_a_scenario_that_was_started_shows_and_it_and_its_truth_survive_a_restart(
    make_product: Start, tmp_path: Path
) -> None:
    async with make_product(tmp_path, demo=True, profile="basic", disabled_plugins=["demo-scenarios"]) as product:
        await runs(product)
        assert (await said(product, action="start", seed=5, size=7))["size"] == 7
        (play,) = (await said(product, action="start", scenario="bad_deploy", server="web-01", minutes=30))["touched"]
        assert play["causes"] == [["web-01", "errors"]]
        assert play["start"] == -(-product.now // 60) * 60
        assert play["events"][0] == {"time": play["start"], "server": "web-01", "concept": "errors"}
        for _ in range(12):
            await scraped(product, 60)
        assert float((await product.query(SHARE))[0]["value"][1]) > 0.1
        told = (await said(product, "/runs"))["runs"]
        assert [(run["id"], run["under_way"]) for run in told] == [(play["id"], True)]
        counted = await product.query(ERRORS)
        now = product.now
    async with make_product(tmp_path, demo=True, profile="basic", disabled_plugins=["demo-scenarios"]) as product:
        product.now = now
        await runs(product)
        state = await said(product)
        assert (state["seed"], state["size"]) == (5, 7)
        assert [one["id"] for one in state["under_way"]] == [play["id"]]
        assert (await said(product, "/runs"))["runs"] == told
        servers = (await said(product, "/templates"))["templates"]
        assert {one["id"]: one["spec"]["depends"] for one in servers}["web-01"] == ["api-01"]
        await scraped(product, 60)
        again = await product.query(ERRORS)
        assert float(again[0]["value"][1]) > float(counted[0]["value"][1])
        (ended,) = (await said(product, action="stop", scenario="bad_deploy"))["touched"]
        assert (ended["id"], ended["end"]) == (play["id"], product.now)
        for _ in range(8):
            await scraped(product, 60)
        assert float((await product.query(SHARE))[0]["value"][1]) < 0.01


async def test_without_demo_a_switch_is_refused_with_the_way_to_get_one(product: Any) -> None:
    for path in ("", "/optimized"):
        reply = await product.client.post(f"/api/data-generator{path}", json={"action": "start"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "demo_off")
        assert "--demo" in reply.json()["error"]["message"]
        assert (await said(product, path))["running"] is False


async def test_a_wish_that_cannot_be_is_refused_and_changes_nothing(make_product: Start, tmp_path: Path) -> None:
    async with make_product(tmp_path, demo=True, profile="basic") as product:
        await runs(product)
        for body, status, words in (
            ({"action": "start", "scenario": "fire"}, 400, "there are memory_leak"),
            ({"action": "start", "scenario": "db_saturation", "server": "web-01"}, 400, "servers of type db"),
            ({"action": "stop", "scenario": "bad_deploy"}, 400, "is under way"),
            ({"action": "start", "size": 5}, 422, "size"),
            ({"action": "start", "speed": 2}, 422, "speed"),
        ):
            reply = await product.client.post("/api/data-generator", json=body)
            assert reply.status_code == status
            assert words in reply.json()["error"]["message"]
        assert (await said(product))["by_hand"] == []


@pytest.mark.parametrize(
    ("name", "numbers"), [("LOCAL", (50, 5.0)), ("PREMIUM", (20, 10.0)), ("BASIC", (6, 15.0))], ids=str
)
async def test_a_profile_by_the_environment_gives_its_numbers(
    make_product: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, numbers: tuple[int, float]
) -> None:
    monkeypatch.setenv("OPENMANAGER_PROFILE", name)
    monkeypatch.setenv("OPENMANAGER_ENVIRONMENT", "staging")
    async with make_product(tmp_path) as product:
        found = (await product.client.get("/api/servers")).json()["data"]["environment"]
    assert (found["profile"], found["servers"], found["interval_s"]) == (name.lower(), *numbers)
    assert (found["stage"], found["demo"]) == ("staging", False)
    assert found["cores"] > 0


async def test_a_busy_machine_is_asked_more_seldom_and_the_interval_in_force_is_shown(
    make_product: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.demo.psutil.cpu_percent", lambda _: 70.0)  # neither busy nor calm
    (tmp_path / "metrics.toml").write_text(METRICS)
    given = {"demo": True, "profile": "basic", "demo_metrics": tmp_path / "metrics.toml"}
    async with make_product(tmp_path / "data", **given) as product:
        await runs(product)
        assert len(await product.query("tickets_open == 7")) == 6
        assert len(await product.query("server_depends_on")) == 6
        pace = product.app.state.parts.collector.demo.pace
        pace.base_s = pace.interval_s = 8.0
        for load, interval_s in ((1.0, 10.0), (0.7, 10.0), (1.0, 12.5), (1.0, 15.0), (1.0, 15.0), (0.1, 12.0)):
            pace.observe(load)
            await said(product)
            found = (await product.client.get("/api/servers")).json()["data"]["environment"]
            assert (found["interval_s"], found["current_interval_s"]) == (15.0, interval_s)
        watches = product.app.state.parts.collector.scrape
        async with asyncio.timeout(5):  # until the targets are taken up
            while not watches._watches:
                await asyncio.sleep(0.02)
        assert {watches._interval_s(one) for one in watches._watches.values()} == {12.0}


def test_check_prints_what_is_in_force_in_each_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENMANAGER_ENVIRONMENT", "production")
    flags = ("--profile", "basic", "--disabled-plugins", "demo-scenarios", "--data-dir", str(tmp_path / "data"))
    assert main(["check", *flags]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["environment"].startswith("production, ")
    assert lines["simulated fleet"] == "off, profile basic: 6 servers each 15 s (minimal), seed 1"
    assert lines["plugins"] == "network-topology 1.0, baseline-optimizer 1.0"
    assert "each 15 s, kept 30d" in lines["collection"]
    monkeypatch.setenv("OPENMANAGER_PROFILE", "huge")
    assert main(["check"]) == 2
