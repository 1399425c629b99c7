"""Three questions that make sense next."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.query import Query

_WORDS = {
    "cpu": ("CPU", "CPU"),
    "memory": ("memory", "메모리"),
    "disk": ("disk", "디스크"),
    "network_in": ("inbound traffic", "수신 트래픽"),
    "network_out": ("outbound traffic", "송신 트래픽"),
    "latency": ("latency", "응답 시간"),
    "errors": ("error rate", "에러율"),
}


def next_questions(query: Query, mentioned: Sequence[str]) -> list[str]:
    """Follow-ups about what was just answered, in the language of the question."""
    korean = query.language == "ko"
    concept = query.concept or "cpu"
    word = _WORDS.get(concept, (concept, concept))[korean]
    if not mentioned:
        return (
            ["문제 있는 서버 있어?", f"{word} 높은 서버 3대", "최근 1시간 이상 징후?"]
            if korean
            else [
                "Anything I should worry about?",
                f"Top 3 servers by {word}",
                "Anything unusual in the last hour?",
            ]
        )
    server = mentioned[0]
    if korean:
        found = [f"{server} {word} 최근 6시간 추이", f"{server} 상태 자세히", f"{server} 어제 이 시간 {word}는?"]
        return [*(["디스크 언제 꽉 차?"] if concept == "disk" else []), *found][:3]
    found = [f"{server} {word} over the last 6 hours", f"How is {server}?", f"{server} {word} yesterday at this time?"]
    return [*([f"When will {server} run out of disk?"] if concept == "disk" else []), *found][:3]
