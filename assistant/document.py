"""A document as told, before it is drawn: sections of paragraphs, lists, tables and charts, each with its footnotes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assistant.query import Language
from monitoring.briefing_facts import Course, Notes

Tone = Literal["", "critical", "warning", "good"]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, and the places of its queries among the document's footnotes."""

    text: str
    notes: Notes = ()


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences, one below the other."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table, how bad it is, and its footnotes."""

    cells: tuple[str, ...]
    notes: Notes = ()
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below their columns."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A series to be drawn, with its title and its axis in words."""

    title: str
    course: Course
    unit: str
    notes: Notes = ()


Block = Line | Bullets | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report in one language, with times on one clock."""

    kind: str
    language: Language
    title: str
    subtitle: str
    lead: tuple[Line, ...]
    """What the reader must know; the first sentence is the answer"""
    sections: tuple[Section, ...]
    footnotes: tuple[Line, ...]
    """The query of each note, in order; `text` is PromQL"""
    footnote_times: tuple[str, ...]
    footer: str
