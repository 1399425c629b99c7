"""Sentences about how things are, English and Korean side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assistant.query import Language, Query
from assistant.wording.phrases import ago, clock, each, josa, listing, say
from engines.timespan import TimeSpan
from monitoring.units import figure
from monitoring.windows import moment

if TYPE_CHECKING:
    from assistant.desk import Desk

STATUS = {
    "en": {
        "critical": "critical",
        "offline": "offline",
        "warning": "in warning",
        "healthy": "healthy",
        "unknown": "unknown",
        "up": "running",
    },
    "ko": {
        "critical": "심각",
        "offline": "오프라인",
        "warning": "경고",
        "healthy": "정상",
        "unknown": "알 수 없음",
        "up": "가동 중인",
    },
}


def nothing_connected(language: Language) -> str:
    """No source has sent anything yet."""
    return say(
        language,
        "No servers are connected yet. Start with --scrape HOST:PORT, --local or --demo, or send remote write.",
        "아직 연결된 서버가 없습니다. --scrape HOST:PORT, --local, --demo 옵션으로 시작하거나 remote write로 보내 주세요.",
    )


def overview(
    bad: Sequence[dict[str, Any]],
    total: int,
    group: str | None,
    means: dict[str, float],
    desk: Desk,
    language: Language,
) -> str:
    """Counts first, then each server that is not healthy, then the level of the fleet."""
    counts = {status: sum(s["status"] == status for s in bad) for status in ("critical", "offline", "warning")}
    what = say(language, f"{group} servers" if group else "servers", f"{group} 서버" if group else "서버")
    if not bad:
        first = say(language, f"All {total} {what} are healthy.", f"{what} {total}대 모두 정상입니다.")
    else:
        named = ", ".join(
            say(language, f"{n} {STATUS['en'][status]}", f"{STATUS['ko'][status]} {n}대")
            for status, n in counts.items()
            if n
        )
        first = say(
            language,
            f"{len(bad)} of {total} {what} need{'s' if len(bad) == 1 else ''} attention: {named}.",
            f"{what} {total}대 중 {len(bad)}대에 조치가 필요합니다: {named}.",
        )
    lines = [_line(s, desk, language) for s in bad]
    text = "\n".join(filter(None, (first, each(lines, language))))
    if means and not group:
        levels = ", ".join(
            f"{desk.concept(name).title[language]} {figure(value, desk.concept(name).unit, language)}"
            for name, value in means.items()
        )
        text += "\n" + say(language, f"On average over all servers: {levels}.", f"전체 평균: {levels}.")
    return text


def detail(
    server: str, details: dict[str, Any], values: Sequence[dict[str, Any]], desk: Desk, language: Language
) -> str:
    """The status with its reason, then every value."""
    status, kind = STATUS[language][details["status"]], details["type"]
    if details["status"] == "offline":
        return _line(details, desk, language)
    why = _reasons(details, desk, language)
    first = say(
        language,
        f"{server} ({kind}) is {status}{': ' + why if why else ''}.",
        f"{josa(server, '은/는')} {status} 상태입니다{': ' + why if why else ''}.",
    )
    lines = []
    for row in values:
        concept = desk.concept(row["concept"])
        title = f"{concept.title[language]}{' ' + row['part'] if row['part'] else ''}"
        mark = f" ({STATUS[language][row['level']]})" if row["level"] else ""
        lines.append(f"{title}: {figure(row['value'], concept.unit, language)}{mark}")
    simulated = (
        say(language, " This server is simulated.", " 이 서버는 시뮬레이션입니다.") if details["simulated"] else ""
    )
    return first + simulated + "\n" + each(lines, language, 30)


def alerts(
    found: Sequence[dict[str, Any]], time: TimeSpan | None, desk: Desk, language: Language, *, counted: bool = False
) -> str:
    """How many, then each with value and threshold. `counted`: it was asked how often."""
    when = f" ({time.text})" if time and time.kind == "span" else ""
    if not found:
        return say(language, f"No alerts{when or ' are firing'}.", f"발생한 알림이 없습니다{when}.")
    n, servers = len(found), len({row["server"] for row in found if row["server"]})
    where = f" on {servers} server{'s' if servers > 1 else ''}" if servers else ""
    where_ko = f", 서버 {servers}대" if servers else ""
    if counted and when:
        times = "once" if n == 1 else f"{n} times"
        first = say(language, f"Alerts fired {times}{when}{where}.", f"알림이{when} {n}번 발생했습니다{where_ko}.")
    else:
        first = say(
            language,
            f"{n} alert{'s' if n > 1 else ''}{when or ' firing'}{where}.",
            f"{'알림' if when else '현재 알림'}{when} {n}건{where_ko}입니다.",
        )
    return first + "\n" + each([_alert(row, desk, language) for row in found], language, 20)


def listed(found: Sequence[dict[str, Any]], query: Query, desk: Desk) -> str:
    """Which servers, by name."""
    language = query.language
    status = STATUS[language][query.status] + " " if query.status else ""
    kind = f"{query.group} " if query.group else ""
    if not found:
        return say(language, f"No {status}{kind}servers.", f"{status}{kind}서버가 없습니다.")
    names = listing([str(row["server"]) for row in found], language, 30)
    be, plural = ("is", "") if len(found) == 1 else ("are", "s")
    return say(
        language,
        f"There {be} {len(found)} {status}{kind}server{plural}: {names}.",
        f"{status}{kind}서버는 {len(found)}대입니다: {names}.",
    )


def gone(found: Sequence[dict[str, Any]], desk: Desk, language: Language) -> str:
    """Since when offline servers are gone."""
    return each([_alert(row, desk, language) for row in found], language)


def unknown_server(name: str, closest: Sequence[str], language: Language) -> str:
    """A server that is not there; what it might be."""
    if not closest:
        return say(language, f"There is no server '{name}'.", f"'{name}' 서버는 없습니다.")
    choices = listing(list(closest[:3]), language)
    return say(
        language,
        f"There is no server '{name}'. Did you mean {choices}?",
        f"'{name}' 서버는 없습니다. 혹시 {choices} 중 하나인가요?",
    )


def _line(s: dict[str, Any], desk: Desk, language: Language) -> str:
    if s["status"] == "offline":
        return f"{s['server']} ({s['type']}): {_offline(s['last_seen'], desk, language)}"
    return f"{s['server']} ({s['type']}): {_reasons(s, desk, language)}"


def _offline(last_seen: float | None, desk: Desk, language: Language) -> str:
    if last_seen is None:
        return say(language, "offline for more than a day", "하루 이상 오프라인")
    when = clock(last_seen, desk.question.zone, desk.question.now)
    past = ago(desk.question.now - last_seen, language)
    return say(language, f"offline, last seen {when} ({past})", f"오프라인, 마지막 확인 {when} ({past})")


def _reasons(s: dict[str, Any], desk: Desk, language: Language) -> str:
    return ", ".join(
        _reason(r["concept"], r["part"], r["value"], r["level"], r["threshold"], desk, language) for r in s["reasons"]
    )


def _reason(
    name: str, part: str | None, value: float, grade: str, threshold: float, desk: Desk, language: Language
) -> str:
    concept = desk.concept(name)
    title = f"{concept.title[language]}{' ' + part if part else ''}"
    limit = figure(threshold, concept.unit, language)
    return say(
        language,
        f"{title} {figure(value, concept.unit)} ({grade} from {limit})",
        f"{title} {figure(value, concept.unit, 'ko')} ({STATUS['ko'][grade]} 기준 {limit})",
    )


def _alert(row: dict[str, Any], desk: Desk, language: Language) -> str:
    since = row.get("since")
    if row["concept"] == "up":
        return f"{row['server']}: {_gone_since(row, desk, language)}{_note(row, language)}"
    if row["concept"] in desk.catalog.concepts:
        text = f"{row['server']}: " + _reason(
            row["concept"], row["part"], row["value"], row["severity"], row["threshold"], desk, language
        )
    else:
        text = " ".join(filter(None, (f"{row['server']}:" if row["server"] else "", row["alert"])))
        text += (
            f" ({row.get('summary') or say(language, 'value', '값') + ' ' + figure(row['value'], 'number', language)})"
        )
    if since:
        text += say(language, ", since ", ", 시작 ") + clock(moment(since), desk.question.zone, desk.question.now)
    return text + _until(row, desk, language) + _note(row, language)


def _gone_since(row: dict[str, Any], desk: Desk, language: Language) -> str:
    """An outage: since when it lasts, or from when to when it did."""
    since, until = row.get("since"), row.get("until")
    if not since or not until:
        return _offline(moment(since) if since else None, desk, language)
    began = clock(moment(since), desk.question.zone, desk.question.now)
    return say(language, f"offline since {began}", f"오프라인, 시작 {began}") + _until(row, desk, language)


def _until(row: dict[str, Any], desk: Desk, language: Language) -> str:
    until = row.get("until")
    if not until:
        return ""
    return say(language, ", until ", ", 종료 ") + clock(moment(until), desk.question.zone, desk.question.now)


def _note(row: dict[str, Any], language: Language) -> str:
    """What was done about it."""
    note = row.get("note")
    if not note:
        return ""
    korean = {"silenced": "알림 꺼짐", "flapping": "반복 발생 중"}
    parts = [
        korean.get(part) or f"{part.removeprefix('acknowledged by ')} 확인함" if language == "ko" else part
        for part in note.split(", ")
    ]
    return f" [{', '.join(parts)}]"
