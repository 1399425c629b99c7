"""The phrases that all reports are made of: an alert, a departure, a forecast, a size; English and Korean side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from assistant.document import Line
from assistant.query import Language
from assistant.wording.phrases import amount, clock, josa, listing, say, span
from monitoring.briefing_facts import Coming, Departure, Facts, Fired, Impact, Size, Suspect
from monitoring.catalog import Catalog, Concept
from monitoring.units import duration, figure

SEVERITY = {
    "critical": {"en": "critical", "ko": "심각"},
    "warning": {"en": "warning", "ko": "경고"},
    "offline": {"en": "offline", "ko": "오프라인"},
    "unknown": {"en": "unknown", "ko": "알 수 없음"},
    "healthy": {"en": "healthy", "ko": "정상"},
}
TOGETHER_S = 600.0
"""Alerts of one kind that begin within this time are told as one."""
NOTES = {"silenced": "알림 꺼짐", "flapping": "반복 발생 중"}


@dataclass(frozen=True, slots=True)
class Voice:
    """Who is told, and when: the language, the clock, the words of the catalogue."""

    language: Language
    zone: tzinfo
    now: float
    catalog: Catalog

    def say(self, en: str, ko: str) -> str:
        """The sentence in the reader's language."""
        return say(self.language, en, ko)

    def clock(self, time: float) -> str:
        """A moment; the day is left out where it is today."""
        return clock(time, self.zone, self.now)

    def date(self, time: float) -> str:
        """A moment with its whole date."""
        local = datetime.fromtimestamp(time, self.zone)
        return f"{local:%Y-%m-%d %H:%M} {local.tzname() or 'UTC'}"

    def span(self, start: float, end: float) -> str:
        """A stretch of time."""
        return span(start, end, self.zone, self.now)

    def length(self, seconds: float) -> str:
        """How long."""
        return duration(seconds, self.language)

    def concept(self, name: str) -> Concept | None:
        """The concept of that name; None for an alert of a rule file."""
        return self.catalog.concepts.get(name)

    def title(self, name: str, part: str | None = None) -> str:
        """A concept in words, with its mount."""
        concept = self.concept(name)
        return (concept.title[self.language] if concept else name) + (f" {part}" if part else "")

    def amount(self, value: float | None, name: str) -> str:
        """A value with the unit of its concept."""
        return "–" if value is None else amount(value, self.concept(name), self.language)

    def percent(self, value: float | None) -> str:
        """A share."""
        return "–" if value is None else figure(value, "percent", self.language)

    def severity(self, name: str | None) -> str:
        """How bad, in words."""
        return SEVERITY[name][self.language] if name in SEVERITY else name or "–"

    def note(self, text: str | None) -> str:
        """What was done about an alert."""
        if not text or self.language == "en":
            return text or ""
        parts = text.split(", ")
        return ", ".join(NOTES.get(one) or f"{one.removeprefix('acknowledged by ')} 확인함" for one in parts)


def coming(one: Coming, voice: Voice) -> str:
    """When a limit will be reached, with the interval."""
    who = f"{one.server} {one.part}" if one.part else one.server
    limit, value = voice.amount(one.limit, one.concept), voice.amount(one.value, one.concept)
    past = voice.length(one.at - voice.now) if one.at > voice.now else ""
    text = voice.say(
        f"{who} reaches {limit}{f' in about {past}' if past else ''}, at {voice.clock(one.at)} (was {value}, +{voice.amount(one.rate_per_hour, one.concept)} per hour",
        f"{josa(who, '은/는')} {f'약 {past} 뒤인 ' if past else ''}{voice.clock(one.at)}에 {limit}에 도달합니다 (당시 {value}, 시간당 +{voice.amount(one.rate_per_hour, one.concept)}",
    )
    if past:
        text = text.replace("(was ", "(now ").replace("(당시 ", "(현재 ")
    if one.low and one.high:
        early, late = voice.clock(one.low), voice.clock(one.high)
        text += voice.say(f"; likely between {early} and {late}", f"; 예상 범위 {early} ~ {late}")
    return text + ")."


def departure(one: Departure, voice: Voice) -> str:
    """What left its usual range, when, and what is usual."""
    when = voice.clock(one.since)
    if one.concept == "up":
        text = voice.say(f"{one.server} went down at {when}", f"{one.server} 다운 ({when})")
        return text + (voice.say(", back at ", ", 복구 ") + voice.clock(one.until) if one.until else "")
    title_, value, usual = (
        voice.title(one.concept, one.part),
        voice.amount(one.value, one.concept),
        voice.amount(one.expected, one.concept),
    )
    until = voice.say(" until ", " ~ ") + voice.clock(one.until) if one.until else ""
    return voice.say(
        f"{one.server} {title_} {value} since {when}{until} (usual {usual})",
        f"{one.server} {title_} {value}, {when}부터{until} (평소 {usual})",
    )


def fired(one: Fired, voice: Voice) -> str:
    """An alert with its value, its time, and what was done about it."""
    who = f"{one.server}: " if one.server else ""
    if one.concept == "up":
        text = who + voice.say("offline", "오프라인")
    elif voice.concept(one.concept) is not None:
        text = f"{who}{voice.title(one.concept, one.part)} {voice.amount(one.value, one.concept)} ({voice.severity(one.severity)})"
    else:
        said = one.summary if voice.language == "en" else one.summary_ko
        text = f"{who}{one.alert}" + (f" ({said})" if said else "")
    if one.since is not None:
        text += voice.say(", since ", ", 시작 ") + voice.clock(one.since)
    if one.until is not None:
        text += voice.say(", until ", ", 종료 ") + voice.clock(one.until)
    noted = voice.note(one.note)
    return text + (f" [{noted}]" if noted else "")


def struck(one: Impact, voice: Voice) -> str:
    """What one thing of one server went through."""
    who = f"{one.server} {voice.title(one.concept, one.part)}"
    if one.concept == "up":
        who = one.server + voice.say(" was offline", " 오프라인")
        worst = ""
    else:
        worst = voice.say(
            f" up to {voice.amount(one.worst, one.concept)}", f" 최대 {voice.amount(one.worst, one.concept)}"
        )
        if one.usual is not None and one.worst < one.usual:
            worst = voice.say(
                f" down to {voice.amount(one.worst, one.concept)}", f" 최저 {voice.amount(one.worst, one.concept)}"
            )
    often = voice.say(f", {one.times} times", f", {one.times}회") if one.times > 1 else ""
    if one.until is None:
        return (
            who + worst + often + voice.say(f", since {voice.clock(one.since)}", f", {voice.clock(one.since)}부터 계속")
        )
    lasted = voice.length(max(one.lasted_s, 60.0))
    all_ = voice.say(f"{lasted} in all", f"합계 {lasted}") if one.times > 1 else lasted
    return f"{who}{worst}{often}, {voice.span(one.since, one.until)} ({all_})"


def size(one: Size, voice: Voice) -> str:
    """Why a server is too big or too small, with the figures."""
    over = voice.length(one.measured_s)
    cpu, memory = voice.percent(one.cpu_p95), voice.percent(one.memory_p95)
    parts = []
    if one.verdict == "big" or "cpu" in one.because:
        parts.append(
            voice.say(
                f"CPU p95 {cpu}, at most {voice.percent(one.cpu_max)}",
                f"CPU p95 {cpu}, 최대 {voice.percent(one.cpu_max)}",
            )
        )
    if (one.verdict == "big" and one.memory_p95 is not None) or "memory" in one.because:
        parts.append(voice.say(f"memory p95 {memory}", f"메모리 p95 {memory}"))
    if "disk" in one.because:
        where = f" {one.disk_part}" if one.disk_part else ""
        parts.append(
            voice.say(f"disk{where} {voice.percent(one.disk)} now", f"디스크{where} 현재 {voice.percent(one.disk)}")
        )
    text = f"{one.server} ({one.type}): {'; '.join(parts)}" + (
        "" if one.because == ("disk",) else voice.say(f", over {over}", f" ({over} 기준)")
    )
    if one.enough_cores is not None and one.cores is not None:
        n = one.enough_cores
        text += voice.say(
            f"; {n} core{'s' if n > 1 else ''} instead of {one.cores:.0f} would run at about 60 %",
            f"; 코어 {one.cores:.0f}개 대신 {n}개면 약 60 %로 운영됩니다",
        )
    return text


def speaks(one: Suspect, voice: Voice) -> tuple[list[str], list[str]]:
    """What speaks for a suspect, and what against it."""
    lead = voice.length(abs(one.lead_s))
    for_ = []
    if one.lead_s > 60:
        for_.append(voice.say(f"it began {lead} before the first symptom", f"첫 증상보다 {lead} 먼저 시작되었습니다"))
    words = {
        "first": ("nothing else moved earlier", "이보다 먼저 움직인 지표가 없습니다"),
        "largest": ("it moved the most, measured by its habit", "평소 대비 가장 크게 움직였습니다"),
        "upstream": ("what depends on it was hit too", "이 서버에 의존하는 쪽도 영향을 받았습니다"),
    }
    for_ += [voice.say(*words[name]) for name in one.speaks_for if name in words]
    against = {
        "after": (f"it began {lead} after the first symptom", f"첫 증상보다 {lead} 늦게 시작되었습니다"),
        "same_time": (
            "it began together with the symptom, so that the order does not tell them apart",
            "증상과 동시에 시작되어 순서로는 구분되지 않습니다",
        ),
        "rival": ("another candidate is nearly as likely", "비슷하게 유력한 후보가 있습니다"),
        "outlasted": (
            "the symptom went on after it was over",
            "이 지표가 정상으로 돌아온 뒤에도 증상이 계속되었습니다",
        ),
        "no_topology": (
            "who depends on whom is not known here; only order and size were ranked",
            "서버 간 의존 관계를 알 수 없어 순서와 크기만으로 추정했습니다",
        ),
    }
    return for_, [voice.say(*against[name]) for name in one.against]


def timeline(facts: Facts, voice: Voice) -> list[Line]:
    """What began and ended, in order of time; alerts of one kind that began together in one line."""
    events: list[tuple[float, int, Line]] = []
    for one in facts.departures:
        title = voice.title(one.concept, one.part)
        if one.concept == "up":
            began = voice.say(f"{one.server} went down", f"{one.server} 다운")
            ended = voice.say(f"{one.server} is back", f"{one.server} 복구")
        else:
            value, usual = voice.amount(one.value, one.concept), voice.amount(one.expected, one.concept)
            began = voice.say(
                f"{one.server} {title} leaves its usual {usual}, to {value}",
                f"{one.server} {title} 평소 {usual}에서 {value}로 이탈",
            )
            ended = voice.say(f"{one.server} {title} is back to its usual", f"{one.server} {title} 정상 복귀")
        events.append((one.since, 0, Line(began, one.notes)))
        if one.until is not None:
            events.append((one.until, 2, Line(ended, one.notes)))
    for group in _grouped(facts.fired):
        since, until = group[0].since, max((one.until or 0.0) for one in group)
        what = _names(group, voice)
        if since is not None and facts.asked.start <= since <= facts.asked.end:
            events.append((since, 1, Line(voice.say(f"alert: {what}", f"알림 발생: {what}"), group[0].notes)))
        if all(one.until is not None for one in group) and until <= facts.asked.end:
            events.append((until, 3, Line(voice.say(f"alert over: {what}", f"알림 해소: {what}"), group[0].notes)))
    events.sort(key=lambda event: (event[0], event[1], event[2].text))
    return [Line(f"{voice.clock(time)}: {line.text}", line.notes) for time, _, line in events]


def state(one: dict[str, Any], voice: Voice) -> str:
    """A server that is not healthy, and why."""
    return f"{one['server']} ({one['type']}): {voice.severity(one['status'])}, {why(one, voice)}"


def why(one: dict[str, Any], voice: Voice) -> str:
    """What is wrong with a server, or since when it is gone."""
    if one["status"] == "offline":
        if one["last_seen"] is None:
            return voice.say("no sample for more than a day", "하루 이상 데이터 없음")
        when = voice.clock(one["last_seen"])
        return voice.say(f"last seen {when}", f"마지막 확인 {when}")
    return ", ".join(
        f"{voice.title(r['concept'], r['part'])} {voice.amount(r['value'], r['concept'])}" for r in one["reasons"]
    )


def silence(one: dict[str, Any], voice: Voice) -> str:
    """What is silent, until when, and who wanted it."""
    until, who = voice.clock(one["end"]), one["author"]
    text = voice.say(f"{one['matchers']} until {until}, by {who}", f"{one['matchers']}, {until}까지, {who}")
    return text + (f" ({one['comment']})" if one["comment"] else "")


def reasons(one: dict[str, Any]) -> list[str]:
    """The concepts that made a server's state."""
    return [reason["concept"] for reason in one["reasons"]] or ["up"]


def together(found: Sequence[Fired], voice: Voice) -> list[Line]:
    """Alerts of one kind that began together in one line, newest first."""
    lines = []
    for group in reversed(_grouped(found)):
        since, untils = group[0].since, [one.until for one in group]
        text = _names(group, voice)
        if group[0].concept != "up" and voice.concept(group[0].concept) is not None:
            worst = voice.amount(max(one.value for one in group), group[0].concept)
            text += voice.say(f", up to {worst}", f", 최대 {worst}")
        over = [until for until in untils if until is not None]
        if since is not None and len(over) == len(untils):
            text += f", {voice.span(since, max(over))}"
        elif since is not None:
            text += voice.say(f", since {voice.clock(since)}", f", {voice.clock(since)}부터 계속")
        lines.append(Line(text, group[0].notes))
    return lines


def _grouped(found: Sequence[Fired]) -> list[list[Fired]]:
    """Alerts of the same kind that began within minutes of each other."""
    groups: list[list[Fired]] = []
    for one in sorted(found, key=lambda one: one.since or 0.0):
        name = one.concept if one.severity is None else one.alert.removesuffix(f"_{one.severity}")
        for group in reversed(groups):
            first = group[0]
            its = first.concept if first.severity is None else first.alert.removesuffix(f"_{first.severity}")
            if its == name and first.part == one.part and (one.since or 0.0) - (first.since or 0.0) <= TOGETHER_S:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _names(group: Sequence[Fired], voice: Voice) -> str:
    first = group[0]
    what = voice.title(first.concept, first.part) if voice.concept(first.concept) else first.alert
    if first.concept == "up":
        what = voice.say("offline", "오프라인")
    who = listing(list(dict.fromkeys(one.server for one in group if one.server)), voice.language, 8)
    worst = "critical" if any(one.severity == "critical" for one in group) else first.severity
    return f"{what} ({voice.severity(worst)})" + (f": {who}" if who else "")
