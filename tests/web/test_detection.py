"""Detection as samples come, seen through the series that it writes."""

from __future__ import annotations

import math
from typing import Any

DAY = 86_400.0
ON = {"retention": "36500d", "detect": True, "detect_interval": 0.1}


async def test_what_departs_is_scored_and_told_by_one_rule(make_product: Any, tmp_path: Any, until: Any) -> None:
    await past(make_product, tmp_path)
    async with make_product(tmp_path / "data", **ON) as product:
        await until(lambda: scored(product))
        assert await score(product) < 0.4
        early = [await at_next_minute(product, 95.0, until) for _ in range(2)]
        later = [await at_next_minute(product, 95.0, until) for _ in range(6)]
        assert max(early) < 0.5 <= min(later)
        labels = [row["metric"] for row in await product.query("anomaly_score")]
        assert labels == [{"__name__": "anomaly_score", "server_id": "alpha-01", "concept": "cpu"}]
        rules = (await product.client.get("/api/v1/rules")).json()["data"]["groups"]
        [rule] = [rule for group in rules for rule in group["rules"] if rule["name"] == "anomaly"]
        [alert] = rule["alerts"]
        assert (rule["query"], alert["labels"]["concept"]) == ("anomaly_score >= 0.5", "cpu")
        back = [await at_next_minute(product, None, until) for _ in range(18)]
        assert back[0] >= 0.5 > back[-1]


async def test_a_departure_goes_on_over_a_restart(make_product: Any, tmp_path: Any, until: Any) -> None:
    await past(make_product, tmp_path)
    async with make_product(tmp_path / "data", **ON) as product:
        await until(lambda: scored(product))
        for _ in range(4):
            await at_next_minute(product, 95.0, until)
        now = product.now
    async with make_product(tmp_path / "data", now=now, **ON) as product:
        assert await at_next_minute(product, 95.0, until) >= 0.5


async def test_a_job_of_every_morning_is_normal(make_product: Any, tmp_path: Any, until: Any) -> None:
    await past(make_product, tmp_path, job_at=9.1)
    async with make_product(tmp_path / "data", **ON) as product:
        await until(lambda: scored(product))
        during = [await at_next_minute(product, 90.0 if 6 <= minute < 16 else None, until) for minute in range(1, 20)]
        assert max(during) < 0.5


async def test_scores_are_no_metric_of_a_server_and_make_none(make_product: Any, tmp_path: Any, until: Any) -> None:
    await past(make_product, tmp_path)
    async with make_product(tmp_path / "data", **ON) as product:
        await until(lambda: scored(product))
        inventory = await product.app.state.parts.queries.inventory()
        assert inventory.servers["alpha-01"].metrics == {"server_cpu_usage"}
        product.now += 3600  # the server fell silent
        await at_next_minute(product, None, until, written=False)
        [server] = (await product.client.get("/api/servers")).json()["data"]["servers"]
        assert (server["id"], server["status"]) == ("alpha-01", "offline")
        assert await product.query("anomaly_score") == []


async def test_without_detection_nothing_is_scored(make_product: Any, tmp_path: Any, until: Any) -> None:
    await past(make_product, tmp_path)
    async with make_product(tmp_path / "data", **ON | {"detect": False}) as product:
        await product.write([cpu([product.now], None)])
        assert (await product.client.get("/api/servers/alpha-01/baseline")).json()["data"]["version"] is None
        assert not await scored(product)


async def past(make_product: Any, tmp_path: Any, job_at: float | None = None) -> None:
    """Five days of one server are there; with a job of ten minutes at that hour of each day."""
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write([cpu([product.now - 60 * k for k in range(5 * 1440, -1, -1)], job_at)])


async def scored(product: Any) -> bool:
    return bool(await product.query("anomaly_score"))


async def score(product: Any) -> float:
    [row] = await product.query("anomaly_score")
    return float(row["value"][1])


async def at_next_minute(product: Any, value: float | None, until: Any, *, written: bool = True) -> float:
    """The score of the minute that follows, in which the CPU is such, or as usual."""
    product.now += 60
    if written:
        labels, [(time, usual)] = cpu([product.now], None)
        await product.write([(labels, [(time, usual if value is None else value)])])
        await until(lambda: written_at(product, product.now))
        return await score(product)
    return math.nan


async def written_at(product: Any, now: float) -> bool:
    return bool(await product.query(f"timestamp(anomaly_score) == {now:.0f}"))


def cpu(times: list[float], job_at: float | None) -> tuple[dict[str, str], list[tuple[float, float]]]:
    def value(t: float) -> float:
        working = job_at is not None and 0 <= t % DAY - job_at * 3600 < 600
        return 90.0 if working else 30 + 10 * math.sin(2 * math.pi * t / DAY) + (t // 60 % 7 - 3) / 2

    labels = {"__name__": "server_cpu_usage", "server_id": "alpha-01", "type": "web"}
    return labels, [(t, value(t)) for t in times]
