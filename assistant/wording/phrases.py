"""Small phrases in both languages: figures, times, lists, Korean particles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo  # noqa: F401 - UTC is for the doctest

from assistant.query import Language
from engines.text import josa
from monitoring.catalog import Concept
from monitoring.units import duration, figure

__all__ = ["ago", "amount", "clock", "each", "josa", "level", "listing", "say", "span", "subject"]


def say(language: Language, en: str, ko: str) -> str:
    """The sentence in the asker's language. Both are written side by side, by meaning."""
    return ko if language == "ko" else en


def amount(value: float, concept: Concept | None, language: Language) -> str:
    """A value with its unit."""
    return figure(value, concept.unit if concept else "number", language)


def clock(time: float, zone: tzinfo, now: float) -> str:
    """A moment on the asker's clock: the day is left out where it is today.

    >>> clock(3600, UTC, 7200), clock(0, UTC, 200_000)
    ('01:00 UTC', '01-01 00:00 UTC')
    """
    local, today = datetime.fromtimestamp(time, zone), datetime.fromtimestamp(now, zone)
    name = local.tzname() or "UTC"
    if local.date() == today.date():
        return f"{local:%H:%M} {name}"
    return f"{local:%m-%d %H:%M} {name}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M} {name}"


def ago(seconds: float, language: Language) -> str:
    """A time in the past: ``25 minutes ago``, ``25분 전``."""
    return say(language, f"{duration(seconds)} ago", f"{duration(seconds, 'ko')} 전")


def span(start: float, end: float, zone: tzinfo, now: float) -> str:
    """A stretch of time on the asker's clock, the zone named once."""
    first, last = clock(start, zone, now).rsplit(" ", 1)[0], clock(end, zone, now)
    days = [datetime.fromtimestamp(time, zone).date() for time in (start, end)]
    if days[0] == days[1]:
        last = last.split(" ", 1)[1] if "-" in last.split(" ")[0] else last
    elif "-" not in last.split(" ")[0]:
        last = f"{datetime.fromtimestamp(end, zone):%m-%d} {last}"
    return f"{first}–{last}"


def listing(items: Sequence[str], language: Language, most: int = 12) -> str:
    """Items joined by commas; a long list is cut and says by how many."""
    text = ", ".join(items[:most])
    if len(items) > most:
        text += say(language, f" and {len(items) - most} more", f" 외 {len(items) - most}대")
    return text


def each(lines: Sequence[str], language: Language, most: int = 12) -> str:
    """Lines as a Markdown list, cut like `listing`."""
    shown = [f"- {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(say(language, f"- … and {len(lines) - most} more", f"- … 외 {len(lines) - most}건"))
    return "\n".join(shown)


def subject(server: str, concept: Concept, part: str | None, language: Language) -> str:
    """``disk /var of db-01`` as people say it."""
    of = f" {part}" if part else ""
    title = concept.title[language]
    inner = title if title.isupper() or title[0].isdigit() else title[0].lower() + title[1:]
    return say(language, f"{server} {inner}{of}", f"{server}의 {title}{of}")


def level(value: float, concept: Concept, language: Language) -> str:
    """What the thresholds say of a value, as a clause; empty where nothing is set."""
    breach = concept.breach(value)
    if breach is None:
        if concept.warning is None:
            return ""
        limit = figure(concept.warning, concept.unit, language)
        return say(language, f"below the warning threshold of {limit}", f"경고 기준 {limit} 미만")
    limit = figure(breach[1], concept.unit, language)
    if breach[0] == "critical":
        return say(language, f"over the critical threshold of {limit}", f"심각 기준 {limit} 이상")
    return say(language, f"over the warning threshold of {limit}", f"경고 기준 {limit} 이상")
