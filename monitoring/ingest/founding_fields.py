"""Fields of the founding Redis hashes: many spellings and number formats in, one value in one unit out, or none.

Liberal in how a thing is written, strict in what it is: a value that cannot be read is refused with its field, and one
that is not there is never made up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from monitoring.ingest.validation import AHEAD_S, MOST_PERCENT

Fields = Mapping[str, str]
"""Field names as written → values as written."""


class Refused(NamedTuple):
    """A value that cannot be used."""

    field: str
    value: str
    problem: str


class Gauge(NamedTuple):
    """A metric of ours and how the founding hashes may write it. Spellings are lower case without punctuation."""

    metric: str
    spellings: frozenset[str]
    read: Callable[[str, str], float]


ABSENT = frozenset({"", "-", "n/a", "na", "none", "null", "undefined", "unknown", "nil"})
"""How writers say that there is no value."""
_UP = frozenset({"online", "up", "running", "active", "healthy", "ok", "normal", "warning", "critical", "true", "1"})
_DOWN = frozenset({"offline", "down", "stopped", "inactive", "dead", "terminated", "unreachable", "false", "0"})
_STATUS = frozenset({"status", "state", "serverstatus", "health", "online", "up"})
_TIME = (
    "timestamp",
    "lastupdated",
    "lastupdate",
    "updatedat",
    "lastseen",
    "lastheartbeat",
    "collectedat",
    "time",
    "ts",
)
_LABELS = {
    "type": ("type", "role", "servertype", "serverrole"),
    "location": ("location", "region", "datacenter", "dc"),
    "zone": ("zone", "availabilityzone", "az"),
    "environment": ("environment", "env"),
    "name": ("name", "servername", "displayname"),
}
_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_BYTES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_LENGTHS = {"ms": 0.001, "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600}
_LENGTHS |= {"hour": 3600, "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800}
_EARLIEST = 946_684_800.0
"""2000-01-01: a stated time before it is a mistake."""


def fields(raw: Mapping[str, str]) -> dict[str, str]:
    """The fields by their plain names; JSON objects in values are opened, `{"network": '{"in": 5}'}` → `networkin`.

    >>> fields({"cpuUsage": "45.2", "network": '{"in": 5}'})
    {'cpuusage': '45.2', 'networkin': '5'}
    """
    return dict(_opened("", raw))


def _opened(prefix: str, raw: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in raw.items():
        plain = prefix + re.sub(r"[^a-z0-9]", "", name.lower().replace("%", "percent"))
        inside = _object(value)
        if inside is not None:
            yield from _opened("" if plain in ("metrics", "data") else plain, inside)
        elif value is not None and not isinstance(value, list):
            yield plain, str(value).strip()


def _object(value: object) -> dict[str, object] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None
    return None


def labels(found: Fields) -> dict[str, str]:
    """The labels that a hash gives its server."""
    given = {}
    for label, spellings in _LABELS.items():
        value = next((found[name] for name in spellings if name in found), "")
        if value.lower() not in ABSENT:
            given[label] = value
    return given


def stated_time(found: Fields, now: float) -> float | Refused | None:
    """Unix seconds that the hash states: ISO 8601 (UTC where it has no zone), or seconds, ms, µs or ns as a number."""
    name = next((name for name in _TIME if found.get(name, "").lower() not in ABSENT), None)
    if name is None:
        return None
    text = found[name]
    try:
        at = float(text)
        while at > 1e11:  # seconds until the year 5138, else a finer unit
            at /= 1000
    except (ValueError, OverflowError):
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            return Refused(name, text, "is neither ISO 8601 nor a Unix time")
        at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if not _EARLIEST <= at <= now + AHEAD_S:
        return Refused(name, text, "is a time before 2000 or more than 10 minutes ahead of our clock")
    return at


def state(found: Fields) -> float | Refused | None:
    """1 for a server that is said to run, 0 for one that is said not to."""
    for name in found.keys() & _STATUS:
        text = found[name].lower()
        if text in _UP or text in _DOWN:
            return float(text in _UP)
        if text not in ABSENT:
            return Refused(name, found[name], "is not a status that we know")
    return None


def gauges(found: Fields) -> Iterator[tuple[str, float] | Refused]:
    """The metrics of a hash, in our units, and what was refused."""
    for gauge in GAUGES:
        name = next((name for name in found if name in gauge.spellings), None)
        if name is None:
            yield from _share(gauge.metric, found)
        elif found[name].lower() not in ABSENT:
            try:
                yield gauge.metric, gauge.read(name, found[name])
            except ValueError as error:
                yield Refused(name, found[name], str(error))


def _share(metric: str, found: Fields) -> Iterator[tuple[str, float] | Refused]:
    """Used ÷ total in percent, where a hash gives these two and no percentage."""
    for stem in _SHARES.get(metric, ()):
        used, total = found.get(f"{stem}used"), found.get(f"{stem}total")
        if used is None or total is None:
            continue
        try:
            whole = _amount(total)
            if whole <= 0:
                raise ValueError("has a total that is not above 0")
            yield metric, _percent(stem, repr(100 * _amount(used) / whole))
        except ValueError as error:
            yield Refused(f"{stem}used", f"{used} of {total}", str(error))
        return


def _number(text: str) -> tuple[float, str]:
    """A number and the unit behind it. A decimal comma is one; `1,234` could be either and is refused."""
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+.*", text, re.ASCII):
        text = text.replace(",", "")
    elif (hit := re.match(r"[+-]?\d+,(\d+)", text, re.ASCII)) and len(hit[1]) != 3:
        text = text.replace(",", ".", 1)
    hit = _NUMBER.fullmatch(text)
    if hit is None or not math.isfinite(value := float(hit[1])):
        raise ValueError("is not a number")
    if value < 0:
        raise ValueError("is below 0")
    return value, hit[2].strip()


def _percent(name: str, text: str) -> float:
    value, unit = _number(text)
    if unit.lower() not in ("", "%", "percent", "pct"):
        raise ValueError("is not a percentage")
    if name.endswith(("ratio", "fraction")) and not unit:
        value *= 100
    if value > MOST_PERCENT:
        raise ValueError("is over 100 %")
    return value


def _amount(text: str) -> float:
    """Bytes: a number, or one with a unit such as `1.5 MB`, `300KiB`."""
    value, unit = _number(text)
    hit = re.fullmatch(r"([kmgt]i?)?(?:b|bytes?)?", unit, re.IGNORECASE)
    if hit is None:
        raise ValueError("is not an amount of bytes")
    return value * _BYTES[(hit[1] or "").lower()]


def _rate(name: str, text: str) -> float:
    """Bytes per second; `Mbps`, `Mbit/s` and `Mb/s` are bits."""
    value, unit = _number(text)
    if bits := re.fullmatch(r"([kmgt]?)(?:bps|bits?/s|b/s|bit/sec)", unit, re.IGNORECASE):
        octets = unit.endswith(("B/s", "Bps"))
        return value * _BYTES[bits[1].lower()] / (1 if octets else 8)
    scale = next((factor for ending, factor in _IN_NAME if name.endswith(ending) and not unit), 1.0)
    return _amount(re.sub(r"(/s(ec)?|ps)$", "", text.strip(), flags=re.IGNORECASE)) * scale


def _length(name: str, text: str) -> float:
    """Seconds: a number, or `3d 4h`, `12 days`."""
    value, unit = _number(text)
    if not unit:
        return value / 1000 if name.endswith("ms") else value
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?=[\s,\d]|$)", text.lower(), re.ASCII)
    rest = re.sub(r"\d+(?:\.\d+)?\s*[a-z]+|[\s,]", "", text.lower())
    if not parts or rest or any(unit not in _LENGTHS for _, unit in parts):
        raise ValueError("is not a length of time")
    return sum(float(number) * _LENGTHS[unit] for number, unit in parts)


def _spelled(stems: str, endings: str) -> frozenset[str]:
    return frozenset(stem + ending for stem in stems.split() for ending in ["", *endings.split()])


_PERCENT = "usage percent pct usagepercent utilization usedpercent percentused ratio fraction"
_PER_SECOND = "bytes rate persecond bytespersecond bytespersec bps kbps mbps kb mb"
_IN_NAME = (("kbps", 125.0), ("mbps", 125e3), ("kb", 1e3), ("mb", 1e6), ("bps", 0.125))
"""Units at the end of a field's name: `bps` counts bits, as network people do."""
_SHARES = {"server_memory_usage": ("memory", "mem", "ram"), "server_disk_usage": ("disk", "storage")}
GAUGES = (
    Gauge("server_cpu_usage", _spelled("cpu", _PERCENT), _percent),
    Gauge("server_memory_usage", _spelled("memory mem ram", _PERCENT), _percent),
    Gauge("server_disk_usage", _spelled("disk storage", _PERCENT), _percent),
    Gauge(
        "server_network_receive_bytes_per_second",
        _spelled("networkin netin networkrx netrx rx networkreceive networkreceived networkincoming", _PER_SECOND),
        _rate,
    ),
    Gauge(
        "server_network_transmit_bytes_per_second",
        _spelled("networkout netout networktx nettx tx networktransmit networksent networkoutgoing", _PER_SECOND),
        _rate,
    ),
    Gauge("server_uptime_seconds", _spelled("uptime", "s sec seconds ms"), _length),
)
