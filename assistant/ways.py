"""The three ways to a reading, in order: by the MCP tool, by the same query without it, from memory.

Each fall lands in the answer as (way, named cause), in a counter and in one log line. A caller's mistake falls nowhere.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from assistant.mcp_client import ToolFailed
from assistant.query import Way
from monitoring.errors import BackendUnavailable, BadQuery, QueryTooExpensive, StoreUnavailable
from monitoring.queries import FleetQueries

log = logging.getLogger(__name__)
ORDER: tuple[Way, ...] = ("mcp", "direct", "basic")
fallbacks_total: Counter[tuple[str, str]] = Counter()
"""(way that failed, cause) → how often."""


class Tools(Protocol):
    """What the engine needs of an MCP client."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]: ...


class NothingAnswers(Exception):
    """No way gave a reading, not even memory."""


@dataclass(slots=True)
class Trail:
    """What was really done for one question: the steps, the falls, the lowest way used."""

    way: Way = "mcp"
    steps: list[dict[str, Any]] = field(default_factory=list)
    fallbacks: list[dict[str, str]] = field(default_factory=list)
    watch: Callable[[dict[str, Any]], Awaitable[None]] | None = None

    async def step(self, name: str, detail: str, seconds: float, status: str = "done", **more: Any) -> None:
        """Records a step and shows it to whoever watches."""
        done = {"name": name, "detail": detail, "ms": round(seconds * 1000, 2), "status": status, **more}
        self.steps.append(done)
        if self.watch:
            await self.watch(done)

    def fell(self, way: Way, cause: str) -> None:
        """Records that `way` failed by `cause`."""
        if not any(f["way"] == way for f in self.fallbacks):
            self.fallbacks.append({"way": way, "cause": cause})
            fallbacks_total[way, cause] += 1
            log.warning("answer.fallback way=%s cause=%s", way, cause)
        self.way = ORDER[max(ORDER.index(way) + 1, ORDER.index(self.way))]


class Ways:
    """Calls a tool by the first way that works. `tools` is None where there is no MCP server."""

    def __init__(
        self,
        tools: Tools | None,
        direct: FleetQueries,
        memory: FleetQueries,
        newest: Callable[[], float | None],
    ) -> None:
        """`newest` is the time of the newest sample in memory: what memory says is as of then."""
        self._newest = newest
        self._tools = tools
        self._direct = direct
        self._memory = memory

    @property
    def first(self) -> Way:
        """The way that a question begins with: there may be no MCP server beside us, as within one."""
        return "direct" if self._tools is None else "mcp"

    async def call(self, trail: Trail, tool: str, **arguments: Any) -> dict[str, Any]:
        """The tool's result (a reading's JSON). Raises BadQuery and its kin for the asker's mistakes."""
        arguments = {name: value for name, value in arguments.items() if value is not None}
        for way in ORDER[ORDER.index(trail.way) :]:
            started = time.perf_counter()
            try:
                result = await self._by(way, tool, arguments)
            except (ToolFailed, StoreUnavailable, BackendUnavailable) as error:
                took = time.perf_counter() - started
                await trail.step(tool, f"{way} failed: {error.cause}", took, "failed", way=way, arguments=arguments)
                if way == "basic":
                    raise NothingAnswers(error.cause) from error
                trail.fell(way, error.cause)
            except (BadQuery, QueryTooExpensive):
                await trail.step(tool, "refused", time.perf_counter() - started, "failed", way=way, arguments=arguments)
                raise
            else:
                took = time.perf_counter() - started
                await trail.step(tool, result["summary"], took, way=way, arguments=arguments)
                return result
        raise AssertionError("the last way returns or raises")

    async def _by(self, way: Way, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if way == "mcp":
            if self._tools is None:
                raise ToolFailed("absent")
            return await self._tools.call(tool, arguments)
        queries = self._direct if way == "direct" else self._memory
        if way == "basic":
            if (newest := self._newest()) is None:
                raise StoreUnavailable("nothing_remembered", "nothing was read before the store went away")
            arguments = {**arguments, "at": min(arguments.get("at", newest), newest)}
        reading = await getattr(queries, tool)(**arguments)
        body: dict[str, Any] = reading.to_json()
        return body
