"""The kinds of failure that a simulated fleet can play: what each does to which server, how much and how much later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from monitoring.simulator.servers import Role

Knob = Literal[
    "traffic", "cpu", "steal", "memory", "disk", "iowait", "latency", "errors", "connections", "loss", "down"
]
"""What a failure turns on a server: traffic and latency by a factor (1 doubles them), the others by a share added."""
Place = Literal["self", "peers", "callers", "outer", "callees", "below"]
"""Where a server stands from the failing one: same type and cell; those that call it; their callers; and downwards."""

SHOWS: Mapping[Knob, Mapping[Role | Literal["*"], str]] = {
    "traffic": {"web": "requests", "api": "requests", "db": "transactions", "cache": "requests", "queue": "queue"},
    "cpu": {"*": "cpu"},
    "steal": {"*": "cpu"},
    "memory": {"*": "memory"},
    "disk": {"*": "disk"},
    "iowait": {"*": "iowait"},
    "latency": {"web": "latency", "api": "latency"},
    "errors": {"web": "errors", "api": "errors"},
    "connections": {"db": "connections", "cache": "connections"},
    "loss": {"*": "network_errors"},
    "down": {"*": "up"},
}
"""The concept of the catalogue in which a knob shows, by role; nothing where the role has no such concept."""


class Step(NamedTuple):
    """One thing that a failure does. Minutes; `after` and plays begin on whole ones, so that onsets are exact.

    `grows`: slowly over the whole duration, gone at its end.
    """

    place: Place
    knob: Knob
    size: float
    after: int = 0
    passage: float = 2.0
    grows: bool = False
    shown: bool = True
    """Large enough that a perfect answer would name it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of failure. `truth` is a sentence with {server} in it."""

    name: str
    concept: str
    """In which its cause shows."""
    roles: tuple[Role, ...]
    """Where it can begin; the first is the usual one."""
    minutes: int
    truth: str
    steps: tuple[Step, ...]
    together: bool = False
    """The servers of that type are hit at the same time: each of them is the cause."""


_KINDS = (
    Kind(
        "memory_leak",
        "memory",
        ("api", "web", "batch"),
        540,
        "A process on {server} leaks memory until it is restarted.",
        (Step("self", "memory", 0.42, grows=True), Step("self", "cpu", 0.04, grows=True, shown=False)),
    ),
    Kind(
        "disk_fill",
        "disk",
        ("batch", "db", "queue"),
        840,
        "Output that nobody removes fills the data disk of {server} until it is cleaned up.",
        (Step("self", "disk", 0.5, grows=True), Step("self", "iowait", 0.02, passage=10, shown=False)),
    ),
    Kind(
        "traffic_surge",
        "requests",
        ("web",),
        60,
        "Far more people than usual come to the web servers around {server}; what stands behind them slows down.",
        (
            *(Step(place, "traffic", 1.3, passage=6) for place in ("self", "peers")),
            *(Step(place, "latency", 0.9, passage=6) for place in ("self", "peers")),
            Step("callees", "traffic", 1.2, after=1, passage=6),
            Step("callees", "latency", 1.3, after=1, passage=6),
            Step("below", "traffic", 1.0, after=2, passage=6),
        ),
        together=True,
    ),
    Kind(
        "db_saturation",
        "connections",
        ("db",),
        50,
        "{server} runs out of connections; the api servers wait for it and the web servers answer with errors.",
        (
            Step("self", "connections", 1.0, passage=3),
            Step("self", "cpu", 0.45, passage=3),
            Step("self", "iowait", 0.1, passage=3),
            Step("self", "traffic", -0.5, after=1, passage=3),
            Step("self", "errors", 0.05, after=1, passage=3),
            Step("callers", "latency", 14.0, after=1, passage=3),
            Step("callers", "errors", 0.025, after=2, passage=3),
            Step("outer", "latency", 4.0, after=2, passage=3),
            Step("outer", "errors", 0.085, after=2, passage=3),
        ),
    ),
    Kind(
        "network_loss",
        "network_errors",
        ("cache", "db", "api", "queue"),
        30,
        "{server} loses packets; whoever calls it waits.",
        (
            Step("self", "loss", 0.6, passage=1),
            Step("self", "latency", 2.0, passage=1),
            Step("callers", "latency", 3.0, after=1, passage=1),
            Step("callers", "errors", 0.03, after=2, passage=1),
            Step("outer", "latency", 1.2, after=2, passage=1),
        ),
    ),
    Kind(
        "host_down",
        "up",
        ("batch", "cache", "db", "api", "web", "queue"),
        15,
        "{server} does not answer at all.",
        (
            Step("self", "down", 1.0, passage=0),
            Step("peers", "traffic", 0.5, after=1, passage=1, shown=False),
            Step("callers", "errors", 0.08, after=1, passage=1),
            Step("callers", "latency", 1.5, after=1, passage=1),
            Step("outer", "errors", 0.05, after=2, passage=1),
        ),
    ),
    Kind(
        "noisy_neighbour",
        "cpu",
        ("db", "api", "web"),
        90,
        "Another virtual machine takes processor time from {server}.",
        (
            Step("self", "steal", 0.38, passage=2),
            Step("self", "latency", 1.8, passage=2),
            Step("callers", "latency", 1.4, after=1, passage=2),
            Step("outer", "latency", 0.6, after=2, passage=2, shown=False),
        ),
    ),
    Kind(
        "bad_deploy",
        "errors",
        ("api", "web"),
        40,
        "A new version on {server} fails on some requests and is slower, until it is rolled back.",
        (
            Step("self", "errors", 0.12, passage=1),
            Step("self", "latency", 1.3, passage=1),
            Step("self", "cpu", 0.14, passage=1),
            Step("callers", "errors", 0.04, after=1, passage=1),
            Step("callers", "latency", 0.5, after=1, passage=1, shown=False),
        ),
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}


def shows(knob: Knob, role: Role) -> str | None:
    """The concept in which a knob shows on a server of that role; None where it shows in none.

    >>> shows("traffic", "db"), shows("latency", "batch")
    ('transactions', None)
    """
    found = SHOWS[knob]
    return found.get(role, found.get("*"))
