"""Keeping answers small for the models that read them: a count of tokens, rounding, asking for less, cutting."""

from __future__ import annotations

import json
import math
import re
from typing import Any

DEFAULT_ROOM = 1500
"""Tokens of an answer whose caller did not say how much they want."""
ROOM = 8000
"""Tokens that no answer exceeds."""

Body = dict[str, Any]

_WORD = re.compile(r"\d{1,3}|[^\W\d_]{1,6}|[^\w\s]{1,2}|_")


def tokens(text: str) -> int:
    """About how many tokens a model reads: numbers cost one for three digits, words one for six letters.

    >>> tokens("web-01 is at 91.25 %")
    9
    """
    return len(_WORD.findall(text))


def compact(body: Body) -> Body:
    """The same facts in fewer tokens: figures of six digits; of further queries only what differs from the first."""
    short: Body = _rounded(body)
    evidence = short.get("evidence")
    if isinstance(evidence, dict) and "also" in evidence:
        first = evidence.items()
        evidence["also"] = [
            {name: value for name, value in item.items() if (name, value) not in first} for item in evidence["also"]
        ]
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
    spent = tokens(json.dumps(body, ensure_ascii=False, default=str))
    if spent <= room:
        return {}
    name = "series" if body.get("series") else "rows"
    part = tokens(json.dumps(body.get(name) or [], ensure_ascii=False, default=str))
    share = max(0.9 * room - (spent - part), 0) / max(part, 1)
    if name == "series":
        return {"points": max(int(share * max(len(one.get("points", ())) for one in body["series"])), 2)}
    return {"limit": max(int(share * len(body.get("rows") or ())), 1)}


def cut(body: Body, room: int) -> Body:
    """`body` with its heaviest lists shortened until it fits, `truncated` where that was needed."""
    while tokens(json.dumps(body, ensure_ascii=False, default=str)) > room:
        holder, name = _heaviest(body)
        if not holder:
            break
        holder[name] = holder[name][: len(holder[name]) // 2]
        body["truncated"] = True
        body.pop("next_cursor", None)  # it would skip what was cut
    return body


def _heaviest(body: Body) -> tuple[Body, str]:
    """Where the list stands that costs most; an empty holder where none is left."""
    holders = [body, *(body[name] for name in ("details", "evidence") if isinstance(body.get(name), dict))]
    lists = [
        (len(json.dumps(value, default=str)), number, name)
        for number, holder in enumerate(holders)
        for name, value in holder.items()
        if isinstance(value, list) and value and name != "columns"
    ]
    if not lists:
        return {}, ""
    _, number, name = max(lists)
    return holders[number], name
