/** One server at a glance. The whole card opens it, through one real button in the heading. */
import { html, memo } from '../../vendor/vendor.js';
import { ago, figure, t, word } from '../i18n.js';
import { setParams } from '../router.js';
import { Bar } from './bar.js';
import { StatusPill } from './pill.js';
import { Spark } from './spark.js';

const CONCEPTS = ['cpu', 'memory', 'disk'];
const STALE_AFTER_S = 120; // twice the longest usual scrape interval

/** `language` is not read here: a changed one makes memo draw the card again. */
export const Card = memo(({ server }) => html`
  <article class="card" data-status=${server.status} data-stale=${isStale(server)}>
    <header>
      <h2><button type="button" onClick=${() => setParams({ server: server.id })}>${server.id}</button></h2>
      <${StatusPill} status=${server.status} />
    </header>
    ${CONCEPTS.map((name) => html`
      <${Bar} key=${name} name=${t(`short.${name}`)} value=${server.status === 'offline' ? null : server[name]} ...${breachOf(server, name)} />`)}
    <footer>
      <span class="card-kind">${server.type}${server.simulated && html` · <em>${t('card.simulated')}</em>`}</span>
      ${isStale(server) || !server.spark?.length
        ? html`<span class="card-age">${server.age_s === null ? '' : ago(server.age_s)}</span>`
        : html`<${Spark} values=${server.spark} title=${t('card.spark', { server: server.id })} />`}
    </footer>
  </article>`);

/** "Disk /var 97.2 % (threshold 90 %)". */
export function reasonText(reason) {
  const name = [word('concept', reason.concept), reason.label].filter(Boolean).join(' ');
  const [value, threshold] = [reason.value, reason.threshold].map((number) => figure(number, reason.unit));
  return t('card.reason', { name, value, threshold });
}

function breachOf(server, name) {
  const reason = server.status !== 'offline' && server.reasons.find(({ concept }) => concept === name);
  const mount = name === 'disk' && server.disk_mount ? server.disk_mount : undefined;
  return reason ? { level: reason.level ?? server.status, title: reasonText(reason) } : { title: mount };
}

function isStale(server) {
  return server.status === 'offline' || (server.age_s ?? 0) > STALE_AFTER_S;
}
