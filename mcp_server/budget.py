"""Keeping answers small for the models that read them: a count of tokens, rounding, asking for less, cutting."""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Any

DEFAULT_ROOM = 1500
"""Tokens of an answer whose caller did not say how much they want."""
ROOM = 8000
"""Tokens that no answer exceeds."""

Body = dict[str, Any]

_WORD = re.compile(r"\d{1,3}|[a-zA-Z]{1,6}|[^\W\da-zA-Z_]{1,2}|[^\w\s]{1,2}|_")


def tokens(text: str) -> int:
    """About how many tokens a model reads: one for three digits, six Latin letters, two of another script.

    >>> tokens("web-01 is at 91.25 %"), tokens("서버")
    (9, 1)
    """
    return len(_WORD.findall(text))


def cost(value: Any) -> int:
    """About how many tokens `value` takes as JSON."""
    return tokens(json.dumps(value, ensure_ascii=False, default=str))


def compact(body: Body, room: int) -> Body:
    """The same facts in fewer tokens: figures of six digits; of further queries only what differs from the first.

    Further queries get a third of `room`; `evidence.left_out` counts those that do not fit there.
    """
    short: Body = _rounded(body)
    evidence = short.get("evidence")
    if isinstance(evidence, dict) and "also" in evidence:
        first = evidence.items()
        also = [
            {name: value for name, value in item.items() if (name, value) not in first} for item in evidence["also"]
        ]
        spent = itertools.accumulate(cost(item) for item in also)
        evidence["also"] = [item for item, so_far in zip(also, spent, strict=True) if so_far <= room / 3]
        if left_out := len(also) - len(evidence["also"]):
            evidence["left_out"] = left_out
    return short


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return figure(value)
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value


def figure(value: float) -> float | int | None:
    """A figure with six significant digits, or whole from a million up; None where there is none.

    >>> figure(91.23456789), figure(1732464000.0), figure(float("nan"))
    (91.2346, 1732464000, None)
    """
    if not math.isfinite(value):
        return None
    if abs(value) >= 1e6:
        return round(value)
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() else short


def smaller(body: Body, room: int) -> dict[str, int]:
    """What to ask for instead so that the answer fits: fewer `points` of each series, or a lower `limit` of rows."""
    spent = cost(body)
    if spent <= room:
        return {}
    series, rows = body.get("series"), body.get("rows")
    part = cost(series or rows or [])
    share = max((0.9 * room - (spent - part)) / max(part, 1), 0)
    if series:
        return {"points": max(int(share * max(len(one["points"]) for one in series)), 2)}
    return {"limit": max(int(share * len(rows or ())), 1)}


def cut(body: Body, room: int) -> Body:
    """`body` with its heaviest lists shortened until it fits, `truncated` where that was needed."""
    while cost(body) > room and (lists := _lists(body)):
        holder, name = max(lists, key=lambda place: cost(place[0][place[1]]))
        holder[name] = holder[name][: len(holder[name]) // 2]
        body["truncated"] = True
        body.pop("next_cursor", None)  # it would skip what was cut
    return body


def _lists(body: Body) -> list[tuple[Body, str]]:
    """Where lists stand that may be shortened: in the body, its details, its evidence."""
    evidence = body.get("evidence")
    inner = [body.get("details"), *(evidence if isinstance(evidence, list) else [evidence])]
    holders = [body, *(holder for holder in inner if isinstance(holder, dict))]
    return [
        (holder, name)
        for holder in holders
        for name, value in holder.items()
        if isinstance(value, list) and value and name != "columns" and not (holder is body and name == "evidence")
    ]
