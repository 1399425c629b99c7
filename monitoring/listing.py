"""Which series there are, for the routes that list them: of our own store, or of a remote server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from monitoring.backends import Samples
from monitoring.errors import BadQuery
from monitoring.model import Labels, Matcher, label_key
from monitoring.promql import plan
from monitoring.promql.tree import Selector

IN_THREAD_SERIES = 1_000
"""Series above which sorting leaves the event loop (about 5 ms)."""

Families = dict[str, list[dict[str, str]]]
"""Metric name → `{"type", "help", "unit"}`, once for each way in which it was described."""


class Among(NamedTuple):
    """Which series are meant: those that one of the selectors `matches` finds, with samples between `start` and `end`.

    No selector means all series, None an open end; times are Unix seconds. With a `limit` (0: none) no more than
    `limit` + 1 entries need to come back: the one too many tells that there are more.
    """

    matches: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    limit: int = 0


class SeriesSource(Protocol):
    """What series there are. Raises BadQuery, QueryTooExpensive, StoreUnavailable, BackendUnavailable.

    `LocalSeries` lists our own store, `monitoring.remote.RemoteSeries` the server of `--prometheus`; `parts.listing` is
    the one in use.
    """

    async def label_names(self, among: Among) -> list[str]:
        """The names of their labels, sorted."""
        ...

    async def label_values(self, name: str, among: Among) -> list[str]:
        """The values of one label, sorted."""
        ...

    async def series(self, among: Among) -> list[Labels]:
        """Their labels, sorted."""
        ...

    async def metadata(self) -> Families:
        """What is known about metrics."""
        ...


class LocalSeries:
    """The series of our own store; `families` gives what exporters and senders said about metrics."""

    def __init__(self, samples: Samples, families: Callable[[], Awaitable[Families]]) -> None:
        self._samples, self._families = samples, families

    async def label_names(self, among: Among) -> list[str]:
        """The names of their labels, sorted."""
        return sorted(set[str]().union(*chain.from_iterable(await self._found(among))))

    async def label_values(self, name: str, among: Among) -> list[str]:
        """The values of one label, sorted."""
        values = {labels.get(name) for found in await self._found(among) for labels in found}
        return sorted(value for value in values if value is not None)

    async def series(self, among: Among) -> list[Labels]:
        """Their labels, sorted."""
        found = await self._found(among)
        if sum(map(len, found)) > IN_THREAD_SERIES:
            return await asyncio.to_thread(_sorted, found)
        return _sorted(found)

    async def metadata(self) -> Families:
        """What is known about metrics."""
        return await self._families()

    async def _found(self, among: Among) -> list[list[Labels]]:
        """The series of each selector; one may be of several."""
        start, end = (None if time is None else round(time * 1000) for time in (among.start, among.end))
        selectors = [selector(text) for text in among.matches] or [()]
        return [await self._samples.labels(matchers, start, end) for matchers in selectors]


def _sorted(found: Sequence[Sequence[Labels]]) -> list[Labels]:
    """Each series once."""
    if len(found) == 1:
        return sorted(found[0], key=label_key)
    by_key = {label_key(labels): labels for some in found for labels in some}
    return [by_key[key] for key in sorted(by_key)]


def selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of one series selector. Raises BadQuery.

    >>> selector('up{job="node"}')
    (Matcher(name='__name__', op='=', value='up'), Matcher(name='job', op='=', value='node'))
    """
    try:
        root = plan(text, 0, 0, 1).root
    except BadQuery as error:
        if "non-empty matcher" in str(error):
            raise BadQuery("match[] must contain at least one non-empty matcher") from None
        raise
    if not isinstance(root, Selector) or root.range_ms is not None or root.offset_ms or root.at_ms is not None:
        raise BadQuery(f"parse error: '{text}' is not a series selector")
    return root.matchers
