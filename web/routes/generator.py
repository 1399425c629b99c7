"""Routes of the simulated fleet: start and stop it and its scenarios, and read what was played and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from monitoring.errors import BadQuery
from monitoring.simulator.kinds import KINDS
from monitoring.simulator.record import truth
from monitoring.simulator.scenarios import Play, Stage
from monitoring.simulator.servers import fleet_of
from web.demo import as_wish, stopped
from web.envelope import success
from web.parts import Parts, parts

KEPT_S = 86_400.0
"""What ended before that is in the database alone."""
router = APIRouter(prefix="/api/data-generator")


class Switch(BaseModel):
    """The body of `POST /api/data-generator`."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["start", "stop", "status"]
    scenario: str | None = Field(None, max_length=60, description="Begin, or stop, this scenario.")
    server: str | None = Field(
        None, max_length=60, description="The server that fails; the usual one where it is left out."
    )
    minutes: float | None = Field(None, gt=0, le=20_160, description="How long; as usual where it is left out.")
    strength: float = Field(1.0, ge=0.1, le=2.0)
    seed: int | None = Field(None, ge=1, le=2**31)
    size: int | None = Field(None, ge=6, le=200, description="Servers of the fleet.")


@router.get("")
async def status(request: Request) -> Response:
    """Whether the simulated fleet runs, of what it consists, and what it plays now."""
    return success(await _status(parts(request)))


@router.post("", responses={409: {"description": "there is no simulated fleet: it needs --demo"}})
async def switch(request: Request, body: Switch) -> Response:
    """Starts or stops the fleet, or a scenario of it; each tick is computed anew."""
    return await _switched(parts(request), body, lean=False)


@router.get("/optimized")
async def optimized_status(request: Request) -> Response:
    """The same, and what baseline and differences save, as measured."""
    return success(await _status(parts(request)))


@router.post("/optimized", responses={409: {"description": "there is no simulated fleet: it needs --demo"}})
async def optimized_switch(request: Request, body: Switch) -> Response:
    """The same by baseline and differences: curves are computed once a day, a tick writes only what changed."""
    return await _switched(parts(request), body, lean=True)


@router.get("/runs")
async def runs(
    request: Request,
    scenario: Annotated[str | None, Query(max_length=60)] = None,
    start: Annotated[float, Query()] = 0.0,
    end: Annotated[float | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What was played between `start` and `end` (Unix seconds), newest first, each with the truth about it."""
    p = parts(request)
    until = p.clock() if end is None else end
    found = [
        {**run._asdict(), "under_way": run.ended is None}
        for run in (await p.store.cold.runs() if p.store.cold else ())
        if scenario in (None, run.scenario) and run.started <= until and (run.ended is None or run.ended >= start)
    ]
    return success({"runs": found[::-1][:limit], "total": len(found)})


@router.get("/templates")
async def templates(request: Request) -> Response:
    """The simulated servers that were ever defined, with what they are made of and whom they depend on."""
    cold = parts(request).store.cold
    return success({"templates": [one._asdict() for one in (await cold.templates() if cold else ())]})


async def _status(p: Parts) -> dict[str, Any]:
    await p.collection.refresh()
    scenarios = {name: {"roles": kind.roles, "minutes": kind.minutes} for name, kind in KINDS.items()}
    return p.collection.generator() | {"scenarios": scenarios}


async def _switched(p: Parts, body: Switch, lean: bool) -> Response:
    if body.action == "status":
        return success(await _status(p))
    now, touched = p.clock(), list[Play]()

    def change(said: dict[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        if body.action == "start":
            wish, play = _begun(body, said, state, now)
            touched.extend([] if play is None else [play])
            return wish | {"lean": lean}
        if body.scenario is None:
            return said | {"on": False}
        plays = [Play(**one) for one in (*said.get("plays", ()), *state.get("by_hand", ()))]
        known = {one.id: one for one in reversed(plays) if _running(one, body, now)}
        if not known:
            raise BadQuery(f"no scenario '{body.scenario}' that was started is under way")
        ended = [stopped(as_wish(one), now) for one in known.values()]
        touched.extend(Play(**one) for one in ended)
        others = [one for one in said.get("plays", ()) if Play(**one).id not in known]
        return said | {"plays": [*others, *ended]}

    await p.collection.switch(change)
    found = await _status(p)
    stage = Stage(fleet_of(found.get("size") or 6))
    about = [{"id": play.id, "scenario": play.kind, "start": play.start, "end": play.end} for play in touched]
    if touched and body.action == "start":
        about = [one | truth(stage.incident(play)) for one, play in zip(about, touched, strict=True)]
    return success(found | {"touched": about})


def _begun(
    body: Switch, said: dict[str, Any], state: Mapping[str, Any], now: float
) -> tuple[dict[str, Any], Play | None]:
    """What to wish for when something is started, and the play that begins. Raises BadQuery."""
    wish = said | {"on": True}
    seed, size = body.seed or state.get("seed"), body.size or state.get("size")
    if (seed, size) != (state.get("seed"), state.get("size")):
        wish |= {"seed": seed, "size": size, "plays": []}
    if body.scenario is None:
        return wish, None
    recent = [one for one in wish.get("plays", ()) if Play(**one).end > now - KEPT_S]
    play = Stage(fleet_of(size or 6)).started(body.scenario, now, body.server, body.minutes, body.strength)
    return wish | {"plays": [*recent, as_wish(play)]}, play


def _running(play: Play, body: Switch, now: float) -> bool:
    return play.kind == body.scenario and play.end > now and body.server in (None, play.server)
