"""Changes of the fleet for all who listen: encoded once, kept for a while, one wake-up for everybody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from monitoring.windows import rfc3339
from web.envelope import encode
from web.middleware import HEADERS

KEPT = 64
"""Changes that a reader who comes back may still be sent (`Last-Event-ID`)."""
ALERTS = 32
"""Events of alerts that a slow reader may still be sent; they are in the history anyway."""
BEHIND = 16
"""A reader who is further behind than this is told to fetch anew."""
ALIVE = b": alive\n\n"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
        *HEADERS,
    ],
}


class Stream:
    """The newest changes, numbered without a gap up to `seq`."""

    def __init__(self) -> None:
        self.seq = 0
        self.life = 0
        """Changes when the numbers are not continued."""
        self.readers = 0
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._next: asyncio.Future[None] | None = None
        self.alerts = 0
        """How many events of alerts were told; they have no number of their own."""
        self._alerts: deque[bytes] = deque(maxlen=ALERTS)

    def push(self, seq: int, sent: bytes) -> None:
        """Send the change that leads from `seq` − 1 to `seq` to all."""
        if seq != self.seq + 1:
            self.restart(seq)
            return
        self._kept.append(sent)
        self.seq = seq
        self.wake()

    def tell_alert(self, body: bytes) -> None:
        """Send the event of an alert, as JSON, to all."""
        self._alerts.append(frame("alert", body))
        self.alerts += 1
        self.wake()

    def alerts_after(self, count: int) -> list[bytes]:
        """The events of alerts after the first `count`, of those that are kept."""
        return list(self._alerts)[max(0, len(self._alerts) - (self.alerts - count)) :]

    def restart(self, seq: int) -> None:
        """Go on from `seq`, where no change leads to: all readers are told to fetch anew."""
        self._kept.clear()
        self.seq, self.life = seq, self.life + 1
        self.wake()

    def wake(self) -> None:
        """Wake all readers; one for whom nothing is new sends a sign of life."""
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        self._next = None

    def after(self, seq: int, most: int = BEHIND) -> list[bytes] | None:
        """What came after `seq`; None where it is not all there any more, or more than `most`."""
        count = self.seq - seq
        if not 0 <= count <= min(len(self._kept), most):
            return None
        return [self._kept[k] for k in range(len(self._kept) - count, len(self._kept))]

    async def changed(self) -> None:
        """Returns at the next change, or sign of life."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)  # one reader who leaves must not wake the others


class Realtime:
    """`GET /api/servers/realtime` as a bare ASGI application: `hello`, what was missed, then each change."""

    def __init__(self, stream: Callable[[], Stream], clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["method"] == "HEAD":
            await send(START)
            await send({"type": "http.response.body", "body": b""})
            return
        stream, reader = self._stream(), asyncio.current_task()
        assert reader is not None
        leaving = asyncio.ensure_future(_left(receive))

        def end(_: object) -> None:
            reader.cancel()  # nothing else tells an ASGI application that waits

        leaving.add_done_callback(end)
        stream.readers += 1
        try:
            await send(START)
            await _pour(stream, self._begin(stream, dict(scope["headers"]).get(b"last-event-id", b"")), send)
        except asyncio.CancelledError:
            if not leaving.done() or reader.uncancel() > 0:
                raise
        finally:
            stream.readers -= 1
            leaving.remove_done_callback(end)
            leaving.cancel()

    def _begin(self, stream: Stream, last: bytes) -> bytes:
        """What a reader is greeted with, who has heard everything up to the event `last` (or nothing)."""
        hello = {"seq": stream.seq, "timestamp": rfc3339(self._clock())}
        if not last:
            return frame("hello", hello, stream.seq)
        missed = stream.after(int(last), KEPT) if last.isdigit() else None
        if missed is None:
            return frame("hello", hello, stream.seq) + frame("reset", {"seq": stream.seq}, stream.seq)
        return frame("hello", {**hello, "seq": int(last), "resumed": True}, int(last)) + b"".join(missed)


async def _pour(stream: Stream, begin: bytes, send: Send) -> None:
    at, heard = (stream.life, stream.seq), stream.alerts
    await send({"type": "http.response.body", "body": begin, "more_body": True})
    while True:
        if at == (stream.life, stream.seq) and heard == stream.alerts:
            await stream.changed()
        told, heard = b"".join(stream.alerts_after(heard)), stream.alerts
        body = told or ALIVE
        if at != (stream.life, stream.seq):
            news = stream.after(at[1]) if at[0] == stream.life else None
            at = stream.life, stream.seq
            body = (frame("reset", {"seq": at[1]}, at[1]) if news is None else b"".join(news)) + told
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def frame(event: str, data: Any, number: int | None = None) -> bytes:
    """One server-sent event; `data` may be encoded already."""
    head = f"id: {number}\n" if number is not None else ""
    body = data if isinstance(data, bytes) else encode(data)
    return f"{head}event: {event}\ndata: ".encode() + body + b"\n\n"
