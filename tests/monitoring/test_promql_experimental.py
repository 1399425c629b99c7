"""The experimental language of Prometheus 3.14: computed durations, edges of windows, `info()`; figures by hand."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.errors import BadQuery
from monitoring.promql import plan
from monitoring.promql.outline import as_tree
from monitoring.promql.pretty import formatted
from monitoring.promql.response import instant_json
from tests.promql_samples import ask, at

COUNTER = {"x_total": [0, 60, 120, 30, 90, 150]}
"""A counter that is reset between 120 s and 180 s."""

TARGETS = {
    'up{job="node",instance="a"}': [1, 1, 1],
    'up{job="node",instance="b"}': [1, 1, 1],
    'target_info{job="node",instance="a",os="linux",version="1"}': [1, 1],
    'target_info{job="node",instance="a",os="linux",version="2"}': [None, None, 1],
    'build_info{job="node",instance="a",rev="f00"}': [1, 1, 1],
    'build_info{job="web",instance="b",rev="bad"}': [1, 1, 1],
}


def test_an_anchored_window_begins_at_the_last_sample_before_it() -> None:
    # (30 s, 150 s]: from 0 at 0 s to 120 at 120 s. (90 s, 210 s]: 60, 120, then reset to 30: 30 - 60 + 120
    assert at(COUNTER, "increase(x_total[2m] anchored)", 150) == {"": 120}
    assert at(COUNTER, "increase(x_total[2m] anchored)", 210) == {"": 90}
    assert at(COUNTER, "rate(x_total[2m] anchored)", 210) == {"": 90 / 120}
    assert at(COUNTER, "delta(x_total[2m] anchored)", 210) == {"": -30}
    assert at(COUNTER, "changes(x_total[2m] anchored) + 10 * resets(x_total[2m] anchored)", 210) == {"": 12}
    assert at(COUNTER, "increase(x_total[2m] offset 1m anchored)", 270) == {"": 90}
    assert at(COUNTER, "increase(x_total[1m] anchored)", 30) == {"": 0}
    assert at(COUNTER, "increase(x_total[1m] anchored)", 360) == {}


def test_a_smoothed_window_is_interpolated_at_both_edges() -> None:
    # (30 s, 150 s]: 30 on the left; on the right a counter after its reset is half way from 0 to 30, a gauge at 75
    assert at(COUNTER, "increase(x_total[2m] smoothed)", 150) == {"": 15 - 30 + 120}
    assert at(COUNTER, "rate(x_total[2m] smoothed)", 150) == {"": 105 / 120}
    assert at(COUNTER, "delta(x_total[2m] smoothed)", 150) == {"": 75 - 30}
    assert at(COUNTER, "increase(x_total[20s] smoothed @ 50)", 0) == {"": 20}
    assert at(COUNTER, "increase(x_total[20s] smoothed)", 150) == {"": 10}
    assert at({"late": [None, None, 5, 6]}, "increase(late[1m] smoothed)", 100) == {}
    assert at({"late": [None, None, 5, 6]}, "increase(late[1m] smoothed)", 150) == {"": 0.5}


def test_a_smoothed_instant_lies_between_its_neighbours() -> None:
    assert [at(COUNTER, "x_total smoothed", s)["__name__=x_total"] for s in (60, 90, 150, 320)] == [60, 90, 75, 150]
    assert at({"late": [None, 5]}, "late smoothed", 30) == {}
    assert ask(COUNTER, "x_total smoothed offset -30s", 0, 120).values.tolist() == [[30, 90, 75]]


def _result(query: str, time_s: float) -> Any:
    """What a reader of the reply gets."""
    return orjson.loads(orjson.dumps(instant_json(ask(COUNTER, query, time_s))))["result"]


def test_a_range_shows_the_values_at_its_edges() -> None:
    def points(query: str) -> list[list[object]]:
        values: list[list[object]] = _result(query, 150)[0]["values"]
        return values

    assert points("x_total[2m] anchored") == [[30.0, "0"], [60.0, "60"], [120.0, "120"], [150.0, "120"]]
    assert points("x_total[2m] smoothed") == [[30.0, "30"], [60.0, "60"], [120.0, "120"], [150.0, "75"]]
    assert _result("x_total[1m] anchored", 3600) == []


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("count_over_time(x_total[step() * 2])", [2, 2]),
        ("count_over_time(x_total[range() + 1ms])", [2, 2]),
        ("count_over_time(x_total[(1 + 1) * 2m - 60])", [3, 3]),
        ("count_over_time(x_total[min_of(1h, max_of(step(), 3m))])", [3, 3]),
        ("count_over_time(x_total[2 ^ 2 ^ 1 * 1m % 3m])", [1, 1]),
        ("count_over_time(x_total[STEP()*3:step()])", [3, 3]),
        ("x_total offset step()", [30, 90]),
        ("x_total offset -(step() - 2m) + 1000", [1030, 1090]),
        ("x_total offset step() * 2", [60, 180]),
        ("x_total offset (step() * 2)", [120, 30]),
        ("x_total offset -1m ^ 1", [150, 150]),
        ("start() + end() + range() + step()", [240 + 300 + 60 + 60] * 2),
        ("max_of(step(), 70) - min_of(1, NaN)", [math.nan, math.nan]),
    ],
)
def test_durations_may_be_computed(query: str, values: list[float]) -> None:
    result = ask(COUNTER, query, 240, 300)
    assert result.present.all()
    assert result.values.tolist() == [pytest.approx(values, nan_ok=True)]


def test_an_instant_query_has_no_step() -> None:
    assert at(COUNTER, "step() + range()", 60) == {"": 0}
    assert at(COUNTER, "x_total offset step()", 60) == {"__name__=x_total": 60}


def test_info_adds_the_labels_of_the_target() -> None:
    linux = "__name__=up,instance=a,job=node,os=linux"
    assert at(TARGETS, "info(up)", 60) == {f"{linux},version=1": 1, "__name__=up,instance=b,job=node": 1}
    assert at(TARGETS, "info(up)", 120) == {f"{linux},version=2": 1, "__name__=up,instance=b,job=node": 1}
    assert at(TARGETS, 'info(up, {os=~".+"})', 60) == {linux: 1}
    assert at(TARGETS, 'info(up, {__name__="build_info"})', 60) == {
        "__name__=up,instance=a,job=node,rev=f00": 1,
        "__name__=up,instance=b,job=node": 1,
    }
    assert at(TARGETS, 'info(up{instance="a"}, {__name__=~".+_info", version=~".*", rev=~".*"})', 60) == {
        "__name__=up,instance=a,job=node,rev=f00,version=1": 1
    }
    assert at(TARGETS, 'info(up{instance="a"}, {__name__!="target_info"})', 60) == {
        "__name__=up,instance=a,job=node,rev=f00": 1
    }
    assert at(TARGETS, 'info(target_info{version="1"})', 60) == {f"{linux.replace('up', 'target_info')},version=1": 1}


def test_info_follows_a_target_through_time() -> None:
    result = ask(TARGETS, 'info(up{instance="a"})', 0, 120)
    assert [labels["version"] for labels in result.labels] == ["1", "2"]
    assert result.present.tolist() == [[True, True, False], [False, False, True]]


def test_info_refuses_what_it_cannot_decide() -> None:
    twice = {**TARGETS, 'target_info{job="node",instance="a",os="bsd"}': [1]}
    with pytest.raises(BadQuery, match="found duplicate series for info metric"):
        at(twice, "info(up)", 0)
    differing = {
        **TARGETS,
        'build_info{job="node",instance="b",os="bsd"}': [1],
        'os_info{job="node",instance="b",os="x"}': [1],
    }
    with pytest.raises(BadQuery, match="conflicting label: os"):
        at(differing, 'info(up, {__name__=~".+_info"})', 0)


def test_a_share_of_series_and_the_rest_make_the_whole() -> None:
    hundred = {f'x{{n="{n}"}}': [n] for n in range(100)}
    share, rest = at(hundred, "limit_ratio(0.3, x)", 0), at(hundred, "limit_ratio(-0.7, x)", 0)
    assert share.keys().isdisjoint(rest)
    assert share | rest == at(hundred, "x", 0)
    assert 15 < len(share) < 45
    assert share.keys() <= at(hundred, "limit_ratio(0.5, x)", 0).keys()
    assert at(hundred, "count(limit_ratio(1, x)) - count(limit_ratio(-1, x))", 0) == {"": 0}
    assert ask(hundred, "limit_ratio(2, x)", 0).warnings == (
        "PromQL warning: ratio value should be between -1 and 1, got 2, capping to 1",
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("sum(x)\n  by y", '2:6: parse error: unexpected identifier "y" in grouping opts, expected "("'),
        ("(1", "1:1: parse error: unclosed left parenthesis"),
        ("rate(x)", '1:6: parse error: expected type range vector in call to function "rate", got instant vector'),
        ("nonsense(x)", '1:1: parse error: unknown function with name "nonsense"'),
        ("abs()", '1:1: parse error: expected 1 argument(s) in call to "abs", got 0'),
        ("x[5q]", '1:3: parse error: bad number or duration syntax: "5q"'),
        ("x[-5m]", "1:3: parse error: duration must be greater than 0"),
        ("x[step()]", "1:3: parse error: duration must be greater than 0"),
        ("x[1m / (3 - 3)]", "1:6: parse error: division by zero"),
        ("x[0 ^ -1]", "1:5: parse error: duration out of range"),
        ('{a=~".*"}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ('x{__name__="y"}', '1:3: parse error: metric name must not be set twice: "x" or "y"'),
        ("1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("x and fill(1) y", "1:7: parse error: filling in missing series not allowed for set operators"),
        ("sum_over_time(x[5m] smoothed)", "smoothed modifier can only be used with: delta, increase, rate"),
        ("x[5m:1m] anchored", "1:10: parse error: anchored modifier is not supported for subqueries"),
        ("x anchored smoothed", "1:12: parse error: anchored and smoothed modifiers cannot be used together"),
        ("info(x, y)", "1:9: parse error: expected label selectors only"),
        ("x >/ 5", "native histograms, which are not supported"),
        ("histogram_sum(x)", "native histograms, which are not supported"),
        ('"\\xff"', "invalid UTF-8"),
        ("limit_ratio(NaN, x)", "Ratio value is NaN"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(query: str, message: str) -> None:
    with pytest.raises(BadQuery) as caught:
        at({"x": [1]}, query, 0)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "x{}",
        '{"x"}',
        '{"x",}',
        "(x)",
        "+x # a remark",
        "x @ 0",
        "x @ -0 offset -1ms + 0 * (offset or by or step)",
        "SUM by () (x)",
    ],
)
def test_there_is_more_than_one_way_to_write_it(query: str) -> None:
    data = {"x": [1, 1], "offset": [2], "by": [3], "step": [4]}
    assert list(at(data, query, 0).values()) in ([1], [])


@pytest.mark.parametrize(
    ("query", "as_written"),
    [
        ("x[STEP()*2+90]offset -(1m-range())", "x[step() * 2 + 90] offset -(1m - range())"),
        ("x[300:(60)]@-10 offset -3600", "x[5m:1m] @ -10.000 offset -1h"),
        ("rate(x[90m]smoothed)", "rate(x[1h30m] smoothed)"),
        ("info(x,{a=~'.*'})+fill(NaN)y", 'info(x, {a=~".*"}) + fill (NaN) y'),
        ('{"a.b","c.d"="\\n"}+max_of(1h,.5)', '{"a.b","c.d"="\\n"} + max_of(1h, 0.5)'),
        ("sum by()(-x^2)-(1)", "sum(-x ^ 2) - (1)"),
    ],
)
def test_a_query_is_written_in_one_way(query: str, as_written: str) -> None:
    assert formatted(query) == as_written
    assert formatted(as_written) == as_written


@pytest.mark.parametrize("query", ["abs(" * 199 + "x" + ")" * 199, "(" * 199 + "x" + ")" * 199, "+".join("x" * 1000)])
def test_what_is_too_deep_to_be_written_out_is_refused_and_no_crash(query: str) -> None:
    for read in (formatted, as_tree):
        with contextlib.suppress(BadQuery):
            assert read(query)


WORDS = r"""x offset by on group_left ignoring fill anchored smoothed sum rate info step range min_of bool and or unless
atan2 without start end inf NaN 5m 1 0x 1e3 5 "a" 'b ` ( ) [ ] { } , : @ + - * / % ^ == =~ != = < >/ # é \ ;"""


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*WORDS.split(), "\n", "\0"]), max_size=25))
def test_whatever_is_asked_is_planned_or_refused(parts: list[str]) -> None:
    for text in (" ".join(parts), "".join(parts)):
        with contextlib.suppress(BadQuery):
            assert plan(text, 0, 60_000, 60_000).kind in ("scalar", "vector")
            assert formatted(formatted(text)) == formatted(text)
