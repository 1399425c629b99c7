"""OpenTelemetry metrics (OTLP) as samples, the way Prometheus' own receiver translates them.

A resource's service becomes `job` and `instance`; what tells hosts and environments apart (`PROMOTED`) becomes a label
of every series; the rest of the resource stands in `target_info`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from monitoring.ingest.deltas import MOST_SERIES, Addition
from monitoring.ingest.exposition import Metadata
from monitoring.ingest.otlp_names import Kind, label_name, metric_name, number_text, text_of, unit_name
from monitoring.model import STALE_NAN, Batch, Labels, label_key

PROMOTED = frozenset(
    {
        *("host.name", "os.type", "deployment.environment", "deployment.environment.name", "server.id", "role"),
        *("server.type", "cloud.region", "cloud.availability_zone", "container.name", "service.version"),
        *("k8s.cluster.name", "k8s.namespace.name", "k8s.node.name", "k8s.pod.name", "k8s.container.name"),
        *("k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name", "k8s.cronjob.name"),
    }
)
"""Attributes of a resource that each of its series carries, so that a query needs no join with `target_info`."""
_IDENTIFYING = frozenset({"service.name", "service.namespace", "service.instance.id"})
_NO_VALUE = 1
"""The flag of a point that says: nothing was recorded, the series ended."""
_NOT_A_POINT = -1


class Translation:
    """One request as samples: `batch`, `metadata`, and the points that have no sample in `refused`, by reason."""

    def __init__(self, request: ExportMetricsServiceRequest, addition: Addition) -> None:
        self.metadata: dict[str, Metadata] = {}
        self.refused: Counter[str] = Counter()
        self.first = ""
        """What is wrong with the first refused point."""
        self.points = 0
        self._addition = addition
        self._series: list[Labels] = []
        self._times_ns: list[int] = []
        self._values: list[float] = []
        self._point_of: list[int] = []
        for resource in request.resource_metrics:
            self._read_resource(resource.resource, [m for scope in resource.scope_metrics for m in scope.metrics])

    def batch(self) -> Batch:
        """The samples."""
        times_ms = (np.array(self._times_ns, dtype=np.uint64) // np.uint64(1_000_000)).astype(np.int64)
        index = np.arange(len(self._series), dtype=np.int32)
        return Batch(self._series, index, times_ms, np.array(self._values, dtype=np.float64))

    def points_among(self, samples: NDArray[np.bool_]) -> int:
        """How many data points the marked samples of the batch come from."""
        points = np.array(self._point_of, dtype=np.int64)[samples]
        return len(np.unique(points[points != _NOT_A_POINT]))

    def _read_resource(self, resource: Resource, metrics: Sequence[Metric]) -> None:
        own = _Own(resource)
        before = len(self._times_ns)
        for metric in metrics:
            self._read_metric(metric, own)
        if own.info and (times := self._times_ns[before:]):
            self._add(own.info, max(times), 1.0, _NOT_A_POINT)

    def _read_metric(self, metric: Metric, own: _Own) -> None:
        form = metric.WhichOneof("data")
        if form is None:
            return
        points: Sequence[Any] = getattr(metric, form).data_points
        if form == "exponential_histogram":
            self._refuse_all("exponential_histogram", metric, points)
            return
        kind: Kind = form if form != "sum" else "counter" if metric.sum.is_monotonic else "updown"
        name = metric_name(metric.name, metric.unit, kind)
        temporality = getattr(metric, form).aggregation_temporality if form in ("sum", "histogram") else 2
        if not name or temporality not in (1, 2):
            self._refuse_all("unknown_temporality" if name else "bad_name", metric, points)
            return
        if points:
            type_name = "gauge" if kind == "updown" else kind
            self.metadata[name] = Metadata(type_name, metric.description, unit_name(metric.unit))
        read = {"histogram": self._histogram, "summary": self._summary}.get(form, self._number)
        if delta := temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
            points = sorted(points, key=lambda point: point.time_unix_nano)
        for point in points:
            reason = read(name, point, own, kind if delta else None) if point.time_unix_nano else "no_time"
            if reason:
                self._refuse(reason, metric)
            self.points += 1

    def _number(self, name: str, point: NumberDataPoint, own: _Own, delta: Kind | None) -> str | None:
        """Adds the sample of a point; returns why it cannot be. `delta` is the kind where it is a difference."""
        labels = own.labels(name, point.attributes)
        if point.flags & _NO_VALUE:
            value = float(STALE_NAN)
        elif point.HasField("as_double"):
            value = point.as_double
        elif point.HasField("as_int"):
            value = float(point.as_int)
        else:
            return "no_value"
        if delta and not point.flags & _NO_VALUE:
            if not np.isfinite(value):
                return "not_a_number"
            if value < 0 and delta == "counter":
                return "out_of_range"
            total = self._addition.add(label_key(labels), point.time_unix_nano, [value])
            if isinstance(total, str):
                return total
            value = float(total[0])
        self._add(labels, point.time_unix_nano, value)
        return None

    def _histogram(self, name: str, point: HistogramDataPoint, own: _Own, delta: Kind | None) -> str | None:
        bounds, counts = tuple(point.explicit_bounds), list(point.bucket_counts)
        if counts and len(counts) != len(bounds) + 1:
            return "bad_buckets"
        labels = own.labels(name, point.attributes)
        has_sum = point.HasField("sum")
        values = np.array([point.sum if has_sum else 0.0, point.count, *counts[:-1]], dtype=np.float64)
        if point.flags & _NO_VALUE:
            values = np.full(2 + len(bounds), STALE_NAN)
        elif delta:
            total = self._addition.add(label_key(labels), point.time_unix_nano, values.tolist(), bounds)
            if isinstance(total, str):
                return total
            values = total
        time = point.time_unix_nano
        if has_sum:
            self._add({**labels, "__name__": f"{name}_sum"}, time, float(values[0]))
        self._add({**labels, "__name__": f"{name}_count"}, time, float(values[1]))
        bucket = {**labels, "__name__": f"{name}_bucket"}
        below = values[2:] if point.flags & _NO_VALUE else values[2:].cumsum()
        for bound, count in zip(bounds, below.tolist(), strict=False):
            self._add({**bucket, "le": number_text(bound)}, time, count)
        self._add({**bucket, "le": "+Inf"}, time, float(values[1]))
        return None

    def _summary(self, name: str, point: SummaryDataPoint, own: _Own, _delta: Kind | None) -> str | None:
        labels, time = own.labels(name, point.attributes), point.time_unix_nano
        ended = bool(point.flags & _NO_VALUE)
        self._add({**labels, "__name__": f"{name}_sum"}, time, STALE_NAN if ended else point.sum)
        self._add({**labels, "__name__": f"{name}_count"}, time, STALE_NAN if ended else point.count)
        for one in point.quantile_values:
            self._add({**labels, "quantile": number_text(one.quantile)}, time, STALE_NAN if ended else one.value)
        return None

    def _add(self, labels: Labels, time_ns: int, value: float, point: int | None = None) -> None:
        self._series.append(labels)
        self._times_ns.append(time_ns)
        self._values.append(value)
        self._point_of.append(self.points if point is None else point)

    def _refuse_all(self, reason: str, metric: Metric, points: Sequence[Any]) -> None:
        self._refuse(reason, metric, len(points))
        self.points += len(points)

    def _refuse(self, reason: str, metric: Metric, count: int = 1) -> None:
        if count:
            self.first = self.first or f"'{metric.name[:200]}': {reason}{_WAYS_OUT.get(reason, '')}"
            self.refused[reason] += count


_WAYS_OUT = {
    "exponential_histogram": " (not kept; send explicit buckets)",
    "unknown_temporality": " (neither cumulative nor delta)",
    "out_of_order": " (a difference that came before, or too late)",
    "too_many_delta_series": f" (more than {MOST_SERIES:,}; send cumulative values)",
}


class _Own:
    """What a resource adds to each of its series."""

    def __init__(self, resource: Resource) -> None:
        given = {one.key: text for one in resource.attributes if (text := text_of(one.value))}
        self._promoted = _as_labels((key, given[key]) for key in sorted(given) if key in PROMOTED)
        self._identity: dict[str, str] = {}
        if name := given.get("service.name"):
            space = given.get("service.namespace")
            self._identity["job"] = f"{space}/{name}" if space else name
        if instance := given.get("service.instance.id"):
            self._identity["instance"] = instance
        others = _as_labels((key, given[key]) for key in sorted(given) if key not in _IDENTIFYING)
        self.info: Labels = {}
        """The labels of `target_info`; empty where nothing would be said by it, or of nobody."""
        if others and (self._identity or "host_name" in others):
            self.info = {**others, **self._identity, "__name__": "target_info"}

    def labels(self, metric: str, attributes: Iterable[KeyValue]) -> dict[str, str]:
        """The labels of a series: its own attributes stand above the resource's, `job` and `instance` above both."""
        own = _as_labels(sorted((one.key, text_of(one.value)) for one in attributes)) if attributes else {}
        return {**self._promoted, **own, **self._identity, "__name__": metric}


def _as_labels(attributes: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Attributes as labels; the values of keys that become the same label are joined by `;`."""
    labels: dict[str, str] = {}
    for key, text in attributes:
        if text and (name := label_name(key)):
            labels[name] = f"{labels[name]};{text}" if name in labels else text
    return labels
