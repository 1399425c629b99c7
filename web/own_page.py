"""What this process measures of itself: as metrics for `/metrics`, and as data for `/api/metrics/performance`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from assistant.engine import answers_total
from assistant.ways import fallbacks_total
from monitoring.alerts_loop import events_total, rounds_total
from monitoring.baselines_loop import fits_total
from monitoring.detection import ticks_total
from monitoring.notify_send import notifications_total
from monitoring.remote_http import requests_total as remote_requests
from monitoring.windows import rfc3339
from web.cache import requests_total
from web.exposition import Family, Row, series
from web.parts import Parts
from web.performance import BOUNDS, Performance, Timing

DURATION = "http_request_duration_seconds"
QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
LES = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")


def families(p: Parts) -> Iterator[Family]:
    """Everything that `/metrics` shows."""
    yield from _answers()
    yield from _requests(p.performance)
    yield from _store(p)
    yield from _remote(p)
    yield from _detection(p)
    yield from _alerts(p)
    yield from _caches(p)
    yield from _process(p)


def _answers() -> Iterator[Family]:
    name = "openmanager_answers_total"
    rows = [(series(name, way=way, status=status), n) for (way, status), n in sorted(answers_total.items())]
    yield Family(name, "counter", "Answers by way and status.", rows)
    name = "openmanager_fallbacks_total"
    rows = [(series(name, way=way, cause=cause), n) for (way, cause), n in sorted(fallbacks_total.items())]
    yield Family(name, "counter", "Ways that failed, by cause.", rows)


def _requests(performance: Performance) -> Iterator[Family]:
    rows: list[Row] = []
    for key, timing in sorted(performance.timings.items()):
        labels = key._asdict()
        sums = zip(LES, accumulate(timing.buckets), strict=True)
        rows += [(series(f"{DURATION}_bucket", **labels, le=le), n) for le, n in sums]
        rows.append((series(f"{DURATION}_sum", **labels), timing.seconds))
        rows.append((series(f"{DURATION}_count", **labels), timing.count))
    help_text = "Time from a request to the end of its reply, by route, method and class of the status code."
    yield Family(DURATION, "histogram", help_text, rows)
    help_text = "Requests that are being answered, open streams among them."
    yield _one("http_requests_in_flight", "gauge", help_text, performance.in_flight)


def _store(p: Parts) -> Iterator[Family]:
    connection = p.store.connection
    help_text = "Commands, scripts and pipelines that this process sent to Redis."
    yield _one("openmanager_store_round_trips_total", "counter", help_text, connection.round_trips)
    help_text = "Time that this process waited for Redis."
    yield _one("openmanager_store_seconds_total", "counter", help_text, connection.seconds)
    help_text = "Samples that this process wrote."
    yield _one("openmanager_samples_appended_total", "counter", help_text, p.store.samples_appended)
    name = "openmanager_samples_refused_total"
    rows = [(series(name, road=road, reason=reason), n) for (road, reason), n in sorted(p.refused().items())]
    yield Family(name, "counter", "Samples that were not kept, by the road they came on and the reason.", rows)


def _remote(p: Parts) -> Iterator[Family]:
    if p.remote is not None:
        name = "openmanager_prometheus_requests_total"
        rows = [(series(name, outcome=outcome), n) for outcome, n in sorted(remote_requests.items())]
        yield Family(name, "counter", "Requests to the server of --prometheus, by outcome.", rows)


def _detection(p: Parts) -> Iterator[Family]:
    """What is learnt and scored, where this process does it."""
    for name, help_text, counts in (
        ("openmanager_baseline_fits_total", "Times that was learnt what is normal, by outcome.", fits_total),
        ("openmanager_detection_ticks_total", "Rounds of scores, by outcome.", ticks_total),
    ):
        yield Family(name, "counter", help_text, [(series(name, outcome=one), n) for one, n in sorted(counts.items())])
    if p.collector is not None and p.collector.leading:
        loop = p.collector.detection
        yield _one("openmanager_detection_series", "gauge", "Series that the last round scored.", loop.series)
        yield _one("openmanager_detection_seconds", "gauge", "How long their scoring took.", loop.judged_s)


def _alerts(p: Parts) -> Iterator[Family]:
    """The evaluation of rules, where this process does it."""
    name = "openmanager_rule_rounds_total"
    rows = [(series(name, outcome=outcome), n) for outcome, n in sorted(rounds_total.items())]
    yield Family(name, "counter", "Evaluations of all rules, by outcome.", rows)
    name = "openmanager_alert_events_total"
    rows = [(series(name, kind=kind), n) for kind, n in sorted(events_total.items())]
    yield Family(name, "counter", "Events of alerts that this process wrote, by kind.", rows)
    name = "openmanager_notifications_total"
    rows = [(series(name, receiver=to, outcome=outcome), n) for (to, outcome), n in sorted(notifications_total.items())]
    yield Family(name, "counter", "Messages to receivers, by receiver and outcome.", rows)
    loop = p.alert_loop()
    if loop is not None and (state := loop.state) is not None:
        yield _one("openmanager_rule_round_seconds", "gauge", "Duration of the last evaluation.", state.took_s)
        help_text = "Evaluations of one rule that failed."
        yield _one("openmanager_rule_failures_total", "counter", help_text, state.failures)
        counts = Counter(alert.state for alert in state.book.alerts.values())
        name = "openmanager_alerts"
        rows = [(series(name, state=word), counts[word]) for word in ("pending", "firing")]
        yield Family(name, "gauge", "Alerts that are known, by state.", rows)


def _caches(p: Parts) -> Iterator[Family]:
    name = "openmanager_cache_requests_total"
    rows = [(series(name, cache=cache, result=result), n) for (cache, result), n in sorted(requests_total.items())]
    yield Family(name, "counter", "Requests to each cache, by how they were served.", rows)
    name = "openmanager_cache_bytes"
    rows = [(series(name, cache=cache), size) for cache, size in _sizes(p).items()]
    yield Family(name, "gauge", "Bytes that each cache holds.", rows)
    yield _one("openmanager_stream_readers", "gauge", "Readers of /api/servers/realtime.", p.live.stream.readers)


def _sizes(p: Parts) -> dict[str, int]:
    board = p.live.board
    return {
        "dashboard": 0 if board is None else board.size(),
        "details": p.details.bytes,
        "samples": p.store.copy.hours.nbytes,
    }


def _process(p: Parts) -> Iterator[Family]:
    yield _one("process_resident_memory_bytes", "gauge", "Resident memory.", p.process()["rss_bytes"])
    yield _one("process_start_time_seconds", "gauge", "When this process began.", p.started)


def _one(name: str, kind: Any, help_text: str, value: float) -> Family:
    return Family(name, kind, help_text, [(name, value)])


def performance(p: Parts) -> dict[str, Any]:
    """The `data` of `/api/metrics/performance`: this process since it began, times in milliseconds."""
    measured, connection = p.performance, p.store.connection
    routes = [
        {"route": route, "method": method, **_timed(codes)} for (route, method), codes in measured.by_route().items()
    ]
    total = Timing.sum(measured.timings.values())
    trips = connection.round_trips
    return {
        **p.process(),
        "since": rfc3339(p.started),
        "requests": total.count,
        "errors": sum(route["errors"] for route in routes),
        "in_flight": measured.in_flight,
        **_quantiles(total),
        "routes": routes,
        "caches": _cache_data(p),
        "redis": {
            "round_trips": trips,
            "total_ms": _ms(connection.seconds),
            "mean_ms": _ms(connection.seconds / trips) if trips else None,
        },
    }


def _timed(codes: Mapping[str, Timing]) -> dict[str, Any]:
    timing = Timing.sum(codes.values())
    counts = {code: one.count for code, one in codes.items()}
    cumulated = zip(LES, accumulate(timing.buckets), strict=True)
    return {
        "count": timing.count,
        "errors": counts.get("5xx", 0),
        "codes": counts,
        "mean_ms": _ms(timing.seconds / timing.count),
        **_quantiles(timing),
        "buckets": [{"le": le, "count": n} for le, n in cumulated],
        "cache": {"hits": timing.total.hits, "misses": timing.total.misses},
        "redis": {"round_trips": timing.total.round_trips, "total_ms": _ms(timing.total.redis_s)},
    }


def _quantiles(timing: Timing) -> dict[str, float | None]:
    found = {name: timing.quantile(q) for name, q in QUANTILES.items()}
    return {name: None if seconds is None else _ms(seconds) for name, seconds in found.items()}


def _cache_data(p: Parts) -> list[dict[str, Any]]:
    """Of each cache what it holds and how its requests were served; those of other caches of the process at the end."""
    sizes = _sizes(p)
    results: dict[str, dict[str, int]] = {name: {} for name in sizes}
    for (cache, result), n in sorted(requests_total.items()):
        results.setdefault(cache, {})[result] = n
    return [
        {
            "cache": name,
            "bytes": sizes.get(name),
            "misses": found.get("miss", 0),
            "hits": _hits(found),
            "results": found,
        }
        for name, found in results.items()
    ]


def _hits(results: Mapping[str, int]) -> int:
    return sum(n for result, n in results.items() if result != "miss")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
