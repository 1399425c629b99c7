"""`/graphql`: each field is its JSON twin, and no document is too wild to be refused in good order."""

from __future__ import annotations

import time
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_introspection_query

from web.graphql.answer import schema

pytestmark = pytest.mark.asyncio(loop_scope="session")
NEW = "application/graphql-response+json"


async def send(product: Any, query: str, accept: str = NEW, **more: Any) -> Any:
    """A POST."""
    return await product.client.post("/graphql", json={"query": query, **more}, headers={"Accept": accept})


async def ask(product: Any, query: str, **variables: Any) -> Any:
    """The `data` of a query that goes well."""
    reply = await send(product, query, variables=variables)
    assert reply.status_code == 200, reply.text
    assert "errors" not in reply.json(), reply.text
    return reply.json()["data"]


async def rest(product: Any, path: str, **params: Any) -> Any:
    """The `data` of a JSON route."""
    reply = await product.client.get(path, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def whole(name: str, skip: frozenset[str] = frozenset()) -> str:
    """A selection of every field of a type."""
    kind = schema().get_type(name)
    assert isinstance(kind, GraphQLObjectType)
    texts = []
    for field, given in kind.fields.items():
        inner = str(given.type).strip("[]!")
        if field not in skip:
            texts.append(
                f"{field} {whole(inner)}" if isinstance(schema().get_type(inner), GraphQLObjectType) else field
            )
    return "{" + " ".join(texts) + "}"


async def test_servers_are_those_of_the_json_route(fleet: Any) -> None:
    fields = whole("Server", frozenset({"alerts"}))
    found = await ask(fleet, f"{{ servers {fields} serverCount fleet {whole('Fleet')} }}")
    listed = await rest(fleet, "/api/servers")
    assert found["servers"] == listed["servers"]
    assert found["serverCount"] == listed["total"] == 6
    dashboard = await rest(fleet, "/api/dashboard")
    assert found["fleet"] == {name: dashboard[name] for name in found["fleet"]}


async def test_servers_are_filtered_and_paged_as_by_the_json_route(fleet: Any) -> None:
    text = "query($f: ServerFilter, $n: Int!, $o: Int!) { servers(filter: $f, limit: $n, offset: $o) { id } }"
    for chosen in ({"type": "web"}, {"status": "critical"}, {"match": "01"}, {"ids": ["bravo-01", "10.7.0.5"]}):
        params = {name: ",".join(v) if isinstance(v, list) else v for name, v in chosen.items()}
        listed = await rest(fleet, "/api/servers", limit=2, offset=1, **params)
        found = await ask(fleet, text, f=chosen, n=2, o=1)
        assert found["servers"] == [{"id": s["id"]} for s in listed["servers"]]


async def test_one_server_with_what_is_firing_on_it_is_that_of_the_json_route(fleet: Any) -> None:
    found = (await ask(fleet, f'{{ server(id: "bravo-01") {whole("Server")} }}'))["server"]
    twin = await rest(fleet, "/api/servers/bravo-01")
    alerts = twin["alerts"]
    assert found == {**twin["server"], "alerts": alerts}
    assert alerts
    assert (await ask(fleet, '{ server(id: "10.7.0.5") { id } }'))["server"]["id"] == "echo-01"


@pytest.mark.parametrize("asked", [{}, {"severity": "critical"}, {"state": "all", "window": "6h"}])
async def test_alerts_are_those_of_the_json_route(fleet: Any, asked: dict[str, str]) -> None:
    words = ", ".join(f'{name}: "{v}"' if name == "window" else f"{name}: {v}" for name, v in asked.items())
    found = await ask(fleet, f"{{ alerts{f'({words})' if words else ''} {whole('Alert')} }}")
    assert found["alerts"] == (await rest(fleet, "/api/alerts", **asked))["alerts"]


async def test_series_are_those_of_the_json_route(fleet: Any) -> None:
    which = 'metrics: ["cpu", "memory"], servers: ["bravo-01", "echo-01"], window: "1h", step: "5m"'
    text = f"{{ timeseries({which}) {whole('Timeseries')} }}"
    twin = await rest(
        fleet, "/api/metrics/timeseries", server=["bravo-01", "echo-01"], metric="cpu,memory", window="1h", step="5m"
    )
    assert (await ask(fleet, text))["timeseries"] == twin


@pytest.mark.parametrize("promql", ["server_cpu_usage", "scalar(sum(up))", "sort_desc(server_memory_usage)", "up[5m]"])
async def test_an_instant_query_is_that_of_prometheus_api(fleet: Any, promql: str) -> None:
    text = f"query($q: String!, $t: String) {{ query(query: $q, time: $t) {whole('QueryResult')} }}"
    found = (await ask(fleet, text, q=promql, t=str(fleet.now)))["query"]
    twin = await rest(fleet, "/api/v1/query", query=promql, time=fleet.now)
    assert found == {**twin, "warnings": [], "infos": []}


async def test_a_range_query_is_that_of_prometheus_api(fleet: Any) -> None:
    when = {"start": str(fleet.now - 3600), "end": "2025-10-09T09:00:00Z", "step": "5m"}
    text = 'query($s: String!, $e: String!, $p: String!) { queryRange(query: "up", start: $s, end: $e, step: $p) %s }'
    found = await ask(fleet, text % whole("QueryResult"), s=when["start"], e=when["end"], p=when["step"])
    twin = await rest(fleet, "/api/v1/query_range", query="up", **when)
    assert found["queryRange"] == {**twin, "warnings": [], "infos": []}


async def test_a_question_gets_the_same_answer(fleet: Any) -> None:
    text = f'{{ ask(query: "지금 cpu 가장 높은 서버는?", timezone: "UTC") {whole("Answer")} }}'
    found = (await ask(fleet, text))["ask"]
    twin = await fleet.ask("지금 cpu 가장 높은 서버는?")
    assert found.keys() == twin.keys()
    same = ("query", "response", "status", "intent", "language", "entities", "suggestions", "timezone", "now")
    assert {name: found[name] for name in same} == {name: twin[name] for name in same}
    assert found["evidence"][0]["query"] == twin["evidence"][0]["query"]
    assert (await rest(fleet, f"/api/ai-agent/answers/{found['id']}"))["response"] == found["response"]


async def test_a_query_in_the_url_is_the_same(fleet: Any) -> None:
    text = "query A($id: String!) { server(id: $id) { id cpu } } query B { serverCount }"
    params = {"query": text, "variables": '{"id": "bravo-01"}', "operationName": "A"}
    reply = await fleet.client.get("/graphql", params=params)
    assert reply.json() == {"data": {"server": {"id": "bravo-01", "cpu": 95.0}}}


async def test_what_fails_is_null_with_our_code_and_the_rest_stands(fleet: Any) -> None:
    failing = 'a: server(id: "bravo-1") { id } b: query(query: "sum(") { resultType } c: ask(query: " ") { id }'
    text = f"{{ serverCount {failing} }}"
    reply = await send(fleet, text)
    body = reply.json()
    assert (reply.status_code, body["data"]) == (200, {"serverCount": 6, "a": None, "b": None, "c": None})
    codes = {error["path"][0]: error["extensions"]["code"] for error in body["errors"]}
    assert codes == {"a": "unknown_server", "b": "bad_query", "c": "invalid"}
    assert body["errors"][0]["locations"]
    assert "bravo-01" in next(error for error in body["errors"] if error["path"] == ["a"])["extensions"]["closest"]


async def test_status_and_media_type_follow_graphql_over_http(fleet: Any) -> None:
    good, bad = "{ serverCount }", "{ nothing }"
    for accept, query, status, kind in (
        (NEW, good, 200, NEW),
        (NEW, bad, 400, NEW),
        ("application/json", bad, 200, "application/json"),
        ("*/*", good, 200, "application/json"),
        (f"{NEW}, application/json;q=0.9", bad, 400, NEW),
        ("text/html", good, 406, "application/json"),
        (NEW, "mutation { stop }", 400, NEW),
        (NEW, "{", 400, NEW),
        (NEW, "query($n: Int!) { servers(limit: $n) { id } }", 400, NEW),
    ):
        reply = await send(fleet, query, accept)
        assert (reply.status_code, reply.headers["content-type"]) == (status, kind), (accept, query)
        if status == 400:
            assert "data" not in reply.json()
            assert reply.json()["errors"][0]["extensions"]["code"] == "invalid"
    post = fleet.client.post
    assert (
        await post("/graphql", content="{ serverCount }", headers={"Content-Type": "text/plain"})
    ).status_code == 415
    for content in ("{", "[]", "{}", '{"query": 5}', '{"query": "{a}", "variables": []}', "[" * 100_000):
        reply = await post("/graphql", content=content, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["errors"][0]["extensions"]["code"]) == (400, "bad_request")
    assert (await fleet.client.get("/graphql")).status_code == 400
    assert (await fleet.client.put("/graphql")).status_code == 405


def deep(levels: int) -> str:
    """A field within a field within …"""
    return "{ fleet" + " { counts" * levels + " { total }" + " }" * levels + " }"


def chained(fragments: int) -> str:
    """Each fragment spreads the next one twice: what is selected doubles each time."""
    parts = [f"fragment F{k} on Query {{ ...F{k + 1} ...F{k + 1} }}" for k in range(fragments)]
    return f"{{ ...F0 }} {' '.join(parts)} fragment F{fragments} on Query {{ a: serverCount }}"


HOSTILE = {
    "deep": deep(12),
    "very deep": deep(5_000),
    "brackets": "{ servers(filter: {ids: " + "[" * 5_000 + "]" * 5_000 + "}) { id } }",
    "a thousand aliases": "{" + " ".join(f"a{k}: serverCount" for k in range(1_000)) + "}",
    "aliases of what is dear": "{" + " ".join(f'a{k}: ask(query: "cpu?") {{ id }}' for k in range(5)) + "}",
    "aliases by fragments": chained(15),
    "fragments without end": chained(60),
    "a circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "huge": "{ serverCount " + "#" * 5_000_000 + "\n}",
    "many tokens": "{" + "serverCount " * 2_500 + "}",
    "all of everything": "{"
    + " ".join(f"a{k}: servers(limit: 1000) {{ id cpu memory disk }}" for k in range(20))
    + "}",
    "directives": "{ serverCount " + "@skip(if: false) " * 300 + "}",
    "nul": "{ serverCount \0 }",
    "empty": "",
}


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_documents_are_refused_and_the_process_lives(fleet: Any, query: str) -> None:
    began = time.perf_counter()
    reply = await send(fleet, query)
    assert time.perf_counter() - began < 5, "a bound, not a speed"
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["extensions"]["code"] in ("invalid", "too_expensive")
    assert (await fleet.client.get("/healthz")).text == "ok\n"


async def test_the_schema_can_be_read_by_tools(fleet: Any) -> None:
    found = await ask(fleet, get_introspection_query(descriptions=True))
    assert {"Server", "Answer"} <= {kind["name"] for kind in found["__schema"]["types"]}
    assert found["__schema"]["mutationType"] is None
    text = (await fleet.client.get("/graphql/schema")).text
    assert "type Query {" in text


@pytest.mark.asyncio(loop_scope="function")
async def test_a_server_that_came_after_the_reading_is_there(product: Any) -> None:
    def gauge(name: str) -> Any:
        return {"__name__": "server_cpu_usage", "server_id": name, "type": "web"}, [(product.now, 5.0)]

    await product.write(gauge(f"old-{k:02}") for k in range(60))  # so many that a reading is renewed in the background
    await rest(product, "/api/dashboard")
    await product.write([gauge("new-01")])
    found = (await ask(product, f'{{ server(id: "new-01") {whole("Server")} }}'))["server"]
    assert (found["id"], found["type"]) == ("new-01", "web")
    assert found["status"] in ("unknown", "healthy")


@pytest.mark.asyncio(loop_scope="function")
async def test_several_fields_are_one_reading_of_the_fleet(product: Any, make_servers: Any) -> None:
    await product.write(make_servers(product.now))
    text = (
        '{ servers { id alerts { server } } fleet { total } serverCount server(id: "bravo-01") { alerts { concept } } }'
    )
    await ask(product, "{ serverCount }")
    alone = await spent(product, "{ alerts { server } }")
    assert 0 < await spent(product, text) <= alone


async def spent(product: Any, query: str) -> int:
    """Round trips to Redis for one query."""
    before = await trips(product)
    await ask(product, query)
    return await trips(product) - before


async def trips(product: Any) -> int:
    """Round trips to Redis of all queries until now."""
    routes = (await rest(product, "/api/metrics/performance"))["routes"]
    return sum(r["redis"]["round_trips"] for r in routes if r["route"] == "/graphql")
