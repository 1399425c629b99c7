"""Questions and answers end to end, English and Korean side by side, checked against what was written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWERED = [
    # kind, English, Korean, servers (of this fleet, all and only), figures as (value, tolerance)
    ("value", "What is the CPU usage of bravo-01?", "bravo-01 CPU 사용률은?", {"bravo-01"}, [(95, 0.5)]),
    ("value", "memory of 10.7.0.5", "10.7.0.5 메모리 얼마야?", {"echo-01"}, [(45, 0.5)]),
    ("value", "disk usage of bravo-01", "bravo-01 디스크 얼마나 찼어?", {"bravo-01"}, [(72, 0.5)]),
    (
        "rank",
        "top 2 servers by memory",
        "메모리 제일 많이 쓰는 서버 2대",
        {"bravo-01", "alpha-02"},
        [(83, 0.5), (64, 0.5)],
    ),
    (
        "filter",
        "which servers have memory above 60%?",
        "메모리 60% 넘는 서버 알려줘",
        {"bravo-01", "alpha-02"},
        [(2, 0)],
    ),
    ("count", "how many servers are there?", "서버 몇 대야?", {"delta-01"}, [(6, 0), (1, 0)]),
    (
        "count",
        "how many servers have cpu over 30%?",
        "CPU 30% 넘는 서버 몇 대야?",
        {"bravo-01", "echo-01", "alpha-02"},
        [(3, 0)],
    ),
    ("aggregate", "average cpu of the web servers", "웹 서버 평균 CPU", {"alpha-01", "alpha-02"}, [(28.5, 0.1)]),
    (
        "compare",
        "compare cpu of alpha-01 and alpha-02",
        "alpha-01이랑 alpha-02 CPU 비교해줘",
        {"alpha-01", "alpha-02"},
        [(13, 0.5)],
    ),
    (
        "history",
        "max cpu of bravo-01 in the last 3 hours",
        "최근 3시간 bravo-01 CPU 최고치는?",
        {"bravo-01"},
        [(95, 0.5)],
    ),
    (
        "history",
        "what was the cpu of bravo-01 an hour ago?",
        "bravo-01 cpu 1시간 전에 몇이었어?",
        {"bravo-01"},
        [(40, 0.5)],
    ),
    (
        "alerts",
        "what alerts are firing?",
        "지금 발생 중인 알림 보여줘",
        {"bravo-01", "delta-01"},
        [(3, 0), (95, 0.5), (83, 0.5)],
    ),
    (
        "overview",
        "How are the servers doing?",
        "지금 서버 상태 어때?",
        {"bravo-01", "delta-01"},
        [(6, 0), (2, 0), (95, 0.5)],
    ),
    (
        "detail",
        "how is charlie-01?",
        "charlie-01 상태 자세히 보여줘",
        {"charlie-01"},
        [(12, 0.5), (30, 0.5), (20, 0.5)],
    ),
]
UNANSWERED = [
    ("clarify", "cpu of alpha-09", "alpha-09 CPU 알려줘"),
    ("clarify", "memory of zulu-77", "zulu-77 메모리 알려줘"),
    ("no_data", "cpu of delta-01", "delta-01 CPU는?"),
    ("no_data", "requests per second of alpha-01", "alpha-01 초당 요청 수는?"),
    ("out_of_scope", "what's the weather in Paris?", "오늘 서울 날씨 어때?"),
    ("out_of_scope", "restart bravo-01", "bravo-01 재시작해줘"),
]
FIGURE = re.compile(r"\d+(?:\.\d+)?\s*(?:%|GB|MB|ms|req)")
NAMES = re.compile(r"\b(?:alpha|bravo|charlie|delta|echo)-\d\d")


def pairs(rows: list[Any]) -> list[Any]:
    """A case for each language: the row with one question instead of two."""
    return [
        pytest.param(language, row[0], row[1 + k], *row[3:], id=row[1 + k])
        for row in rows
        for k, language in enumerate(("en", "ko"))
    ]


@pytest.mark.parametrize(("language", "kind", "text", "named", "figures"), pairs(ANSWERED))
async def test_an_answer_says_what_was_written_and_its_queries_run_again(
    fleet: Any, language: str, kind: str, text: str, named: set[str], figures: list[tuple[float, float]]
) -> None:
    answer = await fleet.ask(text)
    said = answer["response"]
    assert (answer["status"], answer["intent"], answer["language"]) == ("answered", kind, language), said
    assert (answer["engine"], answer["fallbacks"]) == ("mcp", [])
    assert set(NAMES.findall(said)) == named, said
    numbers = [float(n) for n in re.findall(r"(?<![\w-])\d+(?:\.\d+)?", NAMES.sub("", said))]
    for value, tolerance in figures:
        assert any(abs(n - value) <= tolerance for n in numbers), (value, said)
    assert bool(re.search("[가-힣]", said)) == (language == "ko")
    assert answer["evidence"]
    for proof in answer["evidence"]:
        await runs_again(fleet, proof)


async def runs_again(fleet: Any, proof: dict[str, Any]) -> None:
    """The query of a proof at its own time has the same figures, where the proof shows values."""
    if "start" in proof:
        given = {name: proof[name] for name in ("query", "start", "end", "step")}
        reply = await fleet.client.get("/api/v1/query_range", params=given)
        assert (reply.status_code, reply.json()["status"]) == (200, "success"), reply.text
        return
    found = await fleet.query(proof["query"], proof["time"])
    if proof["columns"][:2] == ["server", "value"]:
        again = sorted(float(one["value"][1]) for one in found)
        assert again == pytest.approx(sorted(row[1] for row in proof["rows"]), rel=1e-3)


@pytest.mark.parametrize(("language", "status", "text"), pairs(UNANSWERED))
async def test_what_cannot_be_answered_is_said_without_a_figure(
    fleet: Any, language: str, status: str, text: str
) -> None:
    answer = await fleet.ask(text)
    assert (answer["status"], answer["language"]) == (status, language), answer["response"]
    assert FIGURE.search(answer["response"]) is None, answer["response"]
    assert len(answer["suggestions"]) >= 1


@pytest.mark.parametrize("text", ["cpu of alpha-09", "alpha-09 CPU 알려줘"])
async def test_an_unknown_server_is_named_with_those_that_are_near(fleet: Any, text: str) -> None:
    answer = await fleet.ask(text)
    assert "'alpha-09'" in answer["response"]
    assert {"alpha-01", "alpha-02"} <= set(NAMES.findall(answer["response"]))


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("avg by (type) (server_memory_usage)", ["57.5", "83", "30"]),
        ('server_memory_usage{server_id="alpha-01"}', ["51"]),
        ("count(server_cpu_usage)", ["4"]),
    ],
)
async def test_promql_typed_in_is_evaluated_as_it_stands(fleet: Any, text: str, figures: list[str]) -> None:
    answer = await fleet.ask(text)
    assert (answer["status"], answer["intent"]) == ("answered", "promql")
    assert all(figure in answer["response"] for figure in figures), answer["response"]
    assert answer["evidence"][0]["query"] == text


@pytest.mark.parametrize(("text", "when"), [("which servers are offline?", "20 min"), ("오프라인 서버 있어?", "20분")])
async def test_a_server_that_fell_silent_is_offline_since_its_last_sample(fleet: Any, text: str, when: str) -> None:
    answer = await fleet.ask(text)
    assert set(NAMES.findall(answer["response"])) == {"delta-01"}
    assert when in answer["response"]
    assert "08:40" in answer["response"]


@pytest.mark.parametrize(("text", "word"), [("what can you do?", "PromQL"), ("뭘 할 수 있어?", "메모리")])
async def test_help_says_what_can_be_asked_here(fleet: Any, text: str, word: str) -> None:
    answer = await fleet.ask(text)
    assert (answer["status"], answer["intent"]) == ("answered", "help")
    assert word in answer["response"]


async def test_a_follow_up_takes_over_what_it_leaves_out_and_sessions_do_not_mix(fleet: Any) -> None:
    await fleet.ask("cpu of bravo-01?", session_id="one")
    await fleet.ask("CPU 높은 서버 3대", session_id="two")
    memory = await fleet.ask("and memory?", session_id="one")
    lowest = await fleet.ask("그중에 제일 낮은 건?", session_id="two")
    assert (memory["entities"]["servers"], memory["entities"]["concepts"]) == (["bravo-01"], ["memory"])
    assert "83 %" in memory["response"]
    assert NAMES.findall(lowest["response"])[0] == "alpha-02"
    assert "35 %" in lowest["response"]


async def test_the_same_question_at_the_same_time_gives_the_same_bytes_also_about_the_past(fleet: Any) -> None:
    for text in ("How are the servers doing?", "메모리 제일 많이 쓰는 서버 2대"):
        assert (await fleet.ask(text))["response"] == (await fleet.ask(text))["response"]
    before = {"now": "2025-10-09T08:00:00Z"}
    first, second = [await fleet.ask("cpu of bravo-01", context=before) for _ in range(2)]
    assert first["response"] == second["response"]
    assert "40 %" in first["response"]


async def test_a_past_answer_is_kept_and_replayed_the_same(fleet: Any) -> None:
    answer = await fleet.ask("top 2 servers by memory")
    kept = (await fleet.client.get(f"/api/ai-agent/answers/{answer['id']}")).json()["data"]
    again = (await fleet.client.post(f"/api/ai-agent/answers/{answer['id']}/replay")).json()["data"]
    assert kept == answer
    assert (again["same"], again["after"]) == (True, answer["response"])
    assert (await fleet.client.get("/api/ai-agent/answers/none")).status_code == 404


async def test_a_stream_ends_with_the_answer_that_its_deltas_spell(fleet: Any) -> None:
    body = {"query": "What is the CPU usage of bravo-01?"}
    async with fleet.client.stream("POST", "/api/ai-agent/stream", json=body) as reply:
        text = "".join([piece async for piece in reply.aiter_text()])
    events = re.findall(r"^event: (\w+)\ndata: (.*)$", text, re.MULTILINE)
    names = [name for name, _ in events]
    plain = await fleet.ask(body["query"])
    assert list(dict.fromkeys(names)) == ["step", "evidence", "chart", "delta", "done"]
    spelled = "".join(json.loads(data)["text"] for name, data in events if name == "delta")
    assert spelled == plain["response"]


@pytest.mark.parametrize(
    ("english", "korean"), [("which servers are hot?", "뜨거운 서버 있어?"), ("hottest server?", "제일 뜨거운 서버는?")]
)
async def test_hot_is_about_the_cpu(fleet: Any, english: str, korean: str) -> None:
    for text in (english, korean):
        answer = await fleet.ask(text)
        assert answer["entities"]["concepts"] == ["cpu"]
        assert "bravo-01" in answer["response"]
        assert "alpha-01" not in answer["response"].split(".")[0]
