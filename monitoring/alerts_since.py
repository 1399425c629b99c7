"""Since when a condition holds that is new to us: samples that came late, or a pause of ours, may have hidden it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from monitoring.alerts import Row, fingerprint, row
from monitoring.alerts_record import Round
from monitoring.catalog import Catalog
from monitoring.errors import BadQuery, QueryTooExpensive
from monitoring.inventory import Inventory
from monitoring.model import Labels, Matrix
from monitoring.queries import FleetQueries
from monitoring.rules import Rule
from monitoring.thresholds import GONE, threshold_rules
from monitoring.windows import step_for

HISTORY_S = (86_400.0, 14 * 86_400.0)
"""How far back it is looked, and for what holds longer than that; what holds still longer is dated there."""
CLOSER_S, MOST_CLOSER = 15.0, 8
"""The step in which the beginning is then found, and for how many different ones."""
LATE_S = 1.0


async def began(queries: FleetQueries, rule: Rule, fresh: Sequence[Row], last: Round, now: float) -> dict[str, float]:
    """Fingerprint → since when, of the rows that began before `now`; the others are not in it."""
    if rule.concept == GONE:
        state = await queries.state(now)
        seen = {server.id: server.last_seen for server in state.servers if server.last_seen is not None}
        return {fingerprint(one.labels): seen[one.server] for one in fresh if one.server and one.server in seen}
    if not rule.dated:
        return {}
    inventory, catalog = await queries.inventory(), queries.catalog
    wanted = {fingerprint(one.labels) for one in fresh}
    try:
        query = _narrowed(queries, inventory, rule, fresh)
        if last.spans and last.at <= now <= last.until():
            [then] = await queries.backend.instants([query], last.at)
            before = rows_of(rule, zip(then.labels, then.values, strict=True), inventory, catalog)
            if not wanted & {fingerprint(one.labels) for one in before}:
                return {}
        return await _looked_up(queries, rule, query, wanted, now)
    except (BadQuery, QueryTooExpensive):
        return {}  # the rule itself was evaluated: it is only not known since when


async def _looked_up(queries: FleetQueries, rule: Rule, query: str, wanted: set[str], now: float) -> dict[str, float]:
    """Since when the last unbroken run of each lasts; further back where it fills the shorter time."""
    found: dict[str, float] = {}
    places: dict[tuple[float, int], set[str]] = {}
    left = set(wanted)
    for back_s in HISTORY_S:
        step = step_for(back_s)
        runs = await _runs(queries, rule, query, now - back_s, now, step)
        found |= {key: runs[key] for key in left & runs.keys() if runs[key] < now - LATE_S}
        left = {key for key in left & found.keys() if found[key] <= now - back_s + step}
        for key in wanted & found.keys() - left:
            places.setdefault((found[key], step), set()).add(key)
        wanted = left
        if not left:
            break
    for (since, step), keys in list(places.items())[:MOST_CLOSER]:
        runs = await _runs(queries, rule, query, since - step, since, CLOSER_S)
        found |= {key: runs[key] for key in keys & runs.keys()}
    return found


async def _runs(
    queries: FleetQueries, rule: Rule, query: str, start: float, end: float, step: float
) -> dict[str, float]:
    """Fingerprint → first time of the run that is still going on at `end`, or of the last one."""
    inventory = await queries.inventory()
    matrix = await queries.backend.range(query, start, end, step)
    runs: dict[str, float] = {}
    for labels, since in zip(matrix.labels, _since(matrix), strict=True):
        [one] = rows_of(rule, [(labels, 0.0)], inventory, queries.catalog)
        runs.setdefault(fingerprint(one.labels), since)
    return runs


def rows_of(rule: Rule, found: Iterable[tuple[Labels, float]], inventory: Inventory, catalog: Catalog) -> list[Row]:
    """The alerts that the rows of a rule's result stand for; of two exporters' rows about one thing, the first.

    Raises BadQuery where two rows of a rule file's rule make the same alert.
    """
    sources = () if rule.concept is None else catalog.concepts[rule.concept].sources
    parts = {source.part for source in sources} - {None}
    rows: dict[str, Row] = {}
    for labels, value in found:
        part = next((labels[name] for name in parts if name and labels.get(name)), None)
        one = row(rule, labels, value, inventory.server_of(labels), part)
        key = fingerprint(one.labels)
        if key in rows and rule.concept is None:
            raise BadQuery(f"two rows make the same labels {one.labels}; keep another label")
        rows.setdefault(key, one)
    return list(rows.values())


def _narrowed(queries: FleetQueries, inventory: Inventory, rule: Rule, fresh: Sequence[Row]) -> str:
    """The rule's query; a threshold's is asked of the servers concerned only."""
    if rule.concept is None:
        return rule.expr
    servers = sorted({one.server for one in fresh if one.server})
    found = threshold_rules(queries.catalog, inventory, servers)
    return next((one.query for one in found if one.name == rule.name), rule.expr)


def _since(matrix: Matrix) -> list[float]:
    """For each row, the time of the first value of its last unbroken run."""
    there = ~np.isnan(matrix.values)
    steps = there.shape[1]
    run = np.where(there.all(axis=1), steps, np.argmin(there[:, ::-1], axis=1))
    return [float(time) for time in matrix.times[np.clip(steps - run, 0, steps - 1)]]
