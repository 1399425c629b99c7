"""How things are: the fleet, one server, what is firing, which servers there are."""

from __future__ import annotations

import re
from typing import Any

from assistant.desk import Desk, cite, rows
from assistant.query import Draft, Language, Query
from assistant.wording import state as words
from assistant.wording.phrases import say

OFTEN = re.compile(r"how often|how many times|몇 ?번|얼마나 자주", re.IGNORECASE)


async def overview(query: Query, desk: Desk) -> Draft:
    """The state of the fleet, or of one type: what needs attention first."""
    result = await desk.call("fleet_summary")
    details = result["details"]
    chosen = set(desk.inventory.of_type(query.group)) if query.group else set(desk.inventory.servers)
    bad = [s for s in details["states"] if s["server"] in chosen]
    if not desk.inventory.servers:
        return Draft(words.nothing_connected(query.language), "no_data")
    text = words.overview(bad, len(chosen), query.group, details["means"], desk, query.language)
    return Draft(text, evidence=cite(result), mentioned=tuple(s["server"] for s in bad))


async def detail(query: Query, desk: Desk) -> Draft:
    """Every value of the named servers."""
    texts: list[str] = []
    evidence: list[dict[str, Any]] = []
    for server in query.servers[:5]:
        result = await desk.call("get_server", server=server)
        texts.append(words.detail(server, result["details"], rows(result), desk, query.language))
        evidence += cite(result)
    return Draft("\n\n".join(texts), evidence=evidence, mentioned=query.servers)


async def alerts(query: Query, desk: Desk) -> Draft:
    """What is firing now, or fired in the asked time."""
    if query.time is not None and query.time.kind == "span" and query.time.end is not None:
        window = f"{query.time.start.timestamp():.0f}/{query.time.end.timestamp():.0f}"
        result = await desk.call("list_alerts", state="all", window=window, limit=100)
    else:
        result = await desk.call("list_alerts", limit=100)
    found = [row for row in _named(rows(result), query.text) if _wanted(row, query, desk)]
    if query.language == "ko":
        korean = result.get("details", {}).get("korean", {})
        found = [{**row, "summary": korean.get(row.get("summary"), row.get("summary"))} for row in found]
    counted = OFTEN.search(query.text) is not None
    text = words.alerts(found, query.time, desk, query.language, counted=counted)
    servers = dict.fromkeys(row["server"] for row in found if row["server"])
    return Draft(text, evidence=cite(result), mentioned=tuple(servers))


async def listed(query: Query, desk: Desk) -> Draft:
    """Which servers there are, of a type or a status."""
    status = None if query.status == "up" else query.status
    result = await desk.call("list_servers", sort="name", status=status, limit=100)
    kind = set(desk.inventory.of_type(query.group)) if query.group else None
    found = [row for row in rows(result) if kind is None or row["server"] in kind]
    if query.status == "up":
        found = [row for row in found if row["status"] != "offline"]
    text = words.listed(found, query, desk)
    if query.status == "offline" and found:
        gone = await desk.call("list_alerts", severity="critical", limit=100)
        text += "\n" + words.gone([r for r in rows(gone) if r["concept"] == "up"], desk, query.language)
        return Draft(text, evidence=cite(result, gone), mentioned=tuple(str(r["server"]) for r in found))
    return Draft(text, evidence=cite(result), mentioned=tuple(str(row["server"]) for row in found))


def clarify_server(query: Query) -> Draft:
    """Names the servers that are not there and offers the closest; gives no figure."""
    lines = [words.unknown_server(name, closest, query.language) for name, closest in query.unknown]
    choices = [c for _, closest in query.unknown for c in closest][:3]
    again = [query.text.replace(query.unknown[0][0], choice) for choice in choices]
    return Draft(" ".join(lines), "clarify", suggestions=again)


def not_reported(concepts: list[str], query: Query, desk: Desk) -> Draft:
    """Says that a concept is not measured there, and what is."""
    names = [desk.concept(c).title[query.language] for c in concepts]
    there = _reported(query.servers, desk, query.language)
    who, what, known = ", ".join(query.servers), ", ".join(names), ", ".join(there)
    text = say(
        query.language,
        f"Nothing measures {what}{f' on {who}' if who else ' here'}. What there is: {known}.",
        f"{who + '에는 ' if who else ''}{what} 지표가 수집되지 않습니다. 수집되는 지표: {known}.",
    )
    return Draft(text, "no_data")


def _reported(servers: tuple[str, ...], desk: Desk, language: Language) -> list[str]:
    return [
        concept.title[language]
        for name, concept in desk.catalog.concepts.items()
        if name != "up" and desk.expression(name, servers or None)
    ]


def _named(found: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The alerts of the rules that the question names; all where it names none."""
    said = text.casefold()
    names = {row["alert"] for row in found if re.search(rf"(?<!\w){re.escape(row['alert'].casefold())}(?!\w)", said)}
    return [row for row in found if not names or row["alert"] in names]


def _wanted(row: dict[str, Any], query: Query, desk: Desk) -> bool:
    if query.servers and row["server"] not in query.servers:
        return False
    if query.group and row["server"] not in desk.inventory.of_type(query.group):
        return False
    if row["concept"] not in desk.catalog.concepts and row["alert"].casefold() in query.text.casefold():
        return True  # named as a rule; a word of its name may be that of a concept
    return not query.concepts or row["concept"] in query.concepts
