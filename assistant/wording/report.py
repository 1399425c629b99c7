"""What reports say first, and what an answer tells of them; English and Korean side by side."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.document import Line
from assistant.wording import report_phrases as phrases
from assistant.wording.phrases import listing
from assistant.wording.report_phrases import Voice
from monitoring.briefing_facts import Facts, Fired


def title(facts: Facts, voice: Voice) -> str:
    """The name of the report."""
    who = f" · {', '.join(facts.asked.servers)}" if facts.asked.servers else ""
    names = {
        "incident": ("Incident report", "장애 보고서"),
        "daily": ("Daily report", "일일 보고서"),
        "handover": ("Hand-over", "인수인계서"),
        "capacity": ("Capacity report", "용량 보고서"),
    }
    return voice.say(*names[facts.asked.kind]) + who


def lead(facts: Facts, voice: Voice) -> list[Line]:
    """The first sentences: the answer, and what must be known besides."""
    return {"incident": _incident, "daily": _daily, "handover": _handover, "capacity": _capacity}[facts.asked.kind](
        facts, voice
    )


def _incident(facts: Facts, voice: Voice) -> list[Line]:
    when = voice.span(facts.asked.start, facts.asked.end)
    if not facts.impact:
        quiet = voice.say(
            f"No incident is seen: nothing left its usual range and no alert fired ({when}).",
            f"장애가 확인되지 않습니다: 평소 범위를 벗어난 지표도, 발생한 알림도 없습니다 ({when}).",
        )
        return [Line(quiet)]
    began = [one for one in facts.impact if one.since >= facts.asked.start] or facts.impact
    since = min(one.since for one in began)
    n = len({one.server for one in began})
    until = max((one.until or facts.asked.end) for one in began)
    length, were = voice.length(max(until - since, 60.0)), "s were" if n > 1 else " was"
    if all(one.until is not None for one in began):
        first = voice.say(
            f"{n} server{were} affected between {voice.span(since, until)} ({length}).",
            f"{voice.span(since, until)} ({length}) 사이에 서버 {n}대가 영향을 받았습니다.",
        )
    elif facts.asked.end >= facts.asked.now - 60:
        first = voice.say(
            f"{n} server{were} affected since {voice.clock(since)}, and it is not over.",
            f"{voice.clock(since)}부터 서버 {n}대가 영향을 받았고 아직 끝나지 않았습니다.",
        )
    else:
        end = voice.clock(facts.asked.end)
        first = voice.say(
            f"{n} server{were} affected since {voice.clock(since)}; not all of it was over at {end}.",
            f"{voice.clock(since)}부터 서버 {n}대가 영향을 받았고 {end}에도 일부는 끝나지 않았습니다.",
        )
    lines = [Line(first, facts.impact[0].notes)]
    if facts.suspects:
        best = facts.suspects[0]
        told = phrases.departure(best.departure, voice)
        text = voice.say(
            f"Likely root cause: {told}. This is a ranking, not proof.",
            f"추정 원인: {told}. 순위에 따른 추정이며 증명은 아닙니다.",
        )
        lines.append(Line(text, best.departure.notes))
    return lines


def _daily(facts: Facts, voice: Voice) -> list[Line]:
    n, bad = facts.servers, len(facts.bad)
    counted = ", ".join(
        voice.say(f"{k} {phrases.SEVERITY[s]['en']}", f"{phrases.SEVERITY[s]['ko']} {k}대")
        for s, k in facts.counts.items()
        if k and s not in ("healthy", "unknown")
    )
    if facts.asked.servers:
        counted = listing([one["server"] for one in facts.bad], voice.language)
        n = len(facts.asked.servers)
    if bad:
        first = voice.say(
            f"{bad} of {n} servers need{'s' if bad == 1 else ''} attention: {counted}.",
            f"서버 {n}대 중 {bad}대에 조치가 필요합니다: {counted}.",
        )
    else:
        first = voice.say(
            f"All {n} servers are healthy." if n > 1 else "The server is healthy.", f"서버 {n}대 모두 정상입니다."
        )
    lines = [Line(first, facts.noted())]
    fired = len(facts.fired)
    lines.append(
        Line(
            voice.say(
                f"{fired or 'No'} alert{'' if fired == 1 else 's'} fired and {len(facts.departures)} "
                f"thing{'' if len(facts.departures) == 1 else 's'} left the usual range ({voice.span(facts.asked.start, facts.asked.end)}).",
                f"알림 {fired}건이 발생했고 평소 범위를 벗어난 변화는 {len(facts.departures)}건입니다 ({voice.span(facts.asked.start, facts.asked.end)}).",
            ),
            facts.fired[0].notes if facts.fired else (),
        )
    )
    return lines + _soonest(facts, voice)


def _handover(facts: Facts, voice: Voice) -> list[Line]:
    n = len(facts.firing)
    taken = sum("acknowledged" in (one.note or "") for one in facts.firing)
    if n:
        noted = {0: "not acknowledged", n: "acknowledged"}.get(taken, f"{taken} of them acknowledged")
        noted_ko = {0: "아무도 확인하지 않았습니다", n: "모두 확인되었습니다"}.get(
            taken, f"그중 {taken}건이 확인되었습니다"
        )
        first = voice.say(
            f"{n} alert{' is' if n == 1 else 's are'} open, {noted}.", f"열려 있는 알림은 {n}건이고 {noted_ko}."
        )
    else:
        first = voice.say("No alert is open.", "열려 있는 알림이 없습니다.")
    lines = [Line(first, facts.firing[0].notes if facts.firing else facts.noted())]
    over = [one for one in facts.fired if one.until is not None]
    if over:
        when = voice.span(facts.asked.start, facts.asked.end)
        n = len(over)
        text = voice.say(
            f"{n} alert{' was' if n == 1 else 's were'} over within the shift ({when}).",
            f"근무 시간({when}) 중 해소된 알림은 {n}건입니다.",
        )
        lines.append(Line(text, over[0].notes))
    return lines + _soonest(facts, voice)


def _capacity(facts: Facts, voice: Voice) -> list[Line]:
    small, big = ([one for one in facts.sizes if one.verdict == verdict] for verdict in ("small", "big"))
    if not facts.sizes:
        return [
            Line(
                voice.say(
                    "There is too little history to judge sizes: it takes six hours of CPU.",
                    "크기를 판단할 이력이 부족합니다: CPU 기록이 6시간 이상 필요합니다.",
                )
            )
        ]
    n = len(facts.sizes)
    if not small and not big:
        return [Line(voice.say(f"All {n} servers fit their load.", f"서버 {n}대 모두 부하에 맞는 크기입니다."))]
    lines = []
    if small:
        names = listing([one.server for one in small], voice.language)
        lines.append(Line(voice.say(f"Too small: {names}.", f"자원이 부족한 서버: {names}."), facts.sized(small[0])))
    if big:
        names = listing([one.server for one in big], voice.language)
        lines.append(Line(voice.say(f"Too big: {names}.", f"자원이 남는 서버: {names}."), facts.sized(big[0])))
    return lines


def _soonest(facts: Facts, voice: Voice) -> list[Line]:
    if not facts.coming:
        return []
    return [Line(phrases.coming(facts.coming[0], voice), facts.coming[0].notes)]


def affected(facts: Facts) -> list[str]:
    """The servers that an incident hit, worst first."""
    return list(dict.fromkeys(one.server for one in facts.impact))


def key_lines(facts: Facts, voice: Voice) -> list[tuple[str, list[Line]]]:
    """What an answer says below its first lines: headings, each with its lines."""
    found: list[tuple[str, list[Line]]] = []
    if facts.asked.kind == "incident":
        hit = [Line(phrases.struck(one, voice), one.notes) for one in facts.impact]
        found = [
            (voice.say("Impact", "영향"), hit),
            (voice.say("Timeline", "타임라인"), phrases.timeline(facts, voice)),
        ]
    elif facts.asked.kind == "capacity":
        said = [Line(phrases.size(one, voice)) for one in facts.sizes if one.verdict != "fits"]
        found = [(voice.say("Why", "근거"), said)]
    elif facts.asked.kind == "daily":
        bad = [Line(phrases.state(one, voice), facts.noted(*phrases.reasons(one))) for one in facts.bad]
        found = [
            (voice.say("Needs attention", "조치 필요"), bad),
            (voice.say("Fired", "발생한 알림"), phrases.together(facts.fired, voice)),
        ]
    else:
        watch = [Line(phrases.coming(one, voice), one.notes) for one in facts.coming[1:4]]
        watch += [Line(phrases.departure(one, voice), one.notes) for one in facts.departures if one.until is None]
        found = [
            (voice.say("Open", "열린 알림"), _told(facts.firing, voice)),
            (voice.say("To watch", "지켜볼 것"), watch),
        ]
        if facts.silences:
            found.append(
                (voice.say("Silences", "알림 끄기"), [Line(phrases.silence(one, voice)) for one in facts.silences])
            )
    return [(title_, lines) for title_, lines in found if lines]


def mentioned(facts: Facts) -> tuple[str, ...]:
    """The servers that an answer is about, in its order."""
    named = [*affected(facts), *(one["server"] for one in facts.bad), *(one.server for one in facts.firing)]
    named += [one.server for one in facts.sizes if one.verdict != "fits"]
    return tuple(dict.fromkeys(one for one in named if one))


def none_sized(wanted: set[str], count: int, voice: Voice) -> str:
    """No server is too big, or too small."""
    if wanted == {"big"}:
        return voice.say(
            f"None of {count} servers is clearly too big.", f"서버 {count}대 중 뚜렷하게 남는 서버는 없습니다."
        )
    if wanted == {"small"}:
        return voice.say(f"None of {count} servers is too small.", f"서버 {count}대 중 자원이 부족한 서버는 없습니다.")
    return voice.say(f"All {count} servers fit their load.", f"서버 {count}대 모두 부하에 맞는 크기입니다.")


def _told(found: Sequence[Fired], voice: Voice) -> list[Line]:
    return [Line(phrases.fired(one, voice), one.notes) for one in found]
