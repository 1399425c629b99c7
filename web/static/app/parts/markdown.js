/** The Markdown of answers as nodes, never as HTML: paragraphs, headings, lists, tables, code, bold, links within this site. */
import { html } from '../../vendor/vendor.js';

const BLOCKS = [
  { starts: /^```/, takes: (line, i, from) => i === from || !/^```/.test(line), draw: code, closes: true },
  { starts: /^\s*\|/, takes: (line) => /^\s*\|/.test(line), draw: table },
  { starts: /^\s*[-*]\s/, takes: (line) => /^\s*[-*]\s|^\s{2,}\S/.test(line), draw: bullets },
  { starts: /^\s*\d+[.)]\s/, takes: (line) => /^\s*\d+[.)]\s|^\s{2,}\S/.test(line), draw: numbers },
  { starts: /^#{1,4}\s/, takes: (_, i, from) => i === from, draw: heading },
];
const PARAGRAPH = { takes: (line) => line.trim() && !BLOCKS.some(({ starts }) => starts.test(line)), draw: paragraph };

/** @param {{text: string}} props */
export function Markdown({ text }) {
  const lines = text.split('\n');
  const drawn = [];
  for (let from = 0; from < lines.length;) {
    if (!lines[from].trim()) {
      from += 1;
      continue;
    }
    const block = BLOCKS.find(({ starts }) => starts.test(lines[from])) ?? PARAGRAPH;
    let to = from + 1;
    while (to < lines.length && block.takes(lines[to], to, from)) to += 1;
    drawn.push(block.draw(lines.slice(from, to)));
    from = block.closes ? to + 1 : to;
  }
  return html`<div class="prose">${drawn}</div>`;
}

const INLINE = /(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/;

function inline(text) {
  return text.split(INLINE).map((part) => {
    if (part.startsWith('**') && part.length > 4) return html`<strong>${part.slice(2, -2)}</strong>`;
    if (part.startsWith('`') && part.length > 2) return html`<code>${part.slice(1, -1)}</code>`;
    const link = /^\[([^\]]+)\]\((\/[^/\\][^)\s]*|\/)\)$/.exec(part); // a path on this site, not `//host`
    return link ? html`<a href=${link[2]}>${link[1]}</a>` : part;
  });
}

function paragraph(lines) {
  return html`<p>${lines.map((line, i) => [i > 0 && html`<br />`, inline(line)])}</p>`;
}

function heading([line]) {
  return html`<p class="heading"><strong>${inline(line.replace(/^#+\s/, ''))}</strong></p>`;
}

function code([, ...lines]) {
  return html`<pre tabindex="0"><code>${lines.join('\n')}</code></pre>`;
}

function bullets(lines) {
  return html`<ul>${lines.map((line) => html`<li>${inline(line.replace(/^\s*[-*]\s/, ''))}</li>`)}</ul>`;
}

function numbers(lines) {
  return html`<ol>${lines.map((line) => html`<li>${inline(line.replace(/^\s*\d+[.)]\s/, ''))}</li>`)}</ol>`;
}

/** While the text streams in, a table may have no whole row yet. */
function table(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
  const [head = [], ...body] = lines.filter((line) => !/^[\s|:-]+$/.test(line)).map(cells);
  return html`
    <div class="table" tabindex="0" role="region">
      <table>
        <thead><tr>${head.map((cell) => html`<th scope="col">${inline(cell)}</th>`)}</tr></thead>
        <tbody>${body.map((row) => html`<tr>${row.map((cell) => html`<td>${inline(cell)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>`;
}
