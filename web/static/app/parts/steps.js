/** What was really done for an answer: open while it runs, folded afterwards. */
import { html } from '../../vendor/vendor.js';
import { t, word } from '../i18n.js';

const MARKS = { pending: '○', running: '◌', done: '✓', failed: '✕', skipped: '–' };

/** @param {{steps: {name: string, detail: any, ms?: number, status?: string}[], running: boolean, ms?: number}} props */
export function Steps({ steps, running, ms }) {
  if (!steps.length) return running && html`<p class="steps-wait">${t('steps.waiting')}</p>`;
  return html`
    <details class="steps" open=${running}>
      <summary>${t('steps.title', { n: steps.length })}${ms !== undefined && ` · ${Math.round(ms)} ms`}</summary>
      <ol>${steps.map((step, i) => html`<${Step} key=${i} step=${step} />`)}</ol>
    </details>`;
}

function Step({ step }) {
  const status = step.status ?? 'done';
  return html`
    <li data-step=${status}>
      <span class="step-mark" role="img" aria-label=${word('step', status)}>${MARKS[status] ?? MARKS.done}</span>
      <span><strong>${step.name}</strong> ${inWords(step.detail)}</span>
      ${typeof step.ms === 'number' && html`<span class="step-ms">${Math.round(step.ms)} ms</span>`}
    </li>`;
}

const inWords = (detail) => (typeof detail === 'string' ? detail : detail ? JSON.stringify(detail) : '');
