"""Plugins of the simulated fleet: what they are, how they are found, and the three that ship.

A distribution of yours names its own in the entry point group `openmanager.plugins`; each entry is a class, or anything
that returns a plugin when called without arguments. A plugin that raises is left out of that round, logged and counted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

from monitoring.simulator.registry import Registry
from monitoring.simulator.scenarios import Play
from monitoring.simulator.servers import SimulatedServer, edges

log = logging.getLogger(__name__)
GROUP = "openmanager.plugins"
PREPARED_S = 3_600.0
"""How long before midnight the next day's curves are made."""


@dataclass(frozen=True, slots=True)
class FleetData:
    """What a simulated fleet is made of; each plugin returns it changed (`dataclasses.replace`)."""

    now: float
    """Unix seconds"""
    servers: Mapping[str, SimulatedServer]
    edges: tuple[tuple[str, str], ...] = ()
    """(caller, callee), shown as `server_depends_on`"""
    schedule: bool = False
    """Play the incidents that come back."""
    registry: Registry = ()
    """Metrics beside those of the types"""
    plays: tuple[Play, ...] = ()
    """What somebody started"""
    curves_until: float = 0.0
    """Up to when the baseline's curves are to be ready; later ones are made when they are needed."""


@runtime_checkable
class Plugin(Protocol):
    """Five members, called in this order: `initialize` once, `process` each minute, `cleanup` at the end."""

    name: str
    version: str

    async def initialize(self) -> None:
        """Opens what it needs."""
        ...

    async def process(self, data: FleetData) -> FleetData:
        """The fleet as it should be from now on; what the plugin before it returned goes in."""
        ...

    async def cleanup(self) -> None:
        """Closes what it opened."""
        ...


class _Quiet:
    """A plugin that has nothing to open."""

    version = "1.0"

    async def initialize(self) -> None:
        """Nothing to open."""

    async def cleanup(self) -> None:
        """Nothing to close."""


class NetworkTopology(_Quiet):
    """Says who depends on whom: web on api, api on database, cache and queue, batch on queue and database."""

    name = "network-topology"

    async def process(self, data: FleetData) -> FleetData:
        """With the edges of all servers."""
        return replace(data, edges=tuple(dict.fromkeys((*data.edges, *edges(data.servers)))))


class BaselineOptimizer(_Quiet):
    """Makes the next day's baseline before midnight, so that no tick waits for it; the old one is kept beside it."""

    name = "baseline-optimizer"

    async def process(self, data: FleetData) -> FleetData:
        """With curves up to an hour ahead."""
        return replace(data, curves_until=max(data.curves_until, data.now + PREPARED_S))


class DemoScenarios(_Quiet):
    """Plays the incidents that come back; without it the fleet has habits, but no failures of its own."""

    name = "demo-scenarios"

    async def process(self, data: FleetData) -> FleetData:
        """With the schedule."""
        return replace(data, schedule=True)


BUILT_IN: tuple[Callable[[], Plugin], ...] = (NetworkTopology, BaselineOptimizer, DemoScenarios)


class Plugins:
    """All plugins in the order in which they are called: those that ship, then others by the name of their entry."""

    def __init__(self, disabled: Collection[str] = ()) -> None:
        """`disabled` are names that are left out."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """What went wrong, by plugin and what it was asked for: `load`, `initialize`, `process` or `cleanup`."""
        self._disabled = frozenset(disabled)
        self._all: list[Plugin] = []
        for make in BUILT_IN:
            self._add(make().name, make)
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            self._add(entry.name, partial(_loaded, entry))
        self._begun: list[Plugin] = []

    async def initialize(self) -> None:
        """Begins; a plugin that cannot is left out for good."""
        for plugin in self._all:
            if await self._contained(plugin.name, "initialize", plugin.initialize):
                self._begun.append(plugin)

    async def process(self, data: FleetData) -> FleetData:
        """What the plugins make of it, one after the other."""
        for plugin in self._begun:
            try:
                found = await plugin.process(data)
                if not isinstance(found, FleetData):
                    raise TypeError(f"process returned {type(found).__name__}, not FleetData")
                data = found
            except Exception:
                self._failed(plugin.name, "process")
        return data

    async def cleanup(self) -> None:
        """Ends, last in first out."""
        while self._begun:
            plugin = self._begun.pop()
            await self._contained(plugin.name, "cleanup", plugin.cleanup)

    def report(self) -> list[dict[str, Any]]:
        """Each plugin with its version, whether it runs, and how often it failed."""
        return [
            {
                "name": plugin.name,
                "version": plugin.version,
                "running": plugin in self._begun,
                "failures": sum(n for (name, _), n in self.failures.items() if name == plugin.name),
            }
            for plugin in self._all
        ]

    async def _contained(self, name: str, what: str, call: Callable[[], Awaitable[None]]) -> bool:
        try:
            await call()
        except Exception:
            self._failed(name, what)
            return False
        return True

    def _add(self, name: str, make: Callable[[], Plugin]) -> None:
        if name in self._disabled:
            return
        try:
            plugin = make()
            if not isinstance(plugin, Plugin):
                raise TypeError("a plugin has name, version, initialize, process and cleanup")
            if plugin.name in self._disabled:
                return
            if any(plugin.name == other.name for other in self._all):
                raise ValueError(f"there is a plugin '{plugin.name}' already")
        except Exception:
            self._failed(name, "load")
            return
        self._all.append(plugin)

    def _failed(self, name: str, what: str) -> None:
        """Called where an exception is handled: a plugin's mistake must not stop the fleet."""
        self.failures[name, what] += 1
        log.warning("plugin.failed name=%s at=%s", name, what, exc_info=True)


def _loaded(entry: EntryPoint) -> Plugin:
    made: Plugin = entry.load()()
    return made
