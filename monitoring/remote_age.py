"""How old the data behind a query is, where another server has the samples: asked by PromQL, many selectors at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from monitoring.errors import BadQuery
from monitoring.inventory import escape
from monitoring.model import Matcher, Selection
from monitoring.promql import plan
from monitoring.remote_http import PrometheusClient
from monitoring.remote_shapes import pairs

TOGETHER = 24
"""Selectors of one query."""
LOOKBACK_S = 300
SEEN_BY = 300
"""Seconds between two looks at a long window: as long as a look reaches back, so that no sample is missed."""


class Look(NamedTuple):
    """Where the newest sample is wanted: of a selector, not after `end` and not before `start` (Unix milliseconds)."""

    matchers: tuple[Matcher, ...]
    start: int
    end: int


def looks(query: str, start: float, end: float, step: float) -> list[Look]:
    """What a query reads. Empty for one that only the other server understands: its age is not known."""
    try:
        planned = plan(query, round(start * 1000), round(end * 1000), max(round(step * 1000), 1))
    except BadQuery:
        return []
    return [_look(selection) for selection in planned.selections]


async def newest(client: PrometheusClient, wanted: Sequence[Look]) -> dict[Look, float]:
    """The time of the newest sample of each (Unix seconds); absent where there is none.

    One query for a handful of selectors; where it finds nothing within five minutes, one more over the whole window.
    """
    each = list(dict.fromkeys(wanted))
    found = await _asked(client, {look: _recent(look) for look in each})
    old = {look: _within(look) for look in each if look not in found and look.end - look.start > LOOKBACK_S * 1000}
    return found | await _asked(client, old)


def selector(matchers: Sequence[Matcher]) -> str:
    """PromQL of matchers.

    >>> selector((Matcher("__name__", "=", "up"), Matcher("job", "=~", 'a|"b"')))
    '{__name__="up",job=~"a|\\\\"b\\\\""}'
    """
    return "{" + ",".join(f'{m.name}{m.op}"{_quoted(m.value)}"' for m in matchers) + "}"


def _quoted(text: str) -> str:
    return escape(text).replace("\n", "\\n")


def _recent(look: Look) -> str:
    return f"max(timestamp({selector(look.matchers)} @ {look.end / 1000:.3f}))"


def _within(look: Look) -> str:
    window = -(-(look.end - look.start) // 1000)
    inner = f"max_over_time(timestamp({selector(look.matchers)})[{window}s:{SEEN_BY}s] @ {look.end / 1000:.3f})"
    return f"max({inner})"


async def _asked(client: PrometheusClient, queries: dict[Look, str]) -> dict[Look, float]:
    each = list(queries.items())
    parts = [each[k : k + TOGETHER] for k in range(0, len(each), TOGETHER)]
    replies = await asyncio.gather(*(_joint(client, part) for part in parts))
    return {look: time for part in replies for look, time in part.items()}


async def _joint(client: PrometheusClient, part: Sequence[tuple[Look, str]]) -> dict[Look, float]:
    texts = [f'label_replace({query}, "of", "{k}", "", "")' for k, (_, query) in enumerate(part)]
    at = max(look.end for look, _ in part) / 1000
    reply = await client.post("query", (("query", " or ".join(texts)), ("time", f"{at:.3f}")))
    found: dict[Look, float] = {}
    for labels, time in pairs(reply):
        look = part[int(labels.get("of", 0))][0]
        if time * 1000 >= look.start:
            found[look] = time
    return found


def _look(selection: Selection) -> Look:
    return Look(selection.matchers, selection.start_ms, selection.end_ms)
