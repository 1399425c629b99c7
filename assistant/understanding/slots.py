"""What a question names: servers, a group, concepts, a mount, a status, times, quantities. Each word is read once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rapidfuzz import fuzz, process

from assistant.query import Language, Question
from engines.matching import Mention, ServerIndex
from engines.quantities import Quantities, Threshold
from engines.quantities import parse as quantities_of
from engines.text import language
from engines.timespan import TimeSpan
from engines.timespan import parse as times_of
from monitoring.catalog import Catalog
from monitoring.inventory import Inventory

STATUS = (
    (
        "offline",
        r"\b(?:down|dead|offline|unreachable|not responding|not reporting|died)\b|죽은|죽었|다운|꺼진|꺼졌|오프라인|응답 ?(?:없|안)|내려간|안 ?뜨",
    ),
    ("critical", r"\bcritical\b|심각|위험"),
    ("warning", r"\bwarnings?\b|경고"),
    ("healthy", r"\bhealthy\b|정상인"),
    (
        "up",
        r"(?<!what)(?<!what's )(?<!whats )\b(?:up|alive|online|running)\b(?! (?:on|out|to))|살아 ?있|켜져|가동 ?중|떠 ?있|온라인",
    ),
)
SERVERISH = r"(?:servers?|hosts?|nodes?|boxes|box|machines?|instances?|tier|fleet|vms?)"
ALONE = frozenset({"web", "api", "db", "cache", "gateway", "batch", "queue", "worker"})
"""Types whose word may stand without "servers" behind it."""
MOUNT = re.compile(r"(?<![\w.])/(?:[\w.-]+(?:/[\w.-]+)*)?(?![\w/])|(?<![A-Za-z])[A-Z]:(?!\w)")
GENERIC_NETWORK = frozenset({"network", "traffic", "bandwidth", "network traffic", "네트워크", "트래픽", "대역폭"})
FUZZY_CUT = 82


@dataclass(slots=True)
class Slots:
    """Everything that was found; `rest` is the text with it blanked."""

    text: str
    language: Language
    rest: str
    servers: tuple[str, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    group: str | None = None
    concepts: tuple[str, ...] = ()
    part: str | None = None
    status: str | None = None
    spans: tuple[TimeSpan, ...] = ()
    unread_times: tuple[str, ...] = ()
    quantities: Quantities = field(default_factory=Quantities)

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Thresholds in the order of the text."""
        return self.quantities.thresholds


class Vocabulary:
    """The words of the catalogue, longest first, ready to be found."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        pairs = {word: name for name, c in catalog.concepts.items() for words in c.words.values() for word in words}
        del pairs["up"]  # "how many are up" asks for a status
        self.concepts = pairs
        latin = sorted((w for w in pairs if w.isascii()), key=len, reverse=True)
        hangul = sorted((w for w in pairs if not w.isascii()), key=len, reverse=True)
        # Compiled here: they are more than `re` remembers, and 100 ms to compile anew.
        self._patterns = [(word, re.compile(_word_pattern(word))) for word in (*latin, *hangul)]
        self._single = [w for w in latin if " " not in w and len(w) >= 5]

    def find(self, text: str) -> tuple[tuple[str, ...], str]:
        """Concept names in the order of the text, and the text with their words blanked."""
        found: list[tuple[int, str, str]] = []
        for word, pattern in self._patterns:
            here = [(match.start(), self.concepts[word], word) for match in pattern.finditer(text)]
            if here:
                found += here
                text = pattern.sub(lambda m: " " * len(m[0]), text)
        for match in re.finditer(r"[a-z]{4,}", text):
            near = process.extractOne(match[0], self._single, scorer=fuzz.ratio, score_cutoff=FUZZY_CUT)
            if near and match[0] not in _COMMON and abs(len(near[0]) - len(match[0])) <= 1:
                found.append((match.start(), self.concepts[near[0]], near[0]))
                text = text[: match.start()] + " " * len(match[0]) + text[match.end() :]
        return self._chosen(found), text

    def _chosen(self, found: Sequence[tuple[int, str, str]]) -> tuple[str, ...]:
        names = list(dict.fromkeys(name for _, name, _ in sorted(found)))
        said = {word for _, name, word in found if name == "network_in"}
        if "network_in" in names and said <= GENERIC_NETWORK and "network_out" in names:
            names.remove("network_in")  # "outgoing network traffic"
        if "latency" in names and "errors" in names and any(w in ("slow", "느린", "느려") for _, _, w in found):
            names.remove("latency")
        return tuple(names)


def _word_pattern(word: str) -> str:
    if word == "용량":
        return "(?<!사)용량"  # not within 사용량
    return rf"(?<![a-z0-9_]){re.escape(word)}(?:'?s)?(?![a-z0-9_])" if word.isascii() else re.escape(word)


def read_slots(question: Question, inventory: Inventory, names: ServerIndex, vocabulary: Vocabulary) -> Slots:
    """Reads servers and times first, so that their digits and letters are nothing else afterwards."""
    text = question.text
    slots = Slots(text, language(text), text)
    mentions = names.find(text)
    slots.servers = tuple(dict.fromkeys(m.server for m in mentions if m.server))
    slots.unknown = tuple((m.text, m.candidates) for m in mentions if m.kind != "server")
    rest = _blank(text, mentions)
    times = times_of(rest, question.local_now())
    slots.spans = tuple(span for span in times.spans if not _is_now(span, question.now))
    slots.unread_times = tuple(u.text for u in times.unparsed)
    slots.quantities = quantities_of(_blank(rest, times.spans))
    rest = _blank(rest, times.spans)
    if mount := MOUNT.search(rest):
        slots.part = mount[0]
        rest = rest[: mount.start()] + " " * len(mount[0]) + rest[mount.end() :]
    rest = _blank(rest, slots.quantities.thresholds).lower()
    slots.group, rest = _group(rest, inventory, vocabulary.catalog, suffixed=True)
    slots.concepts, rest = vocabulary.find(rest)
    if slots.group is None:
        slots.group, rest = _group(rest, inventory, vocabulary.catalog, suffixed=False)
    slots.status = next((name for name, pattern in STATUS if re.search(pattern, rest)), None)
    if slots.part is None and "disk" in slots.concepts:
        slots.part = _part_word(rest, inventory)
    slots.rest = rest
    return slots


def _is_now(span: TimeSpan, now: float) -> bool:
    """ "Right now" asks for nothing else than the present."""
    return span.kind == "moment" and abs(span.start.timestamp() - now) < 60


def _blank(text: str, found: Sequence[Mention | TimeSpan | Threshold]) -> str:
    for item in found:
        text = text[: item.i] + " " * (item.j - item.i) + text[item.j :]
    return text


def _group(text: str, inventory: Inventory, catalog: Catalog, *, suffixed: bool) -> tuple[str | None, str]:
    """A type of servers that this fleet has, and the text without its words."""
    have = {server.type for server in inventory.servers.values()}
    for kind in sorted(have):
        known = catalog.types.get(kind) or next((t for t in catalog.types.values() if kind in t.same), None)
        words = {kind.lower(), *(known.words["en"] + known.words["ko"] + known.same if known else ())}
        for word in sorted(words, key=len, reverse=True):
            if match := _group_match(word, text, suffixed=suffixed, alone=bool(known and known.name in ALONE)):
                return kind, text[: match.start()] + " " * len(match[0]) + text[match.end() :]
    return None, text


def _group_match(word: str, text: str, *, suffixed: bool, alone: bool) -> re.Match[str] | None:
    if not suffixed and not alone:
        return None
    return _group_pattern(word, suffixed).search(text)


@lru_cache(maxsize=4_096)
def _group_pattern(word: str, suffixed: bool) -> re.Pattern[str]:
    escaped = re.escape(word)
    if suffixed:
        return re.compile(
            rf"(?<![a-z0-9가-힣]){escaped}[ -]?(?:{SERVERISH}(?![a-z])|서버(?:들)?|노드|장비|쪽|계층|티어)"
        )
    if word.isascii():
        return re.compile(rf"(?<![a-z0-9_/]){escaped}s?(?![a-z0-9_/])")
    return re.compile(rf"(?<![a-z0-9가-힣]){escaped}(?=$|[\s,.?!은는이가을를의만도]|랑|하고|에서)")


def _part_word(text: str, inventory: Inventory) -> str | None:
    """A word that is a piece of some mount's path, such as postgresql in /var/lib/postgresql."""
    words = set(re.findall(r"[a-z][a-z0-9_-]{2,}", text))
    for part in sorted(inventory.parts):
        if words & set(re.findall(r"[a-z][a-z0-9_-]{2,}", part.lower())):
            return part
    return None


_COMMON = frozenset(
    [
        "show",
        "what",
        "when",
        "which",
        "where",
        "most",
        "last",
        "than",
        "that",
        "this",
        "with",
        "from",
        "have",
        "does",
        "server",
        "servers",
        "hour",
        "hours",
        "time",
        "list",
        "there",
        "their",
        "about",
        "above",
        "below",
        "over",
        "under",
        "lately",
        "high",
        "highest",
        "lowest",
        "busiest",
        "usage",
        "used",
        "using",
        "much",
        "many",
        "current",
        "status",
        "state",
        "report",
        "alert",
        "alerts",
        "change",
        "changed",
        "compare",
        "trend",
        "average",
        "mean",
        "week",
        "month",
        "today",
        "check",
        "tell",
        "give",
    ]
)
