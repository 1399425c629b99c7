"""Times as people say them, seen from Wednesday 18 November 2026, 15:30 in Seoul."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.timespan import parse

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 11, 18, 15, 30, tzinfo=SEOUL)
YEAR_2026 = Path(__file__).with_name("times.tsv")


def at(text: str) -> datetime:
    """ "11-18 03:00" of 2026 in Seoul."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=SEOUL)


def cases() -> list[tuple[str, str, str, str]]:
    """Lines of times.tsv: text, kind, start, end (- for none)."""
    rows = [line.split("\t") for line in YEAR_2026.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(text, kind, start, end) for text, kind, start, end in rows]


@pytest.mark.parametrize(("text", "kind", "start", "end"), cases())
def test_a_time_is_read_exactly(text: str, kind: str, start: str, end: str):
    times = parse(text, NOW)
    assert times.unparsed == ()
    assert [(s.kind, s.start, s.end) for s in times.spans] == [(kind, at(start), None if end == "-" else at(end))]


@pytest.mark.parametrize(
    "text",
    """top 3 servers|db-02 memory|5xx rate|99th percentile latency|p95|5% cpu|10.0.3.17 cpu|web-03 상태|실시간 cpu
servers over 80%|응답시간 500ms 넘는 서버|몇 시에 제일 높았어|평균 응답 시간
uptime over 30 days
uptime less than 1 hour|5분마다
every 5 minutes|good morning|낮은 서버|load between 2 and 4
may be slow|3 worst servers|서버 3대|시간대별 cpu|며칠이나 버텨
latency above 2s
cpu 90 넘는 서버|memory between 70 and 90 percent|http_500|web 3번|상위 5개|per second|log4j 2.17|v2.3""".replace(
        "\n", "|"
    ).split("|"),
)
def test_what_only_looks_like_a_time_is_none(text: str):
    assert parse(text, NOW) == parse("", NOW)


@pytest.mark.parametrize(
    "text", ["cpu at 25:00", "last christmas", "지난 여름", "until yesterday", "추석 때", "since last spring"]
)
def test_a_time_that_cannot_be_placed_is_handed_back(text: str):
    assert parse(text, NOW).unparsed


@pytest.mark.parametrize(("clock", "day"), [("3am", 17), ("1am", 18), ("새벽 3시", 17), ("03:00", 17), ("23:00", 17)])
def test_a_clock_time_is_the_last_time_that_it_was_that_hour(clock: str, day: int):
    span = parse(f"cpu {clock}", datetime(2026, 11, 18, 2, 0, tzinfo=SEOUL)).first
    assert span is not None
    assert (span.start.day, span.kind) == (day, "moment")


@pytest.mark.parametrize(("text", "hour"), [("어제 낮 11시", 11), ("어제 낮 2시", 14), ("어제 밤 11시", 23)])
def test_a_part_of_the_day_places_a_bare_hour(text: str, hour: int):
    span = parse(text, NOW).first
    assert span is not None
    assert (span.start.day, span.start.hour) == (17, hour)


def test_two_times_in_a_comparison_stay_two():
    spans = parse("어제 이 시간이랑 지금 비교해줘", NOW).spans
    assert [s.start for s in spans] == [NOW - timedelta(days=1), NOW]


def test_offsets_point_at_the_words():
    text = "web-01 CPU를 어제 오후 3시부터 보여줘"
    (span,) = parse(text, NOW).spans
    assert text[span.i : span.j] == span.text == "어제 오후 3시부터"


def test_an_hour_ago_is_an_hour_across_the_change_of_the_clocks():
    now = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    span = parse("an hour ago", now).first
    assert span is not None
    assert now.timestamp() - span.start.timestamp() == 3600


@pytest.mark.parametrize("text", ["last 0 days", "0d", "지난 0분"])
def test_a_time_of_no_length_is_said_not_to_be_understood(text: str):
    found = parse(text, NOW)
    assert found.spans == ()
    assert found.unparsed


@given(st.integers(1, 999), st.sampled_from(["minutes", "hours", "days", "weeks", "분", "시간", "주"]))
def test_any_length_gives_that_length(n: int, unit: str):
    text = f"last {n} {unit}" if unit.isascii() else f"지난 {n}{unit}"
    span = parse(text, NOW).first
    assert span is not None
    assert span.end == NOW
    hours = {"m": 1 / 60, "분": 1 / 60, "h": 1, "시": 1, "d": 24, "w": 168, "주": 168}[unit[0]]
    assert NOW - span.start == timedelta(hours=n * hours)


@given(
    st.text(max_size=60)
    | st.from_regex(re.compile(r"(어제|last|\d{1,4}|시|:|pm|부터|to|-|월| ){1,12}"), fullmatch=True)
)
def test_no_text_breaks_the_reader(text: str):
    for span in parse(text, NOW).spans:
        assert span.end is None or span.start < span.end
        assert text[span.i : span.j] == span.text
