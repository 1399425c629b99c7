"""The evaluation of all rules, round after round, by the one process that leads; what it finds goes into the record.

A rule that cannot be evaluated keeps its alerts as they are and says why; the others go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from monitoring.alerts import Book, Event, Flap, Happening, event
from monitoring.alerts_record import AlertRecord, Present, Round
from monitoring.alerts_series import AlertSeries
from monitoring.alerts_silences import KEPT_S, quiet
from monitoring.alerts_since import began, rows_of
from monitoring.errors import BackendUnavailable, BadQuery, OpenManagerError, QueryTooExpensive, StoreUnavailable
from monitoring.inventory import Inventory
from monitoring.model import Batch, Vector
from monitoring.notify import Notifier
from monitoring.queries import FleetQueries
from monitoring.rules import Rule, RuleGroup
from monitoring.rules_default import default_groups
from monitoring.rules_files import RuleFiles

log = logging.getLogger(__name__)
TRIM_S = 3600.0
SHARE, WAIT_S = 20, 0.1
"""Rounds that requests ask for take about 1/`SHARE` of the time; a request waits for that at most `WAIT_S`."""
SMALL = 200
"""Of more servers, requests are answered from the last round."""
SLACK_S = 0.5
"""A group is due this much before its interval is over."""

rounds_total: Counter[str] = Counter()
"""Outcome ("ok", "failed", or the cause of a failure) → rounds of evaluation of this process."""
events_total: Counter[str] = Counter()
"""Kind → events that this process wrote."""


class Options(NamedTuple):
    """How rules are evaluated."""

    interval_s: float = 15.0
    defaults: bool = True
    """Whether the rules that come with the product hold."""
    history_s: float = 400 * 86_400.0
    flap: Flap = Flap()


@dataclass(slots=True)
class Health:
    """How a rule was evaluated last."""

    at: float = 0.0
    took_s: float = 0.0
    error: str | None = None


@dataclass(slots=True)
class State:
    """What is known between two rounds."""

    book: Book
    round: Round
    health: dict[tuple[str, str, int], Health] = field(default_factory=dict)
    """(group, rule, its place in the group) → health."""
    due: dict[str, float] = field(default_factory=dict)
    """Group → when it was evaluated last."""
    unsaved: list[Event] = field(default_factory=list)
    """What happened and is not in the record yet."""
    body: bytes = b""
    took_s: float = 0.0
    failures: int = 0


class AlertLoop:
    """Evaluates while it runs. `append` writes into our store; None where samples are another server's."""

    def __init__(
        self,
        queries: FleetQueries,
        files: RuleFiles,
        record: AlertRecord,
        clock: Callable[[], float],
        options: Options,
        *,
        fence: Callable[[], int | None],
        append: Callable[[Batch], Awaitable[int]] | None = None,
        notifier: Notifier | None = None,
        stamp: Callable[[], Hashable] = lambda: None,
    ) -> None:
        """`notifier` is told of every round; `stamp` changes when there are new samples."""
        self.files = files
        self.state: State | None = None
        """None while another process evaluates."""
        self.rounds = 0
        """Rounds of this process, failed ones too."""
        self._queries, self._record, self._clock, self._options = queries, record, clock, options
        self._fence, self._append, self._notifier, self._stamp = fence, append, notifier, stamp
        self._series = AlertSeries()
        self._turn = asyncio.Lock()
        self._stamped: Hashable = None
        self._ended = 0.0
        self._trimmed = 0.0

    async def run(self) -> None:
        """A round each interval, and what is to be sent by it, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rounds(), name="alert-rounds")
            if self._notifier is not None:
                tasks.create_task(self._notifier.run(), name="notifier")

    async def _rounds(self) -> None:
        try:
            while True:
                began_at = time.monotonic()
                await self._try()
                await asyncio.sleep(max(0.0, self._options.interval_s - (time.monotonic() - began_at)))
        finally:
            self.state = None

    async def refresh(self) -> None:
        """A round now, where we lead and samples came since the last one; what fails shows in the log alone."""
        async with self._turn:
            state = self.state
            if state is None or self._stamp() == self._stamped:
                return
            if len((await self._queries.inventory()).servers) <= SMALL:
                await asyncio.sleep(min(WAIT_S, self._ended + state.took_s * SHARE - time.monotonic()))
                await self._guarded()

    async def _try(self) -> None:
        async with self._turn:
            await self._guarded()

    async def _guarded(self) -> None:
        try:
            await self.round()
            rounds_total["ok"] += 1
        except (StoreUnavailable, BackendUnavailable) as error:
            rounds_total[error.cause] += 1
            log.warning("alerts.round_failed cause=%s error=%s", error.cause, error)
        except Exception as error:  # the loop survives what one round brings
            rounds_total["failed"] += 1
            log.error("alerts.round_failed", exc_info=error)
        self.rounds += 1

    async def round(self) -> None:
        """One evaluation of what is due, saved and told. Raises StoreUnavailable, BackendUnavailable."""
        stamp, now, started = self._stamp(), self._clock(), time.perf_counter()
        present = await self._record.present()
        if self.state is None:
            self.state = self._begun(present)
        state = self.state
        groups, inventory = await self._groups()
        await self._evaluated(groups, inventory, state, now)
        state.unsaved += state.book.drop_rules({(g.key, r.name) for g in groups for r in g.rules}, now)
        state.unsaved += state.book.settle(now)
        for alert, begins in quiet(state.book.alerts.values(), present.silences, now):
            kind: Happening = "silenced" if begins else "unsilenced"
            state.unsaved.append(event(alert, kind, now, silences=alert.silenced_by))
        state.took_s, state.round = time.perf_counter() - started, state.round.after(now)
        saved = await self._saved(groups, state)
        self._stamped, self._ended = stamp, time.monotonic()
        await self._write(self._series.batch(state.book.alerts.values(), now))
        await self._tidied(state, present, [*present.events, *saved], now)
        if self._notifier is not None:
            queries = {(group.key, rule.name): rule.expr for group in groups for rule in group.rules}
            await self._notifier.tell(list(state.book.alerts.values()), present, queries, now)

    def _begun(self, present: Present) -> State:
        """Where the last leader stopped."""
        round_ = present.round or Round(0.0, self._options.interval_s, ())
        round_ = round_._replace(interval_s=self._options.interval_s)
        return State(Book(present.alerts, self._options.flap), round_)

    async def _groups(self) -> tuple[list[RuleGroup], Inventory]:
        inventory = await self._queries.inventory()
        defaults = default_groups(self._queries.catalog, inventory) if self._options.defaults else []
        return [*defaults, *self.files.current()], inventory

    async def _evaluated(self, groups: Sequence[RuleGroup], inventory: Inventory, state: State, now: float) -> None:
        """Recording rules first, so that what they write is there for the alert rules of the same round.

        What happened goes to `state.unsaved` rule by rule: a store that goes away in between loses none of it.
        """
        due = [group for group in groups if self._is_due(group, state, now)]
        for kind in ("recording", "alerting"):
            asked = [(g, k, r) for g in due for k, r in enumerate(g.rules) if r.kind == kind]
            for (group, place, rule), found, took_s in await self._asked(asked, now):
                health = state.health.setdefault((group.key, rule.name, place), Health())
                health.at, health.took_s, health.error = now, took_s, None
                try:
                    if isinstance(found, OpenManagerError):
                        raise found
                    state.unsaved += await self._applied(group, rule, found, inventory, state, now)
                except (BadQuery, QueryTooExpensive) as error:
                    health.error = str(error)
                    state.failures += 1
                    log.warning("alerts.rule_failed group=%s rule=%s error=%s", group.key, rule.name, error)
        state.due |= {group.key: now for group in due}

    def _is_due(self, group: RuleGroup, state: State, now: float) -> bool:
        last = state.due.get(group.key)
        return last is None or group.interval_s is None or not 0 <= now - last < group.interval_s - SLACK_S

    async def _asked(
        self, asked: Sequence[tuple[RuleGroup, int, Rule]], now: float
    ) -> list[tuple[tuple[RuleGroup, int, Rule], Vector | OpenManagerError, float]]:
        """Every rule with its rows, all in one read; each by itself where one of them spoils that."""
        if not asked:
            return []
        started = time.perf_counter()
        try:
            vectors = await self._queries.backend.instants([rule.expr for _, _, rule in asked], now)
            took_s = (time.perf_counter() - started) / len(asked)
            return [(one, vector, took_s) for one, vector in zip(asked, vectors, strict=True)]
        except (BadQuery, QueryTooExpensive):
            return [(one, *await self._alone(one[2], now)) for one in asked]

    async def _alone(self, rule: Rule, now: float) -> tuple[Vector | OpenManagerError, float]:
        started = time.perf_counter()
        try:
            [vector] = await self._queries.backend.instants([rule.expr], now)
            return vector, time.perf_counter() - started
        except (BadQuery, QueryTooExpensive) as error:
            return error, time.perf_counter() - started

    async def _applied(
        self, group: RuleGroup, rule: Rule, found: Vector, inventory: Inventory, state: State, now: float
    ) -> list[Event]:
        if rule.kind == "recording":
            if self._append is None:
                raise BadQuery("recording rules need our own store; with --prometheus let that server evaluate them")
            await self._write(self._series.recorded(rule, found, now))
            return []
        rows = rows_of(rule, zip(found.labels, found.values, strict=True), inventory, self._queries.catalog)
        if group.limit and len(rows) > group.limit:
            raise BadQuery(f"the rule finds {len(rows)} alerts, more than the limit of {group.limit}")
        fresh = state.book.unknown(rows)
        since = await began(self._queries, rule, fresh, state.round, now) if fresh else {}
        return state.book.step(rule, group.key, rows, since, now)

    async def _write(self, batch: Batch | None) -> None:
        if batch is not None and self._append is not None:
            await self._append(batch)

    async def _saved(self, groups: Sequence[RuleGroup], state: State) -> list[Event]:
        """The record first: what was not saved is saved with the next round, and is one event all the same."""
        body = orjson.dumps(
            {
                "groups": [group_json(group, state) for group in groups],
                "alerts": list(state.book.alerts.values()),
                "receivers": [] if self._notifier is None else self._notifier.status(),
                "problems": [str(problem) for problem in self.files.problems],
            }
        )
        await self._record.save(body if body != state.body else b"", state.round, state.unsaved, self._fence())
        events_total.update(one.kind for one in state.unsaved)
        saved, state.body, state.unsaved = state.unsaved, body, []
        return saved

    async def _tidied(self, state: State, present: Present, events: Sequence[Event], now: float) -> None:
        """Takes history to the cold layer, and what is over out of the present."""
        active = {a.fingerprint: a.active_at for a in state.book.alerts.values() if a.state != "resolved"}
        await self._record.forget_acks([k for k, ack in present.acks.items() if active.get(k) != ack["active_at"]])
        for silence in present.silences:
            if now - silence.end > KEPT_S:
                await self._record.forget_silence(silence.id)
        try:
            await self._record.archive(events)
            if abs(now - self._trimmed) > TRIM_S:
                await self._record.trim(now - self._options.history_s)
                self._trimmed = now
        except StoreUnavailable as error:
            log.warning("alerts.not_archived cause=%s", error.cause)


def group_json(group: RuleGroup, state: State) -> dict[str, Any]:
    """A group as the record keeps it."""
    rules = []
    for place, rule in enumerate(group.rules):
        health = state.health.get((group.key, rule.name, place), Health())
        rules.append(
            {
                "kind": rule.kind,
                "name": rule.name,
                "query": rule.expr,
                "for": rule.for_s,
                "keep": rule.keep_s,
                "labels": dict(rule.labels),
                "annotations": dict(rule.annotations),
                "at": health.at,
                "took_s": round(health.took_s, 6),
                "error": health.error,
                "concept": rule.concept,
            }
        )
    return {"name": group.name, "file": group.file, "interval": group.interval_s, "limit": group.limit, "rules": rules}
