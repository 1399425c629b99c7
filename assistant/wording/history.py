"""Sentences about the past, English and Korean side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assistant.query import Query
from assistant.wording.phrases import amount, clock, each, josa, say, span
from assistant.wording.values import KINDS
from engines.timespan import TimeSpan
from engines.trend import Trend
from monitoring.catalog import Concept
from monitoring.units import figure
from monitoring.windows import moment

if TYPE_CHECKING:
    from assistant.desk import Desk

Window = tuple[float, float]
SAME = 0.1
"""A difference below this share is no difference worth a word."""


def extreme(
    concept: Concept, kind: str, found: Sequence[dict[str, Any]], window: Window, query: Query, desk: Desk
) -> str:
    """The extreme, mean or percentile over a window; extremes with the moment."""
    language = query.language
    en, ko = KINDS[kind]
    when = span(*window, desk.question.zone, desk.question.now)
    lines = []
    for row in found:
        text = amount(row["value"], concept, language)
        if at := row.get("at"):
            moment_text = clock(moment(at), desk.question.zone, desk.question.now)
            text += say(language, f" at {moment_text}", f" ({moment_text})")
        lines.append((_name(row), text))
    top, best = lines[0]
    title = concept.title[language]
    first = say(
        language,
        f"The {en} {_lower(title)}{f' of {top}' if top else ''} was {best} ({when}).",
        f"{top + '의 ' if top else ''}{title} {josa(ko, '은/는')} {best}입니다 ({when}).",
    )
    return first if len(lines) == 1 else first + "\n" + each([f"{n}: {t}" for n, t in lines[:20]], language)


def over(concept: Concept, known: Sequence[dict[str, Any]], window: Window, query: Query, desk: Desk) -> str:
    """Mean, highest with its moment, and lowest over a window."""
    language = query.language
    when = span(*window, desk.question.zone, desk.question.now)
    title = concept.title[language]
    lines = []
    for row in sorted(known, key=lambda r: -r["value"]):
        peak = clock(row["_max_at"], desk.question.zone, desk.question.now)
        mean, high, low = (amount(row[k], concept, language) for k in ("value", "_max", "_min"))
        name = _name(row) or title
        lines.append(
            say(
                language,
                f"{name} averaged {mean}, highest {high} at {peak}, lowest {low}",
                f"{name} 평균 {mean}, 최고 {high} ({peak}), 최저 {low}",
            )
        )
    if len(lines) == 1:
        return say(language, f"{title}, {when}: {lines[0]}.", f"{when} {title}: {lines[0]}.")
    return say(language, f"{title}, {when}:", f"{when} {title}:") + "\n" + each(lines, language)


def at(concept: Concept, found: Sequence[dict[str, Any]], time: float, query: Query, desk: Desk) -> str:
    """The value at a moment."""
    language = query.language
    when = clock(time, desk.question.zone, desk.question.now)
    title = concept.title[language]
    if len(found) == 1:
        row = found[0]
        return say(
            language,
            f"{_name(row)} {_lower(title)} was {amount(row['value'], concept, language)} at {when}.",
            f"{when} {_name(row)}의 {josa(title, '은/는')} {amount(row['value'], concept, language)}였습니다.",
        )
    lines = [f"{_name(row)} {amount(row['value'], concept, language)}" for row in found]
    return say(language, f"{title} at {when}:", f"{when} {title}:") + "\n" + each(lines, language)


def trend(
    concept: Concept, told: Sequence[tuple[str | None, str | None, Trend, Window]], query: Query, desk: Desk
) -> str:
    """Direction first, then from what to what."""
    language = query.language
    title = concept.title[language]
    lines = []
    for server, part, t, window in told:
        when = span(*window, desk.question.zone, desk.question.now)
        who = " ".join(filter(None, (server or (query.group or say(language, "fleet average", "전체 평균")), part)))
        start, end, rate = (amount(v, concept, language) for v in (t.start, t.end, abs(t.slope_per_hour)))
        if t.direction == "steady":
            lines.append(
                say(
                    language,
                    f"{who} {_lower(title)} is steady around {end}",
                    f"{who} {josa(title, '은/는')} {end} 수준에서 안정적입니다(큰 변화 없음)",
                )
            )
        elif t.direction == "rising":
            lines.append(
                say(
                    language,
                    f"Yes, {who} {_lower(title)} is rising: {start} → {end} (+{rate} per hour)",
                    f"{who} {josa(title, '은/는')} 상승 중입니다: {start} → {end} (시간당 +{rate})",
                )
            )
        else:
            lines.append(
                say(
                    language,
                    f"{who} {_lower(title)} is falling: {start} → {end} (−{rate} per hour)",
                    f"{who} {josa(title, '은/는')} 하락 중입니다: {start} → {end} (시간당 −{rate})",
                )
            )
        lines[-1] += f" ({when})."
    return "\n".join(lines)


def pairs(now: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """(name, value now, value before) of rows that both have."""
    then = {_name(row): row["value"] for row in before}
    return [(_name(row), row["value"], then[_name(row)]) for row in now if _name(row) in then]


def compared(
    concept: Concept,
    found: Sequence[tuple[str, float, float]],
    spans: tuple[TimeSpan | None, TimeSpan | None],
    query: Query,
    desk: Desk,
) -> str:
    """Higher, lower or about the same, with both figures."""
    language = query.language
    title = concept.title[language]
    first, second = (_when(s, query, desk) for s in spans)
    lines = []
    for name, now, before in found:
        who = name or (f"{query.group} " if query.group else "") + say(language, "average", "평균")
        a, b = amount(now, concept, language), amount(before, concept, language)
        change = (now - before) / abs(before) if before else 0.0
        gap = figure(abs(now - before), concept.unit, language)
        if abs(change) < SAME:
            lines.append(
                say(
                    language,
                    f"{who} {_lower(title)} is about the same: {a} ({first}) against {b} ({second}).",
                    f"{who} {josa(title, '은/는')} 비슷합니다: {first} {a}, {second} {b}.",
                )
            )
        else:
            lines.append(
                say(
                    language,
                    f"{who} {_lower(title)} is {'higher' if now > before else 'lower'} by {gap} ({change:+.0%}): {a} ({first}) against {b} ({second}).",
                    f"{who} {josa(title, '은/는')} {gap} ({change:+.0%}) {'높습니다' if now > before else '낮습니다'}: {first} {a}, {second} {b}.",
                )
            )
    return "\n".join(lines)


def nothing_then(concept: Concept, known: Window | None, asked: Window, query: Query, desk: Desk) -> str:
    """Nothing was measured in the asked time; what there is."""
    language = query.language
    who = ", ".join(query.servers) or query.group or ""
    title = concept.title[language]
    zone, now = desk.question.zone, desk.question.now
    when = clock(asked[1], zone, now)
    text = say(
        language,
        f"Nothing was measured then: no {_lower(title)}{f' of {who}' if who else ''} around {when}.",
        f"그때 측정된 값이 없습니다: {when} 무렵 {who + '의 ' if who else ''}{title} 데이터가 없습니다.",
    )
    if known is None:
        return text
    have = span(*known, zone, now)
    return text + say(language, f" There is data for {have}.", f" 데이터가 있는 기간: {have}.")


def _when(s: TimeSpan | None, query: Query, desk: Desk) -> str:
    if s is None:
        return say(query.language, "now", "지금")
    zone, now = desk.question.zone, desk.question.now
    if s.kind == "moment" or s.end is None:
        return clock(s.start.timestamp(), zone, now)
    return span(s.start.timestamp(), s.end.timestamp(), zone, now)


def _name(row: dict[str, Any]) -> str:
    part = next((str(v) for k, v in row.items() if k not in ("server", "value", "at") and k[0] != "_" and v), None)
    return " ".join(filter(None, (row.get("server"), part)))


def _lower(title: str) -> str:
    return title if title[:3].isupper() or title[0].isdigit() else title[0].lower() + title[1:]
