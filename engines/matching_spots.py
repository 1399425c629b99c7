"""Places in a question that may name a server: tokens, "web 1", 디비 1번, addresses; nothing here knows the fleet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engines.matching_words import NOT_STEMS, SERVER_WORDS, SPOKEN, Segments, segments


@dataclass(frozen=True, slots=True)
class Spot:
    """A stretch of the question and the words and numbers it says.

    `shaped`: it looks like a host name by itself, so a miss is worth a word; otherwise only if the fleet uses its stem.
    """

    i: int
    j: int
    parts: Segments
    shaped: bool


_LATIN = re.compile(r"(?<![a-z0-9_./:\-])[a-z0-9]+(?:[-_.][a-z0-9]+)*(?![a-z0-9_/\-])")
_IP = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)(?::\d+)?")
_HOST_SHAPE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*-[a-z]*\d+[a-z]?(?:\.[a-z0-9.-]+)?")
_COUNTER = r"(?:번(?!째)|호기|호)"
NUMBER_END = (
    r"(?![\d.,:/]*\d|[a-z%:]|\s*(?:%|퍼|프로|시|분|초|일|월|년|주|개|대|건|배|위|도(?![\s?]|$)|넘|이상(?!해|한|하)|이하|미만|초과|밑|보다|"
    r"gb|mb|ms|hours?|minutes?|mins?|days?|weeks?|months?|percent|servers?|hosts?|seconds?|times|cores?|errors?|"
    r"requests?|more|or more|others?|most|worst)(?![a-z]))"
)
_ONE_SERVER = SERVER_WORDS.replace("s?", "")
_SINO_NUMBER = r"(?:[일이삼사오육칠팔구]?십[일이삼사오육칠팔구]?|[일이삼사오육칠팔구])"
_NUMBERED = re.compile(
    rf"(?<![a-z0-9_.\-/])(?P<stem>[a-z]+(?:[-_][a-z]+)*|[가-힣]+)(?P<gap>\s*{_ONE_SERVER})?"
    rf"(?P<sep>\s*(?:[-#_]|no\.?\s|number\s)?\s*)"
    rf"(?:(?P<n>\d{{1,4}})(?:\s*(?P<c>{_COUNTER})|{NUMBER_END})|(?P<k>{_SINO_NUMBER})\s*{_COUNTER})"
)
_NUMBER_FIRST = re.compile(
    rf"(?<![a-z0-9_.\-])(?P<n>\d{{1,4}})\s*{_COUNTER}\s*(?P<stem>[a-z]+|[가-힣]+?)?\s*{SERVER_WORDS}"
)
_SINO = {"일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "칠": 7, "팔": 8, "구": 9}
_SERVER_TAIL = re.compile(rf"{SERVER_WORDS}$")


def spots(text: str) -> Iterator[Spot]:
    """Stretches of a lower-case text, those that say most first; later ones may overlap earlier ones."""
    for match in _IP.finditer(text):
        yield Spot(*match.span(), segments(match[0].split(":")[0]), True)
    bare: list[Spot] = []
    for match in _LATIN.finditer(text):
        parts = segments(match[0])
        if not match[0][0].isdigit() and any(isinstance(part, int) for part in parts):
            yield Spot(*match.span(), parts, _is_shaped(match[0], parts))
        elif not match[0].isdigit():
            bare.append(Spot(*match.span(), parts, False))
    for match in _NUMBERED.finditer(text):
        yield from _numbered(match)
    for match in _NUMBER_FIRST.finditer(text):
        stem = (spoken_stem(match["stem"]) or match["stem"],) if match["stem"] else ()
        yield Spot(*match.span(), (*stem, int(match["n"])), not stem)
    yield from bare


def _is_shaped(token: str, parts: Segments) -> bool:
    return _HOST_SHAPE.fullmatch(token) is not None and parts[0] not in NOT_STEMS


def _numbered(match: re.Match[str]) -> Iterator[Spot]:
    """ "web 1", "db server 03", 웹 서버 3번; "server 3" names a number only."""
    written = match["stem"]
    value = int(match["n"]) if match["n"] else _sino(match["k"])
    head = _SERVER_TAIL.sub("", written).rstrip("-_")
    if not head:
        if written.endswith("s") and not match["c"]:  # "db servers 80": a group and a value
            return
        yield Spot(*match.span(), (written, value), True)
        return
    stem = spoken_stem(head) or head
    start = match.start("stem") + len(head) - len(stem) if head.endswith(stem) else match.start("stem")
    if not stem.isascii() and stem not in SPOKEN:
        if match["gap"] and (match["c"] or match["k"]):
            yield Spot(match.start("gap") + 1, match.end(), (value,), True)
        return
    if stem.isascii() and match["sep"].strip() == "" and match["sep"] and stem in NOT_STEMS:
        return
    yield Spot(start, match.end(), (*segments(stem), value), False)


def spoken_stem(word: str) -> str | None:
    """The longest Korean infrastructure word that `word` ends with (운영디비 → 디비), None where there is none."""
    if word.isascii():
        return None
    plain = _SERVER_TAIL.sub("", word) or word
    return next((plain[k:] for k in range(len(plain)) if plain[k:] in SPOKEN), None)


def _sino(word: str) -> int:
    tens, ten, ones = word.rpartition("십")
    return (_SINO.get(tens, 1) * 10 if ten else 0) + _SINO.get(ones, 0)
