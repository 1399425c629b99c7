"""Times in English and Korean questions: when, from when to when, and what looked like a time but was not understood.

A clock time without a day is the last time that it was that hour. What cannot be placed is never dropped: it is
handed back as `unparsed`, so that a caller can refuse rather than answer about another hour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from engines import timespan_en, timespan_ko
from engines.timespan_atoms import Atom, Context, Link, Nothing, Role, Value
from engines.timespan_resolve import Place, Stretch, place_range, place_single, until

Kind = Literal["span", "moment", "horizon"]


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """When something was, is or will be. `start` ≤ t < `end`; without `end` it is the moment `start`.

    `horizon` reaches past now (an `end` of None is then a moment to come). `vague`: the words name no exact length
    ("recently", "a few hours ago"). `text` stands at `i`:`j` of the question.
    """

    start: datetime
    end: datetime | None
    kind: Kind
    text: str
    i: int
    j: int
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Unparsed:
    """Words at `i`:`j` that speak of a time which was not understood."""

    text: str
    i: int
    j: int


@dataclass(frozen=True, slots=True)
class Times:
    """All times of a text in order, and what was left."""

    spans: tuple[TimeSpan, ...]
    unparsed: tuple[Unparsed, ...]

    @property
    def first(self) -> TimeSpan | None:
        return self.spans[0] if self.spans else None


_FUTURE = re.compile(
    r"\b(?:will|forecast(?:ed|s)?|predict(?:ed|ion|s)?|project(?:ed|ion)|expect(?:ed)?|estimate[ds]?|going to|gonna|"
    r"upcoming|by when)\b|예측|예상|전망|앞으로|향후|[될할을를찰]까|다 ?차|꽉 ?차|부족해|버틸|남을"
)
_PAST = re.compile(r"\b(?:was|were|did|had|has|have been|last|past|ago)\b|었|였|했|지난|어제|전에")
_NAME = re.compile(
    r"(?<![a-z0-9_.\-])(?!(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|mid|early|late)-)"
    r"(?:[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*[-_.]\d[a-z0-9]*(?:[-_.][a-z0-9]+)*|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|"
    r"[a-z]+[0-9]+[a-z]*(?:[-_.][a-z0-9]+)*|/[a-z][\w/.-]*|\d+xx|[a-z_]+:\d+)(?![a-z0-9_])"
)
_QUANTITY = re.compile(
    r"(?<![a-z0-9_.:/])\d+(?:\.\d+)?\s*(?:%|percent|퍼센트|퍼(?!센타)|프로|ms|us|[kmgt]i?b|[kmg]bps|rps|req)(?![a-z])"
)
_TIME_LIKE = re.compile(
    r"\d{1,2}:\d\d|(?<![a-z0-9_])\d+\s*(?:hours?|hrs?|minutes?|mins?|days?|weeks?|months?|years?|quarters?|시간|시(?!스)|분(?!기)|일|주|개월)"
    r"(?![a-z가-힣])|o'clock|(?<![a-z])(?:fortnight|quarter|decade|christmas|new year'?s?|thanksgiving|easter|holidays?|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday|tomorrow|last (?:january|spring|summer|autumn|fall|winter)|"
    r"(?:this|last|next|in (?:the )?) ?(?:spring|summer|autumn|winter)|until|till|\d+(?:st|nd|rd|th) of)(?![a-z])|"
    r"추석|설날|크리스마스|연휴|명절|분기|지난\s*(?:봄|여름|가을|겨울)|(?:올|작년)\s*(?:봄|여름|가을|겨울)|어제|그저께|내일|[월화수목금토일]요일"
)
_FILLER = re.compile(
    r"(?:\s|,|\.(?=\s)|\bat\b|\bon\b|\bin\b|\bthe\b|\bof\b|\baround\b|\babout\b|\bas\b|\bjust\b|의|에|날|쯤|경|께|대|~(?=$))*"
)
_JOINT = re.compile(r"(?:\s|,|\bthe\b|\bat\b|\bon\b|\bof\b|\bas\b|\bfrom\b|\baround\b|에|의|쯤|경)*")
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0x301C: 0x7E, 0xFF5E: 0x7E}


def parse(text: str, now: datetime) -> Times:
    """The times that `text` speaks of, as seen from `now` (aware; its zone is the asker's).

    >>> from datetime import UTC
    >>> at_two = datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
    >>> span = parse("cpu at 3am", at_two).first
    >>> str(span.start), span.end, span.kind
    ('2026-11-17 03:00:00+00:00', None, 'moment')
    """
    lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text.translate(_WIDE))
    context = Context(now, bool(_FUTURE.search(lower)) and not _PAST.search(lower))
    atoms = _atoms(_masked(lower), context)
    spans: list[TimeSpan] = []
    failed: list[Unparsed] = []
    for i, j, stretch in _phrases(atoms, lower, context):
        span = None if stretch is None else _span(stretch, text, i, j, now)
        if span is None or (span.end is not None and span.end <= span.start):  # such as "last 0 days"
            failed.append(Unparsed(text[i:j], i, j))
        else:
            spans.append(span)
    taken = [(span.i, span.j) for span in spans] + [(a.i, a.j) for a in atoms if isinstance(a.value, Nothing)]
    taken += [(left.i, left.j) for left in failed]
    return Times(tuple(spans), tuple(sorted([*failed, *_left_over(_masked(lower), text, taken)], key=lambda u: u.i)))


def _masked(lower: str) -> str:
    """`lower` with names of servers and quantities blanked, every offset kept."""
    for pattern in (_NAME, _QUANTITY):
        lower = pattern.sub(lambda match: "\x00" * len(match[0]), lower)
    return lower


def _atoms(text: str, context: Context) -> list[Atom]:
    """The atoms of a lower-case text in order; earlier patterns take their place first."""
    korean = timespan_ko.PATTERNS if re.search("[가-힣]", text) else ()
    free = bytearray(len(text))
    found: list[Atom] = []
    for pattern, make in (*korean, *timespan_en.PATTERNS):
        for match in pattern.finditer(text):
            i, j = match.span()
            if i == j or any(free[i:j]):
                continue
            value: Value | None = make(match, context)
            if value is not None:
                free[i:j] = b"\x01" * (j - i)
                found.append(Atom(value, i, j))
    return sorted(found, key=lambda atom: atom.i)


@dataclass(slots=True)
class _Group:
    """Neighbouring atoms that together say one time."""

    place: Place
    i: int
    j: int


def _groups(atoms: Sequence[Atom], text: str) -> list[_Group | Atom]:
    """Atoms with neighbours joined: "yesterday" + "at" + "3pm" is one; links stay themselves."""
    found: list[_Group | Atom] = []
    for atom in atoms:
        value = atom.value
        if isinstance(value, Nothing):
            continue
        if isinstance(value, Link):
            found.append(atom)
            continue
        last = found[-1] if found else None
        if isinstance(last, _Group) and _FILLER.fullmatch(text, last.j, atom.i):
            joined = last.place.joined(value)
            if joined is not None:
                last.place, last.j = joined, atom.j
                continue
        found.append(_Group(Place().joined(value) or Place(), atom.i, atom.j))
    return _days_inward(found, text)


def _days_inward(items: list[_Group | Atom], text: str) -> list[_Group | Atom]:
    """ "Yesterday between 10 and 11" as "between yesterday 10 and 11"."""
    for k in range(len(items) - 2):
        day, link, time = items[k : k + 3]
        if not (isinstance(day, _Group) and isinstance(time, _Group) and _link(items, k + 1, after=False)):
            continue
        place, inner = day.place, time.place
        named = replace(inner, days=place.days, weekday=place.weekday, of_month=place.of_month)
        bare = place.has_day and place.fixed is None and not (place.has_clock or place.part or place.same)
        if bare and inner.has_clock and not inner.has_day and isinstance(link, Atom) and _link_opens(link):
            if _JOINT.fullmatch(text, day.j, link.i) and _JOINT.fullmatch(text, link.j, time.i):
                head = Atom(link.value, day.i, link.j)
                return _days_inward([*items[:k], head, _Group(named, time.i, time.j), *items[k + 3 :]], text)
    return items


def _link_opens(link: Atom) -> bool:
    return isinstance(link.value, Link) and link.value.role in ("since", "between", "before", "until")


def _phrases(atoms: Sequence[Atom], text: str, context: Context) -> list[tuple[int, int, Stretch | None]]:
    """Every time phrase with its place; None where its parts do not add up."""
    items = _groups(atoms, text)
    phrases: list[tuple[int, int, Stretch | None]] = []
    k = 0
    while k < len(items):
        phrase, k = _phrase(items, k, text, context)
        if phrase is not None:
            phrases.append(phrase)
    return phrases


def _phrase(
    items: Sequence[_Group | Atom], k: int, text: str, context: Context
) -> tuple[tuple[int, int, Stretch | None] | None, int]:
    """The phrase that starts at item `k` (None: no phrase does), and the item after it."""
    before = _link(items, k, after=False)
    head = k + 1 if before else k
    left = items[head] if head < len(items) else None
    if not isinstance(left, _Group) or (before and not _near(items[k], left, text)):
        return None, k + 1
    i, j, k = (items[k].i if before else left.i), left.j, head + 1
    role = before.role if before else None
    right, k, j, role = _right_side(items, k, j, role, text)
    if right is not None:
        return (i, j, place_range(left.place, right.place, context)), k
    if role in (None, "to", "and"):
        i = left.i if role else i
        return (i, j, place_single(left.place, context)), k
    if role == "between":
        return (i, j, place_single(left.place, context)), k
    return (i, j, until(left.place, role, context)), k


def _right_side(
    items: Sequence[_Group | Atom], k: int, j: int, role: Role | None, text: str
) -> tuple[_Group | None, int, int, Role | None]:
    """The second half of a range, if there is one, and what particles after the halves say."""
    tail = _link(items, k, after=True)
    if tail and _close(items[k].i, j, text):
        role, j, k = _after_role(tail.role, role), items[k].j, k + 1
        if tail.role in ("before", "between"):
            return None, k, j, role
    link = _link(items, k, after=False)
    head = k + 1 if link and link.role in ("to", "until", "and") else k
    candidate = items[head] if head < len(items) else None
    joined = head > k or (tail is not None and tail.role in ("since", "and"))
    if not joined or not isinstance(candidate, _Group) or not _JOINT.fullmatch(text, j, items[k].i):
        return None, k, j, role
    if head > k and not _near(items[k], candidate, text):
        return None, k, j, role
    end, after = candidate.j, head + 1
    closing = _link(items, after, after=True)
    closes = closing is not None and _close(items[after].i, end, text)
    conjunction = (link is not None and link.role == "and") or (tail is not None and tail.role == "and")
    if conjunction and role != "between" and not (closes and closing and closing.role == "between"):
        return None, k, j, None if role == "and" else role
    if tail is not None and tail.role == "since" and head == k and not closes:
        return None, k, j, role
    if closes:
        end, after = items[after].j, after + 1
        more = _link(items, after, after=True)
        if more and more.role == "between" and _close(items[after].i, end, text):
            end, after = items[after].j, after + 1
    return candidate, after, end, role


def _after_role(particle: Role, before: Role | None) -> Role | None:
    return before if particle == "and" else particle


def _link(items: Sequence[_Group | Atom], k: int, *, after: bool) -> Link | None:
    item = items[k] if k < len(items) else None
    value = item.value if isinstance(item, Atom) else None
    return value if isinstance(value, Link) and value.after == after else None


def _near(link: _Group | Atom, group: _Group, text: str) -> bool:
    return _JOINT.fullmatch(text, link.j, group.i) is not None


def _close(i: int, j: int, text: str) -> bool:
    return _FILLER.fullmatch(text, j, i) is not None


def _span(stretch: Stretch, text: str, i: int, j: int, now: datetime) -> TimeSpan:
    """A stretch as callers see it: cut at now unless it starts there or later."""
    start, end = stretch.start, stretch.end
    if end is not None and start < now < end:
        end = now
    future = start > now or (end is not None and end > now)
    kind: Kind = "horizon" if future else "moment" if end is None else "span"
    while i < j and text[i].isspace():
        i += 1
    return TimeSpan(start, end, kind, text[i:j].rstrip(), i, i + len(text[i:j].rstrip()), stretch.vague)


def _left_over(lower: str, text: str, taken: Sequence[tuple[int, int]]) -> list[Unparsed]:
    """Time-like words outside every phrase."""
    return [
        Unparsed(text[match.start() : match.end()], match.start(), match.end())
        for match in _TIME_LIKE.finditer(lower)
        if not any(i < match.end() and match.start() < j for i, j in taken)
    ]
