"""Whatever comes in, the process lives and says what is wrong: queries, questions, remote write and OTLP by chance."""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

import cramjam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.web.conftest import remote_write
from tests.web.test_remote_write import Told
from tests.web.test_remote_write import request as request_v2

EXAMPLES = int(os.environ.get("OPENMANAGER_FUZZ_EXAMPLES", "80"))
"""For each test; give it thousands after changes to a parser."""
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES <= 80,
    suppress_health_check=list(HealthCheck),
)

WORDS = tuple(
    line
    for text in (
        "sum avg topk quantile count_values by without on ignoring group_left group_right bool offset @ start() end()",
        "rate increase avg_over_time predict_linear histogram_quantile label_replace label_join absent time() vector",
        "scalar timestamp sort server_cpu_usage server_memory_usage up node_cpu_seconds_total {__name__!=''} {} { }",
        '{type="db"} {server_id=~".*"} ( ) [ ] [5m] [1h:] [1h:5m] [6h:10s] [1000y] 1 0 -1 1e309 NaN Inf 0x1f 5m 1y',
        '"x" "(" "$1" `.` , : + - * / % ^ atan2 == != > < >= <= and or unless # \\ \u200b 한국어 1d5h offset -1h',
        "@1e18 @-1 limitk limit_ratio info fill smoothed anchored step()",
    )
    for line in text.split()
)
QUERIES = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map("".join),
    st.builds(
        "{0}({1}{2}) {3} {1}".format,
        st.sampled_from(["sum", "rate", "max_over_time", "abs", "sort_desc", "topk", "quantile_over_time", "deriv"]),
        st.sampled_from(["server_cpu_usage", '{type="web"}', "vector(1)", "1", '"a"', "2, up"]),
        st.sampled_from(["", "[5m]", "[1h:1m]", " offset 5m", "[10m] @ end()", "[1s:1ms]"]),
        st.sampled_from(["+", "or", "/ on (server_id)", "unless", "> bool", "^", "== on () group_left ()"]),
    ),
    st.text(max_size=60),
)
TIMES = st.one_of(
    st.none(),
    st.floats().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["", "now", "1760000400", "2025-10-09T09:00:00Z", "0000-00-00T00:00:00Z", "1e17", "-1e12", "٣"]),
)
PLACES = ["query", "query_range", "format_query", "parse_query", "series", "labels", "query_exemplars"]


def message(reply: Any) -> str:
    """What went wrong; for the report of a test."""
    return f"{reply.status_code} {reply.text[:500]}"


@FUZZ
@given(
    place=st.sampled_from(PLACES),
    query=QUERIES,
    at=st.just("1760000340") | TIMES,
    until=st.just("1760000400") | TIMES,
    step=st.just("30") | TIMES,
)
@pytest.mark.asyncio(loop_scope="session")
async def test_no_query_is_answered_by_an_error_of_ours(
    fleet: Any, place: str, query: str, at: str | None, until: str | None, step: str | None
) -> None:
    given = {"query": query, "match[]": query, "time": at, "start": at, "end": until, "step": step}
    form = {name: value for name, value in given.items() if value is not None}
    reply = await fleet.client.post(f"/api/v1/{place}", data={**form, "timeout": "2"})
    assert reply.status_code in (200, 400, 422, 503), message(reply)
    assert reply.json()["status"] == ("success" if reply.status_code == 200 else "error")


@FUZZ
@given(text=st.one_of(st.text(max_size=80), QUERIES), now=TIMES, zone=st.sampled_from(["UTC", "Asia/Seoul", ""]))
@pytest.mark.asyncio(loop_scope="session")
async def test_no_question_is_answered_by_an_error_of_ours(fleet: Any, text: str, now: str | None, zone: str) -> None:
    body = {"query": text, "context": {"now": now, "timezone": zone or None}}
    reply = await fleet.client.post("/api/ai-agent", json=body)
    assert reply.status_code in (200, 422), message(reply)


HOSTILE = {
    "parens": "(" * 10_000 + "up" + ")" * 10_000,
    "minuses": "-" * 10_000 + "up",
    "calls": "abs(" * 10_000 + "up" + ")" * 10_000,
    "chain": " + ".join(["up"] * 5_001),
}


@pytest.mark.parametrize("place", [*PLACES, "delete_series"])
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.asyncio(loop_scope="session")
async def test_what_would_kill_the_parser_is_refused_and_the_process_lives(fleet: Any, name: str, place: str) -> None:
    form = {"query": HOSTILE[name], "match[]": HOSTILE[name], "start": "1", "end": "2", "step": "1"}
    if place == "delete_series":
        reply = await fleet.client.post("/api/v1/admin/tsdb/delete_series", data=form)
        assert reply.status_code == 403
    else:
        reply = await fleet.client.post(f"/api/v1/{place}", data=form)
        assert (reply.status_code, reply.json()["errorType"]) == (400, "bad_data"), message(reply)
    assert (await fleet.client.get("/healthz")).status_code == 200


@st.composite
def spoiled(draw: st.DrawFn, bodies: tuple[bytes, ...]) -> bytes:
    """A good body with some bytes changed, cut out or put in."""
    body = bytearray(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(body) - 1, 0)))
        what = draw(st.sampled_from(["change", "cut", "insert", "end"]))
        if what == "change" and body:
            body[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del body[at : at + draw(st.integers(1, 8))]
        elif what == "insert":
            body[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            del body[at:]
    return bytes(body)


V1 = bytes(cramjam.snappy.decompress_raw(remote_write([({"__name__": "up", "a": "b:1"}, [(1_760_000_340.0, 1.0)])])))
V2 = request_v2([Told([("__name__", "up"), ("a", "b:1")], [(1_760_000_340.0, 1.0)])])
PROTOS = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")


@FUZZ
@given(body=st.one_of(spoiled((V1, V2)), st.binary(max_size=80)), proto=st.sampled_from(PROTOS), packed=st.booleans())
async def test_no_remote_write_is_answered_by_an_error_of_ours(
    product: Any, body: bytes, proto: str, packed: bool
) -> None:
    content = bytes(cramjam.snappy.compress_raw(body)) if packed else body
    headers = {"content-type": f"application/x-protobuf;proto={proto}", "content-encoding": "snappy"}
    reply = await product.client.post("/api/v1/write", content=content, headers=headers)
    assert reply.status_code in (204, 400, 413), message(reply)


def export() -> bytes:
    """A small OTLP request: a gauge, a sum of differences, a histogram, an exponential histogram, a summary."""
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    gauge = metrics.add(name="a.gauge", unit="By")
    gauge.gauge.data_points.add(as_double=1.5, time_unix_nano=1_760_000_400_000_000_000)
    total = metrics.add(name="b.sum")
    total.sum.aggregation_temporality, total.sum.is_monotonic = 1, True
    total.sum.data_points.add(as_int=3, start_time_unix_nano=1, time_unix_nano=1_760_000_400_000_000_000)
    counts = metrics.add(name="c.histogram").histogram
    counts.aggregation_temporality = 2
    counts.data_points.add(count=3, sum=2.0, bucket_counts=[1, 2], explicit_bounds=[0.5])
    metrics.add(name="d").exponential_histogram.data_points.add(count=1, scale=2)
    metrics.add(name="e").summary.data_points.add(count=1, sum=1.0).quantile_values.add(quantile=0.5, value=1)
    return bytes(request.SerializeToString())


KEYS = tuple(
    key
    for text in (
        "resourceMetrics scopeMetrics metrics resource attributes key value stringValue intValue doubleValue values",
        "arrayValue kvlistValue bytesValue name unit description gauge sum histogram exponentialHistogram summary",
        "dataPoints asDouble asInt timeUnixNano startTimeUnixNano aggregationTemporality isMonotonic bucketCounts",
        "explicitBounds count flags quantileValues",
    )
    for key in text.split()
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["1760000400000000000", "host.name", "a.b", "2", "NaN", "Infinity", "AGGREGATION_TEMPORALITY_DELTA"]
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=20,
)
POINTS = st.lists(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=5), max_size=3)
EXPORTS = st.builds(
    lambda kind, name, points, more: {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": name, kind: {"dataPoints": points, **more}}]}]}]
    },
    st.sampled_from(["gauge", "sum", "histogram", "summary", "exponentialHistogram"]),
    st.text(max_size=6),
    POINTS,
    st.dictionaries(st.sampled_from(["aggregationTemporality", "isMonotonic"]), LEAVES),
)


@FUZZ
@given(body=st.one_of(spoiled((export(),)), st.binary(max_size=60)), packed=st.booleans())
async def test_no_otlp_protobuf_is_answered_by_an_error_of_ours(product: Any, body: bytes, packed: bool) -> None:
    headers = {"content-type": "application/x-protobuf"} | ({"content-encoding": "gzip"} if packed else {})
    content = gzip.compress(body) if packed else body
    reply = await product.client.post("/v1/metrics", content=content, headers=headers)
    assert reply.status_code in (200, 400, 413), message(reply)


@FUZZ
@given(body=st.one_of(EXPORTS, TREES), packed=st.booleans())
async def test_no_otlp_json_is_answered_by_an_error_of_ours(product: Any, body: Any, packed: bool) -> None:
    text = json.dumps(body).encode()
    headers = {"content-type": "application/json"} | ({"content-encoding": "gzip"} if packed else {})
    reply = await product.client.post("/v1/metrics", content=gzip.compress(text) if packed else text, headers=headers)
    assert reply.status_code in (200, 400, 413), message(reply)
