"""The registry of further metrics: what a file or a plugin adds to the simulated servers, without code.

```toml
[metrics.checkout_conversion_percent]
roles = ["web"]          # or servers = ["web-01"]; without both, every server
level = 3.5              # the value at full load
follows = "load"         # what it goes with: load (the default), or nothing
floor = 0.4              # the share of `level` that is left at no load
noise = 0.1              # a tenth up and down, with a memory
kind = "gauge"           # or "counter": `level` is then added per second
whole = false            # true: it counts things
suffers = { errors = 4 } # an error share of 10 % takes 40 % of it away
labels = { shop = "main" }
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitoring.errors import BadSetting
from monitoring.simulator.kinds import Knob
from monitoring.simulator.models import Curves, Hours
from monitoring.simulator.servers import Role, SimulatedServer
from monitoring.simulator.shapes import Floats

NAME = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"


class MetricSpec(BaseModel):
    """One metric that the simulated servers show beside their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    level: float
    kind: Literal["gauge", "counter"] = "gauge"
    roles: tuple[Role, ...] = ()
    servers: tuple[str, ...] = ()
    follows: Literal["load", "nothing"] = "load"
    floor: float = Field(0.0, ge=0, le=1)
    noise: float = Field(0.05, ge=0, le=1)
    whole: bool = False
    suffers: dict[Knob, float] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)

    def shown_by(self, server: SimulatedServer) -> bool:
        """Whether a server has this metric."""
        if self.roles or self.servers:
            return server.role in self.roles or server.name in self.servers
        return True

    def values(self, hours: Hours, curves: Curves) -> Floats:
        """The value, or for a counter its rate per second, at each minute."""
        share = curves["load"] if self.follows == "load" else 0 * curves["load"] + 1
        found = self.level * (self.floor + (1 - self.floor) * share)
        found = found * (1 + self.noise * hours.wander(f"registry/{self.name}"))
        for knob, weight in self.suffers.items():
            found = found * (1 - weight * hours.turned(knob)).clip(0)
        return found


Registry = tuple[MetricSpec, ...]


def read(path: Path) -> Registry:
    """The metrics of a TOML file. Raises BadSetting, which names the field."""
    try:
        return parse(tomllib.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise BadSetting(f"'{path}' cannot be used as a list of metrics: {_reason(error)}") from None


def parse(document: Mapping[str, object]) -> Registry:
    """The metrics of a document. Raises ValueError (pydantic's where a field is wrong)."""
    metrics = document.get("metrics")
    if not isinstance(metrics, Mapping) or set(document) != {"metrics"}:
        raise ValueError("it has tables [metrics.NAME] and nothing else")
    return tuple(MetricSpec.model_validate({"name": name, **body}) for name, body in metrics.items())


@cache
def shipped() -> Registry:
    """The business metrics that every fleet has."""
    return parse(tomllib.loads(files("monitoring.simulator").joinpath("metrics.toml").read_text("utf-8")))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return str(error)
