"""Forecasts are kept when they are stated, judged when their time has come, and their record is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HOUR = 3600.0
DAY = 24 * HOUR


def filling(now: float, last: float, per_hour: float = 1.0, level: float = 80.0) -> Iterator[Any]:
    """A disk at `level` percent at `now` that grows steadily, from three days before to `last`; and a steady CPU."""
    times = [now - 3 * DAY + 300 * k for k in range(int((last - now + 3 * DAY) / 300) + 1)]
    disk = [(t, min(level + per_hour * (t - now) / HOUR, 100.0)) for t in times]
    yield (
        {"__name__": "server_disk_usage", "server_id": "disk-01", "mountpoint": "/data", "type": "db"},
        [(t, max(v, 0.0)) for t, v in disk],
    )
    yield (
        {"__name__": "server_cpu_usage", "server_id": "disk-01", "type": "db"},
        [(t, 30.0 + (k % 7)) for k, t in enumerate(times)],
    )


async def kept(product: Any, **asked: Any) -> dict[str, Any]:
    reply = await product.client.get("/api/forecasts", params=asked)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["data"]
    return found


async def judge(product: Any) -> None:
    await kept(product)  # what was said is written
    await product.app.state.parts.collector.judge.round()


@pytest.fixture
async def growing(make_product: Any, tmp_path: Path) -> Any:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write(filling(product.now, product.now))
        yield product


async def test_a_forecast_asked_again_is_kept_once_an_hour(growing: Any) -> None:
    for _ in range(3):
        answer = await growing.ask("when will the disk of disk-01 be full?")
    assert "disk-01 /data reaches 100 % in about" in answer["response"]
    [one] = (await kept(growing))["forecasts"]
    assert (one["server"], one["concept"], one["part"], one["kind"]) == ("disk-01", "disk", "/data", "full")
    assert (one["verdict"], one["limit"], one["method"]) == ("open", 100.0, "profile")
    growing.now += HOUR
    await growing.write(list(filling(growing.now - HOUR, growing.now)))
    await growing.ask("when will the disk of disk-01 be full?")
    assert (await kept(growing))["total"] == 2


async def test_what_is_asked_as_of_the_past_is_no_forecast(growing: Any) -> None:
    await growing.ask("when will the disk of disk-01 be full?", context={"now": growing.now - DAY})
    assert (await kept(growing))["total"] == 0


async def test_a_time_that_came_as_said_holds_and_one_that_did_not_is_late(growing: Any) -> None:
    await growing.ask("when will the disk of disk-01 be full?")
    said = growing.now
    growing.now = said + 21 * HOUR
    await growing.write(list(filling(said, growing.now)))
    await judge(growing)
    [one] = (await kept(growing))["forecasts"]
    assert one["verdict"] == "held"
    assert abs(one["error"]) < HOUR
    assert (await kept(growing, verdict="held"))["held"] == 1


async def test_a_disk_that_was_cleaned_makes_the_forecast_late(growing: Any) -> None:
    await growing.ask("when will the disk of disk-01 be full?")
    said = growing.now
    growing.now = said + 3 * DAY
    await growing.write(
        [
            (
                {"__name__": "server_disk_usage", "server_id": "disk-01", "mountpoint": "/data", "type": "db"},
                [(said + 300 * k, 40.0) for k in range(1, int(3 * DAY / 300))],
            )
        ]
    )
    await judge(growing)
    [one] = (await kept(growing))["forecasts"]
    assert (one["verdict"], one["actual"]) == ("late", None)


async def test_a_level_is_judged_at_its_time_and_one_without_samples_is_not_measured(growing: Any) -> None:
    answer = await growing.ask("what will cpu of disk-01 be in 2 hours?")
    assert "disk-01 CPU will be about" in answer["response"]
    await growing.ask("what will cpu of disk-01 be in 20 hours?")
    said = growing.now
    growing.now = said + 3 * HOUR
    await judge(growing)
    await growing.write(list(filling(said, growing.now)))
    verdicts = {one["target"]: one["verdict"] for one in (await kept(growing))["forecasts"]}
    assert sorted(verdicts.values()) == ["open", "unmeasured"]
    growing.now = said + 21 * HOUR
    await growing.write(list(filling(said, growing.now)))
    await judge(growing)
    assert sorted(one["verdict"] for one in (await kept(growing))["forecasts"]) == ["held", "unmeasured"]


async def test_an_answer_tells_the_record_of_such_forecasts_with_its_query(growing: Any) -> None:
    said = growing.now
    for hours in range(6):
        growing.now = said + hours * HOUR
        await growing.write(list(filling(said, growing.now)))
        answer = await growing.ask("when will the disk of disk-01 be full?")
        assert "such forecasts" not in answer["response"]
    growing.now = said + 21 * HOUR
    await growing.write(list(filling(said, growing.now)))
    await judge(growing)
    found = await kept(growing, kind="full")
    assert found["judged"] == 6
    other = {"__name__": "server_disk_usage", "server_id": "disk-02", "mountpoint": "/", "type": "db"}
    times = [growing.now - 2 * DAY + 300 * k for k in range(int(2 * DAY / 300) + 1)]
    await growing.write(
        [(other, [(t, 70 + 1.5 * (t - growing.now) / HOUR + 1e-4) for t in times if t > growing.now - DAY])]
    )
    answer = await growing.ask("when will the disk of disk-02 be full?")
    assert f"Of 6 such forecasts so far, {found['held']} held." in answer["response"]
    query = answer["evidence"][-1]["query"]
    assert {row["metric"]["verdict"] for row in await growing.query(query)} == {
        one["verdict"] for one in found["forecasts"]
    }
    korean = await growing.ask("disk-02 디스크 언제 꽉 차?")
    assert f"지금까지 같은 예측 6건 중 {found['held']}건이 맞았습니다." in korean["response"]
    again = await growing.client.post(f"/api/ai-agent/answers/{answer['id']}/replay")
    assert again.json()["data"]["same"] is True


async def test_ten_days_are_read_for_one_server(make_product: Any, tmp_path: Path) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write(filling(product.now, product.now))
        answer = await product.ask("when will the disk of disk-01 be full?")
        item = answer["evidence"][0]
        assert item["end"] - item["start"] == 10 * DAY
