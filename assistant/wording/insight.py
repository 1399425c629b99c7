"""Sentences about what is unusual, why, since when and what comes, English and Korean side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assistant.query import Language, Query
from assistant.wording.phrases import ago, amount, clock, each, josa, say, span, subject
from engines.changepoint import Change
from engines.correlation import Correlation
from engines.rootcause import Cause
from monitoring.catalog import Concept
from monitoring.units import duration
from monitoring.windows import moment

if TYPE_CHECKING:
    from assistant.desk import Desk

Window = tuple[float, float]
ENOUGH = 5
"""Forecasts judged before their record is told."""


def forecast(
    concept: Concept,
    hits: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    end: float,
    query: Query,
    desk: Desk,
    *,
    level: bool,
) -> str:
    """What reaches its limit and when, with the interval; or that nothing does, and how sure that is."""
    language, now, zone = query.language, desk.question.now, desk.question.zone
    title, until = concept.title[language], clock(end, zone, now)
    if level and query.servers:
        return "\n".join(_level(concept, row, until, language) for row in found)
    if hits:
        return "\n".join(_full(concept, row, query, desk) for row in hits[:10])
    rising = [row for row in found if (row["rate_per_hour"] or 0) > 0 and row["evidence"] == "beyond"]
    thin = [row for row in found if row["evidence"] == "too_little"]
    who = ", ".join(query.servers) or query.group or ""
    first = say(
        language,
        f"No: no {title.lower() if title != 'CPU' else title}{f' of {who}' if who else ''} reaches {amount(found[0]['limit'], concept, language)} by {until}.",
        f"{until}까지 {amount(found[0]['limit'], concept, language)}에 도달하는 {who + '의 ' if who else ''}{josa(title, '은/는')} 없습니다.",
    )
    if rising:
        row = rising[0]
        rate = amount(row["rate_per_hour"], concept, language)
        first += say(
            language,
            f" The fastest grower is {_who(row)}, +{rate} per hour.",
            f" 가장 빨리 느는 곳은 {_who(row)}, 시간당 +{rate}입니다.",
        )
    if thin:
        first += say(
            language,
            f" {len(thin)} have too little history to say.",
            f" {len(thin)}곳은 이력이 부족해 판단할 수 없습니다.",
        )
    return first


def track_record(found: Sequence[dict[str, Any]], language: Language) -> str:
    """How many forecasts of the kind held so far; empty while there are too few to say."""
    counts = {row.get("verdict"): round(row["value"]) for row in found}
    judged = sum(n for verdict, n in counts.items() if verdict != "unmeasured")
    held = counts.get("held", 0)
    if judged < ENOUGH:
        return ""
    return say(
        language,
        f"Of {judged} such forecasts so far, {held} held.",
        f"지금까지 같은 예측 {judged}건 중 {held}건이 맞았습니다.",
    )


def _full(concept: Concept, row: dict[str, Any], query: Query, desk: Desk) -> str:
    language, now, zone = query.language, desk.question.now, desk.question.zone
    at = moment(row["at"])
    limit, present = amount(row["limit"], concept, language), amount(row["value"], concept, language)
    if at <= now:
        return say(
            language,
            f"{_who(row)} is at its limit already: {present}.",
            f"{josa(_who(row), '은/는')} 이미 한계입니다: {present}.",
        )
    rate = amount(row["rate_per_hour"], concept, language)
    text = say(
        language,
        f"{_who(row)} reaches {limit} in about {duration(at - now)}, at {clock(at, zone, now)} (now {present}, +{rate} per hour",
        f"{josa(_who(row), '은/는')} 약 {duration(at - now, 'ko')} 뒤인 {clock(at, zone, now)}에 {limit}에 도달합니다 (현재 {present}, 시간당 +{rate}",
    )
    if row["low"] and row["high"]:
        early, late = clock(moment(row["low"]), zone, now), clock(moment(row["high"]), zone, now)
        text += say(language, f"; likely between {early} and {late}", f"; 예상 범위 {early} ~ {late}")
    return text + ")."


def _level(concept: Concept, row: dict[str, Any], until: str, language: Language) -> str:
    value, low, high = (amount(row[k], concept, language) for k in ("level", "level_low", "level_high"))
    return say(
        language,
        f"{_who(row)} {concept.title['en']} will be about {value} at {until} (likely {low} to {high}).",
        f"{_who(row)}의 {josa(concept.title['ko'], '은/는')} {until}에 약 {value}로 예상됩니다 (범위 {low} ~ {high}).",
    )


def anomaly(found: Sequence[dict[str, Any]], window: Window, query: Query, desk: Desk) -> str:
    """How many things are unusual, and each with its normal band."""
    language = query.language
    when = span(*window, desk.question.zone, desk.question.now)
    who = ", ".join(query.servers)
    if not found:
        if who:
            return say(
                language,
                f"{who} is behaving normally: nothing left its usual range ({when}).",
                f"{josa(who, '은/는')} 정상입니다: 평소 범위를 벗어난 지표가 없습니다 ({when}).",
            )
        return say(
            language,
            f"Nothing unusual: every metric stayed in its usual range ({when}).",
            f"이상 징후가 없습니다: 모든 지표가 평소 범위 안에 있습니다 ({when}).",
        )
    servers = len({row["server"] for row in found})
    if who:
        first = say(
            language, f"No, {who} is not behaving normally ({when}).", f"{josa(who, '은/는')} 평소와 다릅니다 ({when})."
        )
    else:
        first = say(
            language,
            f"Unusual on {servers} server{'s' if servers > 1 else ''} ({when}):",
            f"서버 {servers}대에서 이상 징후가 있습니다 ({when}):",
        )
    return first + "\n" + each([_departure(row, desk, language) for row in found], language)


def normal(bands: Sequence[dict[str, Any]], at: float, query: Query, desk: Desk) -> list[str]:
    """What is normal at this hour, and whether the present value (or the one that was asked about) is."""
    language = query.language
    when = clock(at, desk.question.zone, desk.question.now)
    found = []
    for row in bands[:4]:
        concept = desk.concept(row["concept"])
        who = subject(row["server"], concept, row["part"], language)
        low, high, usual = (amount(row[name], concept, language) for name in ("low", "high", "usual"))
        said = asked(query, concept)
        value = row["value"] if said is None else said
        band = say(
            language,
            f"at {when}, {low} to {high} is normal for {who} (usually {usual})",
            f"{when} 기준 {who} 정상 범위는 {low} ~ {high}입니다 (평소 {usual})",
        )
        if value is None:
            found.append(f"{band[0].upper()}{band[1:]}" + say(language, ".", ""))
            continue
        shown, inside = amount(value, concept, language), row["low"] <= value <= row["high"]
        verdict = say(
            language,
            f"{shown} is {'normal' if inside else 'not normal'}: {band}.",
            f"{josa(shown, '은/는')} {'정상입니다' if inside else '정상이 아닙니다'}: {band}.",
        )
        found.append(verdict)
    return found


def asked(query: Query, concept: Concept) -> float | None:
    """The percentage that the question names, where it is about one."""
    said = (
        re.search(r"(\d+(?:\.\d+)?)\s*(?:%|percent|퍼센트|프로|퍼)", query.text) if concept.unit == "percent" else None
    )
    return float(said[1]) if said else None


def changed(found: Sequence[dict[str, Any]], window: Window, query: Query, desk: Desk) -> str:
    """What changed, in order of time."""
    language = query.language
    when = span(*window, desk.question.zone, desk.question.now)
    if not found:
        return say(
            language, f"Nothing changed beyond the usual ({when}).", f"평소 범위를 벗어난 변화가 없습니다 ({when})."
        )
    servers = len({row["server"] for row in found})
    ordered = sorted(found, key=lambda row: str(row["start"]))
    first = say(
        language,
        f"{len(found)} changes on {servers} server{'s' if servers > 1 else ''} ({when}):",
        f"서버 {servers}대에서 변화 {len(found)}건이 있습니다 ({when}):",
    )
    return first + "\n" + each([_departure(row, desk, language) for row in ordered], language)


def since(server: str, concept: Concept, change: Change | None, query: Query, desk: Desk) -> str:
    """The onset of the present level."""
    language, now = query.language, desk.question.now
    title = concept.title[language]
    if change is None:
        return say(
            language,
            f"{server} {title} has not changed level in the last 24 hours.",
            f"{server}의 {josa(title, '은/는')} 최근 24시간 동안 수준 변화가 없습니다.",
        )
    when, past = clock(change.time, desk.question.zone, now), ago(now - change.time, language)
    before, after = amount(change.before, concept, language), amount(change.after, concept, language)
    return say(
        language,
        f"Since {when} ({past}): {server} {title} went from {before} to {after}.",
        f"{when}({past})부터입니다: {server}의 {josa(title, '이/가')} {before}에서 {after}로 바뀌었습니다.",
    )


def down_since(server: str, gone: Sequence[dict[str, Any]], desk: Desk, query: Query) -> str:
    """When a server went down, or that it is up."""
    language, now = query.language, desk.question.now
    if not gone:
        return say(language, f"{server} is up now.", f"{josa(server, '은/는')} 현재 가동 중입니다.")
    if gone[0]["since"] is None:
        return say(
            language,
            f"{server} has been down for more than a day.",
            f"{josa(server, '은/는')} 하루 이상 다운 상태입니다.",
        )
    seen = moment(gone[0]["since"])
    when, past = clock(seen, desk.question.zone, now), ago(now - seen, language)
    return say(
        language,
        f"{server} went down at {when} ({past}) and has not come back.",
        f"{josa(server, '은/는')} {when}({past})에 다운되었고 아직 복구되지 않았습니다.",
    )


def cause(
    symptoms: Sequence[dict[str, Any]],
    causes: Sequence[tuple[Cause, dict[str, Any]]],
    onset: float,
    query: Query,
    desk: Desk,
    present: dict[str, Any] | None,
) -> str:
    """The likely cause first, then the symptom, then what else moved. It is a ranking, not proof, and says so."""
    language, now = query.language, desk.question.now
    when = clock(onset, desk.question.zone, now)
    told = "; ".join(_departure(row, desk, language) for row in symptoms[:3])
    current = ""
    if present and present["rows"]:
        concept = desk.concept(query.concepts[0])
        value = amount(present["rows"][0][-1], concept, language)
        current = say(
            language,
            f"{query.servers[0]} {concept.title['en']} is {value} now. ",
            f"{query.servers[0]}의 {concept.title['ko']} 현재 값은 {value}입니다. ",
        )
    if not causes:
        return current + say(
            language,
            f"It began at {when}, and nothing else in the fleet moved before it: look on the server itself (processes, deploys, jobs). {told}.",
            f"{when}에 시작되었고 그 전에 다른 서버에서 움직인 지표가 없습니다. 해당 서버 자체(프로세스, 배포, 배치)를 확인하세요. {told}.",
        )
    best = causes[0][1]
    first = say(
        language,
        f"Most likely cause: {_departure(best, desk, language)}.",
        f"가장 유력한 원인: {_departure(best, desk, language)}.",
    )
    symptom = say(language, f" The symptom began at {when}: {told}.", f" 증상 시작 {when}: {told}.")
    rest = ""
    if len(causes) > 1:
        also = "; ".join(_departure(row, desk, language) for _, row in causes[1:])
        rest = say(language, f" Also moved then: {also}.", f" 함께 움직인 지표: {also}.")
    note = say(
        language,
        " This ranks what moved first and most; it is not proof.",
        " 먼저, 크게 움직인 순서에 따른 추정이며 증명은 아닙니다.",
    )
    return current + first + symptom + rest + note


def incident(
    found: Sequence[dict[str, Any]], first: dict[str, Any] | None, window: Window, query: Query, desk: Desk
) -> str:
    """Impact, likely cause and timeline, in order of time."""
    language = query.language
    when = span(*window, desk.question.zone, desk.question.now)
    servers = list(dict.fromkeys(str(row["server"]) for row in found))
    lines = [
        say(
            language,
            f"**Incident report, {when}.** {len(servers)} server{'s were' if len(servers) > 1 else ' was'} affected.",
            f"**장애 보고서 ({when}).** 영향을 받은 서버는 {len(servers)}대입니다.",
        ),
        say(language, f"Impact: {', '.join(servers[:12])}.", f"영향: {', '.join(servers[:12])}."),
    ]
    if first is not None:
        told = _departure(first, desk, language)
        lines.append(
            say(
                language,
                f"Likely root cause: {told}. It moved first and most; this is a ranking, not proof.",
                f"추정 원인: {told}. 가장 먼저, 크게 움직인 지표이며 증명은 아닙니다.",
            )
        )
    lines.append(say(language, "Timeline:", "타임라인:"))
    return "\n".join(lines) + "\n" + each([_departure(row, desk, language) for row in found], language, 20)


def no_symptom(query: Query, window: Window, present: dict[str, Any] | None, desk: Desk) -> str:
    """Nothing unusual is seen where a cause was asked for."""
    language = query.language
    when = span(*window, desk.question.zone, desk.question.now)
    value = ""
    if present and present["rows"]:
        concept = desk.concept(query.concepts[0])
        value = amount(present["rows"][0][-1], concept, language)
        value = say(
            language,
            f"{query.servers[0]} {concept.title['en']} is {value} now. ",
            f"{query.servers[0]}의 {concept.title['ko']} 현재 값은 {value}입니다. ",
        )
    return value + say(
        language,
        f"I see nothing unusual there ({when}): it is within its habit.",
        f"해당 시간({when})에 평소와 다른 점이 보이지 않습니다.",
    )


def pair(names: tuple[str, str], found: Correlation, window: Window, query: Query, desk: Desk) -> str:
    """Whether two series moved together."""
    language = query.language
    when = span(*window, desk.question.zone, desk.question.now)
    a, b = names
    if found.strength == "too_little":
        return say(
            language,
            f"There is too little movement to compare {a} and {b} ({when}).",
            f"{josa(a, '와/과')} {b}를 비교할 만큼 움직임이 없습니다 ({when}).",
        )
    if found.strength == "none":
        return say(
            language,
            f"No, {a} and {b} did not move together ({when}): r = {found.r:.2f}.",
            f"아니요, {josa(a, '와/과')} {josa(b, '은/는')} 함께 움직이지 않았습니다 ({when}): r = {found.r:.2f}.",
        )
    lag = say(language, "at the same time", "동시에")
    if abs(found.lag_s) >= 60:
        first = a if found.lag_s > 0 else b
        lag = say(
            language,
            f"{first} first, by {duration(abs(found.lag_s))}",
            f"{josa(first, '이/가')} {duration(abs(found.lag_s), 'ko')} 먼저",
        )
    return say(
        language,
        f"Yes, {a} and {b} moved together: {found.strength} correlation, r = {found.r:.2f}, {lag} ({when}).",
        f"네, {josa(a, '와/과')} {josa(b, '은/는')} 함께 움직였습니다: 상관계수 r = {found.r:.2f}, {lag} ({when}).",
    )


def moved_together(server: str, concept: Concept, found: Sequence[dict[str, Any]], query: Query, desk: Desk) -> str:
    """What moved with one series."""
    language, title = query.language, concept.title[query.language]
    if not found:
        return say(
            language,
            f"Nothing moved together with {server} {title}.",
            f"{server}의 {title}와 함께 움직인 지표가 없습니다.",
        )
    lines = [f"{r['server']} {desk.concept(r['concept']).title[language]} (r = {r['r']:.2f})" for r in found]
    first = say(
        language,
        f"{lines[0]} moved most closely with {server} {title}.",
        f"{server}의 {title}와 가장 비슷하게 움직인 지표는 {lines[0]}입니다.",
    )
    return first if len(lines) == 1 else first + "\n" + each(lines[1:], language)


def which_server(language: Language) -> str:
    """A correlation needs a server."""
    return say(language, "Which server and metric should I compare?", "어느 서버의 어떤 지표를 비교할까요?")


def nothing_to_compare(language: Language) -> str:
    """One of the two series has no samples."""
    return say(language, "One of the two was not measured in that time.", "그 시간에 둘 중 하나는 측정되지 않았습니다.")


def _departure(row: dict[str, Any], desk: Desk, language: Language) -> str:
    when = clock(moment(row["start"]), desk.question.zone, desk.question.now)
    if row["concept"] == "up":
        back = row["end"]
        text = say(language, f"{row['server']} went down at {when}", f"{row['server']} 다운 ({when})")
        if back:
            text += say(language, ", back at ", ", 복구 ") + clock(moment(back), desk.question.zone, desk.question.now)
        return text
    concept = desk.concept(row["concept"])
    value, usual = (amount(row[k], concept, language) for k in ("value", "expected"))
    until = ""
    if row["end"]:
        until = say(language, " until ", " ~ ") + clock(moment(row["end"]), desk.question.zone, desk.question.now)
    title = f"{concept.title[language]}{' ' + row['part'] if row['part'] else ''}"
    return say(
        language,
        f"{row['server']} {title} {value} since {when}{until} (usual {usual})",
        f"{row['server']} {title} {value}, {when}부터{until} (평소 {usual})",
    )


def _who(row: dict[str, Any]) -> str:
    return " ".join(filter(None, (row["server"], row["part"])))
