"""How often the cause of a simulated incident is named, when it is said to have begun, and how often there is none.

    python benchmarks/incidents.py [--seeds 40] [--quiet-days 2] [--show]

Plays each kind of failure on a fleet of 20 servers with three days of history (working days) and daily habits, at
servers, moments and strengths drawn from seeds that no constant was chosen on, and asks what the product asks: which
series left their habit, and which of them `monitoring.causes` blames, once as a report does for the whole fleet, and
once as the chat does for a victim ("why is latency of web-02 up?"). False alarms: what would be called unusual, asked
once an hour over quiet days.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from assistant.kinds.insight import moved
from engines.rootcause import Cause
from monitoring import catalog as catalogue
from monitoring.analysis import HABIT_S, WATCHED, Track, departures
from monitoring.causes import likeliest
from monitoring.simulator.kinds import KINDS
from monitoring.simulator.scenarios import Incident
from monitoring.simulator.shapes import EPOCH
from monitoring.simulator.trace import Trace, draw, trace
from monitoring.windows import moment, step_for

DAY, HOUR = 86_400.0, 3_600.0
FIRST_SEED = 10_000
"""Constants were chosen on seeds below this one."""
COLUMNS = ("server", "concept", "part", "start", "end", "value", "expected", "direction", "score", "low", "high")
SYMPTOMS = ("latency", "errors")
MOST = 100
"""Rows that chat and report ask for."""
CATALOG = catalogue.load()


class Outcome(NamedTuple):
    """What was said about one incident."""

    place: int
    """Of the true server among those named; 99 where it was not."""
    exact: int
    """Of the true server and concept among the causes."""
    onset_steps: float
    """How far the said onset of the cause lies from the true one, in steps of the series; NaN where not named."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--quiet-days", type=int, default=2)
    parser.add_argument("--size", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="the incidents whose cause was not named first")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print("| incident | asked by | cases | first | in three | with concept | onset error in steps (median, p90) |")
    print("|---|---|---|---|---|---|---|")
    whole: list[Outcome] = []
    for kind in KINDS:
        found: dict[str, list[Outcome]] = defaultdict(list)
        for seed in seeds:
            for who, outcome in incident(kind, seed, options.size, options.show):
                found[who].append(outcome)
        for who, outcomes in found.items():
            print(line(kind, who, outcomes))
            whole += outcomes
    print(line("all", "", whole))
    print(quiet(options.quiet_days, options.size, seeds[0], options.show))


def line(kind: str, who: str, outcomes: Sequence[Outcome]) -> str:
    places, exact = np.array([o.place for o in outcomes]), np.array([o.exact for o in outcomes])
    errors = np.array([o.onset_steps for o in outcomes])
    said = np.abs(errors[np.isfinite(errors)])
    onset = f"{np.median(said):.1f} / {np.quantile(said, 0.9):.1f}" if len(said) else "–"
    first, three = np.mean(places < 1), np.mean(places < 3)
    return f"| {kind} | {who} | {len(outcomes)} | {first:.0%} | {three:.0%} | {np.mean(exact < 1):.0%} | {onset} |"


def incident(kind: str, seed: int, size: int, show: bool) -> list[tuple[str, Outcome]]:
    """What is said about one drawn incident, to whoever sees the fleet and to a victim."""
    begin = EPOCH + (seed % 4 * 7 + seed % 2) * DAY  # a Monday or a Tuesday
    play = draw(kind, begin + 3 * DAY, begin + 4 * DAY, size=size, seed=seed)
    now = play.start + max(480.0, 0.6 * play.duration_s)
    fleet = trace(begin, now, [play], size=size, seed=seed, step_s=15.0)
    truth = fleet.incidents[0]
    start = max(truth.start - HOUR, now - 6 * HOUR) if now - truth.start > 6 * HOUR else truth.start - HOUR / 2
    rows = unusual(fleet, start, now)
    shown = [moved(row) for row in rows]
    asked = [("fleet", shown, shown)]
    if hit := [e for e in truth.events if e.server not in servers(truth) and e.concept in SYMPTOMS]:
        victim = hit[seed % len(hit)]
        felt = [one for one in shown if one[:2] == (victim.server, victim.concept)]
        asked.append(("victim", [one for one in shown if one not in felt], felt))
    outcomes = []
    for who, others, felt in asked:
        ranked = likeliest(others, felt, fleet.edges)  # nothing is named to a victim whose symptom is not seen
        outcome = judged(ranked, rows, truth, step_for(HABIT_S + now - start, 1500))
        if show and outcome.place:
            said = [(c.server, c.concept, round(c.lead_s), round(c.score, 2), c.reason) for c in ranked[:4]]
            print(f"   {play.id} {who}: true {truth.causes}, said {said}")
        outcomes.append((who, outcome))
    return outcomes


def judged(ranked: Sequence[Cause], rows: Sequence[dict[str, Any]], truth: Incident, step: float) -> Outcome:
    named = list(dict.fromkeys(cause.server for cause in ranked))
    place = next((k for k, server in enumerate(named) if server in servers(truth)), 99)
    exact = next((k for k, c in enumerate(ranked) if (c.server, c.concept) in truth.causes), 99)
    starts = [moment(r["start"]) for r in rows if (r["server"], r["concept"]) in truth.causes]
    onset = (min(starts, key=lambda at: abs(at - truth.start)) - truth.start) / step if starts else np.nan
    return Outcome(place, exact, onset)


def servers(truth: Incident) -> set[str]:
    return {server for server, _ in truth.causes}


def unusual(fleet: Trace, start: float, now: float) -> list[dict[str, Any]]:
    """The rows that `find_anomalies` gives for this window."""
    step = step_for(HABIT_S + now - start, 1500)
    at = np.arange(now - (HABIT_S + now - start) // step * step, now + 1, step)
    place = np.clip(np.searchsorted(fleet.times, at, side="right") - 1, 0, len(fleet.times) - 1)
    tracks, downs = [], []
    for (server, concept), column in zip(fleet.names, fleet.values.T, strict=True):
        if concept == "up":
            downs += outage(server, fleet.times, column, start, now)
        elif concept in WATCHED:
            tracks.append(Track(server, concept, None, at, column[place]))
    found = downs + sorted(departures(tracks, CATALOG, start, now), key=lambda row: -float(row[8] or 0))
    return [dict(zip(COLUMNS, row, strict=True)) for row in found[:MOST]]


def outage(server: str, times: Any, up: Any, start: float, now: float) -> list[tuple[Any, ...]]:
    fell = np.flatnonzero((up[1:] == 0) & (up[:-1] == 1)) + 1
    said = [np.datetime_as_string(np.datetime64(int(times[k]), "s")) + "Z" for k in fell if start < times[k] <= now]
    return [(server, "up", None, at, None, 0.0, 1.0, "low", 100.0, 1.0, 1.0) for at in said]


def quiet(days: int, size: int, seed: int, show: bool) -> str:
    """False alarms of days without incidents, asked every hour about the hour."""
    begin = EPOCH + 7 * DAY
    fleet = trace(begin, begin + (3 + days) * DAY, (), size=size, seed=seed)
    told: Counter[tuple[str, str, str]] = Counter()
    for hour in range(days * 24):
        now = begin + 3 * DAY + (hour + 1) * HOUR
        for row in unusual(fleet, now - HOUR, now):
            told[(row["server"], row["concept"], row["start"])] += 1
    if show:
        print(*told.items(), sep="\n")
    rate = len(told) / days / size
    return f"quiet: {len(told)} departures told in {days} days of {size} servers: {rate:.3f} a server-day"


if __name__ == "__main__":
    main()
