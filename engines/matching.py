"""Server names in questions: exact, misspelt, spoken, half said, by address or in ranges. Digits are never corrected.

A name that looks like a server and is none is said to be unknown, with the closest that exist; it is never linked to
a server with another number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Literal

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from engines.matching_spots import NUMBER_END, Spot, spots
from engines.matching_words import NOT_STEMS, SERVER_WORDS, SPOKEN, Segments, numbers, segments, words

MentionKind = Literal["server", "unknown", "ambiguous"]


@dataclass(frozen=True, slots=True)
class Mention:
    """Words at `i`:`j` that name a server. `server` is set for kind "server" only; `candidates` are the best first."""

    text: str
    i: int
    j: int
    candidates: tuple[str, ...]
    server: str | None
    kind: MentionKind


_MORE = re.compile(
    rf"\s*(?:(?P<range>~|～|–|-|to\b|through\b|부터|에서)|,|/|&|and\b|와|과|이랑|랑|하고|및)\s*(?P<n>\d{{1,4}})(?:번|호기)?{NUMBER_END}"
)
_RANGE = re.compile(r"\s*(?:~|～|–|-|to|through|thru|부터|에서)\s*")
_COMPARING = re.compile(r"compar|\bvs\b|versus|difference|fail ?over|비교|차이|대비|보다|relative|next to")
_SERVER_WORD = re.compile(SERVER_WORDS)
_VARIANTS = 64
_SHOWN = 10


class ServerIndex:
    """The names of a fleet, to be found in text. `aliases`: server → its other names (address, FQDN, taught words)."""

    def __init__(self, names: Iterable[str], aliases: Mapping[str, Sequence[str]] | None = None) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._rank = {name: k for k, name in enumerate(sorted(self.names))}
        self._exact: dict[str, list[str]] = defaultdict(list)
        self._parts: dict[Segments, list[str]] = defaultdict(list)
        self._holders: dict[str | int, dict[str, list[Segments]]] = defaultdict(lambda: defaultdict(list))
        self._joined: dict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
        self._taught: list[tuple[re.Pattern[str], list[str]]] = []
        taught: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            self._add(name, name)
            for alias in (aliases or {}).get(name, ()):
                self._add(alias, name)
                if re.search(r"[가-힣\s]", alias):
                    _append(taught[alias.lower()], name)
        for phrase in sorted(taught, key=len, reverse=True):
            self._taught.append((re.compile(r"\s*".join(map(re.escape, phrase.split()))), taught[phrase]))
        self._stems = [part for part in self._holders if isinstance(part, str)]
        self._known = frozenset(self._stems)

    def _add(self, written: str, server: str) -> None:
        lower = written.lower()
        head = lower.split(".")[0]
        for form in dict.fromkeys((lower, lower if head.isdigit() else head)):
            parts = segments(form)
            if not parts:
                continue
            _append(self._exact[form], server)
            _append(self._parts[parts], server)
            _append(self._joined["".join(words(parts)), numbers(parts)], server)
            for part in set(parts):
                self._holders[part][server].append(parts)

    def find(self, text: str) -> list[Mention]:
        """Every server that `text` names, in order; ranges ("web-01~03") give one mention for each server.

        >>> index = ServerIndex(["web-01", "web-02", "web-03", "cache-02", "db-01"])
        >>> [(m.text, m.server) for m in index.find("compare wbe-01 with 디비 1번")]
        [('wbe-01', 'web-01'), ('디비 1번', 'db-01')]
        >>> [(m.kind, m.server, m.candidates[0]) for m in index.find("cpu of db-99")]
        [('unknown', None, 'db-01')]
        """
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        found = self._taught_mentions(lower, text)
        for spot in spots(lower):
            if not any(spot.i < mention.j and mention.i < spot.j for mention in found):
                mention = self._link(spot, lower, text)
                if mention is not None:
                    found.append(mention)
        found.sort(key=lambda mention: mention.i)
        return list(self._with_ranges(found, lower, text))

    def closest(self, name: str, n: int = 3) -> tuple[str, ...]:
        """The `n` names most like `name`, best first."""
        return tuple(closest(name, self.names, n))

    def _taught_mentions(self, lower: str, text: str) -> list[Mention]:
        found: list[Mention] = []
        for pattern, servers in self._taught:
            for match in pattern.finditer(lower):
                if not any(match.start() < mention.j and mention.i < match.end() for mention in found):
                    found.append(_mention(text, *match.span(), servers))
        return found

    def _link(self, spot: Spot, lower: str, text: str) -> Mention | None:
        """The mention at a spot, None where nothing there is meant as a server."""
        servers = self._named(spot, lower[spot.i : spot.j])
        if len(servers) > 1:
            servers = self._narrowed(servers, spot, lower)
        if servers:
            return _mention(text, spot.i, spot.j, sorted(servers, key=self._rank.__getitem__))
        if not self._is_missed(spot, lower):
            return None
        return Mention(text[spot.i : spot.j], spot.i, spot.j, self._alternatives(spot), None, "unknown")

    def _named(self, spot: Spot, written: str) -> list[str]:
        """The servers that the words can mean: as written first, then half said, then misspelt."""
        plain = written.split(":")[0]
        exact = self._exact.get(plain) or self._exact.get(plain.split(".")[0] if not plain[0].isdigit() else "")
        if exact:
            return exact
        parts = spot.parts
        if not numbers(parts):
            return self._wordy(parts, plain)
        for variant in self._spoken(parts):
            servers = self._parts.get(variant) or self._joined.get(("".join(words(variant)), numbers(variant)))
            if servers:
                return servers
        return self._first_half(parts) or self._misspelt(parts)

    def _wordy(self, parts: Segments, written: str) -> list[str]:
        """Servers for words without a number: a rare word or several that only one server's name holds."""
        if len(parts) == 1:
            word = parts[0]
            rare = isinstance(word, str) and len(word) >= 4 and word not in SPOKEN and word not in NOT_STEMS
            holders = list(self._holders.get(word, ())) if rare else []
            return holders if len(holders) == 1 else []
        if not re.search(r"[-_.]", written) or all(_SERVER_WORD.fullmatch(str(part)) for part in parts[1:]):
            return []
        return self._first_half(parts) or self._misspelt(parts)

    def _first_half(self, parts: Segments) -> list[str]:
        """Servers that hold the first reading of `parts` that any server holds."""
        return next(filter(None, (list(self._half(variant)) for variant in self._spoken(parts))), [])

    def _spoken(self, parts: Segments) -> list[Segments]:
        """`parts` with each spoken word as the stems it can stand for, "server" left out; the literal reading first."""
        kept = tuple(part for part in parts if isinstance(part, int) or not _SERVER_WORD.fullmatch(part))
        choices = [
            tuple(dict.fromkeys((part, *SPOKEN.get(part, ())))) if isinstance(part, str) else (part,) for part in kept
        ]
        variants: list[Segments] = [parts]
        if kept:
            variants += islice(product(*choices), _VARIANTS)
        return list(dict.fromkeys(variants))

    def _half(self, parts: Segments) -> Iterator[str]:
        """Servers whose names hold `parts` in a row; a number alone must be the last of the name."""
        rarest = min((self._holders.get(part, {}) for part in parts), key=len)
        for server, forms in rarest.items():
            for form in forms:
                at = [k for k in range(len(form) - len(parts) + 1) if form[k : k + len(parts)] == parts]
                if at and (words(parts) or at[-1] + len(parts) == len(form)):
                    yield server
                    break

    def _misspelt(self, parts: Segments) -> list[str]:
        """Servers whose words differ by a slip of the keyboard and whose numbers are the same."""
        choices = [(part,) if isinstance(part, int) or part in self._known else self._near(part) for part in parts]
        servers: dict[str, None] = {}
        for variant in islice(product(*choices), _VARIANTS):
            hits = self._parts.get(variant) or list(self._half(variant))
            servers.update(dict.fromkeys(hits))
        return list(servers)

    def _near(self, word: str) -> tuple[str, ...]:
        """Stems at the smallest distance from `word`; none for a proper infrastructure word, or one too short."""
        if word in SPOKEN or word in NOT_STEMS or len(word) < 2:
            return ()
        cut = 1 if len(word) <= 4 else 2
        hits = process.extract(word, self._stems, scorer=OSA.distance, score_cutoff=cut, limit=8)
        fitting = [(stem, distance) for stem, distance, _ in hits if _is_slip(word, stem, int(distance))]
        best = min((distance for _, distance in fitting), default=None)
        return tuple(stem for stem, distance in fitting if distance == best)

    def _narrowed(self, servers: Sequence[str], spot: Spot, lower: str) -> list[str]:
        """Those of several servers whose names hold other words of the question ("the prod web 3")."""
        said = set(segments(lower[: spot.i] + " " + lower[spot.j :])) - set(spot.parts)
        held = {server: len(said & set(words(segments(server)))) for server in servers}
        most = max(held.values())
        return [server for server in servers if held[server] == most] if most else list(servers)

    def _is_missed(self, spot: Spot, lower: str) -> bool:
        """Whether a spot that led nowhere was meant as a server."""
        if not numbers(spot.parts):
            return False
        if spot.shaped:
            return True
        stems = words(spot.parts)
        if len(stems) != 1 or (stems[0] in NOT_STEMS and stems[0] not in self._known):
            return False
        used = any(stem in self._known for stem in SPOKEN.get(stems[0], (stems[0],)))
        follows = re.match(r"\s+[a-z]+s\b(?<!status)(?<!ess)|\s*xx", lower[spot.j :])
        return used and numbers(spot.parts)[0] < 1000 and not follows

    def _alternatives(self, spot: Spot) -> tuple[str, ...]:
        spoken = next((v for v in self._spoken(spot.parts) if set(words(v)) <= self._known), spot.parts)
        return self.closest("-".join(map(str, spoken))) if words(spoken) else ()

    def _with_ranges(self, found: Sequence[Mention], lower: str, text: str) -> Iterator[Mention]:
        """Mentions with what "web-01~03", "web-01 to web-03" and "db-01, 02" leave unsaid."""
        comparing = _COMPARING.search(lower) is not None
        for k, mention in enumerate(found):
            yield mention
            following = found[k + 1] if k + 1 < len(found) else None
            limit = following.i if following else len(lower)
            if mention.server is None:
                continue
            if following and following.server and not comparing and _RANGE.fullmatch(lower, mention.j, following.i):
                yield from self._between(mention, following, text)
                continue
            yield from self._numbers_after(mention, lower, text, limit)

    def _between(self, first: Mention, last: Mention, text: str) -> Iterator[Mention]:
        """The servers between the ends of a range of names."""
        assert first.server is not None
        assert last.server is not None
        head, tail = segments(first.server.split(".")[0]), segments(last.server.split(".")[0])
        if head[:-1] == tail[:-1] and isinstance(head[-1], int) and isinstance(tail[-1], int):
            for number in range(head[-1] + 1, tail[-1]):
                for server in self._parts.get((*head[:-1], number), ())[:1]:
                    yield _mention(text, first.i, last.j, [server])

    def _numbers_after(self, mention: Mention, lower: str, text: str, limit: int) -> Iterator[Mention]:
        """Servers of the same stem by number only: "db-01, 02 and 03", "web-01~03"."""
        assert mention.server is not None
        parts, j = segments(mention.server.split(".")[0]), mention.j
        digits = re.search(r"\d+\D*$", mention.text)
        while parts and isinstance(parts[-1], int) and digits:
            match = _MORE.match(lower, j)
            width = len(re.sub(r"\D", "", digits[0]))
            if not match or match.end() > limit or not (match["range"] or len(match["n"]) == width):
                return
            last = int(match["n"])
            stretches = match["range"] is not None and 0 < last - parts[-1] < 100
            first = parts[-1] + 1 if stretches else last
            for number in range(first, last + 1):
                yield self._numbered((*parts[:-1], number), match, text, number == last)
            parts, j = (*parts[:-1], last), match.end()

    def _numbered(self, parts: Segments, match: re.Match[str], text: str, said: bool) -> Mention:
        servers = self._parts.get(parts) or list(self._half(parts))
        i, j = match.start("n"), match.end("n")
        if servers:
            return _mention(text, i, j, servers)
        name = "-".join(map(str, parts))
        return Mention(text[i:j] if said else name, i, j, self.closest(name), None, "unknown")


def closest(name: str, names: Iterable[str], n: int = 3) -> list[str]:
    """The `n` names most like `name`, best first: the same words with the nearest numbers, then similar words.

    >>> closest("web-99", ["db-01", "web-01", "web-12", "wed-01"])
    ['web-12', 'web-01', 'wed-01']
    """
    wanted = segments(name)
    said, aim = "".join(words(wanted)), numbers(wanted)

    def distance(other: str) -> tuple[float, int, str]:
        parts = segments(other)
        there = numbers(parts)
        gap = abs(there[-1] - aim[-1]) if there and aim else 0
        return -fuzz.ratio(said, "".join(words(parts))), gap, other

    ranked = sorted(map(distance, names))
    return [other for score, _, other in ranked[:n] if score <= -50 or not said]


def fuzzy_word(word: str, vocabulary: Iterable[str], cut: float = 0.75) -> str | None:
    """The word of `vocabulary` that `word` is, or is a slip of (similarity ≥ `cut`); short words must be exact.

    >>> fuzzy_word("memroy", ["memory", "disk"]), fuzzy_word("usge", ["usage"]), fuzzy_word("cpi", ["cpu"])
    ('memory', 'usage', None)
    """
    choices = list(vocabulary)
    if word in choices:
        return word
    if len(word) < 4 or not word.isascii():
        return None
    longest = 1 if len(word) < 6 else 2
    hits = process.extract(word, choices, scorer=OSA.distance, score_cutoff=longest, limit=3)
    near = [
        (distance, choice)
        for choice, distance, _ in hits
        if len(choice) >= 4 and choice[0] == word[0] and OSA.normalized_similarity(word, choice) >= cut
    ]
    best = [choice for distance, choice in near if distance == min(near)[0]]
    return best[0] if len(best) == 1 else None


def _is_slip(word: str, stem: str, distance: int) -> bool:
    """Whether `distance` edits are few for words of this length; of two letters only swapped ones pass."""
    if min(len(word), len(stem)) <= 2:
        return sorted(word) == sorted(stem) or (len(stem) >= 3 and distance == 1 and word[0] == stem[0])
    return distance <= (1 if len(stem) <= 5 else 2) and (word[0] == stem[0] or sorted(word[:2]) == sorted(stem[:2]))


def _append(items: list[str], item: str) -> None:
    if item not in items:
        items.append(item)


def _mention(text: str, i: int, j: int, servers: Sequence[str]) -> Mention:
    one = servers[0] if len(servers) == 1 else None
    return Mention(text[i:j], i, j, tuple(servers[:_SHOWN]), one, "server" if one else "ambiguous")
