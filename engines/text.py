"""Text as engines read it: language, normal form, tokens, and the particles that Korean hangs on its nouns."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Language = Literal["ko", "en"]

HANGUL = re.compile(r"[가-힣ㄱ-ㅎㅏ-ㅣ]")
_NOT_JAMO = re.compile(r"[^ㄱ-ㆎ]+")  # NFKC would turn ㅋ into a conjoining jamo that no pattern knows
_SPACES = re.compile(r"\s+")
_LAUGHTER = re.compile(r"[ㅋㅎㅠㅜ]{2,}|[~!?.]{2,}(?=\s|$)")
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-_.:/][A-Za-z0-9]+)*|[가-힣]+|[ㄱ-ㅎㅏ-ㅣ]+|%")

# Longest first. Only what follows a noun; verb endings are none of our business.
_PARTICLES = (
    "에서부터|으로부터|에서는|으로는|한테는|이라는|까지는|부터는|에게서|이랑은|하고는|에서도|으로도|이라도|"
    "에서|에게|한테|으로|부터|까지|이랑|하고|처럼|보다|마다|조차|밖에|라는|이나|이고|이면|에는|에도|와는|과는|랑은|만은|"
    "이야|이에요|예요|인가|인데|입니다|"
    "은|는|이|가|을|를|의|에|로|와|과|랑|도|만|야|요|님|들"
)
_TRAILING_PARTICLE = re.compile(rf"(?<=.)(?:{_PARTICLES})$")
_LATIN_TAIL = re.compile(r"^(?P<stem>.*[A-Za-z0-9])(?P<tail>[가-힣]+)$")

# How a Latin letter or a digit ends when read aloud in Korean: does its last syllable close with a consonant?
_CLOSED_DIGITS = frozenset("013678")  # 영 일 삼 육 칠 팔
_CLOSED_LETTERS = frozenset("lmnr")  # 엘 엠 엔 알
_LATIN_RUN = re.compile(r"[a-z]+$")
_CLOSED_WORD = re.compile(r"(?:[lmn]|ng|ck|le|ne|me|p|ic|ot|et|it|ut)$")
_RIEUL_ENDS = frozenset("178lr")  # 일 칠 팔 엘 알: 로, not 으로


def language(text: str) -> Language:
    """The language to answer in: Korean as soon as one Hangul letter stands in the text.

    >>> language("web-01 cpu 얼마야"), language("top 3 servers")
    ('ko', 'en')
    """
    return "ko" if HANGUL.search(unicodedata.normalize("NFC", text)) else "en"


def normalise(text: str) -> str:
    """Composed, lower-case, with single spaces and without laughter: what every matcher compares.

    >>> normalise("  ＣＰＵ　높은 서버ㅋㅋㅋ ")
    'cpu 높은 서버'
    """
    composed = _NOT_JAMO.sub(lambda part: unicodedata.normalize("NFKC", part[0]), text).lower()
    return _SPACES.sub(" ", _LAUGHTER.sub(" ", composed)).strip()


def tokens(text: str) -> list[str]:
    """Words in order: names keep their inner hyphens and dots, Hangul splits from Latin.

    >>> tokens("web-01은 CPU 80%")
    ['web-01', '은', 'CPU', '80', '%']
    """
    return _TOKEN.findall(text)


def strip_particles(word: str) -> str:
    """The noun without its trailing Korean particles: all of them after a Latin stem, one layer after a Hangul one.

    >>> strip_particles("db-01은"), strip_particles("서버에서는"), strip_particles("메모리")
    ('db-01', '서버', '메모리')
    """
    latin = _LATIN_TAIL.match(word)
    if latin and not _without_particles(latin["tail"], keep=0):
        return latin["stem"]
    return _without_particles(word, keep=2)


def _without_particles(word: str, keep: int) -> str:
    """`word` without particles as long as `keep` characters stay; a plural 들 may hide below another particle."""
    padded = word if keep else "·" + word
    for _ in range(2):
        match = _TRAILING_PARTICLE.search(padded)
        if not match or match.start() < max(keep, 1):
            break
        padded = padded[: match.start()]
        if keep and not padded.endswith("들"):
            break
    return padded if keep else padded[1:]


def josa(word: str, pair: str) -> str:
    """`word` with the particle of `pair` ("은/는", "이/가", "을/를", "과/와", "으로/로") that its last sound asks for.

    Digits and Latin letters count as they are read aloud: "web-01" ends in 일, "cpu" in 유.

    >>> josa("서버", "은/는"), josa("web-01", "은/는"), josa("db-02", "이/가"), josa("서울", "으로/로")
    ('서버는', 'web-01은', 'db-02가', '서울로')
    """
    closed_form, open_form = pair.split("/")
    closed, rieul = _final_sound(word)
    if open_form == "로" and rieul:
        closed = False
    return word + (closed_form if closed else open_form)


def _final_sound(word: str) -> tuple[bool, bool]:
    """Whether the last sound of `word` is a consonant, and whether that is ㄹ."""
    spoken = re.sub(r"[^0-9A-Za-z가-힣%]+$", "", re.sub(r"\([^()]*\)$", "", word)).lower()
    last = spoken[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return final != 0, final == 8
    if last.isdigit():
        return last in _CLOSED_DIGITS, last in _RIEUL_ENDS
    run = _LATIN_RUN.search(spoken)
    if run and len(run[0]) > 3:  # a word, not letters one by one: "server" 서버, "queue" 큐, "mail" 메일
        return bool(_CLOSED_WORD.search(run[0])), run[0].endswith(("l", "le"))
    return last in _CLOSED_LETTERS or spoken.endswith("web"), last in _RIEUL_ENDS
