"""What an incident hit, and what may have caused it, from departures and alerts of its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engines.rootcause import Cause, Edge
from monitoring.briefing_facts import Departure, Fired, Impact, Notes, Suspect
from monitoring.catalog import Catalog
from monitoring.causes import Moved, likeliest

SYMPTOMS = ("errors", "latency", "up")
Place = tuple[str, str, str | None]
"""Server, concept, part"""
CLOSE = 0.7
"""A rival with this part of the first one's share is as likely, for all that is known."""
SAME_TIME_S = 60.0
OUTLASTED_S = 600.0


class Hit(NamedTuple):
    """One stretch, by a departure or by an alert."""

    since: float
    until: float | None
    value: float
    usual: float | None
    notes: Notes


def impact(departures: Sequence[Departure], fired: Sequence[Fired], end: float, catalog: Catalog) -> list[Impact]:
    """One row for each thing of each server, worst hit first: what departed, and what reached a threshold.

    What goes on counts up to `end`.
    """
    found: dict[Place, list[Hit]] = {}
    for one in departures:
        hit = Hit(one.since, one.until, one.value, one.expected, one.notes)
        found.setdefault((one.server, one.concept, one.part), []).append(hit)
    for alert in fired:
        if alert.server is not None and alert.concept in catalog.concepts and alert.since is not None:
            hit = Hit(alert.since, alert.until, alert.value, None, alert.notes)
            found.setdefault((alert.server, alert.concept, alert.part), []).append(hit)
    made = [_whole(place, hits, end, catalog) for place, hits in found.items()]
    return sorted(made, key=lambda one: (-_rank(one, catalog), one.since, one.server, one.concept, one.part or ""))


def suspects(departures: Sequence[Departure], edges: Sequence[Edge] | None) -> list[Suspect]:
    """The three likeliest causes, each with what speaks for it and against it."""
    if not departures:
        return []
    felt = [one for one in departures if one.concept in SYMPTOMS] or list(departures)
    moved = [Moved(one.server, one.concept, one.since, one.value, one.expected, one.score) for one in departures]
    ranked = likeliest(moved, moved, edges)
    by_place: dict[tuple[str, str], Departure] = {}
    for one in departures:
        by_place.setdefault((one.server, one.concept), one)
    return [_suspect(cause, ranked, by_place, felt, edges) for cause in ranked[:3]]


def _suspect(
    cause: Cause,
    ranked: Sequence[Cause],
    by_place: dict[tuple[str, str], Departure],
    felt: Sequence[Departure],
    edges: Sequence[Edge] | None,
) -> Suspect:
    departure = by_place[cause.server, cause.concept]
    reasons = tuple(filter(None, (one.strip() for one in cause.reason.split(","))))
    against = []
    if cause.lead_s < -SAME_TIME_S:
        against.append("after")
    elif cause.lead_s <= SAME_TIME_S:
        against.append("same_time")
    rivals = [one for one in ranked if one is not cause and one.score >= CLOSE * cause.score]
    if rivals:
        against.append("rival")
    lasting = max((one.until or float("inf") for one in felt), default=0.0)
    if departure.until is not None and lasting - departure.until > OUTLASTED_S:
        against.append("outlasted")
    if edges is None:
        against.append("no_topology")
    return Suspect(departure, cause.score, cause.lead_s, reasons, tuple(against))


def _whole(place: Place, hits: Sequence[Hit], end: float, catalog: Catalog) -> Impact:
    """The stretches of one thing as one row: the worst value, and how long in all."""
    usual = next((one.usual for one in hits if one.usual is not None), None)
    values = [one.value for one in hits]
    low = catalog.concepts[place[1]].worse == "low" or (usual is not None and max(values) < usual)
    stretches: list[list[float]] = []
    for since, until in sorted((one.since, end if one.until is None else one.until) for one in hits):
        if stretches and since <= stretches[-1][1] + SAME_TIME_S:
            stretches[-1][1] = max(stretches[-1][1], until)
        else:
            stretches.append([since, until])
    over = None if any(one.until is None for one in hits) else stretches[-1][1]
    return Impact(
        *place,
        since=stretches[0][0],
        until=over,
        worst=min(values) if low else max(values),
        usual=usual,
        lasted_s=sum(until - since for since, until in stretches),
        times=len(stretches),
        notes=tuple(dict.fromkeys(k for one in hits for k in one.notes))[:3],
    )


def _rank(one: Impact, catalog: Catalog) -> float:
    """Outages, then what reached critical, then warning, then the rest."""
    if one.concept == "up":
        return 4.0
    level = catalog.concepts[one.concept].breach(one.worst)
    return {None: 1.0 if one.concept in SYMPTOMS else 0.0, "warning": 2.0, "critical": 3.0}[level and level[0]]
