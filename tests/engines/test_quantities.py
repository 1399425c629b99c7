"""Thresholds, limits, orders and statistics in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.quantities import parse


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("cpu above 75%", [(">", 75, "%")]),
        ("over 80", [(">", 80, None)]),
        ("less than 5% cpu", [("<", 5, "%")]),
        ("at least 99.9%", [(">=", 99.9, "%")]),
        ("cpu >= 90", [(">=", 90, None)]),
        ("between 40 and 60%", [(">=", 40, "%"), ("<=", 60, "%")]),
        ("CPU 40~60% 사이", [(">=", 40, "%"), ("<=", 60, "%")]),
        ("CPU 80% 이상인 서버", [(">=", 80, "%")]),
        ("메모리 90% 넘는 서버", [(">", 90, "%")]),
        ("90퍼 넘는 애들", [(">", 90, "%")]),
        ("50 밑인 서버", [("<", 50, None)]),
        ("디스크 여유 20% 이하", [("<=", 20, "%")]),
        ("팔십 퍼센트 이상", [(">=", 80, "%")]),
        ("eighty percent or more", [(">=", 80, "%")]),
        ("latency over 500ms", [(">", 0.5, "s")]),
        ("memory more than 8GB", [(">", 8e9, "B")]),
        ("메모리 8GiB 이상", [(">=", 8 * 2**30, "B")]),
        ("over 100 Mbps", [(">", 12.5e6, "B/s")]),
        ("100 req/s 이상", [(">=", 100, "/s")]),
        ("uptime over 3 days", [(">", 3 * 86400, "s")]),
        ("load between 2 and 4", [(">=", 2, None), ("<=", 4, None)]),
        ("이상 징후 있어?", []),
        ("web-01 이상 탐지", []),
        ("디스크 꽉 찬 서버", []),
        ("cpu over the last 24 hours", []),
        ("cpu over 24h", []),
        ("between 2 and 4", []),
        ("5xx errors", []),
    ],
)
def test_a_bound_is_read_with_its_base_unit(text: str, bounds: list[tuple[str, float, str | None]]):
    assert [(t.op, pytest.approx(t.value), t.unit) for t in parse(text).thresholds] == bounds


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("top 3", 3),
        ("3 worst servers", 3),
        ("the five busiest hosts", 5),
        ("서버 2대", 2),
        ("상위 다섯", 5),
        ("세 대만", 3),
        ("top10 cpu", 10),
    ],
)
def test_a_limit_is_read_from_digits_and_words(text: str, n: int):
    assert [limit.n for limit in parse(text).limits] == [n]


@pytest.mark.parametrize("text", ["web-01 cpu", "상위 3시간", "cpu 80%", "last 5 minutes", "서버 3번", "몇 대야"])
def test_other_numbers_limit_nothing(text: str):
    assert parse(text).limits == ()


@pytest.mark.parametrize(
    ("text", "direction", "judged"),
    [
        ("highest cpu", "desc", False),
        ("busiest server", "desc", True),
        ("lowest memory", "asc", False),
        ("cpu 가장 높은 서버", "desc", False),
        ("메모리 제일 많이 쓰는", "desc", False),
        ("가장 한가한 서버", "asc", False),
        ("제일 적은 서버", "asc", False),
        ("가장 바쁜 서버", "desc", True),
    ],
)
def test_an_end_is_read_from_its_word(text: str, direction: str, judged: bool):
    assert [(order.direction, order.judged) for order in parse(text).orders] == [(direction, judged)]


@pytest.mark.parametrize(
    ("text", "name", "q"),
    [
        ("average cpu", "avg", None),
        ("평균 메모리", "avg", None),
        ("최고 cpu", "max", None),
        ("total traffic", "sum", None),
        ("p95 latency", "quantile", 0.95),
        ("p999", "quantile", 0.999),
        ("95th percentile", "quantile", 0.95),
        ("95퍼센타일", "quantile", 0.95),
        ("how many servers", "count", None),
        ("서버 몇 대야", "count", None),
        ("median", "median", None),
    ],
)
def test_a_statistic_is_read_from_its_word(text: str, name: str, q: float | None):
    assert [(statistic.name, statistic.q) for statistic in parse(text).statistics] == [(name, q)]


def test_every_part_of_a_full_question_is_found_with_its_place():
    text = "top 3 web servers with average cpu above 80%"
    found = parse(text)
    parts = [*found.limits, *found.statistics, *found.thresholds]
    assert [text[part.i : part.j] for part in parts] == ["top 3", "average", "above 80%"]


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str):
    parse(text)
