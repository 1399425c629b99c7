"""The record of alerts: the present in Redis, shared by all processes; the past as rows of the cold layer.

| key | holds |
|---|---|
| `{om}:alerts` | JSON: groups and rules as last evaluated, and every alert that is known |
| `{om}:alerts:round` | JSON: when it was evaluated last, how often, and the spans of time that the record covers |
| `{om}:alerts:events` | event id → event, until the cold layer has it |
| `{om}:alerts:acks` | fingerprint → who took note of the alert that is active since when |
| `{om}:alerts:silences` | id → silence |
| channel `om:alert` | one message for each event, when it was first written |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from monitoring.alerts import KINDS, Alert, Event
from monitoring.alerts_silences import Silence
from monitoring.errors import StoreUnavailable
from monitoring.store.cold_rows import AlertRow
from monitoring.store.cold_tables import ColdStore
from monitoring.store.connection import Connection

GAP_S = 120.0
"""A pause between two evaluations that is not longer is no gap in the record (or three intervals, if longer)."""
SPANS = 200
Span = tuple[float, float]

_SAVE = """
-- ARGV: fence or '', alerts or '' (unchanged), round, then id and JSON of each event. Returns 1, or 0: another leads.
if ARGV[1] ~= '' and tonumber(redis.call('GET', '{om}:fence') or 0) > tonumber(ARGV[1]) then return 0 end
if ARGV[2] ~= '' then redis.call('SET', '{om}:alerts', ARGV[2]) end
if ARGV[3] ~= '' then redis.call('SET', '{om}:alerts:round', ARGV[3]) end
for i = 4, #ARGV, 2 do
  if redis.call('HSETNX', '{om}:alerts:events', ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('PUBLISH', 'om:alert', ARGV[i + 1])
  end
end
return 1
"""
_READ = """
return {redis.call('GET', '{om}:alerts'), redis.call('GET', '{om}:alerts:round'),
  redis.call('HVALS', '{om}:alerts:events'), redis.call('HGETALL', '{om}:alerts:acks'),
  redis.call('HVALS', '{om}:alerts:silences')}
"""
_KEEP = """
-- ARGV: 'acks' or 'silences', field, JSON or '' (remove), event id, event. Returns 1 where something changed.
local changed = 1
if ARGV[3] == '' then changed = redis.call('HDEL', '{om}:alerts:'..ARGV[1], ARGV[2])
else redis.call('HSET', '{om}:alerts:'..ARGV[1], ARGV[2], ARGV[3]) end
if changed == 1 and ARGV[4] ~= '' and redis.call('HSETNX', '{om}:alerts:events', ARGV[4], ARGV[5]) == 1 then
  redis.call('PUBLISH', 'om:alert', ARGV[5])
end
return changed
"""
_FORGET = "return redis.call('HDEL', '{om}:alerts:events', unpack(ARGV))"


class Round(NamedTuple):
    """The last evaluation."""

    at: float
    interval_s: float
    spans: tuple[Span, ...]
    """From when to when rules were evaluated without a gap."""

    def after(self, now: float) -> Round:
        """The round that follows at `now`."""
        if not self.spans or not 0 <= now - self.spans[-1][1] <= max(GAP_S, 3 * self.interval_s):
            spans = (*(span for span in self.spans if span[0] < now), (now, now))
        else:
            spans = (*self.spans[:-1], (self.spans[-1][0], now))
        return Round(now, self.interval_s, spans[-SPANS:])

    def until(self) -> float:
        """Up to when the record speaks for the present."""
        return self.at + max(GAP_S, 3 * self.interval_s)


class Present(NamedTuple):
    """The record as it stands in Redis."""

    groups: list[dict[str, Any]]
    alerts: list[Alert]
    round: Round | None
    events: list[Event]
    """Those that the cold layer does not have yet."""
    acks: dict[str, dict[str, Any]]
    silences: list[Silence]
    receivers: list[dict[str, Any]] = []  # noqa: RUF012 - never changed
    problems: list[str] = []  # noqa: RUF012
    """What cannot be used of the rule files."""

    def ack(self, alert: Alert) -> dict[str, Any] | None:
        """Who took note of this episode of the alert."""
        found = self.acks.get(alert.fingerprint)
        return found if found is not None and found["active_at"] == alert.active_at else None

    def firing(self) -> list[Alert]:
        """What fires, worst first, without what another alert explains."""
        found = [alert for alert in self.alerts if alert.state == "firing" and alert.inhibited_by is None]
        return sorted(found, key=lambda alert: (alert.severity != "critical", alert.server or "", alert.name))


NOTHING = Present([], [], None, [], {}, [])
"""The record of one who never evaluated a rule."""


class AlertRecord:
    """Reads and writes the record. All methods raise StoreUnavailable."""

    def __init__(self, connection: Connection, cold: ColdStore | None) -> None:
        self._connection = connection
        self._cold = cold

    async def present(self) -> Present:
        """The record as it stands; one round trip."""
        body, round_, events, acks, silences = await self._connection.read(_READ)
        known = orjson.loads(body) if body else {"groups": [], "alerts": []}
        said = orjson.loads(round_) if round_ else None
        return Present(
            known["groups"],
            [Alert(**one) for one in known["alerts"]],
            None if said is None else Round(said["at"], said["interval_s"], tuple(map(tuple, said["spans"]))),
            [Event(**orjson.loads(one)) for one in events],
            {k.decode(): orjson.loads(v) for k, v in zip(acks[::2], acks[1::2], strict=True)},
            [Silence.of(orjson.loads(one)) for one in silences],
            known.get("receivers", []),
            known.get("problems", []),
        )

    async def save(self, body: bytes, round_: Round | None, events: Sequence[Event], fence: int | None) -> None:
        """Keeps the present (empty: it is as it was) and what happened. StoreUnavailable("fenced"): another leads."""
        words = [word for one in events for word in (one.id, orjson.dumps(one.to_json()))]
        said = b"" if round_ is None else orjson.dumps(round_._asdict())
        if not await self._connection.write(_SAVE, "" if fence is None else fence, body, said, *words):
            raise StoreUnavailable("fenced", "another process evaluates the rules now")

    async def archive(self, events: Sequence[Event]) -> None:
        """Brings events to the cold layer; they leave Redis when it has them."""
        if self._cold is None or not events:
            return
        await self._cold.put_alerts([AlertRow(*one[:-1], orjson.dumps(one.body).decode()) for one in events])
        await self._connection.write(_FORGET, *(one.id for one in events))

    async def trim(self, before: float) -> int:
        """Removes the history before a time; returns how many events."""
        return 0 if self._cold is None else await self._cold.drop_alerts_before(before)

    async def history(
        self, start: float, end: float, kinds: Sequence[str] = (), limit: int = 10_000, present: Present | None = None
    ) -> list[Event]:
        """What happened from `start` to `end`, oldest first; of more than `limit`, the newest."""
        held = (present or await self.present()).events
        rows = [] if self._cold is None else await self._cold.alerts(start, end, kinds, limit)
        found = {row.id: Event(*row[:-1], orjson.loads(row.body)) for row in rows}
        found |= {one.id: one for one in held if start <= one.time <= end and (not kinds or one.kind in kinds)}
        return sorted(found.values(), key=lambda one: (one.time, KINDS.index(one.kind), one.id))[-limit:]

    async def acknowledge(self, alert: Alert, author: str, comment: str, happened: Event) -> None:
        """Notes that somebody takes care of the alert, as long as it lasts."""
        said = {"by": author, "comment": comment, "at": happened.time, "active_at": alert.active_at}
        await self._keep("acks", alert.fingerprint, orjson.dumps(said), happened)

    async def forget_acks(self, fingerprints: Sequence[str]) -> None:
        """Takes notes out whose alerts are over."""
        for fingerprint in fingerprints:
            await self._keep("acks", fingerprint, b"", None)

    async def silence(self, silence: Silence, happened: Event | None = None) -> None:
        """Keeps a silence, over one of the same id."""
        await self._keep("silences", silence.id, orjson.dumps(silence.to_json()), happened)

    async def forget_silence(self, silence_id: str) -> None:
        """Takes a silence out that was over long ago."""
        await self._keep("silences", silence_id, b"", None)

    async def _keep(self, place: str, field: str, body: bytes, happened: Event | None) -> None:
        said = ("", "") if happened is None else (happened.id, orjson.dumps(happened.to_json()))
        await self._connection.write(_KEEP, place, field, body, *said)
