"""A document as Markdown (GitHub's, with footnotes)."""

from __future__ import annotations

import math

from assistant.document import Block, Bullets, Chart, Document, Line, Table
from assistant.wording.phrases import say
from monitoring.briefing_facts import Notes
from monitoring.units import figure


def markdown(document: Document) -> str:
    """The whole text. Charts are told by their lowest, highest and last value."""
    parts = [f"# {document.title}", document.subtitle, *(_line(line) for line in document.lead)]
    for section in document.sections:
        parts.append(f"## {section.title}")
        parts += [_block(block, document) for block in section.blocks]
    parts += ["---", document.footer]
    parts.append("\n".join(_footnote(k, document) for k in range(len(document.footnotes))))
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block, document: Document) -> str:
    match block:
        case Line():
            return _line(block)
        case Bullets():
            return "\n".join(f"- {_line(line)}" for line in block.lines)
        case Table():
            return _table(block)
        case Chart():
            return f"- {_told(block, document)}"


def _table(table: Table) -> str:
    head = [f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"]
    rows = [[*row.cells[:-1], row.cells[-1] + _marks(row.notes)] for row in table.rows]
    return "\n".join([*head, *(f"| {' | '.join(map(_cell, cells))} |" for cells in rows)])


def _told(chart: Chart, document: Document) -> str:
    known = [value for _, value in chart.course.points if value is not None and math.isfinite(value)]
    if not known:
        return f"{chart.title}: {say(document.language, 'no value', '값 없음')}"
    low, high, last = (figure(v, chart.unit, document.language) for v in (min(known), max(known), known[-1]))
    told = say(document.language, f"{low} to {high}, last {last}", f"{low} ~ {high}, 마지막 {last}")
    return f"{chart.title}: {told}{_marks(chart.notes)}"


def _line(line: Line) -> str:
    return _plain(line.text) + _marks(line.notes)


def _marks(notes: Notes) -> str:
    return "".join(f"[^{k + 1}]" for k in notes)


def _footnote(place: int, document: Document) -> str:
    ticks = "``" if "`" in document.footnotes[place].text else "`"
    when = document.footnote_times[place]
    return f"[^{place + 1}]: {ticks}{document.footnotes[place].text}{ticks}{f' ({when})' if when else ''}"


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    """A name that looks like markup stays a name."""
    return text.replace("<", "\\<")
