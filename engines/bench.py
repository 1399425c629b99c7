"""What the scorer of the engines calls: the product's own functions, on arrays from anywhere."""

from __future__ import annotations

import numpy as np

from engines.baseline import DAY_S, Floats
from engines.forecast import time_to


def forecast(t: Floats, y: Floats, capacity: float) -> dict[str, float]:
    """Seconds until `y` (at Unix seconds `t`, NaN missing) reaches `capacity`: likely, earliest, latest; inf: never."""
    found = time_to(t, y, capacity, 365 * DAY_S)
    now = float(t[-1])
    said = {"eta_s": found.at, "lo_s": found.low, "hi_s": found.high}
    return {name: np.inf if at is None else at - now for name, at in said.items()}
