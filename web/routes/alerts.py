"""Routes about alerts: what fires and fired, silences, acknowledgement, and what happened, line by line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from monitoring.alerts import Event, event
from monitoring.alerts_record import Present
from monitoring.alerts_silences import Silence
from monitoring.alerts_told import COLUMNS
from monitoring.errors import BadQuery
from monitoring.model import Matcher
from monitoring.queries import row_dicts
from monitoring.windows import moment, rfc3339, seconds, span
from web.envelope import failure, success
from web.parts import Parts, parts

router = APIRouter(prefix="/api/alerts")
MOST = 1_000
Json = dict[str, Any]


class Match(BaseModel):
    """A matcher of a silence, as Alertmanager writes it."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=200)
    value: str = Field(max_length=2_000)
    isRegex: bool = False  # noqa: N815 - Alertmanager's name
    isEqual: bool = True  # noqa: N815

    def matcher(self) -> Matcher:
        """As PromQL has it."""
        op: Literal["=", "!=", "=~", "!~"] = "=~" if self.isRegex else "="
        if not self.isEqual:
            op = "!~" if self.isRegex else "!="
        return Matcher(self.name, op, self.value)


class NewSilence(BaseModel):
    """Alertmanager's shape; `duration` stands for `endsAt`, no `startsAt` means now."""

    model_config = ConfigDict(extra="forbid")
    matchers: list[Match] = Field(min_length=1, max_length=50)
    startsAt: str | None = Field(None, max_length=40)  # noqa: N815
    endsAt: str | None = Field(None, max_length=40)  # noqa: N815
    duration: str | None = Field(None, max_length=20)
    createdBy: str = Field(min_length=1, max_length=200)  # noqa: N815
    comment: str = Field("", max_length=2_000)

    def silence(self, now: float) -> Silence:
        """The silence that is asked for. Raises BadQuery."""
        start = now if self.startsAt is None else moment(self.startsAt)
        if (self.endsAt is None) == (self.duration is None):
            raise BadQuery('a silence needs either endsAt or duration, for example "2h"')
        end = moment(self.endsAt) if self.endsAt is not None else start + seconds(self.duration or "")
        matchers = [one.matcher() for one in self.matchers]
        return Silence.made(matchers, start, end, self.createdBy, self.comment, now)


class NewAck(BaseModel):
    """Who takes note."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(min_length=1, max_length=200)
    comment: str = Field("", max_length=2_000)


@router.get("")
async def alerts(
    request: Request,
    state: Annotated[str, Query()] = "firing",
    severity: Annotated[str | None, Query()] = None,
    server: Annotated[str | None, Query(max_length=200)] = None,
    window: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """What is firing or pending, or fired within a window."""
    found, total = await shown_alerts(parts(request), state, severity, window)
    if server is not None:
        wanted = (await parts(request).queries.inventory()).resolve(server).id
        found = [row for row in found if row["server"] == wanted]
        total = len(found)
    return success({"alerts": found, "total": total})


async def shown_alerts(
    p: Parts, state: str = "firing", severity: str | None = None, window: str | None = None
) -> tuple[list[Json], int]:
    """Alerts with every field of `COLUMNS`, and how many there are. Raises BadQuery."""
    reading = await p.queries.list_alerts(state, severity, window, 100)
    absent = dict.fromkeys(COLUMNS)
    return [{**absent, **row} for row in row_dicts(reading)], reading.total


@router.get("/history")
async def history(
    request: Request,
    window: Annotated[str, Query(max_length=60)] = "24h",
    server: Annotated[str | None, Query(max_length=200)] = None,
    kind: Annotated[str | None, Query(max_length=30)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Response:
    """What happened to alerts, newest first: one event for each transition."""
    p = parts(request)
    start, end = span(window, p.clock())
    found = await p.record.history(start, end, (kind,) if kind else ())
    found = [one for one in found if server is None or one.server == server]
    return success({"events": [event_json(one) for one in found[::-1][:limit]], "total": len(found)})


@router.get("/receivers")
async def receivers(request: Request) -> Response:
    """Where alerts are sent, and how that goes; and what cannot be used of the rule files."""
    present = await parts(request).record.present()
    shown = [
        {**one, "last_sent": None if one["last_sent"] is None else rfc3339(one["last_sent"])}
        for one in present.receivers
    ]
    return success({"receivers": shown, "problems": present.problems})


@router.get("/silences")
async def silences(request: Request) -> Response:
    """All silences, those that are over for a day too."""
    p = parts(request)
    found = sorted((await p.record.present()).silences, key=lambda one: -one.created)
    return success({"silences": [one.shown(p.clock()) for one in found]})


@router.post("/silences", status_code=201)
async def new_silence(request: Request, body: NewSilence) -> Response:
    """Silences the alerts that match; nothing else changes about them."""
    p = parts(request)
    silence = body.silence(p.clock())
    await p.record.silence(silence, _about(silence, "silence_created", p.clock()))
    return success(silence.shown(p.clock()), 201)


@router.get("/silences/{silence_id}")
async def one_silence(request: Request, silence_id: str) -> Response:
    """One silence."""
    p = parts(request)
    found = _silence(await p.record.present(), silence_id)
    return _no_silence(silence_id) if found is None else success(found.shown(p.clock()))


@router.delete("/silences/{silence_id}")
async def end_silence(request: Request, silence_id: str) -> Response:
    """Ends a silence now."""
    p = parts(request)
    now = p.clock()
    found = _silence(await p.record.present(), silence_id)
    if found is None:
        return _no_silence(silence_id)
    if found.state(now) != "expired":
        found = found._replace(end=now, start=min(found.start, now))
        await p.record.silence(found, _about(found, "silence_ended", now))
    return success(found.shown(now))


@router.post("/{fingerprint}/ack")
async def acknowledge(request: Request, fingerprint: str, body: NewAck) -> Response:
    """Says that somebody takes care of an alert: it is not repeated while it lasts."""
    p = parts(request)
    present = await p.record.present()
    alert = next((one for one in present.alerts if one.fingerprint == fingerprint), None)
    if alert is None or alert.state == "resolved":
        return failure(404, f"no active alert '{fingerprint}'; GET /api/alerts lists them", "not_found")
    said = event(alert, "acknowledged", p.clock(), by=body.by, comment=body.comment)
    await p.record.acknowledge(alert, body.by, body.comment, said)
    return success({"fingerprint": fingerprint, "alert": alert.name, "server": alert.server, **body.model_dump()})


def event_json(one: Event) -> Json:
    """An event as routes and streams give it."""
    return {**one.to_json(), "time": rfc3339(one.time), "body": _dated(one.body)}


def _dated(body: Json) -> Json:
    times = {name: body[name] for name in ("active_at", "fired_at") if body.get(name) is not None}
    return {**body, **{name: rfc3339(time) for name, time in times.items()}}


def _about(silence: Silence, kind: Any, now: float) -> Event:
    body = {"author": silence.author, "comment": silence.comment, "silence": silence.shown(now)}
    return Event(f"{silence.id}-{kind}", now, kind, silence.id, "", None, None, body)


def _silence(present: Present, silence_id: str) -> Silence | None:
    return next((one for one in present.silences if one.id == silence_id), None)


def _no_silence(silence_id: str) -> Response:
    return failure(404, f"no silence '{silence_id}'; GET /api/alerts/silences lists them", "not_found")
