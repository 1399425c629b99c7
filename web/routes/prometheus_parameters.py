"""What a caller of the Prometheus routes gives: times, durations, limits, selectors, read as Prometheus reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData

from monitoring.errors import BadQuery
from monitoring.listing import Among, selector
from monitoring.promql.format import parse_number
from monitoring.windows import seconds
from web.routes.prometheus_replies import Parameter

EARLIEST, LATEST = "-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"
"""What Prometheus' Go client writes where it means no bound."""
FAR_S = 2.0**53 / 1000
"""Times beyond this cannot be told apart in milliseconds."""
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MOST_S = 2.0**63 / 1e9
"""The longest duration that Prometheus can hold (nanoseconds in 64 bits)."""

TIME = {"type": "string", "description": "Unix seconds or RFC 3339"}
DURATION = {"type": "string", "description": "seconds, or a duration such as 5m"}
COUNT = {"type": "integer", "minimum": 0}
SELECTORS = {"type": "array", "items": {"type": "string"}}
START, END = Parameter("start", "first time", TIME), Parameter("end", "last time", TIME)
MATCH = Parameter("match[]", "series selector; repeatable", SELECTORS)
LIMIT = Parameter("limit", "most entries; 0 for all", COUNT)


class Given:
    """Parameters of the query string and of a form body; of a form first. What is empty is not there."""

    def __init__(self, *sources: Mapping[str, Any]) -> None:
        self._sources = sources

    def get(self, name: str) -> str | None:
        """The first value of that name."""
        return next((value for value in self.getlist(name) if value), None)

    def getlist(self, name: str) -> list[str]:
        """All values of that name."""
        return [str(v) for source in self._sources for v in source.getlist(name)]  # type: ignore[attr-defined]

    def time(self, name: str, default: float | None = None) -> float:
        """Unix seconds. Raises BadQuery, also where there is neither a value nor a default."""
        text = self.get(name)
        if text is None and default is not None:
            return default
        try:
            return _time(text or "")
        except BadQuery as error:
            where = "" if default is None else f"Invalid time value for '{name}': "
            raise invalid(name, f"{where}{error}") from None

    def duration(self, name: str, default: float | None = None) -> float:
        """Seconds. Raises BadQuery, also where there is neither a value nor a default."""
        text = self.get(name)
        if text is None and default is not None:
            return default
        try:
            return _duration(text or "")
        except BadQuery as error:
            raise invalid(name, str(error)) from None

    def limit(self, name: str = "limit") -> int:
        """A count, 0 for no limit. Raises BadQuery."""
        text = self.get(name) or "0"
        found = whole(text)
        if found is None:
            raise invalid(name, f'strconv.Atoi: parsing "{text}": invalid syntax')
        if found < 0:
            raise invalid(name, "limit must be non-negative")
        return found

    def among(self) -> Among:
        """Which series are meant by `match[]`, `start`, `end` and `limit`. Raises BadQuery."""
        start, end = self.time("start", -FAR_S), self.time("end", FAR_S)
        matches = tuple(self.getlist("match[]"))
        for text in matches:
            selector(text)
        bounds = (None if start == -FAR_S else start), (None if end == FAR_S else end)
        return Among(matches, *bounds, self.limit())


async def given(request: Request) -> Given:
    """What the caller gave. Raises BadQuery for a form that cannot be read."""
    form = FormData()
    if request.method in ("POST", "PUT") and "form" in request.headers.get("content-type", ""):
        form = await request.form()
    return Given(form, request.query_params)


def invalid(name: str, why: str) -> BadQuery:
    """Prometheus' words for a parameter that cannot be used."""
    return BadQuery(f'invalid parameter "{name}": {why}')


def whole(text: str) -> int | None:
    """The integer that Go's Atoi reads, None where it reads none."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def truth(text: str) -> bool | None:
    """The value that Go's ParseBool reads, None where it reads none."""
    words = {"1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True}
    words |= {"0": False, "f": False, "F": False, "false": False, "FALSE": False, "False": False}
    return words.get(text)


def _time(text: str) -> float:
    number = parse_number(text)
    if number is None and _RFC3339.fullmatch(text):
        try:
            number = datetime.fromisoformat(text).timestamp()
        except ValueError:  # such as a 30th of February
            number = None
    if text in (EARLIEST, LATEST):
        number = -FAR_S if text == EARLIEST else FAR_S
    if number is None or not abs(number) <= FAR_S:
        raise BadQuery(f'cannot parse "{text}" to a valid timestamp')
    return number


def _duration(text: str) -> float:
    number = parse_number(text)
    if number is None:
        try:
            number = seconds(text)
        except BadQuery:
            number = float("nan")
    if abs(number) > _MOST_S:
        raise BadQuery(f'cannot parse "{text}" to a valid duration. It overflows int64')
    if number != number:
        raise BadQuery(f'cannot parse "{text}" to a valid duration')
    return number
