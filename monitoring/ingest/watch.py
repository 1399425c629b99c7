"""One scrape target under watch: its page fetched, labelled and compared with the one before.

The rules are Prometheus': `up` is 0 when the page cannot be had, a series that is gone gets the stale marker, and a
label of the page that the target itself has is kept as `exported_…` (honor_labels=false).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import aiohttp
import numpy as np

from monitoring.errors import BadSample, BadSetting, TargetDown
from monitoring.ingest.exposition import Metadata, Page, SeriesCache, parse
from monitoring.ingest.relabel import relabel
from monitoring.ingest.targets import Target, TargetHealth
from monitoring.model import STALE_NAN, Batch, Labels, label_key

log = logging.getLogger(__name__)

IN_THREAD_BYTES = 256 * 1024
"""Pages above this are parsed beside the event loop (about 5 ms)."""
_ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


class Limits(NamedTuple):
    """How a target is scraped whose group says nothing else."""

    interval_s: float
    timeout_s: float
    body_limit: int


class Presence:
    """The series that a source showed last time."""

    def __init__(self) -> None:
        self.added = 0
        """How many of the series were new last time."""
        self._shown: Sequence[Labels] | None = None
        self._last: dict[int, Labels] = {}

    def vanished(self, shown: Sequence[Labels]) -> list[Labels]:
        """Series of last time that are not among those `shown` now.

        Labels are compared as objects first, since a cached page gives the same ones again, often in the same list.
        """
        self.added = 0
        if shown is self._shown:
            return []
        last, self._last, self._shown = self._last, {id(labels): labels for labels in shown}, shown
        missing = [last[key] for key in last.keys() - self._last.keys()]
        fresh = {label_key(self._last[key]) for key in self._last.keys() - last.keys()}
        gone = [labels for labels in missing if label_key(labels) not in fresh]
        self.added = len(fresh) - (len(missing) - len(gone))
        return gone


class Watch:
    """A target, what it showed last and how it is."""

    def __init__(self, target: Target, limits: Limits) -> None:
        self.target = target
        self.metadata: Mapping[str, Metadata] = {}
        self.limits = own_limits(target, limits)
        self.health = TargetHealth(target, interval_s=self.limits.interval_s, timeout_s=self.limits.timeout_s)
        self._labels = target.labels
        self._own = [{**self._labels, "__name__": name} for name in ("up", *_ABOUT)]
        self._cache = SeriesCache(self._labelled)
        self._presence = Presence()
        self._tls: ssl.SSLContext | bool | None = None

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
        return stale([*self._presence.vanished(()), *self._own], now)

    async def _read(self, session: aiohttp.ClientSession, now_ms: int) -> Page:
        body, content_type = await self._fetch(session)
        if len(body) > IN_THREAD_BYTES:
            page = await asyncio.to_thread(parse, body, content_type, now_ms, self._cache)
        else:
            page = parse(body, content_type, now_ms, self._cache)
        if len(self._cache) > 2 * len(page.labels) + 1_000:  # a page whose label values keep changing
            self._cache.clear()
        if self.target.terms.sample_limit and len(page.labels) > self.target.terms.sample_limit:
            raise BadSample(f"the page has {len(page.labels)} samples, over the limit {self.target.terms.sample_limit}")
        return page

    def _batch(self, now: float, took: float, page: Page | None) -> Batch:
        shown: list[Labels] = [] if page is None else page.labels
        lasting = shown if page is None or not page.timed.any() else _untimed(page)
        gone = self._presence.vanished(lasting)
        scraped = 0 if page is None else page.scraped
        about = (float(page is not None), took, scraped, len(shown), self._presence.added)
        series = [*shown, *self._own, *gone]
        times = np.full(len(series), round(now * 1000), dtype=np.int64)
        values = np.full(len(series), STALE_NAN, dtype=np.float64)
        values[len(shown) : len(shown) + len(about)] = about
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
        self.health = TargetHealth(self.target, health, text, now, took, samples, *self.limits[:2])

    def _labelled(self, labels: dict[str, str]) -> Labels | None:
        """A page's labels with the target's own, relabelled. Raises BadSample where the name is lost."""
        if self.target.terms.honor_labels:
            merged = {**self._labels, **labels}
        else:
            merged = dict(self._labels)
            for name, value in labels.items():
                while name in merged:
                    name = f"exported_{name}"
                merged[name] = value
        if not self.target.terms.metric_rules:
            return merged
        changed = relabel(self.target.terms.metric_rules, merged)
        if changed is not None and not changed.get("__name__"):
            raise BadSample(f"metric_relabel_configs take the name from '{labels['__name__']}'")
        return changed

    async def _fetch(self, session: aiohttp.ClientSession) -> tuple[bytes, str]:
        """A page and its content type. Raises TargetDown, or BadSample where it is too long."""
        url, timeout_s, body_limit = self.target.url, self.limits.timeout_s, self.limits.body_limit
        try:
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            async with session.get(url, headers=self._headers(), timeout=timeout, ssl=self._checked()) as response:
                if response.status != 200:
                    raise TargetDown(f"{url} answered {response.status} {response.reason}")
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > body_limit:
                        raise BadSample(f"{url} sends more than {body_limit} bytes")
                return bytes(body), response.headers.get("Content-Type", "")
        except TimeoutError:
            raise TargetDown(f"{url} did not answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TargetDown(f"{url} cannot be read: {error or type(error).__name__}") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": _ACCEPT, "X-Prometheus-Scrape-Timeout-Seconds": f"{self.limits.timeout_s:g}"}
        if (credentials := self.target.terms.credentials) is not None:
            headers["Authorization"] = credentials.header()
        return headers

    def _checked(self) -> ssl.SSLContext | bool:
        """How the certificate is checked; made at the first scrape."""
        if self._tls is None:
            try:
                self._tls = self.target.terms.tls()
            except BadSetting as error:
                raise TargetDown(str(error)) from None
        return self._tls


_ABOUT = (
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)


def own_limits(target: Target, limits: Limits) -> Limits:
    """What holds for this target: its group's terms, else `limits`; a scrape ends before the next begins."""
    terms = target.terms
    interval_s = terms.interval_s or limits.interval_s
    return Limits(
        interval_s, min(terms.timeout_s or limits.timeout_s, 0.9 * interval_s), terms.body_limit or limits.body_limit
    )


def stale(series: Sequence[Labels], now: float) -> Batch:
    """The stale marker for each series at `now`."""
    return Batch.at(now, [(labels, float(STALE_NAN)) for labels in series])


def _untimed(page: Page) -> list[Labels]:
    return [labels for labels, timed in zip(page.labels, page.timed.tolist(), strict=True) if not timed]
