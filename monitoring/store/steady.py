"""Whether the clock can be trusted to drop what is old: after a jump it must first prove itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

JUMP_S = 60.0
"""How far clock and elapsed time may drift apart between two looks; NTP slews far less."""
LEAST_S = 600.0
SHARE = 24
"""A clock that jumped by a day must run on for an hour."""


class SteadyClock:
    """The time, and since when it has run without a jump. A gap between the newest sample and a start counts as one:
    the machine may have slept for a month, or its clock may be wrong."""

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._last: tuple[float, float] | None = None
        self._trusted_at = 0.0

    def steady(self, newest: float | None) -> bool:
        """Whether old samples may be dropped by this clock now; `newest` is the time of the newest sample, if any."""
        now, elapsed = self._clock(), self._monotonic()
        if self._last is None:
            jump = 0.0 if newest is None else now - newest
        else:
            jump = (now - self._last[0]) - (elapsed - self._last[1])
        self._last = now, elapsed
        if abs(jump) > JUMP_S:
            wait_s = max(LEAST_S, abs(jump) / SHARE)
            self._trusted_at = max(self._trusted_at, elapsed + wait_s)
            log.warning("clock.jumped seconds=%.0f nothing_is_dropped_for_s=%.0f", jump, wait_s)
        return elapsed >= self._trusted_at
