"""The tables of the cold store, and how an older database becomes a new one. One text for both dialects."""

from __future__ import annotations

from dataclasses import dataclass

from monitoring.errors import StoreUnavailable

DATABASE = -1
"""The shard under which facts of the whole database stand."""
VERSION_KEY = "schema_version"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The few words that differ. `wanted` reads $2, a JSON array of [metric, hour, lowest group, highest group]."""

    blob: str
    name: str
    """Text that is compared byte by byte."""
    hour_start: str
    wanted: str
    join: str
    """Blocks that `match` what is wanted, found by the primary key one by one."""
    after: str
    """Statements that only this dialect needs."""


SQLITE = Dialect(
    blob="BLOB",
    name="TEXT",
    hour_start="strftime('%Y-%m-%dT%H:%M:%SZ', hour * 3600, 'unixepoch')",
    wanted="(SELECT json_extract(value, '$[0]') AS metric, json_extract(value, '$[1]') AS hour,"
    " json_extract(value, '$[2]') AS low, json_extract(value, '$[3]') AS high FROM json_each($2))",
    join="seg WHERE {match}",
    after="",
)
POSTGRES = Dialect(
    blob="BYTEA",
    name='TEXT COLLATE "C"',
    hour_start="to_timestamp(hour * 3600::bigint)",
    wanted="(SELECT value->>0 AS metric, (value->>1)::int AS hour, (value->>2)::int AS low, (value->>3)::int AS high"
    " FROM json_array_elements($2::json))",
    # OFFSET 0 keeps the planner from reading all of the table, which it would before the first ANALYZE.
    join="LATERAL (SELECT * FROM seg WHERE {match} OFFSET 0) AS seg",
    after="ALTER TABLE seg ALTER COLUMN body SET STORAGE EXTERNAL",  # pcodec's bytes do not get smaller
)

_FIRST = """
CREATE TABLE seg (
    shard INTEGER NOT NULL, metric {name} NOT NULL, hour INTEGER NOT NULL, grp INTEGER NOT NULL,
    generation BIGINT NOT NULL, count BIGINT NOT NULL,
    min DOUBLE PRECISION, max DOUBLE PRECISION, sum DOUBLE PRECISION,
    body {blob} NOT NULL,
    PRIMARY KEY (shard, metric, hour, grp)
);
CREATE INDEX seg_by_hour ON seg (shard, hour, metric, generation);
CREATE TABLE series (
    shard INTEGER NOT NULL, id BIGINT NOT NULL, grp INTEGER NOT NULL, labels TEXT NOT NULL,
    first_hour INTEGER NOT NULL, last_hour INTEGER NOT NULL,
    PRIMARY KEY (shard, id)
);
CREATE TABLE fact (shard INTEGER NOT NULL, key {name} NOT NULL, value TEXT NOT NULL, PRIMARY KEY (shard, key));
CREATE TABLE server_templates (id {name} NOT NULL PRIMARY KEY, type TEXT NOT NULL, spec TEXT NOT NULL);
CREATE TABLE scenario_execution_log (
    id {name} NOT NULL PRIMARY KEY, scenario TEXT NOT NULL,
    started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION,
    parameters TEXT NOT NULL, ground_truth TEXT NOT NULL
);
CREATE TABLE value (
    kind {name} NOT NULL, key {name} NOT NULL, body TEXT NOT NULL, expires DOUBLE PRECISION,
    PRIMARY KEY (kind, key)
);
CREATE VIEW server_metrics_history AS
    SELECT shard, metric, hour, {hour_start} AS started,
        CAST(sum(count) AS BIGINT) AS count, min(min) AS min, max(max) AS max, sum(sum) AS sum
    FROM seg GROUP BY shard, metric, hour;
{after}
"""

_ROLLUPS = """
CREATE TABLE rollup (
    shard INTEGER NOT NULL, metric {name} NOT NULL, day INTEGER NOT NULL, grp INTEGER NOT NULL,
    generation BIGINT NOT NULL, body {blob} NOT NULL,
    PRIMARY KEY (shard, metric, day, grp)
);
CREATE INDEX rollup_by_day ON rollup (shard, day, metric, generation)
"""

_ALERTS = """
CREATE TABLE alert_history (
    shard INTEGER NOT NULL, id {name} NOT NULL, time DOUBLE PRECISION NOT NULL, kind TEXT NOT NULL,
    fingerprint {name} NOT NULL, name TEXT NOT NULL, server TEXT, severity TEXT, body TEXT NOT NULL,
    PRIMARY KEY (shard, id)
);
CREATE INDEX alert_history_by_time ON alert_history (shard, time)
"""

_BASELINES = """
CREATE TABLE baseline (
    shard INTEGER NOT NULL, server {name} NOT NULL, version BIGINT NOT NULL, fitted DOUBLE PRECISION NOT NULL,
    body {blob} NOT NULL,
    PRIMARY KEY (shard, server, version)
);
CREATE INDEX baseline_by_version ON baseline (shard, version)
"""

_FORECASTS = """
CREATE TABLE forecast (
    shard INTEGER NOT NULL, id {name} NOT NULL, said DOUBLE PRECISION NOT NULL, due DOUBLE PRECISION NOT NULL,
    server TEXT NOT NULL, concept TEXT NOT NULL, part TEXT, kind TEXT NOT NULL, method TEXT NOT NULL,
    bound DOUBLE PRECISION, present DOUBLE PRECISION, target DOUBLE PRECISION,
    expected DOUBLE PRECISION NOT NULL, low DOUBLE PRECISION, high DOUBLE PRECISION,
    verdict TEXT, actual DOUBLE PRECISION, error DOUBLE PRECISION, judged DOUBLE PRECISION,
    PRIMARY KEY (shard, id)
);
CREATE INDEX forecast_by_time ON forecast (shard, said);
CREATE INDEX forecast_by_due ON forecast (shard, verdict, low)
"""

MIGRATIONS = (_FIRST, _ROLLUPS, _ALERTS, _BASELINES, _FORECASTS)
"""What makes version 1, 2, … of the version before. A text that was released is never changed."""
NEWEST = len(MIGRATIONS)


def steps(found: int, dialect: Dialect, place: str) -> list[str]:
    """The statements that bring version `found` (0: no tables) to ours. Raises StoreUnavailable for a newer one."""
    if found > NEWEST:
        raise StoreUnavailable(
            "refused",
            f"{place} was written by a newer OpenManager (schema {found}, this one knows {NEWEST}); "
            "upgrade this OpenManager, or give it another place for its history",
        )
    return [statement for number in range(found, NEWEST) for statement in _statements(MIGRATIONS[number], dialect)]


def _statements(text: str, dialect: Dialect) -> list[str]:
    filled = text.format(blob=dialect.blob, name=dialect.name, hour_start=dialect.hour_start, after=dialect.after)
    return [statement.strip() for statement in filled.split(";\n") if statement.strip()]
