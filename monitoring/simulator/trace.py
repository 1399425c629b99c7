"""Series of a simulated fleet as arrays, without HTTP and without a store: for scoring engines against known truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monitoring.simulator.concepts import concepts
from monitoring.simulator.kinds import KINDS
from monitoring.simulator.models import Hours, behave
from monitoring.simulator.scenarios import Incident, Play, Stage
from monitoring.simulator.servers import fleet_of
from monitoring.simulator.shapes import EPOCH, Floats, jitter, pick

_FUZZ = 0.01
"""Each sample is off by up to 1 %, as a gauge read at one moment is."""


class Trace(NamedTuple):
    """What was measured, and the truth about it."""

    times: Floats
    """Unix seconds [time]"""
    names: tuple[tuple[str, str], ...]
    """(server, concept as the catalogue names it) of each column"""
    values: Floats
    """[time × series] in the catalogue's units; NaN where a server does not answer"""
    incidents: tuple[Incident, ...]
    """By start; each knows its causes and the order in which others followed"""
    edges: tuple[tuple[str, str], ...]
    """(caller, callee)"""


def trace(
    start: float, end: float, plays: Sequence[Play] = (), *, size: int = 20, seed: int = 1, step_s: float = 15.0
) -> Trace:
    """The fleet from `start` to `end` (Unix seconds) with these plays and no others, the same bytes each time.

    Raises ValueError where the fleet would be too small, KeyError for a play on a server that it has not.

    >>> quiet = trace(0.0, 600.0, size=6)
    >>> quiet.values.shape, quiet.names[0], quiet.incidents
    ((41, 70), ('web-01', 'cpu'), ())
    """
    stage, epoch = Stage(fleet_of(size)), int(EPOCH // 60)
    times = start + step_s * np.arange(int((end - start) // step_s) + 1, dtype=np.float64)
    minutes = np.arange(int(start // 60), int(end // 60) + 2, dtype=np.int64)
    before = (times // 60).astype(np.int64) - minutes[0]
    share = times / 60 - minutes[0] - before
    names: list[tuple[str, str]] = []
    columns: list[Floats] = []
    for name, server in stage.servers.items():
        strain = stage.strain(plays, name, minutes.astype(np.float64))
        curves = concepts(server, behave(Hours(server, seed, minutes - epoch, strain)))
        down = stage.down(plays, name, times)
        for concept, curve in curves.items():
            column = (curve[before] * (1 - share) + curve[before + 1] * share) * (
                1 + _FUZZ * jitter(times, f"{name}/{concept}", seed)
            )
            column[down] = np.nan
            names.append((name, concept))
            columns.append(np.asarray(column, dtype=np.float64))
        names.append((name, "up"))
        columns.append(np.asarray(~down, dtype=np.float64))
    played = sorted((stage.incident(play) for play in plays), key=lambda one: one.start)
    return Trace(times, tuple(names), np.stack(columns, axis=1), tuple(played), tuple(stage.edges))


def draw(kind: str, start: float, end: float, *, size: int = 20, seed: int = 1) -> Play:
    """A play of that kind, its server, moment and strength chosen by the seed, that begins and ends within the span.

    >>> draw("host_down", 0.0, 86_400.0, seed=3) == draw("host_down", 0.0, 86_400.0, seed=3)
    True
    """
    known = KINDS[kind]
    able = [server.name for server in fleet_of(size).values() if server.role in known.roles]
    server = able[int(pick(f"{kind}/server", seed, 0, len(able)))]
    duration = min(known.minutes * 60, (end - start) // 120 * 60)
    begins = -(-pick(f"{kind}/start", seed, start, end - duration) // 60) * 60
    return Play(kind, server, min(begins, end - duration), duration, pick(f"{kind}/strength", seed, 0.7, 1.2))
