"""A server's curves as the catalogue's concepts: what a perfect exporter and a perfect query would say."""

from __future__ import annotations

import numpy as np

from monitoring.simulator.models import MEAN_OF_MEDIAN, QUEUES, Curves
from monitoring.simulator.servers import SimulatedServer
from monitoring.simulator.shapes import Floats


def concepts(server: SimulatedServer, curves: Curves) -> dict[str, Floats]:
    """Concept → values in the catalogue's unit, at each minute; the disk is that for data, where there is one."""
    busy = curves["busy"] + curves["steal"] + curves["iowait"]
    found = {
        "cpu": 100 * busy,
        "memory": 100 * curves["memory"],
        "disk": 100 * curves.get("disk", curves["root"]),
        "network_in": curves["received"],
        "network_out": curves["sent"],
        "network_errors": curves["net_errors"],
        "load": server.cores * curves["busy"] * 1.05 + 4 * curves["iowait"],
        "iowait": 100 * curves["iowait"],
    }
    return found | _of_role(server, curves)


def _of_role(server: SimulatedServer, curves: Curves) -> dict[str, Floats]:
    if server.role in ("web", "api"):
        own = {"users": curves["users"]} if server.role == "web" else {"orders": curves["orders"]}
        return own | {
            "requests": curves["requests"],
            "errors": 100 * curves["errors"],
            "latency": 1000 * MEAN_OF_MEDIAN * curves["latency"],
        }
    if server.role == "db":
        hits = 100 * curves["hits"] / (curves["hits"] + curves["reads"]).clip(1e-9)
        return {
            "connections": curves["active"] + curves["idle"],
            "transactions": curves["commits"],
            "cache_hits": hits,
        }
    if server.role == "cache":
        hits = 100 * curves["hits"] / (curves["hits"] + curves["misses"]).clip(1e-9)
        return {"requests": curves["commands"], "connections": curves["clients"], "cache_hits": hits}
    if server.role == "queue":
        return {"queue": np.sum([curves[f"depth/{queue}"] for queue, _ in QUEUES], axis=0)}
    return {"jobs": curves["running"]}
