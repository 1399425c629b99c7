"""Remote write 2.0, and what a sender hears when some samples cannot be believed."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cramjam
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

NOW = 1_760_000_400.0
V2 = {"content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "content-encoding": "snappy"}
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


class Told(NamedTuple):
    """A series of a request."""

    labels: Sequence[tuple[str, str]]
    samples: Sequence[tuple[float, float]] = ()
    kind: int = 0
    help: str = ""
    unit: str = ""
    histograms: int = 0
    exemplars: int = 0
    started: float | None = None


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def request(series: Iterable[Told]) -> bytes:
    """io.prometheus.write.v2.Request before snappy, as the proto file describes it."""
    symbols = [""]

    def ref(text: str) -> bytes:
        if text not in symbols:
            symbols.append(text)
        return varint(symbols.index(text))

    told = b""
    for one in series:
        body = field(1, b"".join(ref(name) + ref(value) for name, value in one.labels))
        for time, value in one.samples:
            bits = struct.pack("<d", value)
            start = b"" if one.started is None else b"\x18" + varint(round(one.started * 1000))
            body += field(
                2, (b"\x09" + bits if bits != bytes(8) else b"") + b"\x10" + varint(round(time * 1000)) + start
            )
        body += field(3, b"\x08\x05") * one.histograms + field(4, b"\x11" + bytes(8)) * one.exemplars
        if one.kind:
            body += field(5, b"\x08" + varint(one.kind) + b"\x18" + ref(one.help) + b"\x20" + ref(one.unit))
        told += field(5, body)
    return b"".join(field(4, text.encode()) for text in symbols) + told


def packed(series: Iterable[Told]) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request(series)))


def up(name: str = "up") -> list[tuple[str, str]]:
    return [("__name__", name), ("instance", "a:1"), ("job", "node")]


def counts(reply: Any) -> tuple[int, ...]:
    return tuple(
        int(reply.headers[f"x-prometheus-remote-write-{kind}-written"])
        for kind in ("samples", "histograms", "exemplars")
    )


async def refusals(product: Any) -> dict[str, float]:
    page = (await product.client.get("/metrics")).text
    head = "openmanager_samples_refused_total{"
    found = (line.removeprefix(head).split("} ") for line in page.splitlines() if line.startswith(head))
    return {labels: float(value) for labels, value in found}


async def test_samples_and_metadata_of_version_2_are_kept_and_counted(product: Any) -> None:
    told = [
        Told(up("jobs_total"), [(NOW - 30, 1.0), (NOW, 7.0)], 1, "Jobs done.", "jobs", exemplars=2, started=NOW - 900),
        Told(up("wait_seconds_count"), [(NOW, 0.0)], 3, "Waiting.", "seconds"),
        Told([("__name__", "visits"), ("zone", "한국"), ("empty", "")], [(NOW, 3.5), (NOW + 1, STALE)], 2),
    ]
    reply = await product.client.post("/api/v1/write", content=packed(told), headers=V2)
    assert (reply.status_code, reply.content, counts(reply)) == (204, b"", (5, 0, 0)), reply.text
    assert (await product.client.get("/api/v1/metadata")).json()["data"] == {
        "jobs_total": [{"type": "counter", "help": "Jobs done.", "unit": "jobs"}],
        "visits": [{"type": "gauge", "help": "", "unit": ""}],
        "wait_seconds": [{"type": "histogram", "help": "Waiting.", "unit": "seconds"}],
    }
    [jobs] = await product.query("jobs_total[1m]")
    assert jobs == {"metric": dict(up("jobs_total")), "values": [[NOW - 30, "1"], [NOW, "7"]]}
    assert [row["value"][1] for row in await product.query("wait_seconds_count")] == ["0"]
    assert [row["metric"] for row in await product.query("visits")] == [{"__name__": "visits", "zone": "한국"}]
    assert await product.query("visits", NOW + 1) == [], "the stale marker ended it"


async def test_version_1_says_more_about_metrics_too(product: Any) -> None:
    about = field(3, b"\x08\x01" + field(2, b"jobs_total") + field(4, b"Jobs done.") + field(5, b"jobs"))
    reply = await product.client.post("/api/v1/write", content=bytes(cramjam.snappy.compress_raw(about)))
    assert reply.status_code == 204
    said = (await product.client.get("/api/v1/metadata")).json()["data"]
    assert said == {"jobs_total": [{"type": "counter", "help": "Jobs done.", "unit": "jobs"}]}


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"content-type": "application/json"}, "'application/json'"),
        ({"content-type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, "write.v3.Request"),
        ({"content-type": "application/x-protobuf", "content-encoding": "zstd"}, "'zstd'"),
        ({**V2, "content-encoding": "gzip"}, "'gzip'"),
    ],
)
async def test_what_we_do_not_read_is_415_with_the_way_out(product: Any, headers: dict[str, str], word: str) -> None:
    reply = await product.client.post("/api/v1/write", content=packed([Told(up(), [(NOW, 1.0)])]), headers=headers)
    assert (reply.status_code, reply.json()["errorType"]) == (415, "bad_data")
    assert word in reply.json()["error"]
    assert "send" in reply.json()["error"]
    assert await product.query("up") == []


async def test_a_series_without_a_usable_name_is_refused_alone(product: Any) -> None:
    bad = [[("job", "x")], [*up(), ("job", "again")], [*up(), ("", "x")]]
    told = [Told(labels, [(NOW, 1.0), (NOW + 1, 1.0)]) for labels in bad] + [Told(up(), [(NOW, 1.0)])]
    reply = await product.client.post("/api/v1/write", content=packed(told), headers=V2)
    assert (reply.status_code, counts(reply)) == (400, (1, 0, 0))
    assert reply.json()["error"] == (
        "6 of 7 samples were refused, the first: no metric name (__name__) in {job='x'}; 1 samples were kept"
    )
    assert [row["metric"] for row in await product.query("up")] == [dict(up())]
    assert await refusals(product) == {'road="remote_write",reason="bad_labels"': 6}


async def test_a_reference_beyond_the_symbols_costs_its_series_only(product: Any) -> None:
    good = request([Told(up(), [(NOW, 1.0)])])
    lost = field(5, field(1, bytes([1, 99])) + field(2, b"\x09" + bytes(8) + b"\x10\x01"))
    body = bytes(cramjam.snappy.compress_raw(good + lost))
    reply = await product.client.post("/api/v1/write", content=body, headers=V2)
    assert (reply.status_code, counts(reply)) == (400, (1, 0, 0))
    assert "series 1 refers to a symbol beyond the 7 that were sent" in reply.json()["error"]


async def test_native_histograms_are_named_as_not_kept_and_the_samples_beside_them_are(product: Any) -> None:
    told = [Told(up("wait_seconds"), histograms=2), Told(up(), [(NOW, 1.0)])]
    reply = await product.client.post("/api/v1/write", content=packed(told), headers=V2)
    assert (reply.status_code, counts(reply)) == (400, (1, 0, 0))
    assert "2 native histogram samples were not kept" in reply.json()["error"]
    assert [row["value"][1] for row in await product.query("up")] == ["1"]
    assert await refusals(product) == {'road="remote_write",reason="native_histogram"': 2}


async def test_samples_that_cannot_be_true_are_refused_by_reason_and_the_others_kept(
    product: Any, make_body: Any
) -> None:
    day = 86_400
    server = {"server_id": "a-01"}
    series = [
        ({"__name__": "server_cpu_usage", **server}, [(NOW, 100.4), (NOW - 1, 100.6), (NOW - 2, -0.1)]),
        ({"__name__": "server_memory_usage", **server}, [(NOW, float("nan")), (NOW - 1, 0.0)]),
        ({"__name__": "server_disk_usage", **server}, [(NOW, float("inf")), (NOW - 5, 40.0), (NOW - 4, STALE)]),
        ({"__name__": "server_uptime_seconds", **server}, [(NOW, -1.0)]),
        ({"__name__": "server_network_receive_bytes_per_second", **server}, [(NOW, -5.0), (NOW - 1, 9e99)]),
        ({"__name__": "ratio", **server}, [(NOW, float("nan")), (NOW - 1, -7.0), (NOW + 599, 1.0), (NOW + 601, 2.0)]),
        ({"__name__": "old", **server}, [(NOW - 29 * day, 1.0), (NOW - 31 * day, 2.0)]),
    ]
    reply = await product.client.post("/api/v1/write", content=make_body(series))
    assert reply.status_code == 400
    assert reply.json()["error"] == (
        "8 of 17 samples were refused, the first: "
        "server_cpu_usage{server_id='a-01'} 100.6 at 2025-10-09T08:59:59Z: out_of_range; 9 samples were kept"
    )
    road = 'road="remote_write",reason='
    assert await refusals(product) == {
        f'{road}"clock_skew"': 1,
        f'{road}"not_a_number"': 2,
        f'{road}"out_of_range"': 4,
        f'{road}"too_old"': 1,
    }
    kept = {name: await values(product, name) for name in ("server_cpu_usage", "server_disk_usage", "ratio", "old")}
    assert kept == {
        "server_cpu_usage": ["100.4"],
        "server_disk_usage": ["40"],
        "ratio": ["-7", "NaN", "1"],
        "old": ["1"],
    }
    names = (await product.client.get("/api/v1/label/__name__/values")).json()["data"]
    assert "server_uptime_seconds" not in names, "a series of which nothing was kept is not made known"


async def test_the_distant_past_is_kept_where_the_retention_reaches_it(make_product: Any, tmp_path: Any) -> None:
    async with make_product(tmp_path / "data", retention="36500d") as product:
        await product.write([({"__name__": "first"}, [(0.0, 1.0), (60.0, 2.0)])])
        assert [row["value"] for row in await product.query("first", 60.0)] == [[60, "2"]]


times = st.integers(0, 2**40) | st.integers(1_750_000_000_000, 1_760_000_400_000)
told = st.builds(
    Told,
    st.lists(st.tuples(st.sampled_from(["__name__", "a", "", "é"]), st.text(max_size=3)), max_size=4),
    st.lists(st.tuples(times.map(lambda ms: ms / 1000), st.floats()), max_size=4),
    st.integers(0, 9),
    st.text(max_size=3),
    histograms=st.integers(0, 2),
    exemplars=st.integers(0, 2),
    started=st.none() | st.just(1_759_000_000.0),
)


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(told, max_size=5).map(request), st.integers(0, 300), st.binary(max_size=4), st.sampled_from([V2, {}]))
async def test_no_body_is_an_internal_error(
    product: Any, whole: bytes, place: int, noise: bytes, headers: dict[str, str]
) -> None:
    for body in (whole, whole[:place], whole[:place] + noise + whole[place + len(noise) :]):
        for sent in (bytes(cramjam.snappy.compress_raw(body)), body):
            reply = await product.client.post("/api/v1/write", content=sent, headers=headers)
            assert reply.status_code in (204, 400, 413), (reply.status_code, reply.text)
            if headers and reply.status_code == 204:
                assert counts(reply)[1:] == (0, 0)


async def values(product: Any, name: str) -> list[str]:
    rows = await product.query(f"{name}[40d]", NOW + 600)
    return [value for row in rows for _, value in row["values"]]
