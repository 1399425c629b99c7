"""A simulated fleet for demos and trials: it serves metrics like real servers do, and is marked as simulated."""

from __future__ import annotations

from monitoring.simulator.fleet import SimulatedFleet
from monitoring.simulator.scenarios import Play
from monitoring.simulator.shapes import EPOCH
from monitoring.simulator.trace import Trace, draw, trace

__all__ = ["EPOCH", "Play", "SimulatedFleet", "Trace", "draw", "trace"]
