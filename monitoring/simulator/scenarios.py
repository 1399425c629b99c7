"""What a fleet plays and when, with the truth about it: which server failed first, and who followed, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitoring.errors import BadQuery
from monitoring.simulator.kinds import KINDS, Kind, Knob, Place, Step, shows
from monitoring.simulator.servers import Role, SimulatedServer, edges
from monitoring.simulator.shapes import CYCLE, Floats

HOUR = 60
Strain = Mapping[Knob, Floats]
"""How far each knob of one server is turned, by minute; a knob that nobody turns is not in it."""


@dataclass(frozen=True, slots=True)
class Play:
    """One failure on one server. Unix seconds; `start` is a whole minute; `strength` scales all that it does."""

    kind: str
    server: str
    start: float
    duration_s: float
    strength: float = 1.0
    ended: float | None = None
    """Where it was stopped before its time."""

    @property
    def end(self) -> float:
        """When it ends or ended."""
        planned = self.start + self.duration_s
        return planned if self.ended is None else min(planned, self.ended)

    @property
    def id(self) -> str:
        """Its name among all that is ever played."""
        return f"{self.kind}/{self.server}@{self.start:.0f}"


class Event(NamedTuple):
    """A concept of a server begins to leave its normal (Unix seconds)."""

    time: float
    server: str
    concept: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One play and what a perfect answer about it would say."""

    play: Play
    kind: Kind
    causes: tuple[tuple[str, str], ...]
    """(server, concept); of several, each is a right answer."""
    events: tuple[Event, ...]
    """What failed, in the order in which it did; the cause first."""

    @property
    def start(self) -> float:
        return self.play.start

    @property
    def end(self) -> float:
        return self.play.end

    @property
    def truth(self) -> str:
        """The cause in a sentence."""
        return self.kind.truth.format(server=self.play.server)


@dataclass(frozen=True, slots=True)
class Recurring:
    """A failure that comes back every `period` minutes, each time on the next server of a role, the `k`-th first.

    Periods divide the cycle of 28 days but not the day, so that none becomes an hour's habit.
    """

    kind: str
    role: Role
    k: int
    period: int
    offset: int
    minutes: int

    def server(self, servers: Sequence[str], number: int) -> str:
        """The server of the occurrence of that number, the same in every cycle."""
        return servers[(self.k + number % (CYCLE // self.period)) % len(servers)]


SCHEDULE = (
    Recurring("memory_leak", "api", 1, 630, 0, 9 * HOUR),
    Recurring("disk_fill", "batch", 0, 21 * HOUR, 9 * HOUR, 14 * HOUR),
    Recurring("db_saturation", "db", 0, 28 * HOUR, 2 * HOUR, 50),
    Recurring("bad_deploy", "api", 2, 42 * HOUR, 17 * HOUR, 40),
    Recurring("noisy_neighbour", "db", 1, 32 * HOUR, 6 * HOUR, 90),
    Recurring("traffic_surge", "web", 0, 84 * HOUR, 20 * HOUR, 45),
    Recurring("network_loss", "cache", 0, 56 * HOUR, 31 * HOUR, 25),
    Recurring("host_down", "batch", 2, 4480, 50 * HOUR, 12),
)
"""What the demo plays by itself: at least one at any time, but what people feel only once or twice a day, so that it
becomes no habit of its server."""


class Stage:
    """The servers, who calls whom, and who stands where when one of them fails."""

    def __init__(self, servers: Mapping[str, SimulatedServer]) -> None:
        self.servers = servers
        self.edges = edges(servers)
        self._calls: dict[str, set[str]] = {name: set() for name in servers}
        self._called_by: dict[str, set[str]] = {name: set() for name in servers}
        for caller, callee in self.edges:
            self._calls[caller].add(callee)
            self._called_by[callee].add(caller)
        self._places: dict[str, dict[str, Place]] = {}

    def places(self, origin: str) -> dict[str, Place]:
        """Server → its place, for all that the failure of `origin` can reach. Raises KeyError for an unknown server."""
        if origin not in self._places:
            self._places[origin] = self._placed(origin)
        return self._places[origin]

    def _placed(self, origin: str) -> dict[str, Place]:
        first = self.servers[origin]
        callers, callees = self._called_by[origin], self._calls[origin]
        rings: tuple[tuple[Place, set[str]], ...] = (
            ("below", _union(self._calls, callees)),
            ("outer", _union(self._called_by, callers)),
            ("callees", callees),
            ("callers", callers),
            ("peers", {s.name for s in self.servers.values() if (s.role, s.cell) == (first.role, first.cell)}),
            ("self", {origin}),
        )
        return {name: place for place, names in rings for name in sorted(names)}

    def recurring(self, start: float, end: float, epoch: float) -> Iterator[Play]:
        """Every play of the schedule that is under way at some time from `start` to `end` (Unix seconds)."""
        for one in SCHEDULE:
            own = [s.name for s in self.servers.values() if (s.role, s.cell) == (one.role, 0)]
            first = epoch + one.offset * 60
            period, duration = one.period * 60, one.minutes * 60
            number = int((start - duration - first) // period) + 1
            while (begins := first + number * period) <= end:
                yield Play(one.kind, one.server(own, number), begins, duration)
                number += 1

    def started(
        self, kind: str, start: float, server: str | None = None, minutes: float | None = None, strength: float = 1.0
    ) -> Play:
        """A play from the first whole minute from `start` on; without `server` on the usual one. Raises BadQuery."""
        known = KINDS.get(kind)
        usual = next((s.name for s in self.servers.values() if known and s.role == known.roles[0]), "")
        duration = (minutes or (known.minutes if known else 0)) * 60.0
        play = Play(kind, server or usual, -(-start // 60) * 60, duration, strength)
        self.check(play)
        return play

    def check(self, play: Play) -> None:
        """Raises BadQuery, with what there is instead, for a play that these servers cannot give."""
        if play.kind not in KINDS:
            raise BadQuery(f"no scenario named '{play.kind}'; there are {', '.join(KINDS)}")
        if play.server not in self.servers:
            raise BadQuery(f"no simulated server '{play.server}'; there are {', '.join(self.servers)}")
        roles = KINDS[play.kind].roles
        if self.servers[play.server].role not in roles:
            raise BadQuery(
                f"'{play.kind}' cannot begin on '{play.server}'; it can on servers of type {', '.join(roles)}"
            )

    def steps(self, play: Play) -> Iterator[tuple[str, Step]]:
        """(server, step) of all that a play does."""
        places = self.places(play.server)
        for step in KINDS[play.kind].steps:
            yield from ((name, step) for name, place in places.items() if place == step.place)

    def strain(self, plays: Sequence[Play], server: str, minutes: Floats) -> Strain:
        """What all plays together do to a server at `minutes` (Unix seconds / 60)."""
        found: dict[Knob, Floats] = {}
        for play in plays:
            place = self.places(play.server).get(server)
            for step in KINDS[play.kind].steps:
                if step.place == place:
                    turned = play.strength * step.size * _course(play, step, minutes)
                    found[step.knob] = found.get(step.knob, 0.0) + turned
        return found

    def down(self, plays: Sequence[Play], server: str, times: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """True where the server does not answer, for each of `times` (Unix seconds)."""
        found = np.zeros(len(times), dtype=np.bool_)
        for play in plays:
            if play.server == server and any(step.knob == "down" for step in KINDS[play.kind].steps):
                found |= (times >= play.start) & (times < play.end)
        return found

    def incident(self, play: Play) -> Incident:
        """The truth about a play."""
        kind = KINDS[play.kind]
        seen: dict[tuple[str, str], float] = {}
        for name, step in self.steps(play):
            concept, time = shows(step.knob, self.servers[name].role), play.start + step.after * 60
            if concept is not None and step.shown and time < play.end:
                seen[name, concept] = min(time, seen.get((name, concept), time))
        hit = [name for name, place in self.places(play.server).items() if kind.together and place == "peers"]
        causes = tuple((name, kind.concept) for name in (play.server, *hit))
        order = sorted(seen, key=lambda one: (seen[one], one not in causes, one))
        return Incident(play, kind, causes, tuple(Event(seen[one], *one) for one in order))


def _union(of: Mapping[str, set[str]], names: set[str]) -> set[str]:
    return {other for name in names for other in of[name]}


def _course(play: Play, step: Step, minutes: Floats) -> Floats:
    """0 to 1: how far a step has come at each minute. After the end it falls as it rose; what grows falls at once."""
    since = minutes - (play.start / 60 + step.after)
    length = (play.end - play.start) / 60 - step.after
    if length <= 0:
        return np.zeros(len(minutes))
    if step.grows:
        return np.where((since >= 0) & (since < length), since * 60 / play.duration_s, 0.0)
    passage = max(step.passage, 1e-9)
    return np.minimum(since / passage, 1 - (since - length) / passage).clip(0.0, 1.0)
