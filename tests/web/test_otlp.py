"""OpenTelemetry metrics by HTTP: what they become, what the sender hears, and a host of the collector as a server."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

NOW = 1_760_000_400.0
PROTOBUF = {"content-type": "application/x-protobuf"}
ROUTES = ["/api/v1/otlp/v1/metrics", "/v1/metrics"]
DELTA, CUMULATIVE = 1, 2


def attributes(**given: Any) -> list[dict[str, Any]]:
    """Attributes in JSON; `__` in a name stands for a dot."""
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    found = []
    for name, value in given.items():
        if isinstance(value, list):
            told = {"arrayValue": {"values": [{"stringValue": one} for one in value]}}
        else:
            told = {kinds[type(value)]: value}
        found.append({"key": name.replace("__", "."), "value": told})
    return found


def point(value: float | None, at: float = NOW, **given: Any) -> dict[str, Any]:
    amount = {} if value is None else {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}
    return {"timeUnixNano": str(round(at * 1e9)), "attributes": attributes(**given), **amount}


def gauge(name: str, unit: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "unit": unit, "gauge": {"dataPoints": list(points)}}


def total(name: str, unit: str, *points: dict[str, Any], up: bool = True, delta: bool = False) -> dict[str, Any]:
    how = {"aggregationTemporality": DELTA if delta else CUMULATIVE, "isMonotonic": up}
    return {"name": name, "unit": unit, "description": f"About {name}.", "sum": {"dataPoints": list(points), **how}}


def export(*metrics: dict[str, Any], **resource: Any) -> dict[str, Any]:
    about = {"attributes": attributes(**resource)}
    return {"resourceMetrics": [{"resource": about, "scopeMetrics": [{"metrics": list(metrics)}]}]}


async def send(product: Any, body: dict[str, Any], route: str = ROUTES[0]) -> dict[str, Any]:
    reply = await product.client.post(route, json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


async def values(product: Any, selector: str) -> dict[str, list[str]]:
    """Metric with its own labels → the values of the last hour."""
    rows = await product.query(f"{selector}[1h]")
    found = {}
    for row in rows:
        labels = {k: v for k, v in row["metric"].items() if k not in ("__name__", "job", "instance", "host_name")}
        told = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
        found[f"{row['metric']['__name__']}{{{told}}}"] = [value for _, value in row["values"]]
    return found


@pytest.mark.parametrize("route", ROUTES)
async def test_a_resource_becomes_job_instance_labels_and_target_info(product: Any, route: str) -> None:
    body = export(
        total("http.requests", "{request}", point(7, http__route="/a", code=200, ok=True)),
        gauge("queue.depth", "", point(3.5)),
        service__namespace="shop",
        service__name="cart",
        service__instance__id="i-1",
        host__name="web-01",
        host__ip=["10.0.3.17", "fe80::1"],
        os__type="linux",
        deployment__environment="prod",
        telemetry__sdk__name="opentelemetry",
    )
    assert await send(product, body, route) == {}
    own = {"job": "shop/cart", "instance": "i-1"}
    promoted = {"host_name": "web-01", "os_type": "linux", "deployment_environment": "prod"}
    point_labels = {"http_route": "/a", "code": "200", "ok": "true"}
    assert [row["metric"] for row in await product.query('{job="shop/cart"}')] == [
        {"__name__": "http_requests_total", **own, **promoted, **point_labels},
        {"__name__": "queue_depth", **own, **promoted},
        {
            "__name__": "target_info",
            "host_ip": '["10.0.3.17","fe80::1"]',
            "telemetry_sdk_name": "opentelemetry",
            **own,
            **promoted,
        },
    ]
    said = (await product.client.get("/api/v1/metadata")).json()["data"]
    assert said["http_requests_total"] == [{"type": "counter", "help": "About http.requests.", "unit": ""}]
    by_address = (await product.client.get("/api/servers/10.0.3.17")).json()
    assert by_address["data"]["server"]["id"] == "web-01"


async def test_histograms_and_summaries_become_their_series(product: Any) -> None:
    histogram = {
        **point(None),
        "count": "6",
        "sum": 2.5,
        "bucketCounts": ["1", "2", "3"],
        "explicitBounds": [0.005, 10],
    }
    summary = {**point(None), "count": "4", "sum": 8, "quantileValues": [{"quantile": 0.5, "value": 1.5}]}
    body = export(
        {
            "name": "http.duration",
            "unit": "s",
            "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": [histogram]},
        },
        {"name": "rpc.size", "unit": "By", "summary": {"dataPoints": [summary]}},
        service__name="cart",
    )
    assert await send(product, body) == {}
    assert await values(product, '{job="cart"}') == {
        "http_duration_seconds_bucket{le=0.005}": ["1"],
        "http_duration_seconds_bucket{le=10}": ["3"],
        "http_duration_seconds_bucket{le=+Inf}": ["6"],
        "http_duration_seconds_count{}": ["6"],
        "http_duration_seconds_sum{}": ["2.5"],
        "rpc_size_bytes{quantile=0.5}": ["1.5"],
        "rpc_size_bytes_count{}": ["4"],
        "rpc_size_bytes_sum{}": ["8"],
    }


async def test_protobuf_and_gzip_are_read_and_answered_in_kind(product: Any) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="temp", unit="Cel")
    metric.gauge.data_points.add(time_unix_nano=round(NOW * 1e9), as_double=21.5)
    body = request.SerializeToString()
    for sent, headers in ((body, PROTOBUF), (gzip.compress(body), {**PROTOBUF, "content-encoding": "gzip"})):
        reply = await product.client.post("/v1/metrics", content=sent, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-protobuf")
        assert ExportMetricsServiceResponse.FromString(reply.content) == ExportMetricsServiceResponse()
    assert await values(product, "temp_celsius") == {"temp_celsius{}": ["21.5"]}


async def test_differences_are_added_up_and_a_repeated_one_counts_once(product: Any) -> None:
    def sent(at: float, jobs: int, waits: list[str]) -> dict[str, Any]:
        histogram = {**point(None, at), "count": "3", "sum": 1.5, "bucketCounts": waits, "explicitBounds": [1]}
        return export(
            total("jobs", "", point(jobs, at), delta=True),
            {"name": "wait", "unit": "s", "histogram": {"aggregationTemporality": DELTA, "dataPoints": [histogram]}},
            service__name="worker",
        )

    for k, (jobs, waits) in enumerate([(5, ["1", "2"]), (2, ["3", "0"]), (0, ["0", "3"])]):
        assert await send(product, sent(NOW - 60 + k * 10, jobs, waits)) == {}
    again = await send(product, sent(NOW - 40, 9, ["1", "2"]))
    assert again["partialSuccess"]["rejectedDataPoints"] == "2"
    assert "'jobs': out_of_order" in again["partialSuccess"]["errorMessage"]
    assert await values(product, '{job="worker"}') == {
        "jobs_total{}": ["5", "7", "7"],
        "wait_seconds_bucket{le=1}": ["1", "4", "4"],
        "wait_seconds_bucket{le=+Inf}": ["3", "6", "9"],
        "wait_seconds_count{}": ["3", "6", "9"],
        "wait_seconds_sum{}": ["1.5", "3", "4.5"],
    }


async def test_a_difference_with_a_time_ahead_does_not_block_those_that_follow(product: Any) -> None:
    for at, jobs in ((NOW - 10, 1), (NOW + 5_000, 50), (NOW, 2)):
        await send(product, export(total("jobs", "", point(jobs, at), delta=True)))
    assert await values(product, "jobs_total") == {"jobs_total{}": ["1", "3"]}


async def test_what_is_refused_is_a_partial_success_and_the_rest_is_kept(product: Any) -> None:
    body = export(
        gauge("good", "", point(1.0), point(2.0, NOW - 5)),
        gauge("server.cpu.usage", "", point(140.0), point(50.0, NOW - 5)),
        gauge("late", "", point(1.0, NOW + 3_600)),
        gauge("untimed", "", {"asDouble": 1.0}),
        gauge("empty", "", point(None)),
        gauge("…", "", point(1.0)),
        {"name": "steps", "sum": {"dataPoints": [point(1)], "isMonotonic": True}},
        {
            "name": "exact",
            "exponentialHistogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": [point(None), point(None)]},
        },
    )
    reply = await send(product, body)
    assert reply["partialSuccess"]["rejectedDataPoints"] == "8"
    assert reply["partialSuccess"]["errorMessage"] == (
        "8 of 11 data points were refused, the first: 'untimed': no_time"
    )
    assert await values(product, '{__name__=~".+"}') == {"good{}": ["2", "1"], "server_cpu_usage{}": ["50"]}
    page = (await product.client.get("/metrics")).text
    reasons = ("bad_name", "clock_skew", "exponential_histogram", "no_time", "no_value", "out_of_range")
    for reason in (*reasons, "unknown_temporality"):
        count = 2 if reason == "exponential_histogram" else 1
        assert f'openmanager_samples_refused_total{{road="otlp",reason="{reason}"}} {count}\n' in page


async def test_a_point_without_a_recorded_value_ends_its_series(product: Any) -> None:
    ended = {"timeUnixNano": str(round(NOW * 1e9)), "flags": 1}
    await send(product, export(gauge("temp", "", point(1.0, NOW - 30), ended)))
    assert await product.query("temp", NOW - 1) != []
    assert await product.query("temp", NOW) == []


@pytest.mark.parametrize(
    ("content", "headers", "code", "word"),
    [
        (b"{}", {"content-type": "text/plain"}, 415, "'text/plain'"),
        (b"{}", {"content-type": "application/json", "content-encoding": "zstd"}, 415, "send gzip"),
        (b"{", {"content-type": "application/json"}, 400, "ExportMetricsServiceRequest"),
        (b"[]", {"content-type": "application/json"}, 400, "OTLP"),
        (b'{"resourceMetrics": 5}', {"content-type": "application/json"}, 400, "OTLP"),
        (b"x", {"content-type": "application/json", "content-encoding": "gzip"}, 400, "gzip"),
        (gzip.compress(b"{}")[:-3], {"content-type": "application/json", "content-encoding": "gzip"}, 400, "cut off"),
        (gzip.compress(bytes(33 << 20)), {**PROTOBUF, "content-encoding": "gzip"}, 413, "when unpacked"),
        (b"\x0a\xff", PROTOBUF, 400, "ExportMetricsServiceRequest"),
    ],
)
async def test_a_body_that_cannot_be_read_gets_a_status_in_its_own_encoding(
    product: Any, content: bytes, headers: dict[str, str], code: int, word: str
) -> None:
    reply = await product.client.post("/v1/metrics", content=content, headers=headers)
    assert reply.status_code == code
    if headers["content-type"] == "application/x-protobuf":
        assert reply.headers["content-type"] == "application/x-protobuf"
        assert reply.content[:3] == b"\x08\x03\x12", "google.rpc.Status: code 3, then the message"
        assert word in reply.content[3:].decode(errors="replace")
    else:
        assert (reply.json()["code"], word in reply.json()["message"]) == (3, True), reply.text


async def test_an_empty_request_is_a_success(product: Any) -> None:
    reply = await product.client.post("/v1/metrics", content=b"", headers=PROTOBUF)
    assert (reply.status_code, reply.content) == (200, b"")


async def test_while_the_store_is_away_the_sender_is_asked_to_try_again_and_nothing_is_counted_twice(
    product: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitoring.errors import StoreUnavailable

    body = export(total("jobs", "", point(5), delta=True))

    async def away(_batch: Any) -> int:
        raise StoreUnavailable("closed", "the store is away")

    with monkeypatch.context() as broken:
        broken.setattr(product.app.state.parts.gate, "_append", away)
        reply = await product.client.post("/v1/metrics", json=body)
    assert (reply.status_code, reply.headers["retry-after"], reply.json()["code"]) == (503, "1", 14)
    assert await send(product, body) == {}
    assert await values(product, "jobs_total") == {"jobs_total{}": ["5"]}


async def test_a_host_of_the_collector_is_a_server_with_cpu_memory_and_disk(product: Any) -> None:
    gib = 2**30
    for at in (NOW - 30 * k for k in range(10, -1, -1)):
        await send(product, hostmetrics("otel-01", at, gib), "/v1/metrics")
    reply = await product.client.get("/api/servers")
    [server] = reply.json()["data"]["servers"]
    assert (server["id"], server["status"]) == ("otel-01", "warning")
    shown = ("cpu", "memory", "disk", "load", "network_in", "network_out", "uptime_s")
    assert [round(server[name]) for name in shown] == [85, 50, 60, 2, 100, 50, 86_400]
    assert server["disk_mount"] == "/"


def hostmetrics(host: str, at: float, gib: int) -> dict[str, Any]:
    """What the collector's hostmetrics receiver sends with the resourcedetection processor, on Linux."""
    since = at - NOW + 3_600
    busy = {"user": 0.6, "system": 0.25, "idle": 0.15, "wait": 0.0}
    memory = {"used": 8, "free": 2, "cached": 5, "buffered": 1, "slab_reclaimable": 3, "slab_unreclaimable": 1}
    disk = {"device": "/dev/sda1", "type": "ext4", "mode": "rw", "mountpoint": "/"}
    shm = {"device": "tmpfs", "type": "tmpfs", "mode": "rw", "mountpoint": "/dev/shm"}
    return export(
        total(
            "system.cpu.time",
            "s",
            *(point(share * since, at, cpu=f"cpu{k}", state=state) for k in (0, 1) for state, share in busy.items()),
        ),
        total("system.memory.usage", "By", *(point(n * gib, at, state=s) for s, n in memory.items()), up=False),
        total(
            "system.filesystem.usage",
            "By",
            *(point(n * gib, at, state=s, **disk) for s, n in {"used": 60, "free": 35, "reserved": 5}.items()),
            *(point(n * gib, at, state=s, **shm) for s, n in {"used": 9, "free": 1}.items()),
            up=False,
        ),
        total(
            "system.network.io",
            "By",
            *(point(round(rate * since), at, device="eth0", direction=d) for d, rate in IO.items()),
            *(point(round(9e9 * since), at, device="lo", direction=d) for d in IO),
        ),
        gauge("system.cpu.load_average.1m", "{thread}", point(2.0, at)),
        gauge("system.uptime", "s", point(86_400.0, at)),
        host__name=host,
        os__type="linux",
    )


IO = {"receive": 100.0, "transmit": 50.0}

words = st.text(max_size=4) | st.sampled_from(["system.cpu.time", "service.name", "host.name", "__name__", "le", "1"])
numbers = st.integers() | st.floats() | words | st.none() | st.booleans()
documents = st.recursive(numbers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
anything = st.fixed_dictionaries(
    {},
    optional={
        "timeUnixNano": numbers,
        "asInt": numbers,
        "asDouble": numbers,
        "count": numbers,
        "sum": numbers,
        "flags": numbers,
        "bucketCounts": st.lists(st.integers(0, 2**64 - 1), max_size=3),
        "explicitBounds": st.lists(st.floats(), max_size=2),
        "quantileValues": st.lists(st.fixed_dictionaries({"quantile": st.floats(), "value": st.floats()}), max_size=2),
        "attributes": st.lists(st.fixed_dictionaries({"key": words, "value": documents}), max_size=2),
        "exemplars": documents,
    },
)
metrics = st.builds(
    lambda name, unit, form, points, temporality: {
        "name": name,
        "unit": unit,
        form: {
            "dataPoints": points,
            **({} if form in ("gauge", "summary") else {"aggregationTemporality": temporality}),
        },
    },
    words,
    words,
    st.sampled_from(["gauge", "sum", "histogram", "summary", "exponentialHistogram"]),
    st.lists(anything, max_size=3),
    st.integers(0, 3),
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(metrics, max_size=3).map(lambda found: export(*found, service__name="x")) | documents)
async def test_no_json_is_an_internal_error(product: Any, document: Any) -> None:
    import json

    content = json.dumps(document).encode()
    reply = await product.client.post("/v1/metrics", content=content, headers={"content-type": "application/json"})
    assert reply.status_code in (200, 400), (reply.status_code, reply.text, document)


doubles = st.floats().map(lambda value: struct.pack("<d", value))


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40), st.integers(0, 400), doubles)
async def test_no_protobuf_is_an_internal_error(product: Any, noise: bytes, place: int, value: bytes) -> None:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for form in ("gauge", "sum"):
        one = getattr(scope.metrics.add(name="m", unit="s"), form).data_points.add(time_unix_nano=round(NOW * 1e9))
        one.as_double = struct.unpack("<d", value)[0]
        one.attributes.add(key="a").value.string_value = "b"
    whole = request.SerializeToString()
    for body in (noise, whole[:place] + noise, whole[:place] + noise + whole[place + len(noise) :]):
        reply = await product.client.post("/v1/metrics", content=body, headers=PROTOBUF)
        assert reply.status_code in (200, 400), (reply.status_code, reply.content)
