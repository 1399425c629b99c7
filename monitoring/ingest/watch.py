"""One scrape target under watch: its page fetched, labelled and compared with the one before.

The rules are Prometheus': `up` is 0 when the page cannot be had, a series that is gone gets the stale marker, and a
label of the page that the target itself has is kept as `exported_…` (honor_labels=false).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import aiohttp
import numpy as np

from monitoring.errors import BadSample, TargetDown
from monitoring.ingest.exposition import Metadata, Page, SeriesCache, parse
from monitoring.ingest.targets import Target, TargetHealth
from monitoring.model import STALE_NAN, Batch, Labels, label_key

log = logging.getLogger(__name__)

IN_THREAD_BYTES = 256 * 1024
"""Pages above this are parsed beside the event loop (about 5 ms)."""
_ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


class Terms(NamedTuple):
    """How every target is scraped."""

    interval_s: float
    timeout_s: float
    body_limit: int


class Presence:
    """The series that a source showed last time."""

    def __init__(self) -> None:
        self._last: dict[int, Labels] = {}

    def vanished(self, shown: Iterable[Labels]) -> list[Labels]:
        """Series of last time that are not among those `shown` now.

        Labels are compared as objects first, since a cached page gives the same ones again.
        """
        last, self._last = self._last, {id(labels): labels for labels in shown}
        missing = [last[key] for key in last.keys() - self._last.keys()]
        if not missing:
            return []
        fresh = {label_key(self._last[key]) for key in self._last.keys() - last.keys()}
        return [labels for labels in missing if label_key(labels) not in fresh]


class Watch:
    """A target, what it showed last and how it is."""

    def __init__(self, target: Target, terms: Terms) -> None:
        self.target = target
        self.metadata: Mapping[str, Metadata] = {}
        self.health = TargetHealth(target, interval_s=terms.interval_s, timeout_s=terms.timeout_s)
        self._terms = terms
        self._labels = target.labels
        self._cache = SeriesCache(self._labelled)
        self._presence = Presence()

    async def scrape(self, session: aiohttp.ClientSession, now: float) -> tuple[Batch, Exception | None]:
        """The samples of one scrape, `up` among them, and what went wrong (TargetDown or BadSample)."""
        clock = asyncio.get_running_loop().time
        began = clock()
        page, failure = None, None
        try:
            page = await self._read(session, round(now * 1000))
        except (TargetDown, BadSample) as error:
            failure = error
        took = clock() - began
        self._note(now, took, page, failure)
        return self._batch(now, took, page), failure

    def end(self, now: float) -> Batch:
        """Stale markers for everything that this target had: it is scraped no more."""
        own = [{**self._labels, "__name__": name} for name in ("up", *_OWN)]
        return stale([*self._presence.vanished(()), *own], now)

    async def _read(self, session: aiohttp.ClientSession, now_ms: int) -> Page:
        body, content_type = await _fetch(session, self.target.url, self._terms)
        if len(body) > IN_THREAD_BYTES:
            page = await asyncio.to_thread(parse, body, content_type, now_ms, self._cache)
        else:
            page = parse(body, content_type, now_ms, self._cache)
        if len(self._cache) > 2 * len(page.labels) + 1_000:  # a page whose label values keep changing
            self._cache.clear()
        return page

    def _batch(self, now: float, took: float, page: Page | None) -> Batch:
        shown: list[Labels] = [] if page is None else page.labels
        lasting = shown if page is None or not page.timed.any() else _untimed(page)
        gone = self._presence.vanished(lasting)
        about = (float(page is not None), took, float(len(shown)))
        own = [{**self._labels, "__name__": name} for name in ("up", *_OWN)]
        series = [*shown, *own, *gone]
        times = np.full(len(series), round(now * 1000), dtype=np.int64)
        values = np.full(len(series), STALE_NAN, dtype=np.float64)
        values[len(shown) : len(shown) + len(own)] = about
        if page is not None:
            times[: len(shown)] = page.times_ms
            values[: len(shown)] = page.values
        return Batch(series, np.arange(len(series), dtype=np.int32), times, values)

    def _note(self, now: float, took: float, page: Page | None, failure: Exception | None) -> None:
        before = self.health.health
        health: Literal["up", "down"] = "down" if page is None else "up"
        if page is not None:
            self.metadata = page.metadata
        if health == "down" and before != "down":
            log.warning("scrape.failed target=%s error=%s", self.target.url, failure)
        elif health == "up" and before == "down":
            log.info("scrape.recovered target=%s", self.target.url)
        samples = 0 if page is None else len(page.labels)
        text = "" if failure is None else str(failure)
        self.health = TargetHealth(self.target, health, text, now, took, samples, *self._terms[:2])

    def _labelled(self, labels: dict[str, str]) -> Labels:
        """A page's labels with the target's own."""
        merged = dict(self._labels)
        for name, value in labels.items():
            while name in merged:
                name = f"exported_{name}"
            merged[name] = value
        return merged


_OWN = ("scrape_duration_seconds", "scrape_samples_scraped")


def stale(series: Sequence[Labels], now: float) -> Batch:
    """The stale marker for each series at `now`."""
    return Batch.at(now, [(labels, float(STALE_NAN)) for labels in series])


def _untimed(page: Page) -> list[Labels]:
    return [labels for labels, timed in zip(page.labels, page.timed.tolist(), strict=True) if not timed]


async def _fetch(session: aiohttp.ClientSession, url: str, terms: Terms) -> tuple[bytes, str]:
    """A page and its content type. Raises TargetDown, or BadSample where it is too long."""
    headers = {"Accept": _ACCEPT, "X-Prometheus-Scrape-Timeout-Seconds": f"{terms.timeout_s:g}"}
    try:
        timeout = aiohttp.ClientTimeout(total=terms.timeout_s)
        async with session.get(url, headers=headers, timeout=timeout) as response:
            if response.status != 200:
                raise TargetDown(f"{url} answered {response.status} {response.reason}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > terms.body_limit:
                    raise BadSample(f"{url} sends more than {terms.body_limit} bytes")
            return bytes(body), response.headers.get("Content-Type", "")
    except TimeoutError:
        raise TargetDown(f"{url} did not answer within {terms.timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise TargetDown(f"{url} cannot be read: {error or type(error).__name__}") from error
