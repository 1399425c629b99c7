"""A fleet that somebody else writes into Redis: `servers:active` and the hashes `server:`, `metrics:`, `status:{id}`.

The layout is that of the founding documents. It is read, never written. What a hash states as its time is believed: one
that has not changed since is not repeated, so that the servers of a writer that died go stale and then offline.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from redis.exceptions import RedisError, ResponseError

from monitoring.ingest import founding_fields as reading
from monitoring.ingest.founding_fields import Refused
from monitoring.model import STALE_NAN, Batch, Labels
from monitoring.store.connection import Connection

log = logging.getLogger(__name__)

ACTIVE = "servers:active"
KINDS = ("server", "metrics", "status")
"""The hashes of a server, `{kind}:{id}`; a metric may stand in any, the last of these wins least."""
_PREFERRED = ("metrics", "status", "server")
Sample = tuple[Labels, float, float]
"""Labels, Unix seconds, value."""
_REMEMBERED = 1_000
"""Complaints that are remembered, so that a bad value is logged once and not at every reading."""


@dataclass(slots=True)
class _Known:
    """What is known of a server from earlier readings."""

    raw: list[Any] | None = None
    stated: bool = False
    """True where every value had a time of its own: nothing is new until a hash changes."""
    labels: dict[str, str] = field(default_factory=dict)
    had_metrics: bool = False
    sent: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Metric → stated time and value of the last sample that had a time of its own."""


class FoundingKeys:
    """Reads the fleet of `connection` once an interval, in one round trip; one small command where there is none."""

    name = "founding_keys"

    def __init__(
        self,
        connection: Connection,
        interval_s: float = 5.0,
        *,
        refused: Callable[[str], None] = lambda _: None,
        owned: bool = False,
    ) -> None:
        """`refused` is told of each value that could not be used, too. `owned`: `close` closes the connection."""
        self.interval_s = interval_s
        self.refused: Counter[str] = Counter()
        """Values that could not be used, by kind and field: `metrics.cpu`."""
        self._tell = refused
        self._connection = connection
        self._owned = owned
        self._known: dict[str, _Known] = {}
        self._complained: set[tuple[str, str, str]] = set()

    @property
    def servers(self) -> list[str]:
        """Ids of the servers of the last reading, sorted."""
        return sorted(self._known)

    async def collect(self, now: float) -> Batch:
        """What the hashes say that was not written before. Raises StoreUnavailable."""
        ids = list(self._known)
        found, *hashes = await self._read(ids, active=True)
        active = self._members(found)
        if new := [name for name in active if name not in self._known]:
            hashes += await self._read(new)
        self._known |= {name: _Known() for name in new}
        samples: list[Sample] = []
        for place, name in enumerate([*ids, *new]):
            if name in active:
                samples += self._samples(name, hashes[3 * place : 3 * place + 3], now)
            else:  # its samples end here: it goes stale, then offline
                del self._known[name]
        return batch(samples)

    async def close(self) -> None:
        """Closes the connection where it is not the store's."""
        if self._owned:
            await self._connection.close()

    async def _read(self, ids: Sequence[str], *, active: bool = False) -> list[Any]:
        """The replies for the set, if asked, and for three hashes of each server."""
        pipeline = self._connection.redis.pipeline(transaction=False)
        if active:
            pipeline.execute_command("SMEMBERS", ACTIVE)
        for name in ids:
            for kind in KINDS:
                pipeline.execute_command("HGETALL", f"{kind}:{name}")

        async def run() -> list[Any]:
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
            for reply in replies:  # a key of another kind is one server's matter, anything else is Redis'
                if isinstance(reply, RedisError) and not str(reply).startswith("WRONGTYPE"):
                    raise reply
            return replies

        return await self._connection.guarded(run)

    def _members(self, reply: Any) -> set[str]:
        if isinstance(reply, ResponseError):
            self._refuse("", ACTIVE, Refused("", str(reply), "is not a set of server ids"))
            return set()
        return {_text(name) for name in reply if name}

    def _samples(self, name: str, raw: list[Any], now: float) -> list[Sample]:
        known = self._known[name]
        unchanged, known.raw = raw == known.raw, raw
        if unchanged and known.stated:
            return []
        hashes = {kind: self._hash(name, kind, reply) for kind, reply in zip(KINDS, raw, strict=True)}
        times = {kind: self._time(name, kind, hashes[kind], now) for kind in KINDS}
        given: dict[str, str] = {}
        for kind in KINDS[::-1]:
            given |= reading.labels(hashes[kind])
        before = known.labels
        known.labels = {"server_id": name, **before, **given}
        samples = self._measured(name, known, hashes, times, now, quiet=unchanged)
        if before and before != known.labels and known.sent:
            samples += [({**before, "__name__": metric}, now, float(STALE_NAN)) for metric in known.sent]
        return samples

    def _measured(
        self,
        name: str,
        known: _Known,
        hashes: dict[str, dict[str, str]],
        times: dict[str, float | None],
        now: float,
        *,
        quiet: bool,
    ) -> list[Sample]:
        values: dict[str, tuple[float | None, float]] = {}
        for kind in _PREFERRED:
            for found in reading.gauges(hashes[kind]):
                if isinstance(found, Refused):
                    self._refuse(name, kind, found, quiet=quiet)
                else:
                    values.setdefault(found[0], (times[kind], found[1]))
        if values:
            known.had_metrics = True
        stated = next((at for at, _ in values.values() if at is not None), None)
        for kind in ("status", "server", "metrics"):
            up = reading.state(hashes[kind])
            if isinstance(up, Refused):
                self._refuse(name, kind, up, quiet=quiet)
            elif up is not None:
                # a status without a time is as old as the metrics beside it; when those expired, it is not believed
                if times[kind] is not None or values or not known.had_metrics or up == 0:
                    values.setdefault("server_up", (times[kind] or stated, up))
                break
        known.stated = all(at is not None for at, _ in values.values())
        return [sample for metric, (at, value) in values.items() for sample in _fresh(known, metric, at, value, now)]

    def _hash(self, name: str, kind: str, reply: Any) -> dict[str, str]:
        if isinstance(reply, ResponseError):
            self._refuse(name, kind, Refused("", str(reply), "is not a hash"))
            return {}
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        return reading.fields({_text(key): _text(value) for key, value in pairs})

    def _time(self, name: str, kind: str, found: dict[str, str], now: float) -> float | None:
        """The time that a hash states; a time that cannot be read makes its values those of now, and is counted."""
        at = reading.stated_time(found, now)
        if isinstance(at, Refused):
            self._refuse(name, kind, at)
            return None
        return at

    def _refuse(self, name: str, kind: str, refused: Refused, *, quiet: bool = False) -> None:
        """Counts a value that cannot be used; logs it once while it stays the same."""
        where = f"{kind}.{refused.field}" if refused.field else kind
        if not quiet:
            self.refused[where] += 1
            self._tell(f"{self.name}.{where}")
        seen = (name, where, refused.value)
        if seen not in self._complained:
            if len(self._complained) >= _REMEMBERED:
                self._complained.clear()
            self._complained.add(seen)
            shown = repr(refused.value[:60])
            log.warning("founding_keys.refused server=%s field=%s value=%s: it %s", name, where, shown, refused.problem)


def _fresh(known: _Known, metric: str, at: float | None, value: float, now: float) -> Iterable[Sample]:
    """The sample, unless it was written before."""
    moment = now if at is None else at
    if at is not None and known.sent.get(metric) == (at, value):
        return ()
    known.sent[metric] = (moment, value)
    return [({**known.labels, "__name__": metric}, moment, value)]


def batch(samples: Sequence[Sample]) -> Batch:
    """Samples with times of their own, in columns."""
    return Batch(
        [labels for labels, _, _ in samples],
        np.arange(len(samples), dtype=np.int32),
        np.array([round(at * 1000) for _, at, _ in samples], dtype=np.int64),
        np.array([value for _, _, value in samples], dtype=np.float64),
    )


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
