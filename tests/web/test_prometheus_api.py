"""The Prometheus HTTP API: what each path takes and gives, in Prometheus' own codes and words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.asyncio(loop_scope="session")

CPU = "server_cpu_usage"
LIVE = ["alpha-01", "alpha-02", "bravo-01", "charlie-01"]


async def get(product: Any, path: str, **given: Any) -> Any:
    """The whole body of a success."""
    reply = await product.client.get(f"/api/v1/{path}", params=given)
    assert (reply.status_code, reply.json()["status"]) == (200, "success"), reply.text
    return reply.json()


async def data(product: Any, path: str, **given: Any) -> Any:
    return (await get(product, path, **given))["data"]


REFUSED = [
    # path, parameters, message
    ("query", {}, 'invalid parameter "query": 1:1: parse error: no expression found in input'),
    ("query", {"query": "1", "time": "x"}, "Invalid time value for 'time': cannot parse \"x\" to a valid timestamp"),
    ("query", {"query": "1", "time": "1e400"}, 'cannot parse "1e400" to a valid timestamp'),
    ("query", {"query": "1", "time": "NaN"}, 'cannot parse "NaN" to a valid timestamp'),
    ("query", {"query": "1", "timeout": "x"}, 'invalid parameter "timeout": cannot parse "x" to a valid duration'),
    ("query", {"query": "1", "timeout": "1e20"}, "It overflows int64"),
    ("query", {"query": "1", "limit": "-1"}, 'invalid parameter "limit": limit must be non-negative'),
    ("query", {"query": "1", "limit": "x"}, 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'),
    ("query", {"query": "1", "lookback_delta": "x"}, "error parsing lookback delta duration"),
    ("query", {"query": "sum("}, 'invalid parameter "query": '),
    ("query_range", {"query": "1"}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
    ("query_range", {"query": "1", "start": 1, "end": 2}, 'invalid parameter "step": cannot parse "" to a valid'),
    ("query_range", {"query": "1", "start": 1, "end": 2, "step": 0}, 'invalid parameter "step": zero or negative'),
    ("query_range", {"query": "1", "start": 2, "end": 1, "step": 1}, "end timestamp must not be before start time"),
    ("query_range", {"query": "1", "start": 0, "end": 11_001, "step": 1}, "exceeded maximum resolution of 11,000"),
    ("query_range", {"query": "up[5m]", "start": 0, "end": 9, "step": 1}, "must be Scalar or instant Vector"),
    ("query_exemplars", {"query": "sum("}, "parse error"),
    ("query_exemplars", {"query": "up", "start": 5, "end": 2}, "end timestamp must not be before start timestamp"),
    ("format_query", {"query": ""}, 'invalid parameter "query": '),
    ("parse_query", {"query": "1 +"}, 'invalid parameter "query": 1:4: parse error'),
    ("labels", {"match[]": "{}"}, "match[] must contain at least one non-empty matcher"),
    ("labels", {"match[]": "sum(up)"}, "parse error: 'sum(up)' is not a series selector"),
    ("labels", {"match[]": "up[5m]"}, "is not a series selector"),
    ("labels", {"start": "yesterday"}, 'invalid parameter "start": Invalid time value for'),
    ("series", {}, "no match[] parameter provided"),
    ("series", {"match[]": "1 +"}, 'invalid parameter "match[]": 1:4: parse error: unexpected end of input'),
    ("metadata", {"limit": "x"}, "limit must be a number"),
    ("metadata", {"limit_per_metric": "x"}, "limit_per_metric must be a number"),
    ("targets/metadata", {"limit": "x"}, "limit must be a number"),
    ("targets/metadata", {"match_target": "{"}, 'invalid parameter "match_target": '),
    ("rules", {"type": "x"}, 'invalid parameter "type": not supported value "x"'),
    ("rules", {"exclude_alerts": "x"}, 'invalid parameter "exclude_alerts": error converting exclude_alerts'),
    ("rules", {"group_next_token": "x"}, "group_limit needs to be present"),
    ("rules", {"group_limit": "0"}, "group_limit needs to be a number greater than 0"),
    ("status/tsdb", {"limit": "0"}, "limit must be a positive number"),
]


@pytest.mark.parametrize(("path", "given", "message"), REFUSED, ids=lambda value: str(value)[:40])
async def test_what_cannot_be_read_is_bad_data_in_prometheus_words(
    fleet: Any, path: str, given: dict[str, Any], message: str
) -> None:
    reply = await fleet.client.get(f"/api/v1/{path}", params=given)
    assert (reply.status_code, reply.json()["status"], reply.json()["errorType"]) == (400, "error", "bad_data")
    assert message in reply.json()["error"]


@pytest.mark.parametrize(
    "query",
    [
        f'label_replace({CPU}, "a", "b", "c", "(")',
        f'{{server_id="alpha-01"}} + on (server_id) {CPU}',
        f'label_replace({CPU}, "server_id", "x", "type", ".*") + 0',
    ],
)
async def test_what_can_be_read_but_not_computed_is_an_execution_error(fleet: Any, query: str) -> None:
    reply = await fleet.client.get("/api/v1/query", params={"query": query, "time": fleet.now})
    assert (reply.status_code, reply.json()["errorType"]) == (422, "execution"), reply.text


async def test_a_query_that_takes_longer_than_it_may_is_503_timeout(fleet: Any) -> None:
    long = " + ".join(["sum_over_time(server_cpu_usage[6h:100ms])"] * 150)  # each takes some of its time
    given = {"query": long, "time": fleet.now, "timeout": "0.3"}
    reply = await fleet.client.post("/api/v1/query", data=given)
    assert (reply.status_code, reply.json()["errorType"]) == (503, "timeout")
    assert reply.json()["error"] == "query timed out in expression evaluation"


@pytest.mark.parametrize("path", ["query/x", "status/nothing", "label/a/b/values", "admin/tsdb/nothing"])
async def test_a_path_that_prometheus_does_not_have_is_404_in_its_words(fleet: Any, path: str) -> None:
    reply = await fleet.client.get(f"/api/v1/{path}")
    assert (reply.status_code, reply.text) == (404, "404 page not found\n")


async def test_a_method_that_a_path_does_not_take_is_405_and_names_those_that_it_takes(fleet: Any) -> None:
    found = {
        path: await fleet.client.delete(path) for path in ("/api/v1/query", "/api/v1/label/a/values", "/api/alerts")
    }
    assert {path: (reply.status_code, reply.headers["allow"]) for path, reply in found.items()} == {
        "/api/v1/query": (405, "GET, POST"),
        "/api/v1/label/a/values": (405, "GET"),
        "/api/alerts": (405, "GET"),
    }


@pytest.mark.parametrize("method", ["get", "post"])
async def test_times_are_seconds_or_rfc_3339_and_durations_are_seconds_or_words(fleet: Any, method: str) -> None:
    async def ranged(**given: str) -> Any:
        sent = {"query": f'{CPU}{{server_id="bravo-01"}}', **given}
        asked = {"params": sent} if method == "get" else {"data": sent}
        reply = await getattr(fleet.client, method)("/api/v1/query_range", **asked)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]["result"][0]["values"]

    seconds = await ranged(start=str(fleet.now - 120), end=str(fleet.now), step="60")
    words = await ranged(start="2025-10-09T10:58:00+02:00", end="2025-10-09T09:00:00.000Z", step="1m")
    assert seconds == words == [[fleet.now - 120, "95"], [fleet.now - 60, "95"], [fleet.now, "95"]]


async def test_a_limit_cuts_the_rest_off_and_says_so(fleet: Any) -> None:
    said = ["results truncated due to limit"]
    span = {"start": fleet.now - 60, "end": fleet.now, "step": 60}
    for path, given in [
        ("query", {"query": CPU, "time": fleet.now}),
        ("query_range", {"query": CPU, **span}),
        ("labels", {}),
        ("label/server_id/values", {}),
        ("series", {"match[]": CPU}),
    ]:
        whole, cut = await get(fleet, path, **given), await get(fleet, path, **given, limit=2)
        rows = [body["data"]["result"] if "query" in path else body["data"] for body in (whole, cut)]
        assert (len(rows[1]), rows[1], cut.get("warnings")) == (2, rows[0][:2], said), path
        assert "warnings" not in whole
        assert "warnings" not in await get(fleet, path, **given, limit=0), path


async def test_a_look_back_that_is_given_finds_older_samples(fleet: Any) -> None:
    async def servers(**given: Any) -> list[str]:
        found = await data(fleet, "query", query=CPU, time=fleet.now, **given)
        return [row["metric"]["server_id"] for row in found["result"]]

    assert await servers() == LIVE
    assert "delta-01" in await servers(lookback_delta="30m")


async def test_stats_are_measured(fleet: Any) -> None:
    found = await data(fleet, "query", query=f"count_over_time({CPU}[1h])", time=fleet.now, stats="all")
    assert found["stats"]["samples"] == {"totalQueryableSamples": 280, "peakSamples": 280}
    assert 0 < found["stats"]["timings"]["evalTotalTime"] <= found["stats"]["timings"]["execTotalTime"] < 30
    assert "stats" not in await data(fleet, "query", query="1")


async def test_labels_and_series_are_narrowed_by_selectors_and_times(fleet: Any) -> None:
    db = '{type="db"}'
    assert await data(fleet, "labels", **{"match[]": db}) == ["__name__", "mountpoint", "server_id", "type"]
    assert await data(fleet, "label/server_id/values", **{"match[]": [db, '{type="cache"}']}) == [
        "bravo-01",
        "charlie-01",
    ]
    long_ago = {"start": fleet.now - 86_400 * 9, "end": fleet.now - 86_400 * 8}
    assert await data(fleet, "labels", **long_ago) == []
    assert await data(fleet, "series", **{"match[]": CPU}, **long_ago) == []
    named = {"match[]": f'{{__name__="{CPU}"}}', "start": "-292273086-05-16T16:47:06Z"}
    assert len(await data(fleet, "series", **named)) == 5


async def test_a_label_name_may_come_escaped(fleet: Any) -> None:
    assert await data(fleet, "label/U__server__id/values") == await data(fleet, "label/server_id/values")
    assert await data(fleet, "label/U__server_5f_id/values", limit=1) == ["alpha-01"]


LONG = (
    'sum by (job) (rate(http_requests_total{code=~"5..",environment="production"}[5m])) / '
    'on (job) sum by (job) (rate(http_requests_total{environment="production"}[5m])) > 0.05'
)
LONG_WRITTEN = """\
    sum by (job) (rate(http_requests_total{code=~"5..",environment="production"}[5m]))
  / on (job)
    sum by (job) (rate(http_requests_total{environment="production"}[5m]))
>
  0.05"""


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("sum(rate(x{b='1',a=~\"y\"}[5m]))by(job)/2", 'sum by (job) (rate(x{a=~"y",b="1"}[5m])) / 2'),
        ("foo   offset 90s @ start()", "foo @ start() offset 1m30s"),
        ("max_over_time( (-x)[1h:5m] )", "max_over_time((-x)[1h:5m])"),
        ("a>bool 1", "a > bool 1"),
        (LONG, LONG_WRITTEN),
    ],
)
async def test_a_query_is_written_as_prometheus_writes_it(fleet: Any, query: str, written: str) -> None:
    assert await data(fleet, "format_query", query=query) == written
    again = await fleet.client.post("/api/v1/format_query", data={"query": written})
    assert again.json()["data"] == written


async def test_a_query_is_shown_as_a_tree(fleet: Any) -> None:
    tree = await data(fleet, "parse_query", query='topk(2, up{job!="a"} @ 12.5 offset 1m) > on(job) group_left(x) foo')
    assert (tree["type"], tree["op"]) == ("binaryExpr", ">")
    assert tree["matching"] == {
        "card": "many-to-one",
        "labels": ["job"],
        "on": True,
        "include": ["x"],
        "fillValues": {"lhs": None, "rhs": None},
    }
    assert (tree["lhs"]["type"], tree["lhs"]["op"], tree["lhs"]["param"]) == (
        "aggregation",
        "topk",
        {"type": "numberLiteral", "val": "2"},
    )
    assert tree["lhs"]["expr"] == {
        "type": "vectorSelector",
        "name": "up",
        "matchers": [
            {"name": "job", "type": "!=", "value": "a"},
            {"name": "__name__", "type": "=", "value": "up"},
        ],
        "offset": 60_000,
        "timestamp": 12_500,
        "startOrEnd": None,
    }
    chain = await fleet.client.post("/api/v1/parse_query", data={"query": "+".join(["1"] * 900)})
    assert (chain.status_code, chain.json()["errorType"]) == (400, "bad_data")


async def test_what_prometheus_tells_of_itself_is_true_of_us(fleet: Any) -> None:
    runtime = await data(fleet, "status/runtimeinfo")
    assert runtime["storageRetention"] == "36500d"
    assert runtime["serverTime"] == "2025-10-09T09:00:00Z"
    assert runtime["goroutineCount"] > 3
    flags = await data(fleet, "status/flags")
    assert (flags["retention"], flags["demo"], flags["scrape-interval"]) == ("36500d", "false", "15.0")
    shown = yaml.safe_load((await data(fleet, "status/config"))["yaml"])
    assert (shown["global"]["scrape_interval"], shown["openmanager"]["local"]) == ("15s", False)
    assert await data(fleet, "status/walreplay") == {"min": 0, "max": 0, "current": 0}
    assert (await data(fleet, "features"))["api"]["lifecycle"] is False


async def test_the_store_is_counted(fleet: Any) -> None:
    found = await data(fleet, "status/tsdb", limit=2)
    series = await data(fleet, "series", **{"match[]": '{__name__!=""}'})
    head = found["headStats"]
    assert (head["numSeries"], head["maxTime"]) == (len(series), round(fleet.now * 1000))
    assert head["minTime"] <= (fleet.now - 6 * 3600) * 1000 < head["maxTime"]
    assert head["numLabelPairs"] == len({pair for one in series for pair in one.items()})
    assert found["seriesCountByMetricName"][0]["value"] == 5
    assert {len(found[name]) for name in found if name != "headStats"} == {2}
    pair = found["seriesCountByLabelValuePair"][0]
    name, _, value = pair["name"].partition("=")
    assert pair["value"] == sum(one.get(name) == value for one in series)


async def test_secrets_of_the_settings_are_not_shown() -> None:
    from web.routes.prometheus_status import shown
    from web.settings import Settings

    settings = Settings(redis_url="rediss://user:hunter2@db:6379/0", database_url="postgresql://me:hunter2@db/x")
    assert "hunter2" not in str(shown(settings))
    assert shown(settings)["redis_url"] == "rediss://<secret>@db:6379/0"


async def test_the_lifecycle_api_is_off(fleet: Any) -> None:
    for path in ("/-/reload", "/-/quit"):
        refused = [(await fleet.client.request(method, path)) for method in ("POST", "PUT", "GET")]
        assert [reply.status_code for reply in refused] == [403, 403, 405]
        assert refused[0].text == "Lifecycle API is not enabled."
    for path in ("/-/healthy", "/-/ready", "/healthz", "/readyz"):
        assert [(await fleet.client.request(method, path)).status_code for method in ("GET", "HEAD")] == [200, 200]
