"""Plugins of the simulated fleet: found by their entry point, called in order, and unable to do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring.plugins import FleetData, Plugins
from monitoring.simulator.servers import edges, fleet_of

NOW = 1_760_000_400.0
MODULE = """
from dataclasses import replace
from monitoring.simulator.registry import MetricSpec

calls = []

class Shop:
    name, version = "a-shop", "3.1"
    async def initialize(self): calls.append("initialize")
    async def process(self, data):
        calls.append(f"edges {len(data.edges)}")
        return replace(data, registry=(*data.registry, MetricSpec(name="shop_visits", level=10)))
    async def cleanup(self): calls.append("cleanup")

class Broken(Shop):
    name = "b-broken"
    async def process(self, data): raise RuntimeError("no")

class Wrong(Shop):
    name = "c-wrong"
    async def process(self, data): return {}

class Last(Shop):
    name = "d-last"
    async def process(self, data):
        calls.append(f"metrics {len(data.registry)}")
        return data
    async def cleanup(self): raise RuntimeError("no")

class Nothing:
    pass
"""
ENTRIES = """[openmanager.plugins]
a-shop = shop_plugins:Shop
b-broken = shop_plugins:Broken
c-wrong = shop_plugins:Wrong
d-last = shop_plugins:Last
e-nothing = shop_plugins:Nothing
f-missing = shop_plugins:Missing
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution of somebody else's, as installed."""
    (tmp_path / "shop_plugins.py").write_text(MODULE)
    about = tmp_path / "shop_plugins-3.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-plugins\nVersion: 3.1\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("outside")
async def test_a_plugin_of_another_distribution_is_called_in_order_and_its_mistakes_stay_its_own() -> None:
    import shop_plugins  # type: ignore[import-not-found]  # from the fixture's folder

    plugins = Plugins()
    await plugins.initialize()
    data = await plugins.process(FleetData(NOW, fleet_of(6)))
    await plugins.cleanup()
    edge_count = len(edges(fleet_of(6)))
    assert shop_plugins.calls == [*["initialize"] * 4, f"edges {edge_count}", "metrics 1", *["cleanup"] * 3]
    assert [spec.name for spec in data.registry] == ["shop_visits"]
    assert data.schedule
    assert len(data.edges) == edge_count
    assert dict(plugins.failures) == {
        ("b-broken", "process"): 1,
        ("c-wrong", "process"): 1,
        ("d-last", "cleanup"): 1,
        ("e-nothing", "load"): 1,
        ("f-missing", "load"): 1,
    }


@pytest.mark.parametrize("name", ["network-topology", "baseline-optimizer", "demo-scenarios", "a-shop"])
@pytest.mark.usefixtures("outside")
async def test_a_disabled_plugin_is_left_out_and_the_rest_works(name: str) -> None:
    plugins = Plugins([name])
    await plugins.initialize()
    data = await plugins.process(FleetData(NOW, fleet_of(6)))
    did = {
        "network-topology": bool(data.edges),
        "baseline-optimizer": data.curves_until > NOW,
        "demo-scenarios": data.schedule,
        "a-shop": bool(data.registry),
    }
    assert did == {one: one != name for one in did}
    assert name not in {one["name"] for one in plugins.report()}
