"""What changed from one reading of the fleet to the next, as the stream sends it.

Applied to the reading before, a delta gives the reading after it:

- `servers`: fields that changed, by `id`; one that was not there before comes whole. `gone`: ids that are no more
- `seen`: id → [ms from its newest sample to `ts`, uptime in s where it has one], where a newer sample came
- `age_s` of a server is `ts` − `last_seen`, rounded to 0.1 s: time alone changes nothing else
- `first`: ids that stand first now; the others follow in the order that they had. Absent where the order is the same
- `ts` (the reading's `timestamp`), `seq`, `age_s`, `stale`, `counts` and `total` replace what was there
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.windows import moment

Data = dict[str, Any]
"""The `data` of `/api/dashboard`."""
BY_TIME = frozenset(("age_s", "last_seen", "uptime_s"))


def difference(before: Data | None, after: Data) -> Data:
    """The delta that leads from `before` to `after`."""
    old: Mapping[str, Data] = {s["id"]: s for s in before["servers"]} if before else {}
    new = {s["id"] for s in after["servers"]}
    ts_ms = _ms(after["timestamp"])
    found: Data = {
        "seq": after["seq"],
        "ts": after["timestamp"],
        "age_s": after["age_s"],
        "stale": after["stale"],
        "counts": after["counts"],
        "total": after["total"],
        "servers": [patch for s in after["servers"] if (patch := _patch(old.get(s["id"]), s))],
        "gone": sorted(old.keys() - new),
        "seen": {s["id"]: _seen(s, ts_ms) for s in after["servers"] if _is_seen(old.get(s["id"]), s)},
    }
    if first := _first([i for i in old if i in new], [s["id"] for s in after["servers"]]):
        found["first"] = first
    return found


def _patch(old: Data | None, new: Data) -> Data | None:
    if old is None:
        return new
    left_out = BY_TIME if new["last_seen"] is not None else frozenset(("age_s",))
    changed = {name: value for name, value in new.items() if name not in left_out and old.get(name) != value}
    return {"id": new["id"], **changed} if changed else None


def _is_seen(old: Data | None, new: Data) -> bool:
    if old is None or new["last_seen"] is None:
        return False
    return bool(old["last_seen"] != new["last_seen"] or old["uptime_s"] != new["uptime_s"])


def _seen(server: Data, ts_ms: int) -> list[float | None]:
    age_ms = ts_ms - _ms(server["last_seen"])
    return [age_ms] if server["uptime_s"] is None else [age_ms, server["uptime_s"]]


def _first(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The head of `new` that does not end as `old` does."""
    same = 0
    for a, b in zip(reversed(old), reversed(new), strict=False):
        if a != b:
            break
        same += 1
    return list(new[: len(new) - same])


def _ms(text: str) -> int:
    return round(moment(text) * 1000)
