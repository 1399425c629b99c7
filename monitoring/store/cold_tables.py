"""The cold store in SQL that SQLite and PostgreSQL share. A method is one query or one transaction."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from monitoring.store.cold_rows import (
    AlertRow,
    BaselineRow,
    Catalogued,
    ForecastRow,
    Rollup,
    ScenarioRun,
    Segment,
    ServerTemplate,
    Value,
)
from monitoring.store.cold_schema import Dialect

Row = Sequence[Any]

_HIGHEST = 2**31 - 1
"""Of groups and hours, in a column of 32 bits."""
_SUMMARY = "seg.metric, seg.hour, seg.grp, seg.generation, seg.count, seg.min, seg.max, seg.sum"
_GET = f"""SELECT {_SUMMARY}, seg.body FROM {{wanted}} AS w CROSS JOIN {{join}}"""
_MATCH = "seg.shard = $1 AND seg.metric = w.metric AND seg.hour = w.hour AND seg.grp >= w.low AND seg.grp <= w.high"
_SUMMARIES = f"""SELECT {_SUMMARY} FROM seg WHERE shard = $1 AND metric = $2 AND hour >= $3 AND hour <= $4
    ORDER BY hour, grp"""
_HOURS = """SELECT metric, hour, max(generation) FROM seg WHERE shard = $1 AND hour >= $2 AND hour <= $3 {and_metric}
    GROUP BY metric, hour ORDER BY metric, hour"""
_PUT = """INSERT INTO seg (shard, metric, hour, grp, generation, count, min, max, sum, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (shard, metric, hour, grp) DO UPDATE SET generation = excluded.generation, count = excluded.count,
        min = excluded.min, max = excluded.max, sum = excluded.sum, body = excluded.body
    WHERE excluded.generation > seg.generation"""
_DROP = "DELETE FROM seg WHERE shard = $1 AND metric = $2 AND hour = $3 AND generation <= $4"
_DROP_BEFORE = "DELETE FROM seg WHERE shard = $1 AND hour < $2"
_DAYS = """SELECT seg.metric, seg.day, seg.newest, coalesce(r.newest, 0) FROM
    (SELECT metric, hour / 24 AS day, max(generation) AS newest FROM seg
        WHERE shard = $1 AND hour >= $2 AND hour <= $3 {and_metric} GROUP BY metric, hour / 24) AS seg
    LEFT JOIN (SELECT metric, day, max(generation) AS newest FROM rollup
        WHERE shard = $1 AND day >= $2 / 24 AND day <= $3 / 24 {and_metric} GROUP BY metric, day) AS r
    ON r.metric = seg.metric AND r.day = seg.day ORDER BY seg.day, seg.metric"""
_ROLLUPS = """SELECT metric, day, grp, generation, body FROM rollup
    WHERE shard = $1 AND metric = $2 AND day >= $3 AND day <= $4 ORDER BY day, grp"""
_PUT_ROLLUP = """INSERT INTO rollup (shard, metric, day, grp, generation, body) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (shard, metric, day, grp) DO UPDATE SET generation = excluded.generation, body = excluded.body
    WHERE excluded.generation >= rollup.generation"""
_DROP_ROLLUPS = "DELETE FROM rollup WHERE shard = $1 AND metric = $2 AND day = $3 AND generation < $4"
_DROP_ROLLUPS_BEFORE = "DELETE FROM rollup WHERE shard = $1 AND day < $2"
_PUT_SERIES = """INSERT INTO series (shard, id, grp, labels, first_hour, last_hour) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (shard, id) DO UPDATE SET grp = excluded.grp, labels = excluded.labels,
        first_hour = excluded.first_hour, last_hour = excluded.last_hour"""
_SERIES = "SELECT id, grp, labels, first_hour, last_hour FROM series WHERE shard = $1 ORDER BY id"
_DROP_SERIES = "DELETE FROM series WHERE shard = $1 AND id = $2"
PUT_FACT = """INSERT INTO fact (shard, key, value) VALUES ($1, $2, $3)
    ON CONFLICT (shard, key) DO UPDATE SET value = excluded.value"""
FACT = "SELECT value FROM fact WHERE shard = $1 AND key = $2"
_PUT_VALUE = """INSERT INTO value (kind, key, body, expires) VALUES ($1, $2, $3, $4)
    ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, expires = excluded.expires"""
_PUT_TEMPLATE = """INSERT INTO server_templates (id, type, spec) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET type = excluded.type, spec = excluded.spec"""
_PUT_RUN = """INSERT INTO scenario_execution_log (id, scenario, started, ended, parameters, ground_truth)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET scenario = excluded.scenario, started = excluded.started, ended = excluded.ended,
        parameters = excluded.parameters, ground_truth = excluded.ground_truth"""
_PUT_ALERT = """INSERT INTO alert_history (shard, id, time, kind, fingerprint, name, server, severity, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (shard, id) DO NOTHING"""
_ALERTS = """SELECT id, time, kind, fingerprint, name, server, severity, body FROM alert_history
    WHERE shard = $1 AND time >= $2 AND time <= $3 {and_kinds} ORDER BY time DESC, id DESC LIMIT $4"""
_DROP_ALERTS_BEFORE = "DELETE FROM alert_history WHERE shard = $1 AND time < $2"
_PUT_BASELINE = """INSERT INTO baseline (shard, server, version, fitted, body) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (shard, server, version) DO NOTHING"""
_BASELINE = """SELECT server, version, fitted, body FROM baseline
    WHERE shard = $1 AND server = $2 AND fitted <= $3 ORDER BY version DESC LIMIT 1"""
_BASELINES = "SELECT server, version, fitted, body FROM baseline WHERE shard = $1 AND version = $2 ORDER BY server"
_BASELINE_VERSIONS = "SELECT version, fitted FROM baseline WHERE shard = $1 AND server = $2 ORDER BY version DESC"
_NEWEST_BASELINE = "SELECT version, fitted FROM baseline WHERE shard = $1 ORDER BY version DESC LIMIT 1"
_THIN_BASELINES = "DELETE FROM baseline WHERE shard = $1 AND fitted < $2 AND version % $3 <> 0"
_DROP_BASELINES = "DELETE FROM baseline WHERE shard = $1 AND fitted < $2"
_FORECAST_COLUMNS = ", ".join(ForecastRow._fields)
_PUT_FORECAST = f"""INSERT INTO forecast (shard, {_FORECAST_COLUMNS})
    VALUES ({", ".join(f"${number}" for number in range(1, len(ForecastRow._fields) + 2))})
    ON CONFLICT (shard, id) DO NOTHING"""
_FORECASTS = f"""SELECT {_FORECAST_COLUMNS} FROM forecast WHERE shard = $1 AND said >= $2 AND said <= $3
    ORDER BY said DESC, id LIMIT $4"""
_OPEN_FORECASTS = f"""SELECT {_FORECAST_COLUMNS} FROM forecast WHERE shard = $1 AND verdict IS NULL
    AND (low <= $2 OR due <= $2) AND (target IS NULL OR target <= $2) ORDER BY due, id LIMIT $3"""
_JUDGE = """UPDATE forecast SET verdict = $3, actual = $4, error = $5, judged = $6
    WHERE shard = $1 AND id = $2 AND verdict IS NULL"""
_VERDICTS = """SELECT concept, kind, verdict, count(*) FROM forecast WHERE shard = $1 AND verdict IS NOT NULL
    GROUP BY concept, kind, verdict ORDER BY concept, kind, verdict"""
_DROP_FORECASTS_BEFORE = "DELETE FROM forecast WHERE shard = $1 AND said < $2"
_TABLES = ("seg", "series", "fact", "alert_history", "baseline", "forecast")
"""Those with a shard."""
_COUNTS = "SELECT count(*), min(hour), max(hour) FROM seg WHERE shard = $1"


class Change(NamedTuple):
    """One statement, executed for each of `rows`."""

    sql: str
    rows: Sequence[Row]


class ColdStore(ABC):
    """Sealed blocks, the catalogue and small facts as rows of a database. All methods raise StoreUnavailable.

    A call after a failure tries again: a disk with room again, a server that is back, need no restart of ours.
    """

    def __init__(self, shard: int, dialect: Dialect) -> None:
        self.shard = shard
        self.last_error: str | None = None
        self._get = _GET.format(wanted=dialect.wanted, join=dialect.join.format(match=_MATCH))

    @abstractmethod
    async def open(self) -> None:
        """Connect, and make or update the tables. Any other call does so too where it is needed."""

    @abstractmethod
    async def close(self) -> None:
        """Give back connections and threads."""

    @abstractmethod
    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """The rows of one query."""

    @abstractmethod
    async def _change(self, *changes: Change) -> list[int]:
        """All changes in one transaction, on disk on return; how many rows each of them changed."""

    @abstractmethod
    async def _facts_of_database(self) -> dict[str, Any]:
        """Kind, place and size."""

    # -- blocks

    async def put(self, segments: Sequence[Segment]) -> int:
        """Keep blocks, each where none of its own or a newer generation is; returns how many were."""
        if not segments:
            return 0
        return (await self._change(Change(_PUT, self._segment_rows(segments))))[0]

    async def replace(self, metric: str, hour: int, segments: Sequence[Segment], generation: int) -> None:
        """Let an hour have exactly these blocks; what is newer than `generation` stays."""
        gone = Change(_DROP, [(self.shard, metric, hour, generation)])
        await self._change(gone, Change(_PUT, self._segment_rows(segments)))

    async def get(self, wanted: Sequence[tuple[str, int, Sequence[int] | None]]) -> list[Segment]:
        """The blocks of (metric, hour, groups or None for all), by metric, hour and group."""
        if not wanted:
            return []
        asked = orjson.dumps(sorted(set(_ranges(wanted)))).decode()
        rows = await self._fetch(self._get, self.shard, asked)
        found = {(row[0], row[1], row[2]): row for row in rows}  # asked for twice, given once
        return [_segment(found[place]) for place in sorted(found)]

    async def hours(self, metric: str | None, first: int, last: int) -> list[tuple[str, int, int]]:
        """(metric, hour, highest generation) of the hours from `first` to `last`."""
        arguments: list[Any] = [self.shard, *_clamped(first, last)] + ([] if metric is None else [metric])
        sql = _HOURS.format(and_metric="" if metric is None else "AND metric = $4")
        return [tuple(row) for row in await self._fetch(sql, *arguments)]

    async def summaries(self, metric: str, first: int, last: int) -> list[Segment]:
        """Blocks without their bytes, by hour and group: count, minimum, maximum and total need no decoding."""
        rows = await self._fetch(_SUMMARIES, self.shard, metric, *_clamped(first, last))
        return [_segment([*row, b""]) for row in rows]

    async def drop(self, metric: str, hour: int, generation: int) -> None:
        """Remove the blocks of an hour, but those newer than `generation`."""
        await self._change(Change(_DROP, [(self.shard, metric, hour, generation)]))

    async def drop_before(self, hour: int) -> int:
        """Remove all blocks of earlier hours; returns how many."""
        return (await self._change(Change(_DROP_BEFORE, [(self.shard, hour)])))[0]

    # -- rolled up days

    async def days(self, metric: str | None, first: int, last: int) -> list[tuple[str, int, int, int]]:
        """(metric, day, newest generation of its hours, of its rollup or 0) of the days that have hours first…last."""
        arguments: list[Any] = [self.shard, *_clamped(first, last)] + ([] if metric is None else [metric])
        sql = _DAYS.format(and_metric="" if metric is None else "AND metric = $4")
        return [tuple(row) for row in await self._fetch(sql, *arguments)]

    async def rollups(self, metric: str, first: int, last: int) -> list[Rollup]:
        """The rolled up days from `first` to `last`, by day and group."""
        return [Rollup(*row) for row in await self._fetch(_ROLLUPS, self.shard, metric, *_clamped(first, last))]

    async def put_rollups(self, metric: str, day: int, rollups: Sequence[Rollup], generation: int) -> None:
        """Let a day have exactly these groups, unless what is there is newer."""
        rows = [(self.shard, *rollup) for rollup in rollups]
        gone = Change(_DROP_ROLLUPS, [(self.shard, metric, day, generation)])
        await self._change(gone, Change(_PUT_ROLLUP, rows))

    async def drop_rollups_before(self, day: int) -> int:
        """Remove the rollups of earlier days; returns how many."""
        return (await self._change(Change(_DROP_ROLLUPS_BEFORE, [(self.shard, day)])))[0]

    # -- the catalogue and facts

    async def put_series(self, series: Sequence[Catalogued]) -> None:
        """Keep series of the catalogue, over what was known of them."""
        rows = {s.id: (self.shard, s.id, s.group, s.labels.decode(), s.first, s.last) for s in series}
        if rows:
            await self._change(Change(_PUT_SERIES, list(rows.values())))

    async def series(self) -> list[Catalogued]:
        """The catalogue, by id."""
        rows = await self._fetch(_SERIES, self.shard)
        return [Catalogued(row[0], row[1], row[2].encode(), row[3], row[4]) for row in rows]

    async def drop_series(self, ids: Iterable[int]) -> None:
        """Remove series from the catalogue; their blocks stay."""
        rows = [(self.shard, series_id) for series_id in ids]
        if rows:
            await self._change(Change(_DROP_SERIES, rows))

    async def put_fact(self, key: str, value: str) -> None:
        """Keep a small fact under its name."""
        await self._change(Change(PUT_FACT, [(self.shard, key, value)]))

    async def fact(self, key: str) -> str | None:
        """The fact of that name, or None."""
        rows = await self._fetch(FACT, self.shard, key)
        return str(rows[0][0]) if rows else None

    async def facts(self) -> dict[str, str]:
        """All facts by name."""
        return {row[0]: row[1] for row in await self._fetch("SELECT key, value FROM fact WHERE shard = $1", self.shard)}

    async def empty(self) -> None:
        """Remove all blocks, the catalogue and the facts of this shard."""
        await self._change(*(Change(f"DELETE FROM {table} WHERE shard = $1", [(self.shard,)]) for table in _TABLES))

    # -- JSON values, in a backup

    async def put_values(self, values: Sequence[Value]) -> None:
        """Keep JSON values, over what was kept under their names."""
        rows = {v[:2]: (v.kind, v.key, v.body.decode(), v.expires) for v in values}
        if rows:
            await self._change(Change(_PUT_VALUE, list(rows.values())))

    async def values(self) -> list[Value]:
        """All JSON values, by name."""
        rows = await self._fetch("SELECT kind, key, body, expires FROM value ORDER BY kind, key")
        return [Value(row[0], row[1], row[2].encode(), row[3]) for row in rows]

    # -- the simulated fleet

    async def put_templates(self, templates: Sequence[ServerTemplate]) -> None:
        """Keep the definition of servers, over what was known of them."""
        rows = {t.id: (t.id, t.type, _json(t.spec)) for t in templates}
        if rows:
            await self._change(Change(_PUT_TEMPLATE, list(rows.values())))

    async def templates(self) -> list[ServerTemplate]:
        """The defined servers, by id."""
        rows = await self._fetch("SELECT id, type, spec FROM server_templates ORDER BY id")
        return [ServerTemplate(row[0], row[1], orjson.loads(row[2])) for row in rows]

    async def put_runs(self, runs: Sequence[ScenarioRun]) -> None:
        """Keep what was played, over what was known of it."""
        rows = {r.id: (*r[:4], _json(r.parameters), _json(r.ground_truth)) for r in runs}
        if rows:
            await self._change(Change(_PUT_RUN, list(rows.values())))

    async def runs(self) -> list[ScenarioRun]:
        """What was played, by start."""
        columns = "id, scenario, started, ended, parameters, ground_truth"
        rows = await self._fetch(f"SELECT {columns} FROM scenario_execution_log ORDER BY started, id")
        return [ScenarioRun(r[0], r[1], r[2], r[3], orjson.loads(r[4]), orjson.loads(r[5])) for r in rows]

    async def put_alerts(self, rows: Sequence[AlertRow]) -> int:
        """Keep what happened to alerts, each once; returns how many were new."""
        return (await self._change(Change(_PUT_ALERT, [(self.shard, *row) for row in rows])))[0] if rows else 0

    async def alerts(self, start: float, end: float, kinds: Sequence[str], limit: int) -> list[AlertRow]:
        """What happened from `start` to `end`, newest first; of some kinds, or of all where none is named."""
        places = ", ".join(f"${number}" for number in range(5, 5 + len(kinds)))
        sql = _ALERTS.format(and_kinds=f"AND kind IN ({places})" if kinds else "")
        return [AlertRow(*row) for row in await self._fetch(sql, self.shard, start, end, limit, *kinds)]

    async def drop_alerts_before(self, time: float) -> int:
        """Remove what happened earlier; returns how many rows."""
        return (await self._change(Change(_DROP_ALERTS_BEFORE, [(self.shard, time)])))[0]

    # -- what is normal

    async def put_baselines(self, rows: Sequence[BaselineRow]) -> None:
        """Keep what a fit found; what is there stays."""
        if rows:
            await self._change(Change(_PUT_BASELINE, [(self.shard, *row) for row in rows]))

    async def baseline(self, server: str, at: float) -> BaselineRow | None:
        """The newest of a server that was there at that time."""
        rows = await self._fetch(_BASELINE, self.shard, server, at)
        return BaselineRow(*rows[0]) if rows else None

    async def baselines(self, version: int) -> list[BaselineRow]:
        """All servers of one fit."""
        return [BaselineRow(*row) for row in await self._fetch(_BASELINES, self.shard, version)]

    async def baseline_versions(self, server: str | None = None) -> list[tuple[int, float]]:
        """(version, when it was fitted) of a server, newest first; without a server, the newest of all."""
        if server is None:
            return [tuple(row) for row in await self._fetch(_NEWEST_BASELINE, self.shard)]
        return [tuple(row) for row in await self._fetch(_BASELINE_VERSIONS, self.shard, server)]

    async def thin_baselines(self, some: float, every: int, none: float) -> None:
        """Before `some`, keep one version in `every`; before `none`, keep none (Unix seconds)."""
        thin = Change(_THIN_BASELINES, [(self.shard, some, every)])
        await self._change(thin, Change(_DROP_BASELINES, [(self.shard, none)]))

    # -- forecasts

    async def put_forecasts(self, rows: Sequence[ForecastRow]) -> int:
        """Keep what was said, each once; returns how many were new."""
        return (await self._change(Change(_PUT_FORECAST, [(self.shard, *row) for row in rows])))[0] if rows else 0

    async def forecasts(self, start: float, end: float, limit: int) -> list[ForecastRow]:
        """What was said from `start` to `end`, newest first."""
        return [ForecastRow(*row) for row in await self._fetch(_FORECASTS, self.shard, start, end, limit)]

    async def open_forecasts(self, now: float, limit: int) -> list[ForecastRow]:
        """Those whose time has come and that have no verdict, soonest due first."""
        return [ForecastRow(*row) for row in await self._fetch(_OPEN_FORECASTS, self.shard, now, limit)]

    async def judge_forecasts(self, rows: Sequence[ForecastRow]) -> None:
        """Keep the verdicts of rows; one that has a verdict keeps it."""
        given = [(self.shard, row.id, row.verdict, row.actual, row.error, row.judged) for row in rows]
        if given:
            await self._change(Change(_JUDGE, given))

    async def verdicts(self) -> list[tuple[str, str, str, int]]:
        """(concept, kind, verdict, how many)."""
        return [(row[0], row[1], row[2], row[3]) for row in await self._fetch(_VERDICTS, self.shard)]

    async def drop_forecasts_before(self, time: float) -> int:
        """Remove what was said earlier; returns how many rows."""
        return (await self._change(Change(_DROP_FORECASTS_BEFORE, [(self.shard, time)])))[0]

    async def status(self) -> dict[str, Any]:
        """Kind, place, bytes, rows, oldest and newest hour; raises like the others when there is no answer."""
        rows, oldest, newest = (await self._fetch(_COUNTS, self.shard))[0]
        found = await self._facts_of_database()
        return found | {"rows": rows, "oldest_hour": oldest, "newest_hour": newest, "last_error": self.last_error}

    def _segment_rows(self, segments: Sequence[Segment]) -> list[Row]:
        """One row for each place: of two, the newer generation."""
        newest: dict[tuple[str, int, int], Segment] = {}
        for segment in segments:
            held = newest.get(_place(segment))
            if held is None or segment.generation > held.generation:
                newest[_place(segment)] = segment
        return [
            (self.shard, metric, *map(int, numbers), *map(_present, (low, high, total)), body)
            for metric, *numbers, low, high, total, body in newest.values()
        ]


def _ranges(wanted: Iterable[tuple[str, int, Sequence[int] | None]]) -> Iterator[tuple[str, int, int, int]]:
    """(metric, hour, lowest, highest group) for each run of groups that follow each other.

    >>> list(_ranges([("cpu", 7, [4, 1, 2]), ("mem", 7, None)]))
    [('cpu', 7, 1, 2), ('cpu', 7, 4, 4), ('mem', 7, 0, 2147483647)]
    """
    for metric, hour, groups in wanted:
        if groups is None:
            yield metric, hour, 0, _HIGHEST
            continue
        ordered = sorted(set(groups))
        ends = [n for n, group in enumerate(ordered) if ordered[n + 1 : n + 2] != [group + 1]]
        start = 0
        for end in ends:
            yield metric, hour, ordered[start], ordered[end]
            start = end + 1


def _clamped(first: int, last: int) -> tuple[int, int]:
    return max(first, -_HIGHEST), min(last, _HIGHEST)


def _segment(row: Row) -> Segment:
    metric, hour, group, generation, count, low, high, total, body = row
    return Segment(metric, hour, group, generation, count, _number(low), _number(high), _number(total), body)


def _place(segment: Segment) -> tuple[str, int, int]:
    return segment.metric, segment.hour, segment.group


def _present(value: float) -> float | None:
    """SQLite has no NaN: what is not a number is NULL in both."""
    return None if math.isnan(value) else float(value)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
