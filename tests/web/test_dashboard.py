"""`GET /api/dashboard`: one reading for everybody, as bytes, with what a cache needs to know."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import cramjam
import pytest

from web.board import coding_for

URL = "/api/dashboard"


async def get(product: Any, **headers: str) -> Any:
    """The dashboard, asked for by exactly these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = product.client.build_request("GET", URL, headers={"Accept-Encoding": "identity", **named})
    return await product.client.send(request)


async def test_only_the_request_that_caused_the_reading_says_that_it_was_not_cached(
    product: Any, make_servers: Any
) -> None:
    await product.write(make_servers(product.now))
    replies = await asyncio.gather(*(get(product) for _ in range(100)))
    cached = [reply.json()["data"]["cached"] for reply in replies]
    assert cached.count(False) <= 1
    assert len({reply.json()["data"]["seq"] for reply in replies}) == 1, "a stampede is one reading"


async def test_a_value_that_was_just_written_is_shown(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    labels = {"__name__": "server_memory_usage", "server_id": "bravo-01", "type": "db"}
    for memory in (11.0, 12.0, 13.0):
        product.now += 1
        await product.write([(labels, [(product.now, memory)])])
        shown = {s["id"]: s["memory"] for s in (await get(product)).json()["data"]["servers"]}
        assert shown["bravo-01"] == memory


async def test_the_times_are_those_of_the_samples(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    product.now += 42
    data = (await get(product)).json()["data"]
    found = {s["id"]: (s["last_seen"], s["age_s"]) for s in data["servers"]}
    assert found["bravo-01"] == ("2025-10-09T09:00:00Z", 42.0)
    assert found["delta-01"] == ("2025-10-09T08:40:00Z", 1242.0)
    assert (data["age_s"], data["timestamp"], data["stale"]) == (42.0, "2025-10-09T09:00:42Z", False)


async def test_a_copy_is_good_until_there_is_a_new_reading(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    first = await get(product)
    tag = first.headers["etag"]
    again = await get(product, If_None_Match=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "public, s-maxage=30, stale-while-revalidate=60"
    assert again.headers["vary"] == "Accept-Encoding"
    for known in (f'"other", W/{tag}', "*"):
        assert (await get(product, If_None_Match=known)).status_code == 304
    assert (await get(product, If_None_Match='"other"')).status_code == 200
    product.now += 10
    later = await get(product, If_None_Match=tag)
    assert later.status_code == 200
    assert later.headers["etag"] != tag


@pytest.mark.asyncio(loop_scope="session")
async def test_every_coding_holds_the_same_body_under_a_tag_of_its_own(fleet: Any) -> None:
    await get(fleet)
    replies = {coding: await raw(fleet, coding) for coding in ("identity", "gzip", "zstd")}
    plain = replies["identity"][1]
    assert gzip.decompress(replies["gzip"][1]) == plain
    assert bytes(cramjam.zstd.decompress(replies["zstd"][1])) == plain
    assert [headers.get("content-encoding") for headers, _ in replies.values()] == [None, "gzip", "zstd"]
    assert len({headers["etag"] for headers, _ in replies.values()}) == 3
    for headers, body in replies.values():
        assert int(headers["content-length"]) == len(body)
        assert headers["vary"] == "Accept-Encoding"
        assert int(headers["age"]) >= 0


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip;q=0.5, zstd;q=0.4", "gzip"),
        ("gzip;q=0", "identity"),
        ("*", "zstd"),
        ("identity;q=0.9, gzip;q=0.2", "identity"),
        ("br, GZIP", "gzip"),
        ("gzip;q=nonsense", "identity"),
    ],
)
def test_the_coding_is_the_one_that_the_client_likes_best(accepted: str, coding: str) -> None:
    assert coding_for(accepted.encode()) == coding


@pytest.mark.asyncio(loop_scope="session")
async def test_head_has_the_headers_and_no_body(fleet: Any) -> None:
    whole, head = await get(fleet), await fleet.client.head(URL, headers={"Accept-Encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.keys() == whole.headers.keys()


async def test_while_the_store_is_away_the_last_good_copy_is_served_and_says_so(
    product: Any, make_servers: Any, stopped: Any, until: Any
) -> None:
    await product.write(make_servers(product.now))
    assert (await get(product)).json()["data"]["stale"] is False
    valkey = product.app.state.parts.valkey
    with stopped(valkey):
        product.now += 60
        reply = await get(product)
        data = reply.json()["data"]
        assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-cache")
        assert (data["stale"], data["cached"], data["age_s"], data["total"]) == (True, True, 60.0, 6)
        assert {s["id"]: s["age_s"] for s in data["servers"]}["bravo-01"] == 60.0
    await until(lambda: fresh(product))


async def test_where_nothing_was_ever_read_the_answer_is_the_error(product: Any, stopped: Any) -> None:
    parts = product.app.state.parts
    with stopped(parts.valkey):
        parts.live.board = None  # as in a process that has just begun
        reply = await get(product)
    assert (reply.status_code, reply.headers["cache-control"]) == (500, "no-cache")
    assert reply.json()["error"]["code"] == "store_unavailable"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def fresh(product: Any) -> bool:
    product.now += 1
    return (await get(product)).json()["data"]["stale"] is False


async def raw(product: Any, coding: str) -> tuple[dict[str, str], bytes]:
    """Headers and bytes as sent, not decoded."""
    request = product.client.build_request("GET", URL, headers={"Accept-Encoding": coding})
    reply = await product.client.send(request, stream=True)
    body = b"".join([part async for part in reply.aiter_raw()])
    await reply.aclose()
    return dict(reply.headers), body
