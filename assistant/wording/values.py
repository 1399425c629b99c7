"""Sentences about figures of now, English and Korean side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assistant.query import Language, Query
from assistant.wording.phrases import ago, amount, clock, each, josa, listing, say, subject
from assistant.wording.phrases import level as graded
from monitoring.catalog import Concept
from monitoring.units import figure

if TYPE_CHECKING:
    from assistant.desk import Desk

KINDS = {
    "avg": ("average", "평균"),
    "sum": ("total", "합계"),
    "min": ("lowest", "최저"),
    "max": ("highest", "최고"),
    "p50": ("median", "중앙값"),
    "p90": ("90th percentile", "90 백분위"),
    "p95": ("95th percentile", "95 백분위"),
    "p99": ("99th percentile", "99 백분위"),
}
OPS = {
    ">": ("above {}", "{} 초과"),
    ">=": ("at or above {}", "{} 이상"),
    "<": ("below {}", "{} 미만"),
    "<=": ("at or below {}", "{} 이하"),
    "==": ("at exactly {}", "정확히 {}"),
    "!=": ("other than {}", "{} 아님"),
}


def value(concept: Concept, found: Sequence[dict[str, Any]], statistic: str | None, language: Language) -> str:
    """One value as a sentence, several as a list."""
    kind = KINDS[statistic] if statistic in KINDS and statistic.startswith("p") else None
    if len(found) == 1:
        row = found[0]
        what = subject(row["server"], concept, _part(row), language)
        if kind:
            what += f" ({kind[language == 'ko']})"
        grade = graded(row["value"], concept, language)
        text = amount(row["value"], concept, language)
        if concept.unit == "seconds" and concept.name == "uptime":
            return say(
                language,
                f"{row['server']} has been up for {text}.",
                f"{josa(row['server'], '은/는')} {text} 동안 가동 중입니다.",
            )
        return say(
            language,
            f"{what} is {text}{', ' + grade if grade else ''}.",
            f"{josa(what, '은/는')} {text}입니다{f' ({grade})' if grade else ''}.",
        )
    title = concept.title[language]
    lines = [_line(row, concept, language) for row in found]
    if len({row["server"] for row in found}) == 1:
        top = found[0]
        first = say(
            language,
            f"{subject(top['server'], concept, _part(top), language)} is the fullest at {amount(top['value'], concept, language)}.",
            f"{subject(top['server'], concept, _part(top), language)}: {amount(top['value'], concept, language)}로 가장 높습니다.",
        )
        return first + "\n" + each([f"{_part(r)}: {amount(r['value'], concept, language)}" for r in found], language)
    return say(language, f"{title}: ", f"{title}: ") + "; ".join(lines) + "."


def level(concept: Concept, found: Sequence[dict[str, Any]], group: str | None, language: Language) -> str:
    """The fleet's level: mean, and the highest few."""
    mean = sum(row["value"] for row in found) / len(found)
    names = len({row["server"] for row in found})
    title = concept.title[language]
    who = say(
        language,
        f"{names} {group + ' ' if group else ''}server{'' if names == 1 else 's'}",
        f"{group + ' ' if group else ''}서버 {names}대",
    )
    first = say(
        language,
        f"{title} is {amount(mean, concept, language)} on average over {who}; highest is {_line(found[0], concept, language)}.",
        f"{who}의 {title} 평균은 {amount(mean, concept, language)}이고, 가장 높은 서버는 {_line(found[0], concept, language)}입니다.",
    )
    shown = found if group else found[:5]
    return first + "\n" + each([_line(row, concept, language) for row in shown], language)


def rank(concept: Concept, found: Sequence[dict[str, Any]], query: Query, descending: bool) -> str:
    """The first is the answer; the others follow."""
    language = query.language
    top, title = found[0], concept.title[language]
    best = amount(top["value"], concept, language)
    where = f" ({_part(top)})" if _part(top) else ""
    en = "highest" if descending else "lowest"
    ko = "높은" if descending else "낮은"
    first = say(
        language,
        f"{top['server']}{where} has the {en} {_lower(title)}: {best}.",
        f"{title} 기준 가장 {ko} 서버는 {top['server']}{where}로, {best}입니다.",
    )
    if len(found) == 1:
        return first
    if query.limit is None:
        return (
            first
            + say(language, " Next: ", " 다음: ")
            + "; ".join(_line(r, concept, language) for r in found[1:])
            + "."
        )
    lines = [f"{n}. {_line(row, concept, language)}" for n, row in enumerate(found, 1)]
    return first + "\n" + "\n".join(lines)


def filtered(
    found: Sequence[dict[str, Any]], conditions: Sequence[tuple[Concept, str, str]], query: Query, desk: Desk
) -> str:
    """How many meet the conditions, and which."""
    language = query.language
    text = conditions_text(conditions, language)
    kind = f"{query.group} " if query.group else ""
    if not found:
        return say(language, f"No {kind}server has {text}.", f"{text}인 {kind}서버는 없습니다.")
    first = say(
        language,
        f"{len(found)} {kind}server{'s have' if len(found) > 1 else ' has'} {text}.",
        f"{text}인 {kind}서버는 {len(found)}대입니다.",
    )
    return first + "\n" + each([_line(row, conditions[0][0], language) for row in found], language, 20)


def count_matching(
    found: Sequence[dict[str, Any]], conditions: Sequence[tuple[Concept, str, str]], query: Query
) -> str:
    """How many meet the conditions, with their names."""
    language = query.language
    text = conditions_text(conditions, language)
    names = listing([row["server"] for row in found], language)
    kind = f"{query.group} " if query.group else ""
    return say(
        language,
        f"{len(found)} {kind}server{'' if len(found) == 1 else 's'} with {text}{': ' + names if found else ''}.",
        f"{text}인 {kind}서버는 {len(found)}대입니다{': ' + names if found else ''}.",
    )


def count(chosen: Sequence[str], states: dict[str, str], query: Query) -> str:
    """How many servers, of a type, up or down."""
    language = query.language
    offline = [s for s in chosen if states.get(s) == "offline"]
    kind = f"{query.group} " if query.group else ""
    names = f": {listing(list(chosen), language)}" if query.group else ""
    if query.status == "up":
        up = len(chosen) - len(offline)
        gone = (
            say(language, f" Offline: {listing(offline, language)}.", f" 오프라인: {listing(offline, language)}.")
            if offline
            else ""
        )
        return (
            say(
                language,
                f"{up} of {len(chosen)} {kind}servers are up.",
                f"{kind}서버 {len(chosen)}대 중 {up}대가 가동 중입니다.",
            )
            + gone
        )
    if query.status:
        hit = [s for s in chosen if states.get(s, "healthy") == query.status]
        label = {"critical": "심각", "offline": "오프라인", "warning": "경고", "healthy": "정상"}.get(
            query.status, query.status
        )
        which = f": {listing(hit, language)}" if hit else ""
        return say(
            language,
            f"{len(hit)} {kind}server{'' if len(hit) == 1 else 's'} {'is' if len(hit) == 1 else 'are'} {query.status}{which}.",
            f"{label} 상태인 {kind}서버는 {len(hit)}대입니다{which}.",
        )
    gone = (
        say(
            language,
            f" {len(offline)} of them offline: {listing(offline, language)}.",
            f" 그중 {len(offline)}대는 오프라인입니다: {listing(offline, language)}.",
        )
        if offline
        else ""
    )
    one = len(chosen) == 1
    return (
        say(
            language,
            f"There {'is' if one else 'are'} {len(chosen)} {kind}server{'' if one else 's'}{names}.",
            f"{kind}서버는 {len(chosen)}대입니다{names}.",
        )
        + gone
    )


def aggregate(concept: Concept, kind: str, result: float, found: Sequence[dict[str, Any]], query: Query) -> str:
    """The aggregate, over how many, and the range it hides."""
    language = query.language
    en, ko = KINDS.get(kind, (kind, kind))
    names = len({row["server"] for row in found})
    group = f"{query.group} " if query.group else ""
    title = concept.title[language]
    first = say(
        language,
        f"The {en} {_lower(title)} over {names} {group}servers is {amount(result, concept, language)}.",
        f"{group}서버 {names}대의 {title} {josa(ko, '은/는')} {amount(result, concept, language)}입니다.",
    )
    if len(found) < 2:
        return first
    return (
        first
        + " "
        + say(
            language,
            f"From {_line(found[-1], concept, language)} to {_line(found[0], concept, language)}.",
            f"범위: {_line(found[-1], concept, language)} ~ {_line(found[0], concept, language)}.",
        )
    )


def compare(concept: Concept, found: Sequence[dict[str, Any]], language: Language) -> str:
    """Who has more, and by how much."""
    title = concept.title[language]
    if len(found) == 1:
        return _line(found[0], concept, language) + "."
    top, last = found[0], found[-1]
    if top["value"] - last["value"] <= 0.02 * abs(top["value"]):
        same = "; ".join(_line(row, concept, language) for row in found)
        return say(language, f"{title} is about the same ({same}).", f"{josa(title, '은/는')} 거의 같습니다 ({same}).")
    gap = figure(top["value"] - last["value"], concept.unit, language)
    others = "; ".join(_line(row, concept, language) for row in found)
    points = say(language, " points", "p") if concept.unit == "percent" else ""
    gap = gap.replace(" %", " percentage" if language == "en" else " %") + points
    return say(
        language,
        f"{title}: {top['server']} is higher by {gap} ({others}).",
        f"{title}: {josa(top['server'], '이/가')} {gap} 더 높습니다 ({others}).",
    )


def typed(columns: Sequence[str], found: Sequence[dict[str, Any]], language: Language) -> str:
    """The result of a query that was typed in."""
    if not found:
        return say(
            language, "The query runs, and nothing matches it now.", "쿼리는 실행되었지만 지금 일치하는 값이 없습니다."
        )
    if len(found) == 1:
        row = found[0]
        name = " ".join(str(v) for k, v in row.items() if k != "value" and v)
        return (
            say(language, f"The result is {row['value']:.6g}", f"결과는 {row['value']:.6g}")
            + (f" ({name})" if name else "")
            + say(language, ".", "입니다.")
        )
    telling = [c for c in columns if c == "server" or (c != "value" and len({row[c] for row in found}) > 1)]
    if len({row.get("server") for row in found}) == len(found):
        telling = ["server"]
    lines = [f"{' '.join(str(row[c]) for c in telling if row[c])}: {row['value']:.6g}" for row in found]
    return say(language, f"{len(found)} results.", f"결과 {len(found)}건입니다.") + "\n" + each(lines, language, 20)


def bad_promql(message: str, language: Language) -> str:
    """The query that was typed cannot be evaluated."""
    return say(language, f"This query cannot be evaluated: {message}", f"이 쿼리는 실행할 수 없습니다: {message}")


def shown(concept: Concept, promql: str, found: Sequence[dict[str, Any]], query: Query) -> str:
    """The query itself, and what it gives now."""
    language, title = query.language, concept.title[query.language]
    now = "; ".join(_line(row, concept, language) for row in found[:5])
    first = say(language, f"This query gives {_lower(title)}:", f"{title} 쿼리입니다:")
    return f"{first}\n```promql\n{promql}\n```\n" + (say(language, f"Now: {now}.", f"현재 값: {now}.") if now else "")


def silent(missing: Sequence[str], concept: Concept, language: Language) -> str:
    """Some of the asked servers have no value."""
    return say(
        language,
        f"No {_lower(concept.title['en'])} from {listing(list(missing), language)} now.",
        f"{listing(list(missing), language)}의 {concept.title['ko']} 값은 지금 없습니다.",
    )


def nothing_now(concepts: Sequence[Concept], gone: Sequence[dict[str, Any]], desk: Desk, query: Query) -> str:
    """Nothing was measured just now; who is offline."""
    language = query.language
    titles = ", ".join(c.title[language] for c in concepts)
    who = listing(list(query.servers), language) if query.servers else query.group or ""
    text = say(
        language,
        f"There is no current {_lower(titles)} value{f' for {who}' if who else ''}.",
        f"{who + '의 ' if who else ''}현재 {titles} 값이 없습니다.",
    )
    for s in gone[:3]:
        if s["last_seen"] is not None:
            when = clock(s["last_seen"], desk.question.zone, desk.question.now)
            past = ago(desk.question.now - s["last_seen"], language)
            text += say(
                language,
                f" {s['server']} is offline, last seen {when} ({past}).",
                f" {josa(s['server'], '은/는')} 오프라인이며 마지막 확인은 {when}({past})입니다.",
            )
    return text


def conditions_text(conditions: Sequence[tuple[Concept, str, str]], language: Language) -> str:
    """``CPU above 80 % and memory above 70 %``."""
    parts = [f"{c.title[language]} {OPS[op][language == 'ko'].format(limit)}" for c, op, limit in conditions]
    return say(language, " and ", ", ").join(parts)


def _line(row: dict[str, Any], concept: Concept, language: Language) -> str:
    part = _part(row)
    name = " ".join(filter(None, (str(row.get("server") or ""), f"({part})" if part else "")))
    return f"{name} {amount(row['value'], concept, language)}".strip()


def _part(row: dict[str, Any]) -> str | None:
    return next((str(v) for k, v in row.items() if k not in ("server", "value", "at") and v), None)


def _lower(title: str) -> str:
    return title if title[:3].isupper() or title[0].isdigit() else title[0].lower() + title[1:]
