"""The fields of `Query`: each is what the JSON route of the same name gives, from the same function."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import Any

import orjson
from graphql import GraphQLResolveInfo, default_field_resolver
from starlette.datastructures import QueryParams

from monitoring.errors import BadQuery
from monitoring.fleet import FleetState, ServerState
from monitoring.inventory import Server
from monitoring.promql.response import instant_json, range_json
from monitoring.timeseries import SeriesQuestion
from web.live import server_json
from web.parts import Parts
from web.routes.alerts import shown_alerts
from web.routes.ask import Ask, Context, answered
from web.routes.fleet import matching
from web.routes.prometheus import asked_of, evaluated, times
from web.routes.prometheus_parameters import Given
from web.routes.series import read_series

MOST_SERVERS = 1_000
Json = dict[str, Any]
Info = GraphQLResolveInfo


class Root:
    """The root of one request: what several fields need is read once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._reads: dict[tuple[str | None, ...], asyncio.Future[Any]] = {}

    async def fleet(self, _info: Info) -> Json:
        """Counts, time and age of the reading."""
        return await self._parts.live.data()

    async def servers(self, _info: Info, limit: int, offset: int, filter: Json | None = None) -> list[Json]:  # noqa: A002
        """A page of servers, worst first."""
        if not 1 <= limit <= MOST_SERVERS or offset < 0:
            raise BadQuery(f"the limit is 1 to {MOST_SERVERS:,} and the offset 0 or more")
        found = await self._matching(filter or {})
        return [self._server(server) for server in found[offset : offset + limit]]

    async def serverCount(self, _info: Info, filter: Json | None = None) -> int:  # noqa: A002, N802 - the schema's name
        """How many servers there are of those."""
        return len(await self._matching(filter or {}))

    async def server(self, _info: Info, id: str) -> Json:  # noqa: A002 - the schema's name
        """One server. Raises UnknownServer."""
        known = (await self._parts.queries.inventory()).resolve(id)
        data = await self._parts.live.data()
        found = next((server for server in data["servers"] if server["id"] == known.id), None)
        return self._server(found or _not_read_yet(known))

    async def alerts(
        self, _info: Info, state: str, severity: str | None = None, window: str | None = None
    ) -> list[Json]:
        """What is firing, or fired."""
        return await self._alerts(state, severity, window)

    async def timeseries(self, _info: Info, metrics: list[str], servers: list[str], **when: str | None) -> Json:
        """Series over time."""
        body = await read_series(self._parts, SeriesQuestion(tuple(servers), tuple(metrics), **when))
        data: Json = orjson.loads(body)["data"]
        return data

    async def query(self, _info: Info, query: str, time: str | None = None) -> Json:
        """PromQL at one time."""
        given = _given(query=query, time=time)
        at = given.time("time", self._parts.clock())
        result = await evaluated(self._parts, asked_of(given), at, at, 1.0)
        return {**instant_json(result), "warnings": result.warnings, "infos": result.infos}

    async def queryRange(self, _info: Info, **texts: str) -> Json:  # noqa: N802 - the schema's name
        """PromQL over a range."""
        given = _given(**texts)
        result = await evaluated(self._parts, asked_of(given), *times(given))
        return {**range_json(result), "warnings": result.warnings, "infos": result.infos}

    async def ask(self, _info: Info, query: str, session_id: str | None = None, **context: str | None) -> Json:
        """A question and its answer."""
        asked = Ask(query=query, session_id=session_id, context=Context(**context))
        return await answered(self._parts, asked)

    async def _matching(self, wanted: Json) -> list[Json]:
        return await matching(
            self._parts, wanted.get("status"), wanted.get("type"), wanted.get("match"), wanted.get("ids")
        )

    def _server(self, server: Json) -> Json:
        return {**server, "alerts": partial(self._alerts_of, server["id"])}

    async def _alerts_of(self, server: str, _info: Info) -> list[Json]:
        return [row for row in await self._alerts("firing", None, None) if row["server"] == server]

    async def _alerts(self, *asked: str | None) -> list[Json]:
        """Read once a request for the same state, severity and window."""
        if asked not in self._reads:
            state, severity, window = asked
            read = shown_alerts(self._parts, state or "firing", severity, window)
            self._reads[asked] = asyncio.ensure_future(read)
        found: list[Json] = (await self._reads[asked])[0]
        return found


def resolve(source: Any, info: Info, **arguments: Any) -> Any:
    """The value of a field. What JSON cannot say (NaN, infinities) is null, as in the JSON routes."""
    value = default_field_resolver(source, info, **arguments)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _not_read_yet(server: Server) -> Json:
    """A server whose first samples came after the reading."""
    state = ServerState(server.id, server.type, server.type_guessed, server.simulated)
    return server_json(state, FleetState(0.0, (), {}, "", None))


def _given(**texts: str | None) -> Given:
    return Given(QueryParams({name: text for name, text in texts.items() if text is not None}))
