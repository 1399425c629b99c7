/** The proof of an answer, one click away: the rows that were used and the query that gives them again. */
import { html, useId, useRef, useState } from '../../vendor/vendor.js';
import { ago, clock, t } from '../i18n.js';
import { Table } from './table.js';

const COPIED_MS = 2_000;
const MOST_ROWS = 20;

/** @param {{items: any[]}} props evidence as in CONTRACT.md */
export function Evidence({ items }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  return html`
    <div class="evidence">
      <button type="button" class="link evidence-open" aria-expanded=${open} aria-controls=${id} onClick=${() => setOpen(!open)}>
        ${t('evidence.open')} <small>${t('evidence.queries', { n: items.length })}</small>
      </button>
      <div id=${id} hidden=${!open}>
        ${open && items.map((item, i) => html`<${Proof} key=${i} item=${item} />`)}
      </div>
    </div>`;
}

function Proof({ item }) {
  const { query, columns = [], rows = [] } = item;
  return html`
    <section class="proof">
      <${Query} text=${query} />
      <p class="proof-facts">${factsOf(item).join(' · ')}</p>
      ${rows.length > 0 && html`<${Table} caption=${t('evidence.rows')} columns=${columns} rows=${rows.slice(0, MOST_ROWS)} />`}
      ${rows.length > MOST_ROWS && html`<p class="proof-facts">${t('evidence.more', { n: rows.length - MOST_ROWS })}</p>`}
    </section>`;
}

function Query({ text }) {
  const code = useRef(null);
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    getSelection().selectAllChildren(code.current);
    if (!navigator.clipboard) return; // plain HTTP: the selection is ready for Ctrl+C
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return html`
    <div class="query">
      <span class="query-head">PromQL
        <button type="button" class="link" onClick=${copy}>${copied ? t('evidence.copied') : t('evidence.copy')}</button>
      </span>
      <pre tabindex="0" aria-label="PromQL"><code ref=${code}>${text}</code></pre>
    </div>`;
}

function factsOf({ time, start, end, source, age_s, rows = [] }) {
  const span = start === undefined || start === null
    ? time && t('evidence.as_of', { time: clock(time, { zone: true }) })
    : t('evidence.span', { start: clock(start), end: clock(end, { zone: true }) });
  const newest = typeof age_s === 'number' && t('evidence.newest', { age: ago(age_s) });
  return [span, t('evidence.count', { n: rows.length }), newest, source && t('evidence.source', { source })].filter(Boolean);
}
