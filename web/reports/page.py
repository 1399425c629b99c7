"""A document as one HTML page that needs nothing else: its style inside, charts as SVG, no script."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import tzinfo
from html import escape

from assistant.document import Block, Bullets, Chart, Document, Line, Row, Section, Table
from assistant.wording.phrases import say
from monitoring.briefing_facts import Notes
from web.reports.svg import drawn

STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1c2230;--soft:#5b6475;--rule:#dfe3ea;--fill:#f5f7fa;
--line:#2563c9;--bad:#b3261e;--warn:#8a5a00;--band:#f3c6c433}
@media (prefers-color-scheme:dark){:root{--page:#14171d;--ink:#e6e9ef;--soft:#9aa4b5;--rule:#2b313c;--fill:#1b2028;
--line:#7fb0ff;--bad:#ff8a80;--warn:#f0b95a;--band:#ff8a8022}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1.25rem 3rem;background:var(--page);color:var(--ink);
font:16px/1.6 system-ui,-apple-system,"Segoe UI","Noto Sans KR","Apple SD Gothic Neo","Malgun Gothic",sans-serif;
word-break:keep-all;overflow-wrap:anywhere}
h1{font-size:1.75rem;line-height:1.25;margin:0}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--rule);break-after:avoid}
p{margin:.5rem 0}
.when,footer,figcaption{color:var(--soft)}
.when{margin:.25rem 0 1.25rem}
.lead{background:var(--fill);border-left:4px solid var(--line);padding:.6rem 1rem;border-radius:0 .4rem .4rem 0}
.lead p:first-child{font-size:1.1rem;font-weight:600}
ul{margin:.4rem 0;padding-left:1.25rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{color:var(--soft);font-weight:600}
tr{break-inside:avoid}
.critical td:first-child{box-shadow:inset 3px 0 var(--bad);padding-left:.6rem}
.warning td:first-child{box-shadow:inset 3px 0 var(--warn);padding-left:.6rem}
sup{line-height:0;font-size:.7em;margin-left:.15em}
sup a,footer a{color:var(--line);text-decoration:none}
figure{margin:1rem 0;break-inside:avoid}
figcaption{font-size:.9rem;margin-bottom:.2rem}
svg{width:100%;height:auto;display:block}
.grid{stroke:var(--rule);stroke-width:1}
.axis{fill:var(--soft);font-size:11px}
.line{fill:none;stroke:var(--line);stroke-width:1.8;stroke-linejoin:round}
.limit{stroke:var(--bad);stroke-width:1;stroke-dasharray:5 4}
.band{fill:var(--band)}
.queries{font-size:.8rem;color:var(--soft);padding-left:1.6rem}
.queries li{margin:.35rem 0}
code{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:var(--ink);overflow-wrap:anywhere}
footer{margin-top:2.5rem;font-size:.85rem}
@media print{:root{--page:#fff;--ink:#000;--soft:#444;--rule:#bbb;--fill:#f4f4f4;--line:#1d4fa3;--bad:#a11;--warn:#850}
body{max-width:none;padding:0;font-size:11pt}.scroll{overflow:visible}}
@page{margin:18mm 16mm}
"""
CSP = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: nothing, and no style but its own."""
BOLD = re.compile(r"\*\*(.+?)\*\*")


def page(document: Document, zone: tzinfo) -> str:
    """The whole page."""
    lead = "".join(f"<p>{_line(line)}</p>" for line in document.lead)
    sections = "".join(_section(section, document, zone) for section in document.sections)
    return (
        f'<!doctype html><html lang="{document.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(document.title)} · {escape(document.subtitle)}</title><style>{STYLE}</style></head><body>"
        f'<main><h1>{escape(document.title)}</h1><p class="when">{escape(document.subtitle)}</p>'
        f'<div class="lead">{lead}</div>{sections}</main>'
        f"<footer>{_queries(document)}<p>{escape(document.footer)}</p></footer></body></html>\n"
    )


def _section(section: Section, document: Document, zone: tzinfo) -> str:
    blocks = "".join(_block(block, document, zone) for block in section.blocks)
    return f"<section><h2>{escape(section.title)}</h2>{blocks}</section>"


def _block(block: Block, document: Document, zone: tzinfo) -> str:
    match block:
        case Line():
            return f"<p>{_line(block)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{_line(line)}</li>' for line in block.lines)}</ul>"
        case Table():
            head = "".join(f'<th scope="col">{escape(name)}</th>' for name in block.columns)
            rows = "".join(map(_row, block.rows))
            return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        case Chart():
            return _figure(block, document, zone)


def _row(row: Row) -> str:
    cells = [escape(cell) for cell in row.cells]
    cells[-1] += _marks(row.notes)
    tone = f' class="{row.tone}"' if row.tone else ""
    return f"<tr{tone}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _figure(chart: Chart, document: Document, zone: tzinfo) -> str:
    picture = drawn(chart, zone, document.language)
    if not picture:
        return f"<p>{escape(chart.title)}: {say(document.language, 'nothing was measured', '측정된 값 없음')}</p>"
    return f"<figure><figcaption>{escape(chart.title)}{_marks(chart.notes)}</figcaption>{picture}</figure>"


def _queries(document: Document) -> str:
    if not document.footnotes:
        return ""
    items = "".join(
        f'<li id="q{k}"><code>{escape(line.text)}</code>{f" ({escape(when)})" if when else ""}</li>'
        for k, (line, when) in enumerate(zip(document.footnotes, document.footnote_times, strict=True), 1)
    )
    title = say(document.language, "Queries", "쿼리")
    return f'<h2>{title}</h2><ol class="queries">{items}</ol>'


def _line(line: Line) -> str:
    return BOLD.sub(r"<strong>\1</strong>", escape(line.text)) + _marks(line.notes)


def _marks(notes: Notes) -> str:
    linked = ", ".join(f'<a href="#q{k + 1}">{k + 1}</a>' for k in notes)
    return f"<sup>{linked}</sup>" if linked else ""
