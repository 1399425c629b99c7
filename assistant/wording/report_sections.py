"""The sections of each report, as lines, tables and charts; English and Korean side by side."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.document import Block, Bullets, Chart, Document, Line, Row, Section, Table, Tone
from assistant.wording import report as words
from assistant.wording import report_phrases as phrases
from assistant.wording.report_phrases import Voice
from monitoring.briefing_facts import Departure, Facts, Fired, Proof, Size

MOST_ROWS = 60
CHECKS: dict[str, tuple[str, str]] = {
    "cpu": (
        "Which processes use the CPU (top, pidstat)? Was anything deployed, or did a job start, shortly before?",
        "CPU를 쓰는 프로세스를 확인하세요(top, pidstat). 직전에 배포나 배치 작업이 있었나요?",
    ),
    "memory": (
        "Which process grows, and did the kernel end one (dmesg: out of memory)? Does a restart bring it back to its level?",
        "어떤 프로세스의 메모리가 늘었는지, 커널이 종료시킨 프로세스가 있는지(dmesg) 확인하세요. 재시작하면 원래 수준으로 돌아오나요?",
    ),
    "disk": (
        "Which directory grows (du -x), do logs rotate, are there deleted files still held open (lsof +L1)?",
        "어느 디렉터리가 늘어나는지(du -x), 로그 순환이 도는지, 삭제됐지만 열려 있는 파일(lsof +L1)이 있는지 확인하세요.",
    ),
    "network_in": ("Who sends so much, or has stopped sending? Is the traffic wanted?", "트래픽을 보내는(또는 멈춘) 쪽이 어디인지, 정상 트래픽인지 확인하세요."),
    "network_out": ("Where does the traffic go: a backup, a replica, a client?", "트래픽이 어디로 나가는지 확인하세요: 백업, 복제, 클라이언트."),
    "up": ("Is the host reachable (console, ping), or only its exporter? What do its logs say before the last sample?", "호스트 자체(콘솔, ping) 문제인지 익스포터만의 문제인지, 마지막 수집 직전의 로그를 확인하세요."),
    "errors": ("Which requests fail and with which message? What changed in the release or behind it?", "어떤 요청이 어떤 오류로 실패하는지, 배포나 뒷단에서 바뀐 것이 있는지 확인하세요."),
    "latency": ("Where is the time spent: in the server, in what it calls, in waiting for a connection?", "시간이 어디서 걸리는지 확인하세요: 서버 자체, 호출 대상, 연결 대기."),
    "connections": ("Who holds the connections, and is the pool at its limit?", "연결을 누가 잡고 있는지, 풀이 한계인지 확인하세요."),
    "queue": ("Do consumers run, and do they keep up with what comes in?", "소비자가 동작 중인지, 유입 속도를 따라가는지 확인하세요."),
    "requests": ("Is it more of the usual clients, or a new one?", "기존 클라이언트의 증가인지 새로운 클라이언트인지 확인하세요."),
}  # fmt: skip
"""Concept → what to look at next where it moved."""


def document(facts: Facts, voice: Voice) -> Document:
    """The whole report."""
    sections = {"incident": _incident, "daily": _daily, "handover": _handover, "capacity": _capacity}[facts.asked.kind]
    asked = facts.asked
    when = f"{voice.date(asked.start)} – {voice.date(asked.end)}"
    return Document(
        asked.kind,
        voice.language,
        words.title(facts, voice),
        when,
        tuple(words.lead(facts, voice)),
        tuple(section for section in sections(facts, voice) if section.blocks),
        tuple(Line(proof.query) for proof in facts.proofs),
        tuple(_asked_at(proof, voice) for proof in facts.proofs),
        voice.say(
            f"Made by OpenManager from stored samples as of {voice.date(asked.now)}. Every figure is given again by its query at /api/v1/query.",
            f"OpenManager가 {voice.date(asked.now)} 기준 저장된 데이터로 작성했습니다. 모든 수치는 각주의 쿼리를 /api/v1/query에서 실행하면 다시 확인할 수 있습니다.",
        ),
    )


def _incident(facts: Facts, voice: Voice) -> list[Section]:
    return [
        Section(voice.say("Impact", "영향"), _impact(facts, voice)),
        Section(voice.say("Timeline", "타임라인"), _timeline(facts, voice)),
        Section(voice.say("Probable cause", "추정 원인"), _causes(facts, voice)),
        Section(voice.say("What to check next", "다음에 확인할 것"), _checks(facts, voice)),
        Section(voice.say("Alerts", "알림"), _alerts(facts.fired, voice)),
        Section(voice.say("Charts", "차트"), _charts(facts, voice)),
    ]


def _daily(facts: Facts, voice: Voice) -> list[Section]:
    levels = [
        Line(f"{voice.title(name)}: {voice.amount(value, name)}", facts.noted(name))
        for name, value in facts.means.items()
    ]
    state = _state(facts, voice)
    if levels and not facts.asked.servers:
        state = (*state, Line(voice.say("Means over all servers:", "전체 평균:")), Bullets(tuple(levels)))
    return [
        Section(voice.say("State of the fleet", "전체 상태"), state),
        Section(voice.say("Top risks", "주요 위험"), _risks(facts, voice)),
        Section(voice.say("What fired", "발생한 알림"), _alerts(facts.fired, voice) or _none(voice)),
        Section(voice.say("What changed", "변화"), _changes(facts.departures, voice) or _none(voice)),
        Section(voice.say("Forecasts", "예측"), _forecasts(facts, voice)),
        Section(voice.say("Capacity", "용량"), _sizes(facts, voice, short=True)),
        Section(voice.say("Charts", "차트"), _charts(facts, voice)),
    ]


def _handover(facts: Facts, voice: Voice) -> list[Section]:
    taken = [one for one in facts.firing if one.note]
    free = [one for one in facts.firing if not one.note]
    over = [one for one in facts.fired if one.until is not None]
    return [
        Section(voice.say("Open, nobody on it", "미확인 알림"), _alerts(free, voice) or _none(voice)),
        Section(voice.say("Open, acknowledged or silenced", "확인되었거나 꺼 둔 알림"), _alerts(taken, voice)),
        Section(voice.say("Silences", "알림 끄기"), _silences(facts, voice)),
        Section(voice.say("What to watch", "지켜볼 것"), _risks(facts, voice) or _none(voice)),
        Section(voice.say("Over within the shift", "근무 중 해소된 알림"), _alerts(over, voice)),
        Section(voice.say("What changed", "변화"), _changes(facts.departures, voice)),
        Section(voice.say("Charts", "차트"), _charts(facts, voice)),
    ]


def _capacity(facts: Facts, voice: Voice) -> list[Section]:
    return [
        Section(voice.say("Too small, too big", "부족하거나 남는 서버"), _sizes(facts, voice, short=True)),
        Section(voice.say("Disks that fill up", "차오르는 디스크"), _forecasts(facts, voice)),
        Section(voice.say("All servers", "전체 서버"), _sizes(facts, voice, short=False)),
        Section(voice.say("How it is judged", "판단 기준"), (_judged_by(voice),)),
    ]


def _impact(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    if not facts.impact:
        return ()
    head = voice.say("Server|What|From|Until|For|Worst|Usual", "서버|지표|시작|종료|지속|최악|평소")
    rows = []
    for one in facts.impact[:MOST_ROWS]:
        lasted = voice.length(max(one.lasted_s, 60.0)) + (f" ({one.times}×)" if one.times > 1 else "")
        until = voice.say("goes on", "계속") if one.until is None else voice.clock(one.until)
        gone = one.concept == "up"
        worst = voice.say("offline", "오프라인") if gone else voice.amount(one.worst, one.concept)
        usual = "–" if gone else voice.amount(one.usual, one.concept)
        concept = voice.concept(one.concept)
        level = concept.breach(one.worst) if concept is not None else None
        tone: Tone = "critical" if gone or (level and level[0] == "critical") else "warning" if level else ""
        cells = (
            one.server,
            voice.title(one.concept, one.part),
            voice.clock(one.since),
            until,
            lasted,
            worst,
            usual,
        )
        rows.append(Row(cells, one.notes, tone))
    return (Table(tuple(head.split("|")), tuple(rows)),)


def _timeline(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    lines = phrases.timeline(facts, voice)[:MOST_ROWS]
    return (Bullets(tuple(lines)),) if lines else ()


def _causes(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for number, one in enumerate(facts.suspects, 1):
        share = voice.percent(100 * one.share)
        told = phrases.departure(one.departure, voice)
        blocks.append(
            Line(
                voice.say(f"**{number}. {told}** ({share} of the weight)", f"**{number}. {told}** (비중 {share})"),
                one.departure.notes,
            )
        )
        for_, against = phrases.speaks(one, voice)
        lines = [Line(voice.say("For: ", "근거: ") + text) for text in for_]
        lines += [Line(voice.say("Against: ", "반대 근거: ") + text) for text in against]
        if lines:
            blocks.append(Bullets(tuple(lines)))
    if facts.impact and not facts.suspects:
        first = min(facts.impact, key=lambda one: one.since)
        blocks.append(
            Line(
                voice.say(
                    "No series is seen to have left its habit, which takes two days of history; what began first: "
                    f"{phrases.struck(first, voice)}.",
                    "평소 범위를 벗어난 지표가 보이지 않습니다(이틀치 이력이 필요합니다). 가장 먼저 시작된 것: "
                    f"{phrases.struck(first, voice)}.",
                )
            )
        )
    return tuple(blocks)


def _checks(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    wanted = [(one.departure.server, one.departure.concept) for one in facts.suspects[:2]]
    wanted += [(one.server, one.concept) for one in facts.impact]
    lines: dict[str, Line] = {}
    for server, concept in wanted:
        if concept in CHECKS and concept not in lines:
            lines[concept] = Line(f"{server}: {voice.say(*CHECKS[concept])}")
    return (Bullets(tuple(lines.values())[:5]),) if lines else ()


def _state(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    if not facts.bad:
        return ()
    head = voice.say("Server|Type|State|Why", "서버|유형|상태|이유")
    rows = tuple(
        Row(
            (one["server"], one["type"], voice.severity(one["status"]), phrases.why(one, voice)),
            facts.noted(*phrases.reasons(one)),
            "warning" if one["status"] == "warning" else "critical",
        )
        for one in facts.bad[:MOST_ROWS]
    )
    return (Table(tuple(head.split("|")), rows),)


def _risks(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    lines = [Line(phrases.coming(one, voice), one.notes) for one in facts.coming[:5]]
    lines += [Line(phrases.state(one, voice), facts.noted(*phrases.reasons(one))) for one in facts.bad[:8]]
    going = [one for one in facts.departures if one.until is None]
    lines += [Line(phrases.departure(one, voice), one.notes) for one in going[:5]]
    often = [one for one in facts.firing if one.note and "flapping" in one.note]
    lines += [Line(phrases.fired(one, voice), one.notes) for one in often[:3]]
    return (Bullets(tuple(lines)),) if lines else ()


def _alerts(found: Sequence[Fired], voice: Voice) -> tuple[Block, ...]:
    if not found:
        return ()
    head = voice.say("Server|Alert|Severity|Worst|From|Until|Note", "서버|알림|심각도|최악|시작|종료|비고")
    rows = []
    for one in found[:MOST_ROWS]:
        gone = one.concept == "up"
        title = voice.title(one.concept, one.part) if voice.concept(one.concept) else one.alert
        rows.append(
            Row(
                (
                    one.server or "–",
                    title,
                    voice.severity(one.severity),
                    voice.say("offline", "오프라인") if gone else voice.amount(one.value, one.concept),
                    "–" if one.since is None else voice.clock(one.since),
                    voice.say("goes on", "계속") if one.until is None else voice.clock(one.until),
                    voice.note(one.note) or "–",
                ),
                one.notes,
                "critical" if one.severity == "critical" else "warning",
            )
        )
    return (Table(tuple(head.split("|")), tuple(rows)), *_more(len(found), voice))


def _changes(found: Sequence[Departure], voice: Voice) -> tuple[Block, ...]:
    lines = [Line(phrases.departure(one, voice), one.notes) for one in sorted(found, key=lambda one: one.since)]
    return (Bullets(tuple(lines[:MOST_ROWS])), *_more(len(lines), voice)) if lines else ()


def _more(count: int, voice: Voice) -> tuple[Block, ...]:
    if count <= MOST_ROWS:
        return ()
    return (Line(voice.say(f"… and {count - MOST_ROWS} more.", f"… 외 {count - MOST_ROWS}건.")),)


def _silences(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    lines = tuple(Line(phrases.silence(one, voice)) for one in facts.silences)
    return (Bullets(lines),) if lines else ()


def _forecasts(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    lines = [Line(phrases.coming(one, voice), one.notes) for one in facts.coming[:20]]
    if not lines:
        lines = [Line(voice.say("No disk reaches its limit in that time.", "해당 기간에 가득 차는 디스크는 없습니다."))]
    if facts.unsure:
        n = facts.unsure
        lines.append(
            Line(voice.say(f"{n} have too little history to say.", f"{n}곳은 이력이 부족해 판단할 수 없습니다."))
        )
    return (Bullets(tuple(lines)),)


def _sizes(facts: Facts, voice: Voice, *, short: bool) -> tuple[Block, ...]:
    if short:
        found = [one for one in facts.sizes if one.verdict != "fits"]
        lines = tuple(
            Line(f"{_verdict(one, voice)}: {phrases.size(one, voice)}", facts.sized(one)) for one in found[:MOST_ROWS]
        )
        return (Bullets(lines),) if lines else ()
    head = voice.say(
        "Server|Type|CPU p95|CPU max|Memory p95|Disk now|Cores|Verdict",
        "서버|유형|CPU p95|CPU 최대|메모리 p95|디스크 현재|코어|판단",
    )
    rows = tuple(
        Row(
            (
                one.server,
                one.type,
                voice.percent(one.cpu_p95),
                voice.percent(one.cpu_max),
                voice.percent(one.memory_p95),
                voice.percent(one.disk),
                "–" if one.cores is None else f"{one.cores:.0f}",
                _verdict(one, voice),
            ),
            (),
            "warning" if one.verdict == "small" else "",
        )
        for one in facts.sizes
    )
    over = voice.say(
        "95th percentiles and maxima over up to seven days, disks now:",
        "최대 7일간의 95 백분위수와 최댓값, 디스크는 현재 값:",
    )
    notes = tuple(k for places in facts.size_notes.values() for k in places)
    return (Line(over, notes), Table(tuple(head.split("|")), rows[:200])) if rows else ()


def _verdict(one: Size, voice: Voice) -> str:
    return {
        "small": voice.say("too small", "부족"),
        "big": voice.say("too big", "남음"),
        "fits": voice.say("fits", "적정"),
    }[one.verdict]


def _judged_by(voice: Voice) -> Line:
    return Line(
        voice.say(
            "Too small: the 95th percentile of CPU or memory, or a disk now, is at its warning threshold or above. "
            "Too big: the 95th percentile of CPU is below 20 %, its maximum below 60 %, and that of memory below 40 %. "
            "Cores are reckoned so that the 95th percentile would stand at 60 %.",
            "부족: CPU나 메모리의 95 백분위수 또는 현재 디스크가 경고 기준 이상입니다. "
            "남음: CPU의 95 백분위수가 20 % 미만, 최대 60 % 미만이고 메모리의 95 백분위수가 40 % 미만입니다. "
            "코어 수는 95 백분위수가 60 %가 되도록 계산했습니다.",
        )
    )


def _charts(facts: Facts, voice: Voice) -> tuple[Block, ...]:
    made = []
    for one in facts.courses:
        concept = voice.concept(one.concept)
        who = one.server or voice.say("mean of all servers", "전체 평균")
        unit = concept.unit if concept else "number"
        made.append(Chart(f"{who} · {voice.title(one.concept, one.part)}", one, unit, one.notes))
    return tuple(made)


def _none(voice: Voice) -> tuple[Block, ...]:
    return (Line(voice.say("None.", "없음.")),)


def _asked_at(proof: Proof, voice: Voice) -> str:
    if proof.time is not None:
        return voice.date(proof.time)
    if proof.start is None or proof.end is None:
        return ""
    step = f", {voice.say('step', '간격')} {voice.length(proof.step)}" if proof.step else ""
    return f"{voice.date(proof.start)} – {voice.date(proof.end)}{step}"
