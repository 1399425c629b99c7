/** One question and its answer: steps, text, pictures, proof, how sure, what next. */
import { html } from '../../vendor/vendor.js';
import { ask } from '../conversation.js';
import { t, word } from '../i18n.js';
import { Chart } from './chart.js';
import { Evidence } from './evidence.js';
import { Markdown } from './markdown.js';
import { Steps } from './steps.js';

/** @param {{turn: any}} props a turn of the conversation */
export function Turn({ turn }) {
  const running = turn.phase === 'running';
  return html`
    <article class="turn" aria-busy=${running}>
      <p class="question"><span class="hidden">${t('ask.you')}</span>${turn.about && html`<small>${turn.about}</small>`}${turn.query}</p>
      <${Steps} steps=${turn.steps} running=${running} ms=${turn.answer?.processingTime} />
      ${turn.text && html`<div class="answer-text" data-running=${running}><${Markdown} text=${turn.text} /></div>`}
      ${turn.charts.map((chart, i) => html`<${Chart} key=${i} chart=${chart} />`)}
      ${!running && turn.evidence.length > 0 && html`<${Evidence} items=${turn.evidence} />`}
      ${turn.answer && html`<${Badges} answer=${turn.answer} />`}
      ${turn.phase === 'stopped' && html`<p class="badges"><span class="badge">${t('ask.stopped')}</span></p>`}
      ${turn.phase === 'failed' && html`<${Failed} turn=${turn} />`}
      ${turn.answer?.report && html`<p><a class="link" href=${turn.answer.report.url} target="_blank" rel="noopener">${t('ask.report')}</a></p>`}
      ${turn.answer?.suggestions?.length > 0 && html`<${Suggestions} questions=${turn.answer.suggestions} />`}
    </article>`;
}

/** Questions that are asked by one click. */
export const Suggestions = ({ questions }) => html`
  <ul class="suggestions" aria-label=${t('ask.suggestions')}>
    ${questions.map((question) => html`
      <li key=${question}><button type="button" onClick=${() => ask(question)}>${question}</button></li>`)}
  </ul>`;

function Badges({ answer }) {
  const { engine, fallbacks = [], status, confidence, processingTime } = answer;
  return html`
    <p class="badges">
      ${status !== 'answered' && html`<span class="badge" data-level="warning">${word('answer', status)}</span>`}
      <span class="badge" data-level=${engine === 'mcp' ? undefined : 'warning'} title=${word('engine_help', engine)}>${word('engine', engine)}</span>
      ${typeof confidence === 'number' && html`
        <span class="badge" title=${t('confidence.help')}>${t('confidence.badge', { percent: Math.round(confidence * 100), level: levelOf(confidence) })}</span>`}
      ${typeof processingTime === 'number' && html`<span>${Math.round(processingTime)} ms</span>`}
    </p>
    ${fallbacks.map(({ way, cause }, i) => html`
      <p key=${i} class="fallback">${t('answer.fallback', { way: word('engine', way), cause })}</p>`)}`;
}

function levelOf(confidence) {
  if (confidence >= 0.8) return t('confidence.high');
  return confidence >= 0.5 ? t('confidence.medium') : t('confidence.low');
}

const Failed = ({ turn }) => html`
  <div class="banner" role="alert">
    <p>${t('ask.failed')} ${word('error', turn.failure.code)}${turn.failure.details && html`<small>${turn.failure.details}</small>`}</p>
    <button type="button" onClick=${() => ask(turn.query)}>${t('ask.retry')}</button>
  </div>`;
