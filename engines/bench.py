"""What the scorer of the engines calls: the product's own functions, on arrays from anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.baseline import DAY_S, Floats
from engines.departures import blame, by_node, oddness
from engines.forecast import time_to
from engines.host_anomaly import judge
from engines.surprise import surprises, told

LESS_IS_WORSE = ("avail", "success", "free")
NEUTRAL = ("request", "count", "traffic")
BLAMED = 10


def detect(
    t: Floats, x: Floats, names: Sequence[str], train_rows: int
) -> tuple[Floats, NDArray[np.bool_], list[list[str]]]:
    """For each row of x [n, metrics]: a score of 0 to 1 (NaN missing), whether it raises an alarm, and whom to blame.

    Row i depends on rows up to i alone. Rows are taken as evenly spaced; the first `train_rows` as mostly normal.
    """
    if x.shape[1] == 1:
        score, alarm = told(surprises(x)[:, 0])
        return score, alarm, [list(names)] * len(x)
    judged = judge(t, x, train_rows)
    return judged.score, judged.alarm, [[names[i] for i in row[:BLAMED]] for row in judged.blamed.tolist()]


def forecast(t: Floats, y: Floats, capacity: float) -> dict[str, float]:
    """Seconds until `y` (at Unix seconds `t`, NaN missing) reaches `capacity`: likely, earliest, latest; inf: never."""
    found = time_to(t, y, capacity, 365 * DAY_S)
    now = float(t[-1])
    said = {"eta_s": found.at, "lo_s": found.low, "hi_s": found.high}
    return {name: np.inf if at is None else at - now for name, at in said.items()}


def rank(
    t: Floats, x: Floats, columns: Sequence[str], onset_row: int, edges: Sequence[tuple[str, str]], symptom: str
) -> list[str]:
    """The nodes of `columns` ("node|metric|statistic"), likeliest cause of `symptom` since `onset_row` first."""
    odd = oddness(np.asarray(x, dtype=np.float64), onset_row, np.array([_worse(column) for column in columns]))
    return list(blame(by_node(columns, odd), edges, symptom.split("|", 1)[0]))


def _worse(column: str) -> float:
    metric = column.split("|")[1].lower()
    if any(word in metric for word in NEUTRAL):
        return 0.0
    return -1.0 if any(word in metric for word in LESS_IS_WORSE) else 1.0
