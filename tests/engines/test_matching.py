"""Server names in questions: what links, what asks, what is unknown, and what is no server at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.matching import ServerIndex, closest, fuzzy_word

FLEET = ServerIndex(
    [
        *(f"{stem}-{n:02d}" for stem in ("web", "db", "cache", "api", "lb", "storage") for n in (1, 2, 3)),
        *("prod-postgres-primary-0", "prod-postgres-replica-0", "prod-postgres-replica-1"),
        *("ip-10-0-3-17", "gateway-01", "log-01", "batch-01", "queue-01", "monitoring-01", "node-7.seoul.example.com"),
    ],
    {"web-01": ["192.168.0.11", "결제서버"], "web-02": ["web-02.corp.example.com", "결제서버"]},
)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("WEB-01 cpu", "web-01"),
        ("web01", "web-01"),
        ("web 1 cpu", "web-01"),
        ("web-1", "web-01"),
        ("web_01", "web-01"),
        ("cach-02 memory", "cache-02"),
        ("wbe-01", "web-01"),
        ("stroage-01", "storage-01"),
        ("db-01은 어때", "db-01"),
        ("디비01 메모리", "db-01"),
        ("디비 1번", "db-01"),
        ("DB서버 2번", "db-02"),
        ("웹 서버 3번 상태", "web-03"),
        ("웹 삼번", "web-03"),
        ("2번 웹서버", "web-02"),
        ("캐시 2번", "cache-02"),
        ("게이트웨이 1번", "gateway-01"),
        ("로그 1번 서버", "log-01"),
        ("배치01", "batch-01"),
        ("큐 1번", "queue-01"),
        ("모니터링 서버 1번", "monitoring-01"),
        ("로드밸런서 2번", "lb-02"),
        ("database 3 memory", "db-03"),
        ("10.0.3.17 cpu", "ip-10-0-3-17"),
        ("192.168.0.11:9100", "web-01"),
        ("web-02.corp.example.com", "web-02"),
        ("node-7 status", "node-7.seoul.example.com"),
        ("postgres-primary memory", "prod-postgres-primary-0"),
        ("postgress-primary", "prod-postgres-primary-0"),
        ("web-03 14:00", "web-03"),
        ("web-01 3시", "web-01"),
    ],
)
def test_a_server_is_found_however_it_is_said(text: str, server: str):
    assert [(m.kind, m.server) for m in FLEET.find(text)] == [("server", server)]


@pytest.mark.parametrize(
    "text",
    [
        "web-99",
        "web99",
        "db 9",
        "디비 9번",
        "app-01",
        "dns-01",
        "lab-01",
        "dv-01",
        "foo-12",
        "10.9.9.9",
        "prod-web-01",
        "web-011",
    ],
)
def test_a_server_that_does_not_exist_is_unknown_and_never_another(text: str):
    assert [(m.kind, m.server) for m in FLEET.find(text)] == [("unknown", None)]


def test_an_unknown_server_comes_with_the_closest():
    (mention,) = FLEET.find("cpu of web-09")
    assert mention.candidates == ("web-03", "web-02", "web-01")


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("postgres-replica", ("prod-postgres-replica-0", "prod-postgres-replica-1")),
        ("결제서버 상태", ("web-01", "web-02")),
    ],
)
def test_a_name_of_several_servers_is_ambiguous(text: str, candidates: tuple[str, ...]):
    assert [(m.kind, m.candidates) for m in FLEET.find(text)] == [("ambiguous", candidates)]


@pytest.mark.parametrize(
    "text",
    """p95 latency|5xx errors|ipv4|cpu0|load1|/var/log|node_load1|http_500|utf-8|log4j|cpu at 14:00|top 3 web servers
last 24 hours|nov-12
web servers over 80%|DB 서버 2대|캐시 90 넘는 서버|웹서버 80% 이상|web 500 errors|api 2xx
db servers 80|real-time cpu|show me the log|sha256
2026-11-18|디비 서버 중에 2개|primary cause|monitoring""".replace("\n", "|").split("|"),
)
def test_what_only_looks_like_a_server_is_none(text: str):
    assert FLEET.find(text) == []


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("web-01~03 cpu", ["web-01", "web-02", "web-03"]),
        ("web-01 to web-03", ["web-01", "web-02", "web-03"]),
        ("web-01부터 03까지", ["web-01", "web-02", "web-03"]),
        ("compare web-01 to web-03", ["web-01", "web-03"]),
        ("db-01, 02 메모리", ["db-01", "db-02"]),
        ("db-01 and 03", ["db-01", "db-03"]),
        ("web-01이랑 web-02 비교", ["web-01", "web-02"]),
    ],
)
def test_ranges_and_lists_name_each_server(text: str, servers: list[str]):
    assert sorted(m.server or "" for m in FLEET.find(text)) == servers


def test_another_word_of_the_question_settles_which_is_meant():
    index = ServerIndex(["prod-web-01", "stage-web-01"])
    assert [m.kind for m in index.find("web 1")] == ["ambiguous"]
    assert [m.server for m in index.find("cpu of web 1 in prod")] == ["prod-web-01"]


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(["web", "wbe", "we", "웹 "]))
def test_digits_are_never_corrected(there: int, said: int, stem: str):
    index = ServerIndex([f"web-{there:02d}"])
    for mention in index.find(f"{stem}-{said}" if stem.isascii() else f"{stem}{said}번"):
        assert (mention.server is not None) == (there == said)


@given(st.text(max_size=60))
def test_no_text_breaks_the_index(text: str):
    for mention in FLEET.find(text):
        assert mention.server is None or mention.server in FLEET.names


def test_an_empty_fleet_links_nothing():
    assert [m.kind for m in ServerIndex([]).find("web-01 cpu")] == ["unknown"]


def test_the_closest_names_share_the_words_then_the_number():
    assert closest("web-99", ["db-01", "web-01", "web-12"], n=2) == ["web-12", "web-01"]


def test_a_concept_word_survives_one_slip_and_short_words_none():
    assert [
        fuzzy_word(w, ["memory", "usage", "cpu", "disk"]) for w in ("memroy", "usge", "cpi", "disc", "weather")
    ] == [
        "memory",
        "usage",
        None,
        "disk",
        None,
    ]
