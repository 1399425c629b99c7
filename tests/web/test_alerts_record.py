"""Alerts from samples to the record: each transition is one event, whatever the rounds, restarts and late samples."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from monitoring.alerts_loop import rounds_total
from monitoring.windows import moment, rfc3339

MINUTE = 60.0
Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
RULES = """
groups:
  - name: shop
    rules:
      - alert: Queue
        expr: shop_queue > 10
        for: 5m
        keep_firing_for: 3m
        labels: {severity: warning}
        annotations:
          summary: "{{ $labels.server_id }} has {{ $value }} waiting"
          summary_ko: "{{ $labels.server_id }}의 대기 {{ $value }}건"
      - record: shop:queue:sum
        expr: sum(shop_queue)
"""


async def test_a_threshold_that_is_crossed_is_exactly_one_event(
    make_product: Any, tmp_path: Path, until: Until
) -> None:
    async with make_product(tmp_path / "data", rule_interval=0.1) as product:
        for memory in (50.0, 60.0, 95.0, 96.0, 97.0, 50.0, 40.0):
            await told(product, "server_memory_usage", memory, step=MINUTE)
            await rounds(product, until)
        found = await events(product)
        assert [(e["kind"], e["name"], e["server"], e["time"]) for e in found] == [
            ("resolved", "memory_critical", "a", rfc3339(product.now - MINUTE)),
            ("firing", "memory_critical", "a", rfc3339(product.now - 4 * MINUTE)),
        ]
        assert found[0]["body"]["peak"] == 97.0
        [past] = await alerts(product, state="all", window="5m")
        assert (past["state"], past["value"], past["since"], past["until"]) == (
            "resolved",
            97.0,
            found[1]["time"],
            found[0]["time"],
        )


async def test_a_rule_of_a_file_waits_for_its_time_and_is_kept_firing(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data", rules=[rule_file(tmp_path)]) as product:
        await told(product, "shop_queue", 20.0, step=MINUTE)
        began = rfc3339(product.now)
        assert [(a["state"], a["since"]) for a in await alerts(product, state="pending")] == [("pending", began)]
        assert await alerts(product) == []
        for _ in range(5):
            await told(product, "shop_queue", 20.0, step=MINUTE)
        [one] = await alerts(product)
        assert (one["alert"], one["summary"], one["since"]) == ("Queue", "a has 20 waiting", rfc3339(product.now))
        await told(product, "shop_queue", 5.0, step=MINUTE)
        [kept] = await prometheus(product)
        assert (kept["state"], kept["activeAt"], kept["keepFiringSince"]) == ("firing", began, rfc3339(product.now))
        for _ in range(3):
            await told(product, "shop_queue", 5.0, step=MINUTE)
        assert (await alerts(product), await prometheus(product)) == ([], [])
        [sum_] = await product.query("shop:queue:sum")
        assert sum_["value"] == [product.now, "5"]


async def test_the_state_outlives_a_restart(make_product: Any, tmp_path: Path) -> None:
    settings = {"rules": [rule_file(tmp_path)]}
    async with make_product(tmp_path / "data", **settings) as product:
        for _ in range(4):
            await told(product, "shop_queue", 20.0, step=MINUTE)
        [pending] = await prometheus(product)
        now = product.now
    async with make_product(tmp_path / "data", now, **settings) as product:
        for _ in range(2):
            await told(product, "shop_queue", 20.0, step=MINUTE)
        [firing] = await prometheus(product)
        assert (pending["state"], firing["state"]) == ("pending", "firing")
        assert firing["activeAt"] == pending["activeAt"]
        assert [e["kind"] for e in await events(product)] == ["firing"]
    async with make_product(tmp_path / "data", now + 2 * MINUTE, **settings) as product:
        await told(product, "shop_queue", 20.0, step=MINUTE)
        assert [e["kind"] for e in await events(product)] == ["firing"]


async def test_alerts_are_series_too(make_product: Any, tmp_path: Path, until: Until) -> None:
    async with make_product(tmp_path / "data", rules=[rule_file(tmp_path)], default_rules=False) as product:
        await told(product, "shop_queue", 20.0, step=MINUTE)
        labels = {"alertname": "Queue", "server_id": "a", "severity": "warning"}

        async def shown() -> bool:
            return bool(await product.query("ALERTS"))

        await until(shown)
        [state] = await product.query("ALERTS")
        [since] = await product.query("ALERTS_FOR_STATE")
        assert state["metric"] == {"__name__": "ALERTS", "alertstate": "pending", **labels}
        assert since["value"] == [product.now, f"{product.now:.0f}"]
        before = product.now
        await told(product, "shop_queue", 1.0, step=MINUTE)
        assert await product.query("ALERTS") == []
        assert len(await product.query("ALERTS", before)) == 1
        reply = (await product.client.get("/api/servers")).json()["data"]
        assert [server["id"] for server in reply["servers"]] == ["a"]


async def test_what_began_before_its_samples_came_is_dated_by_them(product: Any) -> None:
    await told(product, "server_memory_usage", 40.0)
    late = [(product.now - 60 * k, 95.0) for k in range(120)][::-1]
    await product.write([({"__name__": "server_memory_usage", "server_id": "late"}, late)])
    [one] = await prometheus(product)
    assert one["labels"]["server"] == "late"
    assert abs(moment(one["activeAt"]) - (product.now - 120 * 60)) <= 240


async def test_a_rule_that_cannot_be_evaluated_says_why_and_stops_no_other(make_product: Any, tmp_path: Path) -> None:
    bad = "groups: [{name: bad, rules: [{alert: Twice, expr: 'shop_queue * on() group_left shop_queue'}]}]"
    (tmp_path / "bad.yml").write_text(bad)
    async with make_product(tmp_path / "data", rules=[rule_file(tmp_path), str(tmp_path / "bad.yml")]) as product:
        both = [({"__name__": "shop_queue", "server_id": name}, [(product.now, 20.0)]) for name in "ab"]
        await product.write(both)
        reply = await product.client.get("/api/v1/rules", params={"rule_name[]": ["Twice", "Queue"]})
        rules = {rule["name"]: rule for group in reply.json()["data"]["groups"] for rule in group["rules"]}
        assert (rules["Queue"]["health"], rules["Queue"]["state"]) == ("ok", "pending")
        assert rules["Twice"]["health"] == "err"
        assert "many-to-many" in rules["Twice"]["lastError"] or "duplicate" in rules["Twice"]["lastError"]


async def test_an_alert_that_comes_and_goes_is_flapping_and_said_once(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data", alert_flap_changes=3, default_rules=True) as product:
        for memory in (95.0, 40.0) * 4:
            await told(product, "server_memory_usage", memory, step=MINUTE)
        kinds = [e["kind"] for e in await events(product)]
        assert kinds.count("flapping") == 1
        await told(product, "server_memory_usage", 95.0, step=MINUTE)
        [one] = await alerts(product)
        assert one["note"] == "flapping"
        for _ in range(10):
            await told(product, "server_memory_usage", 95.0)
        assert (await events(product))[0]["kind"] == "steady"


async def test_what_a_server_that_is_gone_explains_is_not_told(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data") as product:
        up = {"__name__": "up", "instance": "a:9100", "job": "node"}
        for _ in range(4):
            product.now += MINUTE
            await product.write([(up, [(product.now, 0.0)])])
            found = await prometheus(product)
        assert {one["labels"]["alertname"] for one in found} == {"up_critical", "target_down"}
        assert [one["alert"] for one in await alerts(product)] == ["up_critical"]


def rule_file(folder: Path) -> str:
    file = folder / "rules.yml"
    file.write_text(RULES)
    return str(file)


async def told(product: Any, metric: str, value: float, step: float = 5 * MINUTE) -> None:
    """One more sample of server `a`, `step` later, and the round that finds it."""
    product.now += step
    times = [product.now - k * 15 for k in range(int(step / 15))][::-1]
    await product.write([({"__name__": metric, "server_id": "a"}, [(t, value) for t in times])])
    await prometheus(product)


async def rounds(product: Any, until: Until) -> None:
    """Waits until the rules were evaluated twice more."""
    before = rounds_total["ok"]

    async def passed() -> bool:
        return rounds_total["ok"] >= before + 2

    await until(passed)


async def prometheus(product: Any) -> list[dict[str, Any]]:
    """What is pending or firing, as of the newest samples."""
    found: list[dict[str, Any]] = (await product.client.get("/api/v1/alerts")).json()["data"]["alerts"]
    return found


async def alerts(product: Any, **asked: str) -> list[dict[str, Any]]:
    reply = await product.client.get("/api/alerts", params=asked)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["data"]["alerts"]
    return found


async def events(product: Any) -> list[dict[str, Any]]:
    """The history, newest first."""
    reply = await product.client.get("/api/alerts/history", params={"window": "24h"})
    found: list[dict[str, Any]] = reply.json()["data"]["events"]
    return found


async def test_the_chat_reads_the_same_record(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data", rules=[rule_file(tmp_path)]) as product:
        for queue in (20.0, 20.0, 1.0, 1.0, 20.0, 20.0):
            await told(product, "shop_queue", queue)
        [one] = await alerts(product)
        await product.client.post(f"/api/alerts/{one['fingerprint']}/ack", json={"by": "kim"})
        answer = await product.ask("any alerts?")
        assert answer["response"].splitlines() == [
            "1 alert firing on 1 server.",
            "- a: Queue (a has 20 waiting), since 09:30 UTC [acknowledged by kim]",
        ]
        assert (await product.ask("지금 뜬 알람 있어?"))["response"].splitlines() == [
            "현재 알림 1건, 서버 1대입니다.",
            "- a: Queue (a의 대기 20건), 시작 09:30 UTC [kim 확인함]",
        ]
        often = (await product.ask("how often did Queue fire in the last hour?"))["response"].splitlines()
        assert often[0].startswith("Alerts fired 2 times")
        past = (await product.ask("지난 1시간 동안 뭐 울렸어?"))["response"].splitlines()
        assert past[1:] == [
            "- a: Queue (a의 대기 20건), 시작 09:30 UTC [kim 확인함]",
            "- a: Queue (a의 대기 20건), 시작 09:10 UTC, 종료 09:20 UTC",
        ]
        assert (await product.ask("what fired yesterday?"))["response"].startswith("No alerts")
