"""Our thresholds as Prometheus' rules: each runs again as a query, and what fires is what /api/alerts says."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def rules(product: Any, **given: Any) -> dict[str, dict[str, Any]]:
    """Rules by name."""
    reply = await product.client.get("/api/v1/rules", params=given)
    assert reply.status_code == 200, reply.text
    return {rule["name"]: rule for group in reply.json()["data"]["groups"] for rule in group["rules"]}


async def alerts(product: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await product.client.get("/api/v1/alerts")).json()["data"]["alerts"]
    return found


async def test_a_threshold_is_a_rule_whose_query_finds_what_fires(fleet: Any) -> None:
    found = await rules(fleet)
    assert found.keys() == {f"{c}_{s}" for c in ("cpu", "memory", "disk") for s in ("critical", "warning")} | {
        *("up_critical", "target_down", "disk_full_soon")
    }
    for name, rule in found.items():
        rows = await fleet.query(rule["query"])
        firing = {(row["metric"].get("server_id") or row["metric"]["instance"], float(row["value"][1])) for row in rows}
        assert firing == {(a["labels"]["server"], float(a["value"])) for a in rule["alerts"]}, name
        assert rule["state"] == ("firing" if rows else "inactive"), name
    assert {name for name, rule in found.items() if rule["alerts"]} == {"cpu_critical", "memory_warning", "up_critical"}


async def test_a_rule_and_its_alert_have_prometheus_shape(fleet: Any) -> None:
    rule = (await rules(fleet))["cpu_critical"]
    assert rule.pop("evaluationTime") > 0
    assert rule.pop("query").endswith(">= 90")
    labels = {"concept": "cpu", "severity": "critical"}
    value = '{{ printf "%.1f" $value }} %'
    notes = {"summary": f"CPU is at {value}, critical from 90 %", "summary_ko": f"CPU {value} (심각 기준 90 %)"}
    assert rule == {
        "name": "cpu_critical",
        "type": "alerting",
        "state": "firing",
        "health": "ok",
        "duration": 0,
        "keepFiringFor": 0,
        "labels": labels,
        "annotations": notes,
        "lastEvaluation": "2025-10-09T09:00:00Z",
        "alerts": [
            {
                "labels": {"alertname": "cpu_critical", "server": "bravo-01", **labels},
                "annotations": {
                    "summary": "CPU is at 95.0 %, critical from 90 %",
                    "summary_ko": "CPU 95.0 % (심각 기준 90 %)",
                },
                "state": "firing",
                "activeAt": "2025-10-09T08:35:00Z",  # 95 % since 08:30, a mean of five minutes
                "value": "9.5e+01",
            }
        ],
    }


async def test_a_server_that_is_gone_fires_since_its_last_sample(fleet: Any) -> None:
    [gone] = (await rules(fleet))["up_critical"]["alerts"]
    assert (gone["labels"]["server"], gone["activeAt"]) == ("delta-01", "2025-10-09T08:40:00Z")


async def test_rules_alerts_and_our_own_alerts_agree(fleet: Any) -> None:
    ours = (await fleet.client.get("/api/alerts")).json()["data"]["alerts"]
    theirs = await alerts(fleet)
    assert {(a["labels"]["server"], a["labels"]["concept"], a["labels"]["severity"]) for a in theirs} == {
        (a["server"], a["concept"], a["severity"]) for a in ours
    }
    of_rules = [alert for rule in (await rules(fleet)).values() for alert in rule["alerts"]]
    assert sorted(map(str, of_rules)) == sorted(map(str, theirs))


async def test_rules_are_chosen_by_name_group_file_type_and_labels(fleet: Any) -> None:
    async def names(**given: Any) -> set[str]:
        return set(await rules(fleet, **given))

    cpu = {"cpu_critical", "cpu_warning"}
    assert await names(**{"rule_group[]": "cpu"}) == cpu
    assert await names(**{"rule_name[]": ["cpu_critical", "cpu_warning"]}) == cpu
    assert await names(**{"match[]": '{severity="critical",concept=~"c.*|disk"}'}) == {"cpu_critical", "disk_critical"}
    assert await names(**{"file[]": "other.yml"}) == set()
    assert await names(type="record") == set()
    assert await names(type="alert", **{"file[]": "catalog.toml"}) == await names()
    assert [r["alerts"] for r in (await rules(fleet, exclude_alerts="true")).values()] == [[]] * 9


async def test_groups_come_in_pages(fleet: Any) -> None:
    seen, token = [], {}
    while True:
        page = (await fleet.client.get("/api/v1/rules", params={"group_limit": 3, **token})).json()["data"]
        seen.append([group["name"] for group in page["groups"]])
        if "groupNextToken" not in page:
            break
        token = {"group_next_token": page["groupNextToken"]}
    assert seen == [["cpu", "memory", "disk"], ["up", "scraping", "outlook"]]


@pytest.mark.asyncio(loop_scope="function")
async def test_without_servers_there_are_no_rules_and_no_alerts(product: Any) -> None:
    assert (await rules(product), await alerts(product)) == ({}, [])


@pytest.mark.asyncio(loop_scope="function")
async def test_each_mount_fires_for_itself(product: Any) -> None:
    times = [(product.now - 60 * k, 1.0) for k in range(30)][::-1]
    await product.write(
        ({"__name__": "server_disk_usage", "server_id": "x", "mountpoint": mount}, [(t, full) for t, _ in times])
        for mount, full in [("/", 10.0), ("/a", 85.0), ("/b", 95.5)]
    )
    found = [(a["labels"]["alertname"], a["labels"]["part"], a["value"]) for a in await alerts(product)]
    assert sorted(found) == [("disk_critical", "/b", "9.55e+01"), ("disk_warning", "/a", "8.5e+01")]
    assert {a["activeAt"] for a in await alerts(product)} == {"2025-10-09T08:31:00Z"}
