"""The dashboard's bytes: encoded once for a reading, then served as they are, ahead of the framework's routing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import cramjam
import numpy as np
import orjson
from starlette.types import Receive, Scope, Send

from monitoring.errors import BackendUnavailable, StoreUnavailable
from monitoring.fleet import FleetState
from monitoring.store.board import Published, Tick, encode_tick
from monitoring.windows import rfc3339
from web import __version__
from web.delta import Data
from web.envelope import encode, failure
from web.middleware import HEADERS, SecurityHeaders

Coding = Literal["zstd", "gzip", "identity"]
CODINGS: tuple[Coding, ...] = get_args(Coding)
"""Preferred first."""
SUFFIX: dict[Coding, str] = {"identity": "", "gzip": "-gz", "zstd": "-zst"}
COLUMNS = {
    **{name: name for name in ("cpu", "memory", "disk", "network_in", "network_out", "load", "requests", "errors")},
    "latency": "latency",
    "uptime": "uptime_s",
    "age": "age_s",
}
"""Columns of the fleet matrix → fields of a server."""
OPEN = b"public, s-maxage=30, stale-while-revalidate=60"
CACHED, CAUSED = b'"cached":true', b'"cached":false'


class Encoded(NamedTuple):
    """One body in one coding, and the headers that go with it."""

    body: bytes
    etag: bytes
    matches: frozenset[bytes]
    """Tags of the copies that need no new transfer: this, and the one that differs in `cached` only."""
    headers: list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Board:
    """One reading of the fleet. `bodies` are made when first wanted, or all at once by `encode_all`."""

    seq: int
    time: float
    """Unix seconds of the reading."""
    newest: float | None
    """Unix seconds of the newest sample."""
    stale: bool
    bodies: dict[str, bytes]
    caused: bool = False
    """The body says `cached: false`: it goes to the request that caused the reading."""
    tag: str = ""
    _data: Data | None = None
    _encoded: dict[Coding, Encoded] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Data, time: float, newest: float | None) -> Board:
        """The board of a reading; `data` is what `/api/dashboard` gives."""
        body = {"success": True, "data": {"cached": True, **data}, "timestamp": data["timestamp"]}
        plain = encode(body | {"version": __version__})
        tag = f"{data['seq']:x}-{hashlib.blake2b(plain, digest_size=8).hexdigest()}"
        return cls(data["seq"], time, newest, data["stale"], {"identity": plain}, tag=tag, _data=data)

    @classmethod
    def published(cls, found: Published) -> Board:
        """The board that another process published: the same bytes under the same tags."""
        facts = found.facts
        return cls(found.version, facts["time"], facts["newest"], facts["stale"], found.bodies, tag=facts["tag"])

    def facts(self) -> dict[str, Any]:
        """What `published` needs beside the bodies."""
        return {"time": self.time, "newest": self.newest, "stale": self.stale, "tag": self.tag}

    def data(self) -> Data:
        """The reading itself."""
        if self._data is None:
            self._data = orjson.loads(self.bodies["identity"])["data"]
            self._data.pop("cached")
        return self._data

    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(map(len, self.bodies.values()))

    def encode_all(self) -> None:
        """Compresses now what would be compressed when first wanted."""
        for coding in CODINGS:
            self.encoded(coding)

    def encoded(self, coding: Coding) -> Encoded:
        """The body in one coding with its headers."""
        if (found := self._encoded.get(coding)) is None:
            found = self._encoded[coding] = self._encode(coding)
        return found

    def _encode(self, coding: Coding) -> Encoded:
        if coding not in self.bodies:
            self.bodies[coding] = compressed(self.bodies["identity"], coding)
        body = self.bodies[coding]
        plain = f'"{self.tag}{SUFFIX[coding]}"'.encode()
        other = f'"{self.tag}{SUFFIX[coding]}-n"'.encode()
        etag = other if self.caused else plain
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"etag", etag),
            (b"vary", b"Accept-Encoding"),
            *([] if coding == "identity" else [(b"content-encoding", coding.encode())]),
            *HEADERS,
        ]
        return Encoded(body, etag, frozenset((plain, other)), headers)

    def for_the_cause(self) -> Board:
        """The same reading for the request that caused it: `cached` is false there."""
        plain = self.bodies["identity"].replace(CACHED, CAUSED, 1)
        return Board(self.seq, self.time, self.newest, self.stale, {"identity": plain}, True, self.tag)

    def as_stale(self, now: float) -> Board:
        """The last good copy while the store is away, with the ages of now."""
        data, passed = self.data(), max(0.0, now - self.time)
        servers = [s if s["age_s"] is None else {**s, "age_s": round(s["age_s"] + passed, 1)} for s in data["servers"]]
        age_s = None if self.newest is None else round(now - self.newest, 1)
        return Board.of({**data, "servers": servers, "stale": True, "age_s": age_s}, self.time, self.newest)

    def tick(self) -> bytes:
        """The fleet as a matrix (`monitoring.store.board`)."""
        data = self.data()
        rows = [[s[name] for name in COLUMNS.values()] for s in data["servers"]]
        values = np.array(rows, dtype=np.float32).reshape(len(rows), len(COLUMNS))  # None becomes NaN
        return encode_tick(Tick(self.seq, self.time, [s["id"] for s in data["servers"]], list(COLUMNS), values))


def compressed(body: bytes, coding: Coding) -> bytes:
    """The body in a coding."""
    if coding == "identity":
        return body
    # Measured at 1,000 servers (550 KB): gzip 4 takes 8 ms for 131 KB, 6 takes 19 ms for 126 KB; zstd 1 takes 1 ms for
    # 119 KB, and 3 is no smaller.
    return bytes(cramjam.gzip.compress(body, level=4) if coding == "gzip" else cramjam.zstd.compress(body, level=1))


class Dashboard:
    """`GET /api/dashboard` as a bare ASGI application; `current` gives a board and whether the request caused it."""

    def __init__(self, current: Callable[[], Any], clock: Callable[[], float]) -> None:
        self._current = current
        self._clock = clock

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            board, caused = await self._current()
        except (StoreUnavailable, BackendUnavailable) as error:
            away = failure(500, str(error), "store_unavailable", {"cause": error.cause})
            await SecurityHeaders(away)(scope, _receive, send)
            return
        if caused:
            board = board.for_the_cause()
        accepted = known = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                accepted = accepted + b"," + value if accepted else value
            elif name == b"if-none-match":
                known = known + b"," + value if known else value
        found: Encoded = board.encoded(coding_for(accepted))
        age = b"%d" % max(0, int(self._clock() - board.time))
        headers = [*found.headers, (b"cache-control", caching(scope, board.stale)), (b"age", age)]
        if known and _is_known(known, found):
            headers = [header for header in headers if header[0] not in (b"content-length", b"content-type")]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else found.body})


def caching(_request: Scope, stale: bool) -> bytes:
    """The Cache-Control of a dashboard: whoever may see it without logging in may keep it. A stale one is not kept."""
    return b"no-cache" if stale else OPEN


@lru_cache(256)
def coding_for(accepted: bytes) -> Coding:
    """The coding to answer with, by an Accept-Encoding header (RFC 9110, 12.5.3).

    >>> coding_for(b"gzip, deflate, br, zstd"), coding_for(b"gzip;q=1.0, *;q=0.5"), coding_for(b"zstd;q=0, *")
    ('zstd', 'gzip', 'gzip')
    >>> coding_for(b""), coding_for(b"br"), coding_for(b"identity, gzip;q=0.5")
    ('identity', 'identity', 'identity')
    """
    weights: dict[str, float] = {}
    for part in accepted.decode("latin-1").lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip().replace("x-gzip", "gzip")] = _weight(parameters)
    rest = weights.get("*", 0.0)
    offered = {coding: weights.get(coding, rest) for coding in CODINGS if coding != "identity"}
    best = max(offered, key=offered.__getitem__)
    plain = weights.get("identity", 0.0)
    return best if offered[best] > 0 and offered[best] >= plain else "identity"


def _weight(parameters: str) -> float:
    name, _, value = parameters.replace(" ", "").partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _is_known(known: bytes, found: Encoded) -> bool:
    """Whether an If-None-Match header names the copy that would be sent (weak comparison)."""
    if known in found.matches:
        return True
    tags = {tag.strip().removeprefix(b"W/") for tag in known.split(b",")}
    return b"*" in tags or not tags.isdisjoint(found.matches)


def content(state: FleetState, servers: list[Data], seq: int, stale_s: float) -> Data:
    """The `data` of a reading."""
    found: Data = {
        "seq": seq,
        "total": len(servers),
        "counts": state.counts(),
        "timestamp": rfc3339(state.time),
        "stale": state.age_s is not None and state.age_s > stale_s,
        "age_s": None if state.age_s is None else round(state.age_s, 1),
        "servers": servers,
    }
    if not servers:
        there = "the server of --prometheus has no metrics of servers (docs/sources.md lists the exporters)"
        here = "start with --scrape HOST:PORT, --local or --demo"
        found["message"] = f"no servers yet: {there if state.source == 'remote' else here}"
    return found
