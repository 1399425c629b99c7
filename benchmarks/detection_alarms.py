"""What detection tells of quiet days, and how soon it tells of incidents: alerts that it would raise, minute by minute.

    python benchmarks/detection_alarms.py [--seeds 5] [--quiet-days 2] [--show]

The simulated fleet (20 servers, three days of history with daily habits), learnt every six hours and scored every
minute as the product does; an alert is a score of 0.5 or more for five minutes on end.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from engines.baseline import Floats
from engines.habit import Habit
from monitoring import catalog as catalogue
from monitoring.analysis import WATCHED
from monitoring.baselines import Known, ServerBaseline
from monitoring.baselines_loop import STEP_S
from monitoring.detection import Watch
from monitoring.simulator.kinds import KINDS
from monitoring.simulator.shapes import EPOCH
from monitoring.simulator.trace import Trace, draw, trace

DAY, MINUTE = 86_400.0, 60.0
FOR = 5
"""Minutes that the rule `anomaly` waits"""
REFIT_S = 6 * 3600.0
MEANS = ("cpu", "network_in", "network_out", "requests", "errors", "latency", "network_errors")
"""Concepts that are means over five minutes"""
CATALOG = catalogue.load()


class Alert(NamedTuple):
    """A score that stayed: on whom, and when it had lasted long enough (Unix seconds)."""

    server: str
    concept: str
    at: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=20_000)
    parser.add_argument("--quiet-days", type=int, default=2)
    parser.add_argument("--size", type=int, default=20)
    parser.add_argument("--show", action="store_true", help="each false alarm")
    options = parser.parse_args()
    begin, seed = EPOCH + 7 * DAY, options.first_seed
    fleet = trace(begin, begin + (3 + options.quiet_days) * DAY, (), size=options.size, seed=seed, step_s=MINUTE)
    false = alerts(fleet, begin + 3 * DAY)
    if options.show:
        print(*false, Counter(alert.concept for alert in false), sep="\n")
    rate = len(false) / options.quiet_days / options.size
    print(f"quiet: {len(false)} alerts in {options.quiet_days} days of {options.size} servers: {rate:.3f} a server-day")
    print("| incident | cases | cause told | of these: minutes after it began (median) |\n|---|---|---|---|")
    for kind in KINDS:
        delays = [told(kind, seed + k, options.size) for k in range(options.seeds)]
        found = [delay for delay in delays if delay is not None]
        print(f"| {kind} | {len(delays)} | {len(found)} | {np.median(found) / 60 if found else np.nan:.0f} |")


def told(kind: str, seed: int, size: int) -> float | None:
    """Seconds from the begin of a drawn incident to the alert on a server that caused it; None where there is none."""
    begin = EPOCH + 7 * DAY
    play = draw(kind, begin + 3 * DAY, begin + 4 * DAY, size=size, seed=seed)
    fleet = trace(begin, play.end, [play], size=size, seed=seed, step_s=MINUTE)
    truth = fleet.incidents[0]
    causes = {server for server, _ in truth.causes}
    found = [a.at for a in alerts(fleet, truth.start - 3600) if a.server in causes and a.at >= truth.start]
    return min(found) - truth.start if found else None


def alerts(fleet: Trace, start: float) -> list[Alert]:
    """What would be told from `start` on."""
    columns = [k for k, (_, concept) in enumerate(fleet.names) if concept in WATCHED]
    names = [fleet.names[k] for k in columns]
    values = np.stack([seen(fleet.values[:, k], fleet.names[k][1]) for k in columns], axis=1)
    first, watch, fitted = int(np.searchsorted(fleet.times, start)), None, -np.inf
    lasting, found = Counter[int](), []
    for row in range(first - 360, len(fleet.times)):
        now = float(fleet.times[row])
        if now - fitted >= REFIT_S:
            fitted = max(now, start) if watch is None else now
            watch = Watch.of(1, learnt(names, fleet.times[: row + 1], values[: row + 1]), CATALOG, watch)
        assert watch is not None
        given = np.full(len(watch.rows), np.nan)
        for name, value in zip(names, values[row], strict=True):
            if (place := watch.rows.get((*name, None))) is not None:
                given[place] = value
        for k, score in enumerate(watch.step(given, now).tolist()):
            lasting[k] = lasting[k] + 1 if score >= 0.5 else 0
            if lasting[k] == FOR + 1 and row >= first:
                labels = watch.labels[k]
                found.append(Alert(labels["server_id"], labels["concept"], now))
    return found


def seen(column: Floats, concept: str) -> Floats:
    """A column as its query gives it, minute by minute."""
    if concept not in MEANS:
        return column
    known = np.isfinite(column)
    total, count = (np.convolve(part, np.ones(5))[: len(column)] for part in (np.where(known, column, 0.0), known))
    return np.where(known, total / np.maximum(count, 1), np.nan)


def learnt(names: list[tuple[str, str]], times: Floats, values: Floats) -> list[ServerBaseline]:
    """What is normal by the history so far."""
    every = int(STEP_S // MINUTE)
    found: dict[str, list[Known]] = {}
    for (server, concept), column in zip(names, values.T, strict=True):
        if (habit := Habit.fit(times[::every], column[::every])) is not None:
            found.setdefault(server, []).append(Known(concept, None, habit))
    return [ServerBaseline(server, 1, float(times[-1]), tuple(known)) for server, known in found.items()]


if __name__ == "__main__":
    main()
