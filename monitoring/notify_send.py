"""One receiver: a bounded queue, and a task that empties it with patience. Its address is a secret and never logged."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson

from monitoring.errors import BadSetting

log = logging.getLogger(__name__)
Kind = Literal["webhook", "slack", "alertmanager"]
WAITING = 100
"""Messages that wait for one receiver; of more, the oldest are dropped and counted."""
TRIES = 8
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
TIMEOUT_S = 10.0
AGAIN = frozenset((408, 429))
"""Refusals that another try may get past, beside all of 5xx."""

notifications_total: Counter[tuple[str, str]] = Counter()
"""(receiver, "sent" | "failed" | "dropped" | "retried") → how many."""


class Place(NamedTuple):
    """A receiver as the settings name it: its URL, or `@FILE` that holds it and is read for each message."""

    kind: Kind
    text: str

    @classmethod
    def of(cls, kind: Kind, text: str) -> Place:
        """The place, checked. Raises BadSetting, which does not repeat it."""
        place = cls(kind, text)
        if not text.startswith("@") and not _is_url(text):
            raise BadSetting(f"the address of a receiver ({kind}) is no http:// or https:// URL and no @FILE")
        return place

    def url(self) -> str:
        """Where to send to. Raises OSError, ValueError."""
        text = self.text
        if text.startswith("@"):
            text = Path(text[1:]).read_text("utf-8").strip()
        if not _is_url(text):
            raise ValueError("the file of the address holds no http:// or https:// URL")
        return text.rstrip("/") + "/api/v2/alerts" if self.kind == "alertmanager" else text

    def shown(self) -> str:
        """What may be seen of it: scheme and host, or the file.

        >>> Place("slack", "https://hooks.slack.com/services/T0/B0/secret").shown()
        'https://hooks.slack.com/…'
        """
        if self.text.startswith("@"):
            return self.text
        parts = urlsplit(self.text)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}/…"


class Receiver:
    """Takes messages at once (`put`) and delivers them in order while `run` runs."""

    def __init__(self, place: Place, number: int, token_file: Path | None = None, pause_s: float = PAUSE_S) -> None:
        self.place = place
        self.name = f"{place.kind}-{number}"
        self.last_error: str | None = None
        """None where the last message was delivered."""
        self.last_sent: float | None = None
        """Unix seconds of the message that was delivered last, as its round has them."""
        self._token_file = token_file
        self._pause_s = pause_s
        self._waiting: deque[tuple[Any, float]] = deque()
        self._some = asyncio.Event()

    def put(self, body: Any, now: float, *, latest_only: bool = False) -> None:
        """Queues a message. With `latest_only` it takes the place of one that still waits."""
        if latest_only:
            self._waiting.clear()
        while len(self._waiting) >= WAITING:
            self._waiting.popleft()
            notifications_total[self.name, "dropped"] += 1
            log.warning("notify.dropped receiver=%s", self.name)
        self._waiting.append((body, now))
        self._some.set()

    async def run(self) -> None:
        """Delivers until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._some.wait()
                while self._waiting:
                    body, now = self._waiting.popleft()
                    if await self._delivered(session, orjson.dumps(body)):
                        self.last_sent = now
                self._some.clear()

    def status(self) -> dict[str, Any]:
        """How it is."""
        counts = {outcome: notifications_total[self.name, outcome] for outcome in ("sent", "failed", "dropped")}
        return {
            "name": self.name,
            "kind": self.place.kind,
            "address": self.place.shown(),
            "waiting": len(self._waiting),
            **counts,
            "last_sent": self.last_sent,
            "last_error": self.last_error,
        }

    async def _delivered(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        for attempt in range(TRIES):
            if attempt:
                notifications_total[self.name, "retried"] += 1
                pause_s = min(self._pause_s * 2 ** (attempt - 1), LONGEST_PAUSE_S)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            again = await self._tried(session, body)
            if again is None:
                self.last_error = None
                notifications_total[self.name, "sent"] += 1
                return True
            if not again:
                break
        notifications_total[self.name, "failed"] += 1
        log.warning("notify.failed receiver=%s address=%s cause=%s", self.name, self.place.shown(), self.last_error)
        return False

    async def _tried(self, session: aiohttp.ClientSession, body: bytes) -> bool | None:
        """None where it was taken, else whether to try again. Errors may repeat the URL: only their kind is kept."""
        try:
            headers = {"Content-Type": "application/json", "User-Agent": "OpenManager"}
            if self._token_file is not None and self.place.kind != "slack":
                headers["Authorization"] = f"Bearer {self._token_file.read_text('utf-8').strip()}"
            async with session.post(self.place.url(), data=body, headers=headers, allow_redirects=False) as reply:
                if reply.status < 300:
                    return None
                self.last_error = f"HTTP {reply.status}"
                return reply.status >= 500 or reply.status in AGAIN
        except TimeoutError:
            self.last_error = f"no answer within {TIMEOUT_S:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self.last_error = type(error).__name__
        return True


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
