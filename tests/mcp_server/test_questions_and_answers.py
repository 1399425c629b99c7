"""The MCP server as an outside client sees it: tools, errors that teach, resources, prompts, sizes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from assistant.mcp_client import ToolClient
from mcp_server.budget import tokens
from mcp_server.server import create_server
from monitoring.errors import BadQuery, QueryTooExpensive, StoreUnavailable, UnknownMetric, UnknownServer
from monitoring.reading import Evidence, Reading

NOW = 1_764_000_000.0
PROOF = (Evidence('avg by (server_id) (server_cpu_usage{server_id=~"web-.*"})', NOW, age_s=3.0),)
TOOLS: dict[str, dict[str, Any]] = {
    "ask": {"question": "which servers are hot?"},
    "fleet_summary": {},
    "list_servers": {"sort": "cpu", "limit": 2},
    "get_server": {"server": "web-1"},
    "query_metric": {"metric": "cpu", "servers": ["web-1", "web-2"], "window": "1h", "points": 3},
    "find_anomalies": {"window": "6h"},
    "forecast_metric": {"metric": "disk", "server": "web-1"},
    "list_alerts": {},
    "compare": {"servers": ["web-1", "web-2"]},
    "correlate": {"server": "web-1", "metric": "cpu"},
}


class Scripted:
    """Answers every question about the fleet with the same small table and notes what was asked."""

    def __init__(self, answer: Reading | Exception | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        async def method(*args: Any, at: float | None = None) -> Reading:
            self.asked.append((name, *args, at))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer or Reading(
                "web-1 is highest.", PROOF, ("server", "cpu"), (("web-1", 91.25), ("web-2", None)), total=2
            )

        return method

    async def server_names(self) -> list[str]:
        return ["db-1", "web-1", "web-2"]

    async def concept_names(self) -> list[str]:
        return ["cpu", "memory"]

    async def query_metric(
        self, metric: str, servers: list[str], window: str | None, agg: str | None, points: int, *, at: float | None
    ) -> Reading:
        self.asked.append(("query_metric", metric, servers, window, agg, points, at))
        if isinstance(self.answer, Exception):
            raise self.answer
        series = tuple(
            {"server": f"web-{i}", "labels": {}, "points": [[NOW + 60 * k, 50 + k / 7] for k in range(points)]}
            for i in range(len(servers) or 1)
        )
        return Reading("cpu over time.", PROOF, series=series, total=len(series))


async def ask(question: str) -> dict[str, Any]:
    return {"response": f"web-1 at 91 %. ({question})", "status": "answered", "engine": "direct", "id": "a1"}


def served(answer: Reading | Exception | None = None) -> tuple[Client, Scripted]:
    double = Scripted(answer)
    return Client(create_server(double, ask, "1.2.3", answers)), double


async def answers(answer_id: str) -> dict[str, Any] | None:
    return {"id": "a1", "response": "web-1"} if answer_id == "a1" else None


async def test_each_of_the_ten_tools_answers_with_its_facts_in_text_and_in_structure() -> None:
    client, _ = served()
    async with client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert sorted(names) == sorted(TOOLS)
        for name, arguments in TOOLS.items():
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result
            assert result.structured_content is not None
            assert len(result.content) == 1
            text = result.content[0].text
            assert "web-1" in text
            if name != "ask":
                assert PROOF[0].query in text
                assert result.structured_content["evidence"]["query"] == PROOF[0].query


async def test_arguments_reach_the_question_of_the_same_name_and_at_is_a_time() -> None:
    client, double = served()
    async with client:
        await client.call_tool("get_server", {"server": "web-1", "at": "2025-11-24T16:00:00Z"})
        await client.call_tool("compare", {"servers": "web-1, web-2", "window": "6h", "at": 1_764_000_000})
        await client.call_tool("list_servers", {"status": "critical", "match": "web"})
    assert double.asked == [
        ("get_server", "web-1", NOW),
        ("compare", ["web-1", "web-2"], "6h", None, NOW),
        ("list_servers", "severity", "critical", "web", 20, None, None),
    ]


async def test_a_text_holds_every_cell_with_gaps_shown_and_the_query_that_proves_it() -> None:
    client, _ = served()
    async with client:
        result = await client.call_tool("fleet_summary")
    assert result.content[0].text == (
        "web-1 is highest.\n"
        "server | cpu\n"
        "web-1 | 91.25\n"
        "web-2 | –\n"
        'query: avg by (server_id) (server_cpu_usage{server_id=~"web-.*"}); time 2025-11-24T16:00:00Z; '
        "newest sample 3 s old; source local"
    )


async def test_an_even_series_is_written_once_with_its_step() -> None:
    client, _ = served()
    async with client:
        result = await client.call_tool("query_metric", {"metric": "cpu", "window": "3m", "points": 3})
    assert "web-0 from 2025-11-24T16:00:00Z every 60 s: 50 50.1429 50.2857" in result.content[0].text


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("get_server", {"name": "web-1"}, "get_server takes no argument 'name'; it takes server, at"),
        ("get_server", {}, "get_server cannot be called so: server: Field required"),
        ("list_servers", {"limit": 101}, "limit: Input should be less than or equal to 100"),
        ("query_metric", {"metric": "cpu", "points": 201}, "points: Input should be less than or equal to 200"),
        ("query_metric", {"metric": "cpu", "servers": ["a"] * 21}, "servers: Value should have at most 20 items"),
        ("fleet_summary", {"at": "noon"}, "'noon' is not a time; write RFC 3339"),
        ("ask", {"question": ""}, "question: String should have at least 1 character"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_with_the_way_out(
    tool: str, arguments: dict[str, Any], told: str
) -> None:
    client, double = served()
    async with client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert told in result.content[0].text
    assert result.structured_content is not None
    assert result.structured_content["error"]["kind"] == "bad_query"
    assert double.asked == []


@pytest.mark.parametrize(
    ("error", "text", "parts"),
    [
        (
            UnknownServer("web-9", ("web-1", "web-2")),
            "no server 'web-9'; closest: web-1, web-2",
            {"kind": "unknown_server", "name": "web-9", "closest": ["web-1", "web-2"]},
        ),
        (
            UnknownMetric("cpuu", ("cpu",)),
            "no metric named 'cpuu'; did you mean 'cpu'?",
            {"kind": "unknown_metric", "name": "cpuu", "closest": ["cpu"]},
        ),
        (QueryTooExpensive("11 million samples"), "11 million samples", {"kind": "too_expensive"}),
        (
            StoreUnavailable("refused", "Redis is away"),
            "Redis is away (cause: refused)",
            {"kind": "unavailable", "cause": "refused"},
        ),
    ],
)
async def test_errors_teach_in_the_text_and_name_their_parts(
    error: Exception, text: str, parts: dict[str, Any]
) -> None:
    client, _ = served(error)
    async with client:
        result = await client.call_tool("get_server", {"server": "web-9"})
    assert result.is_error
    assert result.content[0].text == text
    assert result.structured_content == {"error": {**parts, "message": str(error)}}


async def test_a_defect_of_ours_is_an_error_without_its_inner_text() -> None:
    client, _ = served(ZeroDivisionError("secret path"))
    async with client:
        result = await client.call_tool("get_server", {"server": "web-1"})
    assert result.is_error
    assert result.content[0].text == "Error executing tool get_server"


async def test_without_an_assistant_ask_says_what_to_use_instead() -> None:
    async with Client(create_server(Scripted(), None, "1")) as client:
        result = await client.call_tool("ask", {"question": "hot?"})
    assert result.is_error
    assert "use the other tools" in result.content[0].text


async def test_the_list_of_tools_costs_a_model_little_and_says_they_only_read() -> None:
    client, _ = served()
    async with client:
        listed = await client.list_tools()
    size = listed.model_dump_json(by_alias=True, exclude_none=True)
    assert tokens(size) <= 1700
    assert len(size) <= 6000
    for tool in listed.tools:
        assert tool.output_schema is None
        assert tool.annotations is not None
        assert tool.input_schema["additionalProperties"] is False
        hints = tool.annotations
        assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint) == (True, True, False)


async def test_a_default_answer_fits_the_small_budget_and_any_answer_the_large_one() -> None:
    names = [f"web-{i}" for i in range(20)]
    client, double = served()
    async with client:
        small = await client.call_tool("query_metric", {"metric": "cpu", "servers": names, "window": "24h"})
        large = await client.call_tool(
            "query_metric", {"metric": "cpu", "servers": names, "window": "24h", "points": 200}
        )
    for result, room in ((small, 1500), (large, 8000)):
        assert result.structured_content is not None
        assert tokens(json.dumps(result.structured_content)) <= room
        assert tokens(result.content[0].text) <= room
        assert result.structured_content["truncated"] is True
        assert len(result.structured_content["series"]) == 20  # asked for again with fewer points, none left out
    assert [asked[5] for asked in double.asked] == [60, double.asked[1][5], 200, double.asked[3][5]]


async def test_our_own_client_gets_the_reading_whole() -> None:
    names = [f"web-{i}" for i in range(20)]
    client = ToolClient(create_server(Scripted(), ask, "1"))
    async with asyncio.TaskGroup() as tasks:
        owner = tasks.create_task(client.run())
        arguments = {"metric": "cpu", "servers": names, "window": "24h", "points": 200}
        assert (
            await client.call("query_metric", arguments)
            == (await Scripted().query_metric("cpu", names, "24h", None, 200, at=None)).to_json()
        )
        with pytest.raises(BadQuery, match="takes no argument 'name'"):
            await client.call("get_server", {"name": "web-1"})
        owner.cancel()


async def test_an_answer_with_much_evidence_keeps_its_words_and_its_queries() -> None:
    rows = [[f"web-{i}", i / 3] for i in range(2000)]

    async def long_winded(question: str) -> dict[str, Any]:
        evidence = [{"query": "up", "time": NOW, "source": "local", "age_s": 1.0, "columns": ["server"], "rows": rows}]
        return {"response": "All are up.", "status": "answered", "id": "a1", "evidence": evidence, "charts": rows}

    async with Client(create_server(Scripted(), long_winded, "1")) as client:
        result = await client.call_tool("ask", {"question": "up?"})
    body = result.structured_content
    assert body["evidence"][0]["query"] == "up"
    assert 0 < len(body["evidence"][0]["rows"]) < 2000
    assert body["truncated"] is True
    assert "charts" not in body
    assert tokens(json.dumps(body)) <= 1500
    assert result.content[0].text.startswith("All are up.\n")
    assert "query: up; time 2025-11-24T16:00:00Z" in result.content[0].text


async def test_rows_that_do_not_fit_are_cut_and_counted() -> None:
    rows = tuple((f"a-rather-long-server-name-{i}", i / 3, "critical because of its memory") for i in range(2000))
    client, _ = served(Reading("Many.", PROOF, ("server", "cpu", "why"), rows, total=2000, next_cursor="abc"))
    async with client:
        result = await client.call_tool("list_servers", {"limit": 100})
    body = result.structured_content
    assert body is not None
    assert body["truncated"] is True
    assert "next_cursor" not in body  # it would skip what was cut
    assert 0 < len(body["rows"]) < 2000
    assert f"{len(body['rows'])} of 2000 shown" in result.content[0].text
    assert tokens(json.dumps(body)) <= 8000


async def test_resources_give_the_fleet_a_server_the_alerts_and_past_answers() -> None:
    client, double = served()
    async with client:
        for uri in ("fleet://summary", "alerts://open", "server://web-1"):
            [content] = (await client.read_resource(uri)).contents
            assert json.loads(content.text)["rows"] == [["web-1", 91.25], ["web-2", None]]
        [content] = (await client.read_resource("answer://a1")).contents
        assert json.loads(content.text) == {"id": "a1", "response": "web-1"}
        with pytest.raises(MCPError, match="no answer 'b2'"):
            await client.read_resource("answer://b2")
        double.answer = UnknownServer("web-9", ("web-1",))
        with pytest.raises(MCPError, match="closest: web-1"):
            await client.read_resource("server://web-9")


async def test_prompts_name_the_tools_and_names_are_completed() -> None:
    client, _ = served()
    async with client:
        assert sorted(prompt.name for prompt in (await client.list_prompts()).prompts) == [
            "daily_check",
            "incident_report",
        ]
        report = await client.get_prompt("incident_report", {"server": "web-1", "window": "6h"})
        assert "find_anomalies(servers=['web-1'], window='6h')" in report.messages[0].content.text
        with pytest.raises(MCPError, match="Unknown prompt: weekly"):
            await client.get_prompt("weekly")
        with pytest.raises(MCPError, match="Missing required arguments"):
            await client.get_prompt("incident_report")
        prompt = PromptReference(type="ref/prompt", name="incident_report")
        found = await client.complete(prompt, {"name": "server", "value": "web"})
        assert found.completion.values == ["web-1", "web-2"]
        template = ResourceTemplateReference(type="ref/resource", uri="server://{id}")
        found = await client.complete(template, {"name": "id", "value": "b-1"})
        assert found.completion.values == ["db-1", "web-1"]


async def test_many_long_queries_leave_room_for_the_facts() -> None:
    long = " or ".join(f'avg by (instance) (some_exporter_{i}_metric{{instance=~"a|b"}})' for i in range(10))
    proofs = (*PROOF, *(Evidence(f"{long} > {i}", NOW, age_s=3.0) for i in range(12)))
    rows = tuple((f"web-{i}", "web", i / 3) for i in range(20))
    client, _ = served(Reading("Twenty.", proofs, ("server", "type", "cpu"), rows, total=20))
    async with client:
        result = await client.call_tool("list_servers")
    body = result.structured_content
    assert len(body["rows"]) == 20
    assert len(body["evidence"]["also"]) + body["evidence"]["left_out"] == 12
    assert all(item.keys() == {"query"} for item in body["evidence"]["also"])
    assert tokens(result.content[0].text) <= 1500


async def test_uneven_points_and_hostile_labels_stay_one_line_a_series() -> None:
    series = ({"server": "web-1", "labels": {"path": "/a\nb"}, "points": [[NOW, 1.0], [NOW + 7, None], [NOW + 61, 2]]},)
    client, _ = served(Reading("s", PROOF, series=series, total=1))
    async with client:
        result = await client.call_tool("find_anomalies")
    line = 'web-1 path="/a b" from 2025-11-24T16:00:00Z, seconds after it and value: +0 1, +7 –, +61 2'
    assert line in result.content[0].text.splitlines()
