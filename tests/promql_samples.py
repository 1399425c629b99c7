"""Samples written as text, and queries over them that may read just what their plan asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monitoring.model import Selection, Series
from monitoring.promql import Result, plan, run
from monitoring.promql.select import compile_matchers

Data = Mapping[str, Sequence[float | None]]
"""Selector text (`metric{a="b"}`) to values at 0 s, 60 s, 120 s, …; None is a gap."""


def stored(data: Data, step_s: int = 60) -> list[Series]:
    series = []
    for selector, values in data.items():
        (selection,) = plan(selector, 0, 0, 1).selections
        labels = {matcher.name: matcher.value for matcher in selection.matchers}
        times = [k * step_s * 1000 for k, value in enumerate(values) if value is not None]
        numbers = [value for value in values if value is not None]
        series.append(Series(labels, np.array(times, dtype=np.int64), np.array(numbers, dtype=np.float64)))
    return series


def ask(data: Data, query: str, start_s: float, end_s: float | None = None, step_s: float = 60) -> Result:
    end = start_s if end_s is None else end_s
    planned = plan(query, round(start_s * 1000), round(end * 1000), round(step_s * 1000))
    series = stored(data)
    return run(planned, [_read(series, selection) for selection in planned.selections])


def at(data: Data, query: str, time_s: float) -> dict[str, float]:
    """The vector (or scalar) at one time, by its labels as text."""
    result = ask(data, query, time_s)
    texts = [",".join(f"{name}={value}" for name, value in sorted(labels.items())) for labels in result.labels]
    return dict(zip(texts, result.values[:, 0].tolist(), strict=True))


def _read(series: Sequence[Series], selection: Selection) -> list[Series]:
    wanted = compile_matchers(selection.matchers)
    found = []
    for one in series:
        inside = (one.times_ms >= selection.start_ms) & (one.times_ms <= selection.end_ms)
        if wanted(one.labels) and inside.any():
            found.append(Series(one.labels, one.times_ms[inside], one.values[inside]))
    return found
