"""What one question has at hand while it is being answered: the inventory, the tools, and how to cite them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.query import Question
from assistant.ways import Trail, Ways
from monitoring.catalog import Catalog, Concept
from monitoring.expressions import covered, expression
from monitoring.forecasts import ForecastRecord
from monitoring.inventory import Inventory

MOST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Desk:
    """Handed to the function that answers one kind of question."""

    question: Question
    inventory: Inventory
    catalog: Catalog
    ways: Ways
    trail: Trail
    forecasts: ForecastRecord | None = None
    """Where what is said to come is kept; None where nothing is."""

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's result, as of the question's time unless `at` says otherwise."""
        return await self.ways.call(self.trail, tool, **{"at": self.question.now, **arguments})

    async def ask(self, promql: str, **arguments: Any) -> dict[str, Any]:
        """`query_metric` with PromQL."""
        return await self.call("query_metric", metric=promql, **arguments)

    def concept(self, name: str) -> Concept:
        """The concept of that name."""
        return self.catalog.concepts[name]

    def expression(self, concept: str, servers: Sequence[str] | None = None, **narrow: Any) -> str | None:
        """PromQL for the concept; None where none of `servers` (default: all) reports it."""
        return expression(self.concept(concept), self.inventory, servers, **narrow)

    def reporting(self, concept: str) -> set[str]:
        """The servers that report the concept."""
        return covered(self.concept(concept), self.inventory)

    def server_of(self, labels: dict[str, str]) -> str | None:
        """The server that a row speaks of."""
        return self.inventory.server_of(labels)


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a tool's result as dictionaries by column."""
    return [dict(zip(result["columns"], row, strict=True)) for row in result.get("rows", [])]


def series(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The series of a tool's result: server, labels, points."""
    found: list[dict[str, Any]] = result.get("series", [])
    return found


def cite(*results: dict[str, Any]) -> list[dict[str, Any]]:
    """Evidence items (CONTRACT) of tool results: each query that was run, the first with its rows."""
    items: list[dict[str, Any]] = []
    for result in results:
        first = {k: v for k, v in result["evidence"].items() if k not in ("also", "as_of")}
        if not first:
            continue
        table = {"columns": result.get("columns", []), "rows": result.get("rows", [])[:MOST_ROWS]}
        if "series" in result:
            table = {
                "columns": ["server", "points"],
                "rows": [[s["server"], len(s["points"])] for s in result["series"][:MOST_ROWS]],
            }
        items.append({**first, **table})
        items += [
            {**{k: v for k, v in also.items() if k != "as_of"}, "columns": [], "rows": []}
            for also in result["evidence"].get("also", [])
        ]
    return items
