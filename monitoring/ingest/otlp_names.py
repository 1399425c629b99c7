"""OpenTelemetry's names in Prometheus' words: metrics with their units, labels, values of attributes.

Source: opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics; where it leaves room, what
Prometheus' own OTLP receiver does (translation strategy UnderscoreEscapingWithSuffixes).
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import Literal

import numpy as np
import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Kind = Literal["gauge", "counter", "updown", "histogram", "summary"]

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "kBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_WORD = re.compile(r"[a-zA-Z0-9:]+")
_STRANGE = re.compile(r"[^a-zA-Z0-9]+")


@lru_cache(maxsize=8_192)
def metric_name(name: str, unit: str, kind: Kind) -> str:
    """The metric's name with its unit and type behind it; empty where nothing of it can be written.

    >>> metric_name("system.cpu.time", "s", "counter"), metric_name("system.memory.utilization", "1", "gauge")
    ('system_cpu_time_seconds_total', 'system_memory_utilization_ratio')
    >>> metric_name("disk.io", "By/s", "gauge"), metric_name("system.cpu.load_average.1m", "{thread}", "gauge")
    ('disk_io_bytes_per_second', 'system_cpu_load_average_1m')
    """
    words = _WORD.findall(name)
    if not words:
        return ""
    main, per = _unit_words(unit)
    words += [word for word in (main, per) if word and word not in words]
    if kind == "counter":
        words = [*(word for word in words if word != "total"), "total"]
    if unit == "1" and kind == "gauge":
        words = [*(word for word in words if word != "ratio"), "ratio"]
    text = "_".join(words)
    return f"_{text}" if text[0].isdigit() else text


@lru_cache(maxsize=1_024)
def unit_name(unit: str) -> str:
    """A unit as Prometheus writes it.

    >>> unit_name("By"), unit_name("By/s"), unit_name("{thread}"), unit_name("1")
    ('bytes', 'bytes_per_second', '', '')
    """
    return "_".join(filter(None, _unit_words(unit)))


def _unit_words(unit: str) -> tuple[str, str]:
    """What is measured, and what it is divided by; annotations in braces say neither."""
    main, _, per = (part.strip() for part in unit.partition("/"))
    main = "" if "{" in main or "}" in main else _clean(_UNITS.get(main, main))
    per = "" if "{" in per or "}" in per else _clean(_PER.get(per, per))
    return main, f"per_{per}" if per else ""


def _clean(text: str) -> str:
    return "_".join(_WORD.findall(text))


@lru_cache(maxsize=8_192)
def label_name(key: str) -> str:
    """An attribute's key as a label; empty where nothing of it can be written.

    >>> label_name("http.response.status_code"), label_name("1st"), label_name("_own"), label_name("__name__")
    ('http_response_status_code', 'key_1st', 'key_own', '__name__')
    """
    text = _STRANGE.sub("_", key)
    if not text.strip("_"):
        return ""
    if key.startswith("__") and key.endswith("__"):
        return f"_{text}_"
    if text[0].isdigit():
        return f"key_{text}"
    return f"key{text}" if text[0] == "_" else text


def text_of(value: AnyValue) -> str:
    """An attribute's value as a label's: lists and maps as JSON."""
    if value.HasField("string_value"):
        return value.string_value
    plain = _plain(value)
    if isinstance(plain, float):
        return number_text(plain)
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def number_text(number: float) -> str:
    """A number as `le` and `quantile` show it: the shortest that reads back the same, without an exponent.

    >>> number_text(5.0), number_text(0.005), number_text(float("inf"))
    ('5', '0.005', '+Inf')
    """
    if not np.isfinite(number):
        return "NaN" if number != number else "+Inf" if number > 0 else "-Inf"
    return str(np.format_float_positional(number, trim="-"))
