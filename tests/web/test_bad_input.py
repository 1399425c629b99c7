"""What a careless or hostile sender gets: a clear error in the right shape, from a process that lives on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON = {"content-type": "application/json"}
BODIES = [
    # body, a word of the message
    (b'{"query": ""}', "query"),
    (b'{"query": "   "}', "empty"),
    (b'{"query": "' + b"a" * 10_000 + b'"}', "2000"),
    (b'{"query": 5}', "query"),
    (b"{}", "query"),
    (b"[]", "body"),
    (b'{"query": "cpu"', "JSON"),
    (b'{"query": "cpu", "mode": "magic"}', "mode"),
    (b'{"query": "cpu", "context": {"timezone": "Mars/Olympus"}}', "Mars/Olympus"),
    (b'{"query": "cpu", "context": {"timezone": "../../etc/passwd"}}', "time zone"),
    (b'{"query": "cpu", "context": {"now": "soon"}}', "soon"),
]


@pytest.mark.parametrize("route", ["/api/ai-agent", "/api/ai-agent/stream"])
@pytest.mark.parametrize(("body", "word"), BODIES)
async def test_a_question_that_cannot_be_read_is_refused_with_the_field_that_is_wrong(
    fleet: Any, route: str, body: bytes, word: str
) -> None:
    reply = await fleet.client.post(route, content=body, headers=JSON)
    assert (reply.status_code, refusal(reply)["code"]) == (422, "invalid"), reply.text
    assert word in refusal(reply)["message"]


async def test_a_body_that_is_no_text_is_400(fleet: Any) -> None:
    reply = await fleet.client.post("/api/ai-agent", content=b'{"query": "cpu\xff"}', headers=JSON)
    assert (reply.status_code, refusal(reply)["code"]) == (400, "bad_request")


async def test_strange_text_is_only_text(fleet: Any) -> None:
    for text in [
        "\x00\x01\x02",
        "🔥" * 2000,
        "'; DROP TABLE samples; --",
        "{{7*7}}",
        "a" * 2000,
        "\u202e\ufeff?",
        "(((",
    ]:
        answer = await fleet.ask(text)
        assert answer["status"] in ("clarify", "out_of_scope", "no_data"), (text[:20], answer["response"])
        assert answer["evidence"] == []


async def test_an_unknown_server_is_404_and_names_the_nearest(fleet: Any) -> None:
    reply = await fleet.client.get("/api/servers/alpha-03")
    assert (reply.status_code, refusal(reply)["code"]) == (404, "unknown_server")
    assert set(refusal(reply)["details"]["closest"][:2]) == {"alpha-01", "alpha-02"}


@pytest.mark.parametrize("path", ["/api/nothing", "/api/v1/nothing", "/nowhere", "/api/ai-agent/answers"])
async def test_an_unknown_route_is_404_in_the_envelope(fleet: Any, path: str) -> None:
    reply = await fleet.client.get(path)
    assert (reply.status_code, refusal(reply)["code"]) == (404, "not_found")


async def test_a_wrong_method_is_405_in_the_envelope(fleet: Any) -> None:
    reply = await fleet.client.delete("/api/dashboard")
    assert (reply.status_code, refusal(reply)["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sum(",
        "(" * 20_000 + "up" + ")" * 20_000,
        "-" * 50_000 + "1",
        "up[5m",
        "up{a=~'('}",
        'up{a=~"(a+)+$"} offset 1y1',
        "no_such_function(up)",
        "{}",
        "up[1m][1m]",
        "\x00",
        "1 +" * 20_000 + " 1",
    ],
    ids=lambda query: query[:16] or "empty",
)
async def test_hostile_promql_is_bad_data(fleet: Any, query: str) -> None:
    reply = await fleet.client.post("/api/v1/query", data={"query": query})
    assert (reply.status_code, reply.json()["errorType"]) == (400, "bad_data"), reply.text[:300]


@pytest.mark.parametrize(
    ("query", "step"),
    [("count_over_time(server_cpu_usage[100y:1ms])", "60"), ("server_cpu_usage", "0.001"), ("server_cpu_usage", "-1")],
)
async def test_a_query_that_would_never_end_is_refused(fleet: Any, query: str, step: str) -> None:
    given = {"query": query, "start": fleet.now - 3600, "end": fleet.now, "step": step}
    reply = await fleet.client.get("/api/v1/query_range", params=given)
    assert reply.status_code in (400, 422), reply.text[:300]
    assert reply.json()["errorType"] in ("bad_data", "execution")


async def test_a_remote_write_body_is_taken_whole_or_not_at_all(fleet: Any, make_body: Any) -> None:
    body = make_body([({"__name__": "cut_off", "instance": "a:1"}, [(fleet.now, 1.0)])])
    for spoiled in (b"", body[:-3], body[:5], b"\x00" * 40, b"not snappy at all", body + b"x"):
        reply = await fleet.client.post("/api/v1/write", content=spoiled)
        assert (reply.status_code, reply.json()["errorType"]) == (400, "bad_data"), spoiled[:20]
    assert await fleet.query("cut_off") == []


async def test_a_body_that_is_too_large_is_413_declared_or_not(fleet: Any) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 2**20

    declared = await fleet.client.post("/api/ai-agent", content=b" " * (16 * 2**20 + 1), headers=JSON)
    streamed = await fleet.client.post("/api/ai-agent", content=endless(), headers=JSON)
    assert [(r.status_code, refusal(r)["code"]) for r in (declared, streamed)] == [(413, "too_large")] * 2


async def test_a_small_body_that_unpacks_to_a_huge_one_is_413(fleet: Any) -> None:
    claims_a_gigabyte = b"\x80\x80\x80\x80\x04" + b"\x00" * 50
    reply = await fleet.client.post("/api/v1/write", content=claims_a_gigabyte)
    assert reply.status_code == 413, reply.text


@pytest.mark.parametrize(
    "given", [{"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"status": "fine"}, {"match": "a" * 300}]
)
async def test_wrong_parameters_of_the_list_are_422(fleet: Any, given: dict[str, str]) -> None:
    reply = await fleet.client.get("/api/servers", params=given)
    assert (reply.status_code, refusal(reply)["code"]) == (422, "invalid")


async def test_after_all_of_this_the_same_process_still_answers(fleet: Any) -> None:
    ready = (await fleet.client.get("/readyz")).json()["data"]
    assert (ready["status"], ready["pid"]) == ("ready", os.getpid())
    assert (await fleet.ask("cpu of bravo-01"))["status"] == "answered"


def refusal(reply: Any) -> dict[str, Any]:
    """The error of an envelope, which has nothing else."""
    body = reply.json()
    assert (body.keys(), body["success"]) == ({"success", "error", "timestamp"}, False)
    error: dict[str, Any] = body["error"]
    return error
