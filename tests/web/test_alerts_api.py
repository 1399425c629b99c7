"""Silences, acknowledgement and the history over HTTP, and events as they happen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from monitoring.windows import rfc3339

SILENCE = {"matchers": [{"name": "server", "value": "a"}], "duration": "2h", "createdBy": "kim", "comment": "upgrade"}


async def test_a_silenced_alert_is_shown_and_marked_until_the_silence_ends(product: Any) -> None:
    await storm(product)
    reply = await product.client.post("/api/alerts/silences", json=SILENCE)
    assert reply.status_code == 201
    made = reply.json()["data"]
    assert made == {
        "id": made["id"],
        "status": {"state": "active"},
        "matchers": [{"name": "server", "value": "a", "isRegex": False, "isEqual": True}],
        "startsAt": rfc3339(product.now),
        "endsAt": rfc3339(product.now + 7200),
        "createdBy": "kim",
        "comment": "upgrade",
        "createdAt": rfc3339(product.now),
    }
    await storm(product)
    assert [row["note"] for row in await alerts(product)] == ["silenced"]
    assert (await product.client.get("/api/alerts/silences")).json()["data"]["silences"] == [made]
    assert (await product.client.get(f"/api/alerts/silences/{made['id']}")).json()["data"] == made
    ended = (await product.client.delete(f"/api/alerts/silences/{made['id']}")).json()["data"]
    assert (ended["status"], ended["endsAt"]) == ({"state": "expired"}, rfc3339(product.now))
    await storm(product)
    assert [row["note"] for row in await alerts(product)] == [None]
    kinds = [event["kind"] for event in await history(product)]
    assert kinds == ["unsilenced", "silence_ended", "silenced", "silence_created", "firing"]


async def test_a_silence_that_cannot_be_meant_is_refused(product: Any) -> None:
    for change, status, words in (
        ({"matchers": []}, 422, "matchers"),
        ({"duration": None}, 400, "either endsAt or duration"),
        ({"duration": "soon"}, 400, "not a duration"),
        ({"duration": None, "endsAt": "2020-01-01T00:00:00Z"}, 400, "ends before it starts"),
        ({"matchers": [{"name": "server", "value": ".*", "isRegex": True}]}, 400, "everything would be silent"),
        ({"matchers": [{"name": "server", "value": "(", "isRegex": True}]}, 400, "regex"),
        ({"createdBy": ""}, 422, "createdBy"),
        ({"colour": "red"}, 422, "colour"),
    ):
        reply = await product.client.post("/api/alerts/silences", json={**SILENCE, **change})
        assert (reply.status_code, words in reply.text) == (status, True), reply.text
    for method in ("GET", "DELETE"):
        assert (await product.client.request(method, "/api/alerts/silences/none")).status_code == 404


async def test_an_acknowledgement_lasts_as_long_as_the_alert(product: Any) -> None:
    await storm(product)
    [one] = await alerts(product)
    url = f"/api/alerts/{one['fingerprint']}/ack"
    reply = await product.client.post(url, json={"by": "lee", "comment": "on it"})
    assert reply.json()["data"] == {
        "fingerprint": one["fingerprint"],
        "alert": "memory_critical",
        "server": "a",
        "by": "lee",
        "comment": "on it",
    }
    assert [row["note"] for row in await alerts(product)] == ["acknowledged by lee"]
    [event, _] = await history(product)
    assert (event["kind"], event["body"]["by"], event["body"]["comment"]) == ("acknowledged", "lee", "on it")
    await storm(product, 40.0)
    await storm(product)
    assert [row["note"] for row in await alerts(product)] == [None]
    assert (await product.client.post("/api/alerts/none/ack", json={"by": "lee"})).status_code == 404
    assert (await product.client.post(url, json={})).status_code == 422


async def test_alerts_are_filtered_by_severity_and_server(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    assert {row["server"] for row in await alerts(product)} == {"bravo-01", "delta-01"}
    assert [row["concept"] for row in await alerts(product, server="bravo-01", severity="warning")] == ["memory"]
    assert (await product.client.get("/api/alerts", params={"server": "none"})).status_code == 404
    assert (await product.client.get("/api/alerts", params={"state": "loud"})).status_code == 400


async def test_events_go_to_all_who_listen(product: Any) -> None:
    stream = product.app.state.parts.live.stream
    heard = stream.alerts
    await storm(product)
    async with asyncio.timeout(5):
        while stream.alerts == heard:
            await stream.changed()
    [body] = stream.alerts_after(heard)
    head, data, *_ = body.decode().split("\n")
    assert head == "event: alert"
    said = json.loads(data.removeprefix("data: "))
    assert (said["kind"], said["name"], said["server"]) == ("firing", "memory_critical", "a")


async def storm(product: Any, memory: float = 95.0) -> None:
    """A minute later, server `a` has used so much memory, and the rules were evaluated."""
    product.now += 60
    await product.write([({"__name__": "server_memory_usage", "server_id": "a"}, [(product.now, memory)])])
    await product.client.get("/api/v1/alerts")


async def alerts(product: Any, **asked: str) -> list[dict[str, Any]]:
    reply = await product.client.get("/api/alerts", params=asked)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["data"]["alerts"]
    return found


async def history(product: Any) -> list[dict[str, Any]]:
    reply = await product.client.get("/api/alerts/history")
    found: list[dict[str, Any]] = reply.json()["data"]["events"]
    return found
