"""Sentences beside the figures, English and Korean side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.query import Language
from assistant.wording.phrases import say

if TYPE_CHECKING:
    from assistant.desk import Desk


def examples(desk: Desk, language: Language) -> list[str]:
    """Three questions that this fleet can answer."""
    names = sorted(desk.inventory.servers)
    some = desk.question.server or (names[0] if names else None)
    if some is None:
        return [say(language, "What can you do?", "뭘 물어볼 수 있어?")]
    if language == "ko":
        return ["지금 서버 상태 어때?", "CPU 높은 서버 3대", f"{some} 상태 자세히"]
    return ["How are the servers doing?", "Top 3 servers by CPU", f"How is {some}?"]


def help_text(desk: Desk, language: Language) -> str:
    """What can be asked, in one screen."""
    concepts = [
        c.title[language] for name, c in desk.catalog.concepts.items() if name != "up" and desk.expression(name)
    ]
    count, known = len(desk.inventory.servers), ", ".join(concepts)
    return say(
        language,
        f"Ask about your {count} servers in your own words; every figure comes with the PromQL that proves it.\n"
        "- State: “how are the servers?”, “what alerts are firing?”, “how is NAME?”\n"
        "- Figures: “cpu of NAME”, “top 3 by memory”, “servers above 80% disk”, “average CPU of the web servers”\n"
        "- The past: “max cpu of NAME in the last 6 hours”, “memory yesterday at 15:00”, “is it going up?”\n"
        "- What comes and why: “when is the disk full?”, “anything unusual?”, “why is NAME slow?”\n"
        f"Measured here: {known}.",
        f"서버 {count}대에 대해 편하게 물어보세요. 모든 수치에는 근거 PromQL이 함께 나옵니다.\n"
        "- 상태: “지금 서버 상태 어때?”, “발생 중인 알림 보여줘”, “NAME 상태 어때?”\n"
        "- 수치: “NAME CPU 얼마야?”, “메모리 높은 서버 3대”, “디스크 80% 넘는 서버”, “웹 서버 평균 CPU”\n"
        "- 과거: “최근 6시간 NAME CPU 최고점”, “어제 15시 메모리”, “오르고 있어?”\n"
        "- 예측과 원인: “디스크 언제 꽉 차?”, “이상 징후 있어?”, “NAME 왜 느려?”\n"
        f"수집 중인 지표: {known}.",
    )


def smalltalk(language: Language) -> str:
    """A short friendly reply."""
    return say(language, "Hello! Ask me anything about your servers.", "안녕하세요! 서버에 대해 무엇이든 물어보세요.")


def read_only(language: Language) -> str:
    """We change nothing."""
    return say(
        language,
        "I only read: I cannot restart, change or delete anything. I can show the state before and after you do it.",
        "저는 읽기만 합니다. 재시작, 변경, 삭제는 할 수 없고, 작업 전후의 상태를 보여 드릴 수 있습니다.",
    )


def out_of_scope(language: Language) -> str:
    """Not about these servers."""
    return say(
        language,
        "That is not about these servers, so I cannot answer it. Ask me about their state, metrics, history or alerts.",
        "이 서버들에 관한 질문이 아니어서 답할 수 없습니다. 서버 상태, 지표, 이력, 알림에 대해 물어보세요.",
    )


def unclear(text: str, language: Language) -> str:
    """Not understood."""
    return say(
        language,
        f"I did not understand “{text[:80]}”. Name a server or a metric, or try one of the suggestions.",
        f"“{text[:80]}”을(를) 이해하지 못했습니다. 서버나 지표 이름을 넣어 다시 물어보시거나 아래 제안을 눌러 보세요.",
    )


def unread_time(text: str, language: Language) -> str:
    """A time that was not understood."""
    return say(
        language,
        f"I did not understand the time “{text}”. Say it for example as “yesterday 15:00”, “last 6 hours” or “Nov 12 14:00”.",
        f"“{text}”이(가) 언제인지 이해하지 못했습니다. “어제 15시”, “최근 6시간”, “11월 12일 14시”처럼 말씀해 주세요.",
    )


def no_runbook(language: Language) -> str:
    """How-to questions need runbooks."""
    return say(
        language,
        "No runbook is installed for that yet, so I have no steps to cite. I can show the figures it concerns.",
        "아직 해당 런북이 없어 인용할 조치 절차가 없습니다. 관련 수치는 보여 드릴 수 있습니다.",
    )


def nothing_answers(cause: str, language: Language) -> str:
    """Neither the store nor memory has anything."""
    return say(
        language,
        f"The metrics store does not answer ({cause}) and nothing is in memory yet. Ask again in a few seconds.",
        f"지표 저장소가 응답하지 않으며({cause}) 메모리에도 아직 데이터가 없습니다. 몇 초 뒤 다시 물어봐 주세요.",
    )


def from_memory(when: str, age: str, language: Language) -> str:
    """The store is away; the figures are the last ones this process read."""
    return say(
        language,
        f"The metrics store is not reachable; these are the last figures I read, from {when} ({age}).",
        f"지표 저장소에 연결할 수 없어 마지막으로 읽은 {when}({age}) 값으로 답합니다.",
    )


def too_slow(language: Language) -> str:
    """The deadline cut the answer."""
    return say(
        language,
        "This took longer than 10 seconds and was cut. Ask for a shorter time or fewer servers.",
        "10초를 넘겨 중단했습니다. 기간이나 서버 수를 줄여 다시 물어봐 주세요.",
    )
