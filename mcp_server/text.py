"""A body in words: every fact of a reading or an answer as one block of text, for clients that show only that."""

from __future__ import annotations

import itertools
import json
from typing import Any

from mcp_server.budget import Body, figure
from monitoring.windows import rfc3339


def as_text(body: Body) -> str:
    """Every fact of a reading for a reader: summary, table or series, details, evidence."""
    lines = [str(body.get("summary", ""))]
    if body.get("rows"):
        lines.append(" | ".join(body["columns"]))
        lines += [" | ".join(_cell(cell) for cell in row) for row in body["rows"]]
    lines += [_series_line(one) for one in body.get("series", ())]
    lines += [f"{name}: {_detail(value)}" for name, value in body.get("details", {}).items()]
    lines += _shown(body)
    evidence = body.get("evidence") or {}
    lines += [_evidence_line(item) for item in (evidence, *evidence.get("also", ())) if item.get("query")]
    if "left_out" in evidence:
        lines.append(f"and {evidence['left_out']} more queries; narrower tools show theirs")
    return "\n".join(line for line in lines if line)


def answer_text(body: Body) -> str:
    """An answer of the assistant for a reader: the sentence, how sure it is, and the queries behind it."""
    lines = [
        str(body.get("response", "")),
        "; ".join(f"{name}: {_cell(body[name])}" for name in ("status", "engine", "confidence") if name in body),
        *(_evidence_line(item) for item in body.get("evidence", ())),
    ]
    if body.get("suggestions"):
        lines.append("next: " + " / ".join(body["suggestions"]))
    if body.get("id"):
        lines.append(f"whole answer: answer://{body['id']}")
    return "\n".join(lines)


def _shown(body: Body) -> list[str]:
    shown, total = len(body.get("rows") or body.get("series") or ()), body.get("total", 0)
    lines = []
    if shown < total:
        lines.append(
            f"{shown} of {total} shown; " + ("more with next_cursor" if "next_cursor" in body else "narrow it")
        )
    elif body.get("truncated"):
        lines.append("truncated; ask for fewer servers or a shorter window to see all")
    if "next_cursor" in body:
        lines.append(f"next_cursor: {body['next_cursor']}")
    return lines


def _cell(value: Any) -> str:
    """One cell on one line; "–" where there is no value."""
    match value:
        case None:
            return "–"
        case float():
            return str(figure(value))
        case _:
            return " ".join(str(value).split())


def _detail(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else _cell(value)


def _series_line(one: Body) -> str:
    """``web-01 cpu="0" from 2026-11-24T14:00:00Z every 60 s: 1 2 – 4``; uneven times stand beside each value."""
    labels = " ".join(f'{name}="{_cell(value)}"' for name, value in (one.get("labels") or {}).items())
    head = " ".join(part for part in (_cell(one.get("server") or ""), labels) if part)
    points = one.get("points") or []
    if not points:
        return f"{head}: no values"
    start = points[0][0]
    after = [t - start for t, _ in points]
    step = min((b - a for a, b in itertools.pairwise(after)), default=0)
    if step > 0 and all(t % step == 0 for t in after) and after[-1] <= 2 * step * len(points):
        values = {t // step: _cell(v) for t, (_, v) in zip(after, points, strict=True)}
        written = " ".join(values.get(place, "–") for place in range(int(after[-1] // step) + 1))
        return f"{head} from {rfc3339(start)} every {_cell(step)} s: {written}"
    written = ", ".join(f"+{_cell(t)} {_cell(v)}" for t, (_, v) in zip(after, points, strict=True))
    return f"{head} from {rfc3339(start)}, seconds after it and value: {written}"


def _evidence_line(item: Body) -> str:
    times = [f"{name} {_time(item[name])}" for name in ("time", "start", "end") if item.get(name) is not None]
    if item.get("step") is not None:
        times.append(f"step {_cell(item['step'])} s")
    if item.get("age_s") is not None:
        times.append(f"newest sample {_cell(item['age_s'])} s old")
    if item.get("source"):
        times.append(f"source {item['source']}")
    return "; ".join((f"query: {item.get('query')}", *times))


def _time(value: Any) -> str:
    return rfc3339(value) if isinstance(value, int | float) else str(value)
