"""The catalogue: what can be asked for by a plain word, with unit, thresholds, words and PromQL per exporter."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Unit = Literal[
    "percent", "bytes_per_second", "bytes", "seconds", "milliseconds", "per_second", "number", "state", "celsius"
]
Words = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """How one exporter reports a concept. `by` names the server in the result, `part` a part of it."""

    exporter: str
    needs: str
    by: str
    query: str
    part: str | None = None
    label: str | None = None
    """A label that `needs` must carry, where the name alone does not tell."""
    quantile: str | None = None

    def promql(self, matchers: str = "", quantile: float | None = None) -> str:
        """The query with `matchers` (PromQL text without braces) added to every selector.

        >>> Source("x", "m", "instance", 'rate(m{a="b",<sel>}[5m]) / n{<sel>}').promql()
        'rate(m{a="b"}[5m]) / n'
        """
        text = self.query
        if quantile is not None and self.quantile is not None:
            text = self.quantile.replace("<q>", f"{quantile:g}")
        text = text.replace("<sel>", matchers)
        return re.sub(r"\{\s*\}", "", text.replace(",}", "}"))


@dataclass(frozen=True, slots=True)
class Concept:
    """Something servers have much or little of: CPU, memory, a disk."""

    name: str
    unit: Unit
    worse: Literal["high", "low"]
    scale: float | None
    """The largest value it can have, where there is one (100 for percentages)."""
    warning: float | None
    critical: float | None
    title: Mapping[str, str]
    words: Words
    sources: tuple[Source, ...]

    @property
    def part(self) -> bool:
        """True where one server has several values (a disk has mounts)."""
        return any(source.part for source in self.sources)

    def breach(self, value: float) -> tuple[Literal["warning", "critical"], float] | None:
        """The level that `value` reaches and its threshold; None where it is healthy or nothing is set."""
        if self.critical is not None and value >= self.critical:
            return "critical", self.critical
        if self.warning is not None and value >= self.warning:
            return "warning", self.warning
        return None


@dataclass(frozen=True, slots=True)
class ServerType:
    """A kind of server: as labels write it (`same`) and as people say it (`words`)."""

    name: str
    same: tuple[str, ...]
    words: Words


@dataclass(frozen=True, slots=True)
class Catalog:
    """All concepts and server types, by name."""

    concepts: Mapping[str, Concept]
    types: Mapping[str, ServerType]

    def concept(self, word: str) -> Concept | None:
        """The concept of that name, or whose words hold exactly `word`; None where there is none."""
        wanted = word.strip().lower().replace("-", "_")
        if wanted in self.concepts:
            return self.concepts[wanted]
        spoken = wanted.replace("_", " ")
        for concept in self.concepts.values():
            if any(spoken == known for words in concept.words.values() for known in words):
                return concept
        return None

    def type_of_name(self, server: str) -> str | None:
        """The type that a server's name suggests; None where it suggests none.

        >>> load().type_of_name("prod-postgres-02")
        'db'
        """
        for part in re.split(r"[^a-z]+", server.lower()):
            for kind in self.types.values():
                if part and part in (kind.name, *kind.same):
                    return kind.name
        return None


@cache
def load() -> Catalog:
    """The catalogue that ships with the product."""
    return parse(tomllib.loads(files("monitoring").joinpath("catalog.toml").read_text("utf-8")))


def parse(document: Mapping[str, Any]) -> Catalog:
    """A catalogue from its TOML document. Raises KeyError or TypeError where a field is missing or unknown."""
    concepts = {name: _concept(name, body) for name, body in document["concepts"].items()}
    types = {
        name: ServerType(name, tuple(body.get("same", ())), _words(body)) for name, body in document["types"].items()
    }
    return Catalog(concepts, types)


def _concept(name: str, body: Mapping[str, Any]) -> Concept:
    return Concept(
        name,
        body["unit"],
        body["worse"],
        body.get("scale"),
        body.get("warning"),
        body.get("critical"),
        body["title"],
        _words(body),
        tuple(Source(**source) for source in body["sources"]),
    )


def _words(body: Mapping[str, Sequence[str]]) -> Words:
    return {language: tuple(body[language]) for language in ("en", "ko")}
