"""What is normal, as it is learnt, kept across a restart, told, and asked about."""

from __future__ import annotations

import math
from typing import Any

import pytest

DAY = 86_400.0
KEPT = {"retention": "36500d", "detect": True}


async def test_what_is_normal_is_the_same_after_a_restart(make_product: Any, tmp_path: Any, until: Any) -> None:
    first = await learnt(make_product, tmp_path, until, days=3)
    async with make_product(tmp_path / "data", **KEPT) as product:
        again = await baseline(product)
        assert again == first
        [row] = again["baselines"]
        answer = await product.ask("is cpu on alpha-01 normal?")
        assert f"{row['low']:.1f} % to {row['high']:.1f} % is normal" in answer["response"]
        assert [item["rows"][0][-2] for item in answer["evidence"] if "version" in item["columns"]] == [1]


async def test_the_pattern_of_a_day_comes_out(make_product: Any, tmp_path: Any, until: Any) -> None:
    [row] = (await learnt(make_product, tmp_path, until, days=3))["baselines"]
    assert row["timePattern"] == pytest.approx([true(3600 * hour + 1800) for hour in range(24)], abs=0.6)
    assert (row["concept"], row["part"], row["unit"], row["weekdayPattern"]) == ("cpu", None, "percent", None)
    assert row["volatility"] < 2
    assert row["low"] < row["usual"] < row["high"]
    assert row["usual"] == pytest.approx(true(9 * 3600), abs=0.6)


async def test_a_value_is_held_against_what_is_normal_in_both_languages(
    make_product: Any, tmp_path: Any, until: Any
) -> None:
    await learnt(make_product, tmp_path, until, days=3)
    async with make_product(tmp_path / "data", **KEPT) as product:
        for text, begins in (
            ("is 85% cpu normal for alpha-01?", "85 % is not normal: at 09:00 UTC, "),
            ("is 44% cpu normal for alpha-01?", "44 % is normal: at 09:00 UTC, "),
            ("alpha-01 cpu 85%면 정상이야?", "85 %는 정상이 아닙니다: 09:00 UTC 기준 alpha-01의 CPU 정상 범위는 "),
        ):
            assert (await product.ask(text))["response"].startswith(begins)
        await product.ask("cpu of alpha-01?", session_id="one")
        follow = await product.ask("이거 정상이야?", session_id="one")
        assert "정상 범위는" in follow["response"]


async def test_a_new_version_leaves_the_old_one_to_the_answers_of_its_time(
    make_product: Any, tmp_path: Any, until: Any
) -> None:
    first = await learnt(make_product, tmp_path, until, days=3)
    async with make_product(tmp_path / "data", **KEPT) as product:
        then = product.now
        told = await product.ask("is cpu on alpha-01 normal?")
    later = then + 8 * 3600
    async with make_product(tmp_path / "data", now=later, **KEPT) as product:
        await product.write([cpu(later, days=8 / 24)])
        await until(lambda: is_version(product, 2))
        assert [one["version"] for one in (await baseline(product))["versions"]] == [2, 1]
        assert (await baseline(product, at=str(then)))["baselines"] == first["baselines"]
        reply = await product.client.post(f"/api/ai-agent/answers/{told['id']}/replay")
        assert reply.json()["data"]["same"] is True
        assert (await baseline(product, at=str(then - DAY)))["version"] is None


async def test_without_a_version_history_says_what_is_normal(make_product: Any, tmp_path: Any) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write([cpu(product.now, days=3)])
        assert await baseline(product) == {
            "server": "alpha-01",
            "at": "2025-10-09T09:00:00Z",
            "version": None,
            "fitted": None,
            "versions": [],
            "baselines": [],
        }
        assert "is normal for alpha-01 CPU" in (await product.ask("is cpu on alpha-01 normal?"))["response"]


async def test_an_unknown_server_or_concept_is_named(make_product: Any, tmp_path: Any) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write([cpu(product.now, days=0.1)])
        for path, status, code in (
            ("zulu-09/baseline", 404, "unknown_server"),
            ("alpha-01/baseline?concept=cpuu", 404, ""),
        ):
            reply = await product.client.get(f"/api/servers/{path}")
            assert (reply.status_code, code in reply.text) == (status, True), reply.text


async def learnt(make_product: Any, tmp_path: Any, until: Any, days: float) -> dict[str, Any]:
    """What was learnt from so many days that were there when a product began."""
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write([cpu(product.now, days)])
    async with make_product(tmp_path / "data", **KEPT) as product:
        await until(lambda: is_version(product, 1))
        return await baseline(product)


async def is_version(product: Any, version: int) -> bool:
    return bool((await baseline(product))["version"] == version)


async def baseline(product: Any, **asked: Any) -> dict[str, Any]:
    reply = await product.client.get("/api/servers/alpha-01/baseline", params=asked)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()["data"]
    return found


def true(time: float) -> float:
    """30 % at midnight and noon, 50 % at six in the morning, 10 % at six in the evening."""
    return 30 + 20 * math.sin(2 * math.pi * time / DAY)


def cpu(now: float, days: float) -> tuple[dict[str, str], list[tuple[float, float]]]:
    """A server's CPU, minute by minute, with a little noise."""
    times = [now - 60 * k for k in range(int(days * 1440), -1, -1)]
    values = [(t, true(t) + (t // 60 % 7 - 3) / 2) for t in times]
    return {"__name__": "server_cpu_usage", "server_id": "alpha-01", "type": "web"}, values
