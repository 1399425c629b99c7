"""What one request spends on Redis and finds in caches, counted where it happens and wherever its tasks go."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    """What was spent since it was put into `spent`."""

    round_trips: int = 0
    redis_s: float = 0.0
    """Waited for Redis, the wait for a free connection included."""
    hits: int = 0
    """Found in a cache, fresh or stale, or already being made for somebody else."""
    misses: int = 0


spent: ContextVar[Spent | None] = ContextVar("spent", default=None)
"""Of the request that this task works for; None outside of requests."""
