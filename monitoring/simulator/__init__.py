"""A simulated fleet for demos and trials: it serves metrics like real servers do, and is marked as simulated."""

from __future__ import annotations

from monitoring.simulator.fleet import EPOCH, SimulatedFleet

__all__ = ["EPOCH", "SimulatedFleet"]
