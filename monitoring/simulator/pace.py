"""How often the simulated fleet is scraped: as its profile says, more seldom while the machine is busy."""

from __future__ import annotations

SHORTEST_S = 2.0
LONGEST_S = 15.0
BUSY = 0.85
"""From this share of the processors in use on, the interval grows."""
CALM = 0.6
"""Below it, the interval goes back to what it was."""
STEP = 1.25


class Pace:
    """The interval in force. It is `base_s` on a calm machine and never leaves 2 to 15 seconds."""

    def __init__(self, base_s: float) -> None:
        self.base_s = min(max(base_s, SHORTEST_S), LONGEST_S)
        self.interval_s = self.base_s

    def observe(self, load: float) -> float:
        """The interval after the machine was seen under `load` (0 to 1).

        >>> pace = Pace(10.0)
        >>> pace.observe(0.95), pace.observe(0.95), pace.observe(0.95), pace.observe(0.7)
        (12.5, 15.0, 15.0, 15.0)
        >>> pace.observe(0.1), pace.observe(0.1), pace.observe(0.1)
        (12.0, 10.0, 10.0)
        """
        if load >= BUSY:
            self.interval_s = min(self.interval_s * STEP, LONGEST_S)
        elif load < CALM:
            self.interval_s = max(self.interval_s / STEP, self.base_s)
        return self.interval_s
