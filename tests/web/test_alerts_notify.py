"""Messages about alerts as receivers get them: what, how often, and what happens when a receiver does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitoring.errors import BadSetting
from monitoring.windows import rfc3339
from web.settings import load

WAIT, INTERVAL, REPEAT = 30.0, 300.0, 14_400.0


class Peer:
    """A receiver: what it got, and what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[str, Any, str | None]] = []
        self.statuses: list[int] = []
        """What it answers next; 200 where nothing is said."""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((request.path, await request.json(), request.headers.get("Authorization")))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A real server on loopback."""
    async with listening() as found:
        yield found


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Peer]:
    peer, app = Peer(), web.Application()
    app.router.add_post("/{path:.*}", peer.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        await runner.cleanup()


async def test_a_webhook_gets_a_group_when_it_fires_and_when_it_is_over(
    make_product: Any, tmp_path: Path, peer: Peer
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    settings = {"alert_webhook": [f"{peer.url}/hook"], "alert_token_file": tmp_path / "token"}
    async with make_product(tmp_path / "data", alert_link="https://om.example/", **settings) as product:
        began = await told(product, {"cpu": 95.0, "memory": 85.0})
        await told(product, {"cpu": 95.0, "memory": 85.0}, WAIT)
        [(path, body, token)] = await got(peer, 1)
        assert (path, token) == ("/hook", "Bearer s3cret")
        alerts = body.pop("alerts")
        assert body == {
            "version": "4",
            "groupKey": '{}:{server="a"}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "webhook-1",
            "groupLabels": {"server": "a"},
            "commonLabels": {"server": "a"},
            "commonAnnotations": {},
            "externalURL": "https://om.example",
        }
        critical = next(alert for alert in alerts if alert["labels"]["alertname"] == "cpu_critical")
        assert critical.pop("generatorURL").startswith("https://om.example/api/v1/query?query=%28max%20by")
        assert critical == {
            "status": "firing",
            "labels": {"alertname": "cpu_critical", "server": "a", "concept": "cpu", "severity": "critical"},
            "annotations": {
                "summary": "CPU is at 95.0 %, critical from 90 %",
                "summary_ko": "CPU 95.0 % (심각 기준 90 %)",
            },
            "startsAt": rfc3339(began),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": critical["fingerprint"],
        }
        assert len(alerts) == 2
        ended = await told(product, {"cpu": 1.0, "memory": 1.0}, 600.0)
        _, (_, body, _) = await got(peer, 2)
        assert body["status"] == "resolved"
        assert [(alert["status"], alert["endsAt"]) for alert in body["alerts"]] == [("resolved", rfc3339(ended))] * 2


async def test_what_is_over_within_the_wait_is_not_told(make_product: Any, tmp_path: Path, peer: Peer) -> None:
    async with make_product(tmp_path / "data", alert_webhook=[peer.url]) as product:
        await told(product, {"memory": 95.0})
        await told(product, {"memory": 10.0}, 15.0)
        await told(product, {"memory": 10.0}, WAIT)
        await told(product, {"memory": 95.0}, WAIT)
        await told(product, {"memory": 95.0}, WAIT)
        [(_, body, _)] = await got(peer, 1)
        assert body["alerts"][0]["startsAt"] == rfc3339(product.now - WAIT)


async def test_what_goes_on_is_repeated_unless_somebody_took_note(
    make_product: Any, tmp_path: Path, peer: Peer
) -> None:
    async with make_product(tmp_path / "data", alert_webhook=[peer.url]) as product:
        await told(product, {"memory": 95.0})
        for step in (WAIT, INTERVAL, REPEAT - INTERVAL):
            await told(product, {"memory": 95.0}, step)
        await got(peer, 2)
        [alert] = (await product.client.get("/api/alerts")).json()["data"]["alerts"]
        await product.client.post(f"/api/alerts/{alert['fingerprint']}/ack", json={"by": "kim"})
        await told(product, {"memory": 95.0}, REPEAT)
        await told(product, {"memory": 96.0, "disk": 95.0}, INTERVAL)
        third = (await got(peer, 3))[2][1]
        assert {alert["labels"]["concept"] for alert in third["alerts"]} == {"memory", "disk"}


async def test_a_silence_keeps_quiet_and_a_restart_tells_nothing_twice(
    make_product: Any, tmp_path: Path, peer: Peer
) -> None:
    settings = {"alert_slack": [f"{peer.url}/services/T0/secret"]}
    silence = {"matchers": [{"name": "concept", "value": "disk"}], "duration": "9h", "createdBy": "kim"}
    async with make_product(tmp_path / "data", **settings) as product:
        assert (await product.client.post("/api/alerts/silences", json=silence)).status_code == 201
        await told(product, {"memory": 95.0, "disk": 95.0})
        now = await told(product, {"memory": 95.0, "disk": 95.0}, WAIT)
        [(path, body, _)] = await got(peer, 1)
        assert path == "/services/T0/secret"
        assert body["text"].splitlines()[:2] == [
            "*[FIRING:1] a*",
            ":red_circle: a memory_critical: Memory is at 95.0 %, critical from 90 %",
        ]
        [shown] = (await product.client.get("/api/alerts/receivers")).json()["data"]["receivers"]
        assert shown["address"] == f"{peer.url}/…"
        assert "services/T0" not in (await product.client.get("/api/v1/status/config")).text
    async with make_product(tmp_path / "data", now, **settings) as product:
        await told(product, {"memory": 95.0, "disk": 95.0}, INTERVAL)
        await told(product, {"memory": 10.0, "disk": 95.0}, INTERVAL)
        _, (_, body, _) = await got(peer, 2)
        assert body["text"].startswith("*[RESOLVED] a*\n:white_check_mark: a memory_critical")


async def test_an_alertmanager_is_told_again_and_again(make_product: Any, tmp_path: Path, peer: Peer) -> None:
    async with make_product(tmp_path / "data", alertmanager=[peer.url]) as product:
        began = await told(product, {"memory": 95.0})
        [(path, [first], _)] = await got(peer, 1)
        assert path == "/api/v2/alerts"
        assert (first["startsAt"], first["endsAt"]) == (rfc3339(began), rfc3339(began + 240))
        assert first["labels"]["alertname"] == "memory_critical"
        again = await told(product, {"memory": 95.0}, 60.0)
        assert (await got(peer, 2))[1][1][0]["endsAt"] == rfc3339(again + 240)
        over = await told(product, {"memory": 10.0}, 15.0)
        assert (await got(peer, 3))[2][1][0]["endsAt"] == rfc3339(over)


async def test_a_receiver_that_fails_is_tried_again_and_counted(
    make_product: Any, tmp_path: Path, peer: Peer, until: Any
) -> None:
    peer.statuses = [503, 200, 400]
    dead = "http://127.0.0.1:9/hook"
    async with make_product(tmp_path / "data", alert_webhook=[peer.url, dead], alert_group_wait="0s") as product:

        async def shown(name: str) -> dict[str, Any]:
            await told(product, {"memory": 95.0}, 15.0)
            found = (await product.client.get("/api/alerts/receivers")).json()["data"]["receivers"]
            return next(one for one in found if one["name"] == name)

        before = await shown("webhook-1")

        async def sent() -> bool:
            return bool((await shown("webhook-1"))["sent"] == before["sent"] + 1)

        await until(sent)
        assert len(peer.got) == 2
        away = await shown("webhook-2")
        assert (away["last_error"], away["sent"]) == ("ClientConnectorError", 0)
        metrics = (await product.client.get("/metrics")).text
        assert 'openmanager_notifications_total{receiver="webhook-1",outcome="retried"}' in metrics


def test_an_address_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(BadSetting) as refused:
        load(alert_slack=["hooks.slack.com/s3cret"])
    assert "alert_slack" in str(refused.value)
    assert "s3cret" not in str(refused.value)


async def told(product: Any, levels: dict[str, float], step: float = 60.0) -> float:
    """A sample of each of server `a`'s levels `step` later, and the round that finds them; returns the time."""
    product.now += step
    times = [product.now - k * 15 for k in range(20)][::-1] if step >= 300 else [product.now]
    await product.write(
        (
            {"__name__": f"server_{name}_usage", "server_id": "a"},
            [(t, value) for t in times],
        )
        for name, value in levels.items()
    )
    await product.client.get("/api/v1/alerts")
    found: float = product.now
    return found


async def got(peer: Peer, count: int) -> list[tuple[str, Any, str | None]]:
    """What the receiver got, as soon as it is so many messages; no more came with them."""
    await reached(lambda: len(peer.got) >= count)
    assert len(peer.got) == count, [body for _, body, _ in peer.got]
    return peer.got


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
