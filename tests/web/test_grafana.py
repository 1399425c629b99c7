"""The dashboard in `docs/grafana`: Grafana can load it, and each of its queries has data."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from monitoring.simulator import SimulatedFleet

DOCS = Path(__file__).parent.parent.parent / "docs"
DASHBOARD = json.loads((DOCS / "grafana/openmanager.json").read_text("utf-8"))
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = {f"{p['title']} {t['refId']}": t for p in PANELS for t in p["targets"]}
ALL = {"server": VARIABLES["server"]["allValue"], "type": VARIABLES["type"]["allValue"]}
in_session = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(
    tmp_path_factory: pytest.TempPathFactory, make_product: Callable[..., Any], make_servers: Callable[..., Any]
) -> AsyncIterator[Any]:
    """A product with the simulated fleet's last twenty minutes beside the six servers of other tests."""
    async with make_product(tmp_path_factory.mktemp("demo") / "data", retention="36500d") as product:
        for batch in SimulatedFleet().backfill(product.now, hours=0.34):
            await product.app.state.parts.store.append(batch)
        await product.write(make_servers(product.now))
        yield product


async def run(product: Any, target: dict[str, Any], chosen: dict[str, str]) -> list[dict[str, Any]]:
    """The result of a target as Grafana asks for it, with these values of the variables."""
    query = target["expr"]
    for name, value in chosen.items():
        query = query.replace(f"${name}", value)
    path, when = "query", {"time": product.now}
    if target["range"]:
        path, when = "query_range", {"start": product.now - 600, "end": product.now, "step": 60}
    reply = await product.client.post(f"/api/v1/{path}", data={"query": query, **when})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["data"]["result"]
    return found


async def values_of(product: Any, name: str) -> list[str]:
    """What a variable offers."""
    variable = VARIABLES[name]
    query = re.fullmatch(r"query_result\((.*)\)", variable["query"]["query"])
    assert query is not None
    rows = await run(product, {"expr": query[1], "range": False}, ALL)
    return sorted({value for row in rows for key, value in row["metric"].items() if f'{key}="' in variable["regex"]})


@in_session
@pytest.mark.parametrize("title", TARGETS)
async def test_every_query_has_data(demo: Any, title: str) -> None:
    rows = await run(demo, TARGETS[title], ALL)
    assert rows, title
    assert all("NaN" not in json.dumps(row) for row in rows)


@in_session
async def test_the_variables_offer_every_server_and_type_and_narrow_the_queries(demo: Any) -> None:
    servers = [s["id"] for s in (await demo.client.get("/api/servers")).json()["data"]["servers"]]
    offered = await values_of(demo, "server")
    assert {"web-01", "db-01", "bravo-01"} < set(offered)
    assert set(servers) - set(offered) == {"echo-01", "delta-01"}, "known by address here; silent for 20 minutes"
    assert {"web", "db", "cache"} <= set(await values_of(demo, "type"))
    for chosen in ({"server": "(web-01|bravo-01)", "type": ".*"}, {"server": ".+", "type": "db"}):
        rows = await run(demo, TARGETS["CPU A"], chosen)
        names = {"web-01", "bravo-01"} if chosen["type"] == ".*" else {"db-01", "db-02", "bravo-01"}
        assert {row["metric"]["server"] for row in rows} == names


@in_session
@pytest.mark.parametrize(("title", "field"), [("Top 5: CPU A", "cpu"), ("Top 5: memory A", "memory")])
async def test_the_figures_are_those_of_the_dashboard(demo: Any, title: str, field: str) -> None:
    shown = {s["id"]: s[field] for s in (await demo.client.get("/api/servers")).json()["data"]["servers"]}
    rows = await run(demo, TARGETS[title], ALL)
    found = {row["metric"]["server"].replace("10.7.0.5", "echo-01"): float(row["value"][1]) for row in rows}
    assert found == pytest.approx({server: shown[server] for server in found})
    assert len(found) == 5


@in_session
async def test_what_is_over_a_threshold_is_listed(demo: Any) -> None:
    rows = await run(demo, TARGETS["Over a threshold, or down A"], ALL)
    found = {(row["metric"]["server"], row["metric"]["what"]): float(row["value"][1]) for row in rows}
    assert (found["bravo-01", "cpu"], found["bravo-01", "memory"]) == (95.0, 83.0)


def test_grafana_can_load_the_dashboard() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["id"] is None, "Grafana gives the number"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
        assert letters
    used = set(re.findall(r"\$(\w+)", " ".join(t["expr"] for t in TARGETS.values()).replace('"$1"', "")))
    assert used == {"server", "type"}


def test_a_prometheus_reads_every_query_too(tmp_path: Path) -> None:
    promtool = "/usr/bin/promtool"
    if not Path(promtool).exists():
        pytest.skip(f"needs {promtool} (apt-get install prometheus)")
    texts = [t["expr"].replace("$server", ".+").replace("$type", ".*") for t in TARGETS.values()]
    rules = [{"record": f"panel:{k}", "expr": text} for k, text in enumerate(texts)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_panel_covers_another() -> None:
    cells = [(p["title"], p["gridPos"]) for p in DASHBOARD["panels"]]
    for _, place in cells:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for (one, a), (other, b) in combinations(cells, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart = apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, f"{one} and {other}"


def test_the_provisioning_of_the_documents_is_what_grafana_reads() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "grafana.md").read_text("utf-8"), re.DOTALL)
    source, provider = (yaml.safe_load(block) for block in blocks)
    [one] = source["datasources"]
    assert (source["apiVersion"], one["type"], one["access"]) == (1, "prometheus", "proxy")
    assert one["jsonData"]["prometheusType"] == "Prometheus"
    assert provider["providers"][0]["type"] == "file"
