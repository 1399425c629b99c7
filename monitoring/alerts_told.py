"""Alerts as answers and routes tell them: from the record where it reaches, else by thresholds over stored samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from monitoring import ranges, tables
from monitoring.alerts import Alert, Event
from monitoring.alerts_record import GAP_S, AlertRecord, Present, Span
from monitoring.alerts_silences import Silence
from monitoring.backends import Backend
from monitoring.catalog import Catalog
from monitoring.fleet import FleetState
from monitoring.inventory import Inventory
from monitoring.reading import Cell, Evidence, Reading
from monitoring.thresholds import GONE
from monitoring.windows import moment, rfc3339, step_for

COLUMNS = (
    *("server", "concept", "part", "severity", "value", "threshold", "state", "since", "until"),
    *("alert", "summary", "note", "fingerprint"),
)
OPTIONAL = frozenset(("until", "summary", "note", "fingerprint"))
"""Columns that are left out where no row has them."""
FIRING = 'ALERTS{alertstate="firing"}'
MOST_QUERIES = 10


class Episode(NamedTuple):
    """One time that an alert fired. `until` is None while it does; `value` is the worst one meanwhile."""

    server: str | None
    concept: str
    part: str | None
    severity: str | None
    value: float
    threshold: float | None
    since: float
    until: float | None
    alert: str
    summary: str = ""
    korean: str = ""
    note: str = ""
    fingerprint: str = ""
    state: str = "firing"

    def row(self) -> tuple[Cell, ...]:
        """As a row of `COLUMNS`."""
        until = None if self.until is None else rfc3339(self.until)
        head = (self.server, self.concept, self.part, self.severity, self.value, self.threshold, self.state)
        tail = (self.alert, self.summary or None, self.note or None, self.fingerprint or None)
        return (*head, rfc3339(self.since), until, *tail)


async def now(
    record: AlertRecord | None, present: Present, state: FleetState, catalog: Catalog, severity: str | None, limit: int
) -> Reading:
    """What fires at the time of `state`: its thresholds, dated by the record, and what else the record has.

    Thresholds are read anew, so that what is said fits the values of the same second.
    """
    at = state.time
    known = await _firing_at(record, present, at, catalog)
    dated = {_place(one): one for one in known}
    rows: list[tuple[Cell, ...]] = []
    if thresholds_hold(present):
        for row in tables.alert_rows(state):
            mark = dated.get((str(row[0]), str(row[1]), None if row[2] is None else str(row[2])))
            if mark is not None and mark.severity != row[3]:
                mark = None  # it rose or fell since the last round
            since = row[7] if mark is None or row[1] == GONE else rfc3339(mark.since)
            marks = (None, None) if mark is None else (mark.note or None, mark.fingerprint)
            rows.append((*row[:7], since, None, f"{row[1]}_{row[3]}", None, *marks))
        known = [one for one in known if one.concept not in catalog.concepts]
    rows += [one.row() for one in known]
    rows = [row for row in rows if severity in (None, row[3])]
    return _reading(rows, limit, f"{len(rows)} alerts firing", tuple(state.evidence.values()), known)


def with_silences(told: Reading, present: Present, at: float) -> Reading:
    """The reading with the silences that were in force at a time, in `details`; as it is where there were none."""
    active = sorted((one for one in present.silences if one.created <= at and one.start <= at < one.end), key=_ends)
    if not active:
        return told
    shown = [
        {
            "matchers": ", ".join(f'{m.name}{m.op}"{m.value}"' for m in one.matchers),
            "start": one.start,
            "end": one.end,
            "author": one.author,
            "comment": one.comment,
        }
        for one in active
    ]
    return replace(told, details={**told.details, "silences": shown})


def pending(present: Present, catalog: Catalog, severity: str | None, limit: int) -> Reading:
    """What will fire if it lasts."""
    found = [_of(alert, present, catalog) for alert in present.alerts if alert.state == "pending"]
    found = [one._replace(state="pending") for one in found if severity in (None, one.severity)]
    rows = [one.row() for one in found]
    return _reading(rows, limit, f"{len(rows)} alerts pending", _proof(present, found, None), found)


class Source(NamedTuple):
    """Where the past is read."""

    backend: Backend
    catalog: Catalog
    inventory: Inventory
    record: AlertRecord | None
    present: Present


async def past(source: Source, start: float, end: float, state: str, severity: str | None, limit: int) -> Reading:
    """What fired within a time: by the record where it reaches, by thresholds over stored samples elsewhere."""
    backend, catalog, inventory, record, present = source
    spans = present.round.spans if present.round else ()
    evidence: list[Evidence] = []
    found: list[Episode] = []
    if any(a < end and b > start for a, b in spans):
        found += [one for one in await _episodes(record, present, start, end, catalog) if _within(one, start, end)]
        evidence += _proof(present, found, (start, end))
    for a, b in uncovered(spans, start, end):
        reading = await ranges.past_alerts(backend, catalog, inventory, a, b, "all", None, 1_000)
        found += [_of_row(row, b if b < end else None) for row in reading.rows]
        evidence += reading.evidence
    found = joined(found, catalog, max(2.0 * step_for(end - start), GAP_S))
    found = [one._replace(until=None if one.until is None or one.until > end else one.until) for one in found]
    found = [one._replace(state="firing" if one.until is None else "resolved") for one in found]
    found = [one for one in found if severity in (None, one.severity) and state in ("all", one.state)]
    found.sort(key=lambda one: one.since, reverse=True)
    firing = sum(one.state == "firing" for one in found)
    text = f"{len(found)} alerts from {rfc3339(start)} to {rfc3339(end)}, {firing} still firing"
    return _reading([one.row() for one in found], limit, text, tuple(evidence), found)


def covers(present: Present, at: float) -> bool:
    """Whether the record speaks of the time `at`."""
    round_ = present.round
    if round_ is None:
        return False
    return any(a <= at <= b for a, b in round_.spans) or round_.at <= at <= round_.until()


def thresholds_hold(present: Present) -> bool:
    """Whether the catalogue's thresholds are among the rules; where nothing was evaluated yet, they are."""
    rules = [rule for group in present.groups for rule in group["rules"]]
    return not rules or any(rule["concept"] for rule in rules)


def uncovered(spans: Sequence[Span], start: float, end: float) -> list[Span]:
    """The parts of a time that the record does not cover; pauses of two minutes do not count.

    >>> uncovered([(100.0, 500.0), (900.0, 2000.0)], 0.0, 1000.0)
    [(500.0, 900.0)]
    """
    found, at = [], start
    for a, b in [*(span for span in spans if span[1] > start), (end, end)]:
        if min(a, end) - at > GAP_S:
            found.append((at, min(a, end)))
        at = max(at, b)
    return found


def joined(found: Iterable[Episode], catalog: Catalog, gap_s: float) -> list[Episode]:
    """Episodes of one thing that follow each other within `gap_s` as one, with the worst of their values.

    A threshold's warning and critical are one thing.
    """
    whole: dict[tuple[Any, ...], list[Episode]] = {}
    for one in sorted(found, key=lambda one: one.since):
        others = whole.setdefault((*_place(one), one.alert if one.concept not in catalog.concepts else ""), [])
        if others and (others[-1].until is None or one.since - others[-1].until <= gap_s):
            others[-1] = _both(others[-1], one, catalog)
        else:
            others.append(one)
    return [one for others in whole.values() for one in others]


def _both(first: Episode, second: Episode, catalog: Catalog) -> Episode:
    until = None if first.until is None or second.until is None else max(first.until, second.until)
    worst, last = (first if first.value >= second.value else second), second
    concept = catalog.concepts.get(first.concept)
    level = None if concept is None else concept.breach(worst.value)
    severity, threshold = level or (worst.severity, worst.threshold)
    return last._replace(
        since=first.since, until=until, value=worst.value, severity=severity, threshold=threshold, alert=worst.alert
    )


async def _episodes(
    record: AlertRecord | None, present: Present, start: float, end: float, catalog: Catalog
) -> list[Episode]:
    """What fired at some time from `start` to `end` by the record, without what another alert explained."""
    over = [] if record is None else await record.history(start, 1e12, ("resolved",), present=present)
    going = [_of(alert, present, catalog) for alert in present.firing()]
    ended = [_of_event(one, catalog) for one in over if one.body.get("inhibited_by") is None]
    return [one for one in (*ended, *going) if one.since <= end]


async def _firing_at(record: AlertRecord | None, present: Present, at: float, catalog: Catalog) -> list[Episode]:
    """What fired at one time, without what another alert explains."""
    if not covers(present, at):
        return []
    if present.round is not None and at >= present.round.at:
        return [_of(alert, present, catalog) for alert in present.firing()]
    found = await _episodes(record, present, at, at, catalog)
    return [one for one in found if one.until is None or one.until > at]


def _of(alert: Alert, present: Present, catalog: Catalog) -> Episode:
    since = alert.active_at if alert.state == "pending" or alert.fired_at is None else alert.fired_at
    value = alert.value if alert.state == "pending" or alert.peak is None else alert.peak
    body = {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "peak": value,
        "fired_at": since,
        "part": alert.part,
        "concept": alert.concept,
        "value": alert.value,
        "active_at": alert.active_at,
    }
    shown = _shown(body, alert.server, alert.fingerprint, catalog, None)
    return shown._replace(note=_note(alert, present))


def _of_event(one: Event, catalog: Catalog) -> Episode:
    return _shown(one.body, one.server, one.fingerprint, catalog, one.time)


def _shown(body: dict[str, Any], server: str | None, key: str, catalog: Catalog, until: float | None) -> Episode:
    labels, name = body["labels"], body["labels"]["alertname"]
    severity, notes = labels.get("severity"), body["annotations"]
    concept = body["concept"] if name == f"{body['concept']}_{severity}" else name
    level = catalog.concepts.get(concept)
    threshold = None
    if level is not None:
        threshold = 0.0 if concept == GONE else level.critical if severity == "critical" else level.warning
    value = body["value"] if body["peak"] is None else body["peak"]
    since = body["fired_at"] or body["active_at"]
    summary, korean = ("", "") if level else (notes.get("summary", ""), notes.get("summary_ko", ""))
    return Episode(
        server, concept, body["part"], severity, value, threshold, since, until, name, summary, korean, "", key
    )


def _of_row(row: Sequence[Any], edge: float | None) -> Episode:
    """A row of `ranges.past_alerts`; what lasted at the `edge` of its time is over there, as far as it tells."""
    server, concept, part, severity, value, threshold, _, since, until = row
    ended = edge if until is None else moment(until)
    return Episode(server, concept, part, severity, value, threshold, moment(since), ended, f"{concept}_{severity}")


def _note(alert: Alert, present: Present) -> str:
    """What was done about it."""
    found = []
    if (ack := present.ack(alert)) is not None:
        found.append(f"acknowledged by {ack['by']}")
    if alert.silenced_by:
        found.append("silenced")
    if alert.flapping:
        found.append("flapping")
    return ", ".join(found)


def _ends(one: Silence) -> tuple[float, str]:
    return one.end, one.id


def _place(one: Episode) -> tuple[str | None, str, str | None]:
    return one.server, one.concept, one.part


def _within(one: Episode, start: float, end: float) -> bool:
    return one.since <= end and (one.until is None or one.until >= start)


def _proof(present: Present, found: Sequence[Episode], span: Span | None) -> tuple[Evidence, ...]:
    """The queries of the rules concerned, to be run again, after the series that the record writes."""
    names = {one.alert for one in found}
    rules = [rule for group in present.groups for rule in group["rules"] if rule["name"] in names]
    queries = [FIRING, *(rule["query"] for rule in rules)][:MOST_QUERIES]
    at = present.round.at if present.round else 0.0
    if span is None:
        return tuple(Evidence(query, at, source="record") for query in queries)
    start, end = span
    return tuple(Evidence(query, None, start, end, float(step_for(end - start)), "record") for query in queries)


def _reading(
    rows: Sequence[tuple[Cell, ...]], limit: int, text: str, evidence: tuple[Evidence, ...], found: Sequence[Episode]
) -> Reading:
    named = "; ".join(" ".join(str(cell) for cell in row[:4] if cell) for row in rows[:10])
    empty = {k for k, name in enumerate(COLUMNS) if name in OPTIONAL and all(row[k] is None for row in rows)}
    korean = {one.summary: one.korean for one in found if one.summary and one.korean}
    return Reading(
        f"{text}: {named}." if rows else f"{text}.",
        evidence,
        tuple(name for k, name in enumerate(COLUMNS) if k not in empty),
        tuple(tuple(cell for k, cell in enumerate(row) if k not in empty) for row in rows[:limit]),
        total=len(rows),
        details={"korean": korean} if korean else {},
    )
