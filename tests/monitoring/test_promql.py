"""What can be relied on of PromQL: Prometheus 3's semantics, on samples written out in each test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest

from monitoring.errors import BadQuery, QueryTooExpensive
from monitoring.model import STALE_NAN, Matcher, Selection, Series
from monitoring.promql import Limits, Result, plan, response, run
from tests.promql_samples import ask, at


def instant_json(result: Result) -> Any:
    """What a reader of the reply gets."""
    return orjson.loads(orjson.dumps(response.instant_json(result)))


def range_json(result: Result) -> Any:
    return orjson.loads(orjson.dumps(response.range_json(result)))


FLEET = {
    'load{host="a",type="web"}': [1, 2, 3, 4, 5, 6],
    'load{host="b",type="web"}': [2, 2, 2, 2, 2, 2],
    'load{host="c",type="db"}': [9, 8, 7, 6, 5, 4],
    'cores{host="a",model="x"}': [4, 4, 4, 4, 4, 4],
    'cores{host="b",model="y"}': [2, 2, 2, 2, 2, 2],
}


def test_a_rate_is_extrapolated_to_the_window_and_survives_a_counter_reset() -> None:
    data = {"x_total": [0, 60, 120, 30, 90, 150]}
    # 300 s window (0, 300]: samples at 60 … 300 s, 90 + 60 + 30 swallowed by the reset: 210 over 240 s, stretched
    assert at(data, "increase(x_total[5m])", 300) == {"": pytest.approx(210 * 300 / 240)}
    assert at(data, "rate(x_total[5m])", 300) == {"": pytest.approx(210 / 240)}
    assert at(data, "irate(x_total[5m])", 180) == {"": pytest.approx(0.5)}
    assert at(data, "resets(x_total[6m])", 300) == {"": 1}


def test_ranges_and_lookback_are_open_to_the_left() -> None:
    data = {"x": [1, 2, 3]}
    assert at(data, "count_over_time(x[1m])", 60) == {"": 1}
    assert at(data, "x", 120 + 299.999) == {"__name__=x": 3}
    assert at(data, "x", 120 + 300) == {}


def test_a_stale_marker_ends_a_series_at_once_and_a_plain_nan_does_not() -> None:
    data = {'x{a="gone"}': [1, STALE_NAN], 'x{a="nan"}': [1, math.nan]}
    assert at(data, "count by (a) (x)", 90) == {"a=nan": 1}
    assert at(data, "count_over_time(x[5m])", 90) == {"a=gone": 1, "a=nan": 2}


def test_offset_and_at_move_what_is_read_and_the_plan_says_so() -> None:
    assert at(FLEET, 'load{host="a"} offset 2m', 300) == {"__name__=load,host=a,type=web": 4}
    assert at(FLEET, 'load{host="a"} @ 60', 300) == {"__name__=load,host=a,type=web": 2}
    assert at(FLEET, "max(load @ end()) - max(load offset -1m)", 240) == {"": 5 - 6}
    planned = plan("avg_over_time(sum(load)[10m:1m] offset 1h)", 7_230_000, 7_290_000, 60_000)
    name = Matcher("__name__", "=", "load")
    assert planned.selections == (Selection((name,), 7_230_000 - 3_600_000 - 570_000 - 300_000, 3_690_000),)


def test_a_subquery_steps_on_absolute_multiples_of_its_step() -> None:
    assert at(FLEET, "max_over_time(sum by (type) (load)[3m:1m])", 200) == {"type=web": 6, "type=db": 8}
    assert at({"x": [0, 1, 2, 3, 4]}, "count_over_time(x[2m:1m])", 210) == {"": 2}
    result = ask(FLEET, 'min_over_time((load{host="c"} - 1)[2m:1m])', 60, 300)
    assert result.values.tolist() == [[7, 6, 5, 4, 3]]


def test_aggregations_group_by_and_without_labels() -> None:
    assert at(FLEET, "sum by (type) (load)", 0) == {"type=web": 3, "type=db": 9}
    assert at(FLEET, "avg without (host) (load)", 60) == {"type=web": 2, "type=db": 8}
    assert at(FLEET, "quantile(0.5, load)", 0) == {"": 2}
    assert at(FLEET, "stddev(load)", 60) == {"": pytest.approx(math.sqrt(8))}
    assert at(FLEET, 'count_values("v", load)', 60) == {"v=2": 2, "v=8": 1}
    assert at(FLEET, "group(load)", 60) == {"": 1}


def test_topk_and_sort_keep_their_order_at_one_time_and_mask_over_a_range() -> None:
    top = instant_json(ask(FLEET, "topk(2, load)", 0))
    assert [(row["metric"]["host"], row["value"]) for row in top["result"]] == [("c", [0.0, "9"]), ("b", [0.0, "2"])]
    ordered = instant_json(ask(FLEET, "sort(load)", 0))["result"]
    assert [row["metric"]["host"] for row in ordered] == ["a", "b", "c"]
    rows = range_json(ask(FLEET, "topk(1, load)", 180, 300))["result"]
    assert [(row["metric"]["host"], row["values"]) for row in rows] == [
        ("a", [[240.0, "5"], [300.0, "6"]]),
        ("c", [[180.0, "6"]]),
    ]


def test_operators_match_series_by_labels() -> None:
    assert at(FLEET, "load / on (host) cores", 60) == {"host=a": 0.5, "host=b": 1}
    assert at(FLEET, "load * on (host) group_left (model) cores", 60) == {
        "host=a,model=x,type=web": 8,
        "host=b,model=y,type=web": 4,
    }
    assert at(FLEET, "load > 5 or on (host) cores", 0) == {
        "__name__=load,host=c,type=db": 9,
        "__name__=cores,host=a,model=x": 4,
        "__name__=cores,host=b,model=y": 2,
    }
    assert at(FLEET, "load unless on (host) cores", 0) == {"__name__=load,host=c,type=db": 9}
    assert at(FLEET, "load and on (host) cores > 3", 0) == {"__name__=load,host=a,type=web": 1}
    assert at(FLEET, "sum(load >= bool 2)", 0) == {"": 2}
    assert at(FLEET, "-2 ^ 2 + 7 % 4 * (1 > bool 0)", 0) == {"": -1}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("cores * on (type) load", "many-to-many matching not allowed"),
        ("load * on (type) group_right cores", "many-to-many matching not allowed"),
        ('-{host="a"}', "same labelset"),
        ('label_replace(load, "host", "same", "type", "web")', "same labelset"),
        ("sum(load[5m])", "expected type instant vector"),
        ("rate(load)", "expected type range vector"),
        ("histogram_count(load)", "not supported"),
        ("load{host=~'('}", "regex"),
        ("load offset 99999999y", "out of range"),
        ("load @ 1e30", "out of bounds"),
        ("", "no expression"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(query: str, message: str) -> None:
    data = {**FLEET, 'idle{host="a",type="web"}': [1]}
    with pytest.raises(BadQuery, match=message):
        ask(data, query, 0)


def test_histogram_quantiles_are_linear_within_a_bucket() -> None:
    bucket = 'd_bucket{{job="{}",le="{}"}}'
    data = {bucket.format("a", le): [n] for le, n in (("0.1", 5), ("0.5", 15), ("1", 20), ("+Inf", 20))}
    data |= {bucket.format("b", le): [n] for le, n in (("0.1", 0), ("0.5", 0), ("1", 0), ("+Inf", 4))}
    assert at(data, "histogram_quantile(0.5, d_bucket)", 0) == {"job=a": pytest.approx(0.3), "job=b": 1}
    assert at(data, 'histogram_fraction(0, 0.5, d_bucket{job="a"})', 0) == {"job=a": pytest.approx(0.75)}
    assert at(data, "histogram_quantile(2, d_bucket)", 0) == {"job=a": math.inf, "job=b": math.inf}


def test_labels_are_rewritten_and_absence_is_a_value() -> None:
    query = 'label_replace(load{host="c"}, "id", "$1-${kind}", "type", "(?P<kind>d)(b)")'
    assert list(at(FLEET, query, 0)) == ["__name__=load,host=c,id=d-d,type=db"]
    assert list(at(FLEET, 'label_join(load{host="c"}, "id", "/", "host", "type")', 0)) == [
        "__name__=load,host=c,id=c/db,type=db"
    ]
    assert at(FLEET, 'absent(load{host="z",type=~".*"})', 0) == {"host=z": 1}
    assert at(FLEET, "absent_over_time(load[5m])", 0) == {}


def test_times_and_dates() -> None:
    leap_day = 1_709_210_096  # 2024-02-29T12:34:56Z, a Thursday
    parts = ("year", "month", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute")
    assert [at({}, f"{part}()", leap_day)[""] for part in parts] == [2024, 2, 29, 4, 60, 29, 12, 34]
    assert at({"x": [7]}, "timestamp(x)", 42) == {"": 0}
    assert at({}, "time() + scalar(vector(1))", 42) == {"": 43}


def test_a_prediction_counts_from_the_time_of_the_question() -> None:
    data = {"used": [10, 20, 30, 40, 50]}
    assert at(data, "deriv(used[5m])", 240) == {"": pytest.approx(10 / 60)}
    assert at(data, "predict_linear(used[5m], 3600)", 250) == {"": pytest.approx(50 + 10 / 6 + 600)}
    assert at(data, "predict_linear(used[5m] offset 1m, 0)", 300) == {"": pytest.approx(60)}


def test_small_numbers_survive_beside_huge_ones() -> None:
    data = {"x": [1e100, 1, -1e100, 1], 'y{a="1"}': [1e100], 'y{a="2"}': [1], 'y{a="3"}': [-1e100], 'y{a="4"}': [0.5]}
    assert at(data, "sum_over_time(x[10m])", 180) == {"": 2}
    assert at(data, "sum(y)", 0) == {"": 1.5}
    assert at({"z": [1.7e308, 1.7e308]}, "avg_over_time(z[10m])", 60) == {"": 1.7e308}


@pytest.mark.parametrize(
    "query",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "-" * 5_000 + "x",
        "abs(" * 1_500 + "x" + ")" * 1_500,
        "+".join(["x"] * 4_000),
        "^".join(["x"] * 300),
        "[" * 300,
        '"' + "\\" * 9_000,
        "x{" * 250,
        "x" * 9_000,
        "sum(" * 201 + "x" + ")" * 201,
    ],
)
def test_deep_long_and_hostile_queries_are_refused(query: str) -> None:
    with pytest.raises(BadQuery):
        plan(query, 0, 0, 1)


def test_queries_at_the_edge_of_the_limits_are_answered() -> None:
    assert at({"x": [1]}, "+".join(["x"] * 1_000), 0) == {"": 1_000}
    assert at({"x": [1]}, "(" * 150 + "x" + ")" * 150, 0) == {"__name__=x": 1}
    assert at({"x": [-1]}, "abs(" * 90 + "x" + ")" * 90, 0) == {"": 1}


def test_costly_queries_are_refused() -> None:
    samples = [Series({"__name__": "x"}, np.arange(10, dtype=np.int64), np.zeros(10))]
    with pytest.raises(QueryTooExpensive, match="11,000 points"):
        run(plan("x", 0, 11_000, 1), [samples])
    with pytest.raises(QueryTooExpensive, match="too many samples"):
        run(plan("x", 0, 0, 1), [samples], Limits(samples=9))
    with pytest.raises(QueryTooExpensive, match="too many samples"):
        run(plan("count_over_time(x[1y:1ms])", 0, 0, 1), [samples])
    with pytest.raises(QueryTooExpensive, match="timed out"):
        run(plan("x", 0, 0, 1), [samples], Limits(seconds=-1))


def test_results_have_the_shapes_of_the_http_api() -> None:
    data = {"x": [1, math.nan, math.inf, 1e21, 0.1]}
    assert instant_json(ask(data, "1 / 3", 1.5)) == {"resultType": "scalar", "result": [1.5, "0.3333333333333333"]}
    assert instant_json(ask(data, '"text"', 1.5)) == {"resultType": "string", "result": [1.5, "text"]}
    points = [[0.0, "1"], [60.0, "NaN"], [120.0, "+Inf"], [180.0, "1e+21"], [240.0, "0.1"]]
    rows = [{"metric": {"__name__": "x"}, "values": points}]
    assert range_json(ask(data, "x", 0, 240)) == {"resultType": "matrix", "result": rows}
    assert instant_json(ask(data, "x[10m]", 240)) == {"resultType": "matrix", "result": rows}
    assert range_json(ask(data, "7", 0, 60))["result"] == [{"metric": {}, "values": [[0.0, "7"], [60.0, "7"]]}]


def test_questionable_input_is_remarked_upon() -> None:
    result = ask({"load": [1, 2]}, "rate(load[5m])", 60)
    assert result.infos == (
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "load"',
    )
    assert ask({"load": [1]}, "quantile(2, load)", 0).warnings == (
        "PromQL warning: quantile value should be between 0 and 1, got 2",
    )
