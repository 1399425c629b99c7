"""Whether a value is normal for its server at its hour: the kept baseline says, or history where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engines.habit import Habit
from monitoring.analysis import Track
from monitoring.baselines import ServerBaseline, band
from monitoring.catalog import Catalog
from monitoring.windows import rfc3339

LATEST_S = 900.0
"""A value is present if it is not older."""


def normal(
    tracks: Sequence[Track], kept: Mapping[str, ServerBaseline], catalog: Catalog, start: float, end: float
) -> list[dict[str, Any]]:
    """The value of each series at `end` and its band at that time; None for a value that is not there.

    Where no version of the baselines knows the series, its history before `start` gives the band, without `version`.
    """
    found = []
    for track in tracks:
        saved = kept.get(track.server or "")
        known = saved.find(track.concept, track.part) if saved else None
        before = track.times < start
        habit = known.habit if known else Habit.fit(track.times[before], track.values[before])
        if habit is None:
            continue
        within = band(habit, track.concept, catalog, end)
        version = saved.version if saved and known else None
        fitted = rfc3339(saved.fitted) if saved and known else None
        names = {"server": track.server, "concept": track.concept, "part": track.part}
        row = {**names, "value": _latest(track, end), **within._asdict(), "days": round(habit.base.days, 2)}
        found.append({**row, "version": version, "fitted": fitted})
    return found


def _latest(track: Track, end: float) -> float | None:
    recent = track.values[(track.times > end - LATEST_S) & np.isfinite(track.values)]
    return float(recent[-1]) if len(recent) else None
