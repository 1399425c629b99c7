"""Google Cloud Monitoring, simulated on loopback in the shape of its documented REST replies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitoring.errors import BackendUnavailable, BadSetting
from monitoring.ingest.gcp import CloudMonitoring
from monitoring.windows import rfc3339

NOW = 1_760_000_400.0


class Api:
    """Answers timeSeries.list: one series a page; `failures` are sent first."""

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.asked: list[dict[str, str]] = []
        self.tokens: set[str] = set()
        self.series: dict[str, list[dict[str, Any]]] = {}

    async def list(self, request: web.Request) -> web.Response:
        assert request.path == "/v3/projects/p-1/timeSeries"
        self.asked.append(dict(request.query))
        self.tokens.add(request.headers["Authorization"])
        if self.failures:
            status = self.failures.pop(0)
            return web.json_response({"error": {"code": status, "message": "quota"}}, status=status)
        kind = request.query["filter"].split('"')[1]
        found = self.series.get(kind, [])
        place = int(request.query.get("pageToken", "0"))
        body: dict[str, Any] = {"timeSeries": found[place : place + 1]} if found else {}
        if place + 1 < len(found):
            body["nextPageToken"] = str(place + 1)
        return web.json_response(body)


def series(kind: str, value: dict[str, Any], at: float = NOW - 120, **labels: str) -> dict[str, Any]:
    point = {"interval": {"startTime": rfc3339(at - 60), "endTime": rfc3339(at)}, "value": value}
    name = {"instance_name": "web-7"} if kind.startswith("compute") else {}
    return {
        "metric": {"type": kind, "labels": {**name, **labels}},
        "resource": {
            "type": "gce_instance",
            "labels": {"project_id": "p-1", "instance_id": "42", "zone": "europe-west3-a"},
        },
        "metadata": {"userLabels": {"role": "web"}} if name else {},
        "points": [point],
    }


@pytest.fixture
async def api(tmp_path: Path):
    simulated = Api()
    app = web.Application()
    app.router.add_get("/{path:.*}", simulated.list)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "token").write_text("t0ken\n")
    pauses: list[float] = []

    async def pause(length_s: float) -> None:
        pauses.append(length_s)

    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield simulated, CloudMonitoring("p-1", endpoint, tmp_path / "token", pause=pause), pauses
    await runner.cleanup()


async def test_instances_become_servers_with_googles_own_times(api: Any):
    simulated, source, _ = api
    received = "compute.googleapis.com/instance/network/received_bytes_count"
    cpu = "compute.googleapis.com/instance/cpu/utilization"
    simulated.series = {
        cpu: [series(cpu, {"doubleValue": 0.425})],
        "agent.googleapis.com/memory/percent_used": [
            series("agent.googleapis.com/memory/percent_used", {"doubleValue": 61.5}, state="used")
        ],
        "agent.googleapis.com/disk/percent_used": [
            series("agent.googleapis.com/disk/percent_used", {"doubleValue": 30.0}, state="used", device="sda1")
        ],
        received: [
            series(received, {"int64Value": "6000"}, loadbalanced="true"),
            series(received, {"int64Value": "600"}, loadbalanced="false"),
        ],
    }
    batch = await source.collect(NOW)
    common = {"server_id": "web-7", "type": "web", "zone": "europe-west3-a", "project": "p-1"}
    assert batch.series == [
        {**common, "__name__": "server_cpu_usage"},
        {**common, "__name__": "server_memory_usage"},
        {**common, "device": "sda1", "__name__": "server_disk_usage"},
        {**common, "__name__": "server_network_receive_bytes_per_second"},
    ]
    assert batch.values.tolist() == [42.5, 61.5, 30.0, 110.0]
    assert set(batch.times_ms.tolist()) == {round((NOW - 120) * 1000)}
    assert simulated.tokens == {"Bearer t0ken"}
    assert len(simulated.asked) == 7, "one call for each of six metrics, and one more page"
    assert len(await source.collect(NOW + 60)) == 0, "no point is written twice"


async def test_a_quota_is_waited_for_and_a_refusal_is_told_at_once(api: Any):
    simulated, source, pauses = api
    simulated.failures = [429, 503]
    assert len(await source.collect(NOW)) == 0
    assert source.retries == {"429": 1, "503": 1}
    assert pauses[0] < pauses[1] * 1.5
    simulated.failures = [403]
    with pytest.raises(BackendUnavailable, match="403 quota"):
        await source.collect(NOW)
    simulated.failures = [500] * 4
    with pytest.raises(BackendUnavailable, match="4 times in a row"):
        await source.collect(NOW)


def test_a_token_is_never_sent_in_clear():
    with pytest.raises(BadSetting, match="not an https URL"):
        CloudMonitoring("p-1", "http://example.test", Path("token"))


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
    with pytest.raises(BadSetting, match=r"pip install 'openmanager\[gcp\]'"):
        CloudMonitoring("p-1", "https://monitoring.googleapis.com")
