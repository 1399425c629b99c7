"""A road that failed again and again is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable


class Breaker:
    """Lets calls through until five in a row failed; then none for 30 s, then one to try.

    >>> now = 0.0
    >>> breaker = Breaker(lambda: now, most=1)
    >>> breaker.failed(); breaker.admits()
    False
    >>> now = 30.0
    >>> breaker.admits(), breaker.admits()
    (True, False)
    """

    def __init__(self, clock: Callable[[], float], most: int = 5, rest_s: float = 30.0) -> None:
        self._clock, self._most, self._rest_s = clock, most, rest_s
        self._failures = 0
        self._opened: float | None = None
        self._trying = False

    def admits(self) -> bool:
        """True where a call may be tried; while it rests, one call after `rest_s` and no other beside it."""
        if self._opened is None:
            return True
        if self._trying or self._clock() - self._opened < self._rest_s:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """The road works: begin counting anew."""
        self._failures, self._opened, self._trying = 0, None, False

    def failed(self) -> None:
        """One more failure in a row."""
        self._failures += 1
        self._trying = False
        if self._failures >= self._most:
            self._opened = self._clock()

    def rests_s(self) -> float:
        """Seconds until the next call may be tried; 0 where calls go through."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._rest_s - (self._clock() - self._opened))

    def given_up(self) -> None:
        """The caller left before there was an outcome."""
        self._trying = False
