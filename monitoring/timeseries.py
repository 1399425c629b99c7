"""Series of servers over a stretch of time: which queries they take, and what a chart needs of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.errors import BadQuery
from monitoring.inventory import IDENTITY, Inventory
from monitoring.model import Matrix
from monitoring.queries import FleetQueries
from monitoring.ranges import AGGREGATES
from monitoring.windows import duration, moment, seconds, span

MOST_POINTS = 1_000
MOST_IDS, MOST_METRICS = 100, 20
STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
Asked = tuple[str, float, float, float]
"""Query, start, end, step."""


@dataclass(frozen=True, slots=True)
class SeriesQuestion:
    """What is asked for; texts as the caller wrote them. `end` defaults to now, the start to an hour before it."""

    servers: tuple[str, ...]
    metrics: tuple[str, ...]
    window: str | None = None
    start: str | None = None
    end: str | None = None
    step: str | None = None
    agg: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """The queries of a question: (metric, its unit, what to read)."""

    asked: tuple[tuple[str, str, Asked], ...]
    agg: str | None
    step_raised: bool
    """The step that was asked for would have given too many points."""

    def reads(self) -> list[Asked]:
        """What is to be read, all at once."""
        return [read for _, _, read in self.asked]


async def plan_series(queries: FleetQueries, question: SeriesQuestion, now: float) -> SeriesPlan:
    """The plan of a question. Raises BadQuery, UnknownServer, UnknownMetric."""
    if not question.metrics or len(question.metrics) > MOST_METRICS:
        raise BadQuery(f"name 1 to {MOST_METRICS} metrics, for example metric=cpu,memory")
    if len(question.servers) > MOST_IDS:
        raise BadQuery(f"at most {MOST_IDS} servers at once; {len(question.servers)} were named")
    if question.agg is not None and question.agg not in AGGREGATES:
        raise BadQuery(f"no aggregate '{question.agg}'; there are {', '.join(AGGREGATES)}")
    inventory = await queries.inventory()
    ids = [inventory.resolve(name).id for name in question.servers]
    start, end = _span(question, now)
    wanted = None if question.step is None else seconds(question.step)
    step = step_within(end - start, wanted)
    start = -(-start // step) * step
    if start > end:
        start = end
    asked = []
    for metric in question.metrics:
        query, concept = queries.promql(metric, inventory, ids)
        if question.agg:
            query = AGGREGATES[question.agg].format(_window(query, step))
        asked.append((metric, concept.unit if concept else "number", (query, start, end, step)))
    return SeriesPlan(tuple(asked), question.agg, wanted is not None and step > wanted)


def series_data(plan: SeriesPlan, matrices: Sequence[Matrix], inventory: Inventory) -> dict[str, Any]:
    """The series of a plan as `/api/metrics/timeseries` gives them: times once, a gap as null."""
    first = matrices[0]
    series = [
        {
            "server": inventory.server_of(labels),
            "metric": metric,
            "unit": unit,
            "labels": {k: v for k, v in labels.items() if k not in IDENTITY and k != "__name__"},
            "values": values,
        }
        for (metric, unit, _), matrix in zip(plan.asked, matrices, strict=True)
        for labels, values in zip(matrix.labels, matrix.values, strict=True)
    ]
    ages = [matrix.age_s for matrix in matrices if matrix.age_s is not None]
    return {
        "start": first.start,
        "end": first.end,
        "step": first.step,
        "step_raised": plan.step_raised,
        "agg": plan.agg,
        "times": first.times,
        "series": series,
        "queries": [{"metric": metric, "query": read[0]} for metric, _, read in plan.asked],
        "age_s": min(ages, default=None),
        "source": first.source,
    }


def step_within(length_s: float, wanted_s: float | None = None) -> float:
    """The wanted step, or a round one that cuts the length into about 240; raised where it gave over 1,000 points.

    >>> step_within(3600), step_within(86_400), step_within(86_400 * 30, 15), step_within(600, 7)
    (15, 600, 3600, 7)
    """
    if wanted_s is not None and wanted_s <= 0:
        raise BadQuery("the step must be longer than 0 s")
    if wanted_s is not None and length_s / wanted_s < MOST_POINTS:
        return int(wanted_s) if wanted_s == int(wanted_s) else wanted_s
    least = length_s / (240 if wanted_s is None else MOST_POINTS - 1)
    return next((step for step in STEPS if step >= least), int(least) + 1)


def _span(question: SeriesQuestion, now: float) -> tuple[float, float]:
    if question.start is None:
        return span(question.window or "1h", now if question.end is None else moment(question.end))
    if question.window is not None:
        raise BadQuery("give either a window or a start, not both")
    start, end = moment(question.start), now if question.end is None else moment(question.end)
    if start >= end:
        raise BadQuery(f"the start {question.start} is not before the end {question.end or 'now'}")
    return start, end


def _window(query: str, step: float) -> str:
    """The raw samples of one step where the query is a plain selector; else its values at every 15 s of it."""
    plain = not any(mark in query.partition("{")[0] for mark in "( +*/-") and query.count("{") <= 1
    plain = plain and " or " not in query
    return f"{query}[{duration(step)}]" if plain else f"({query})[{duration(step)}:{duration(min(step, 15))}]"
