/** One server: what is wrong with it, its figures, and their course. */
import { html, useSWR } from '../../vendor/vendor.js';
import { getData } from '../api.js';
import { askAbout } from '../conversation.js';
import { ago, clock, figure, t, word } from '../i18n.js';
import { setParams } from '../router.js';
import { setSidebar } from '../store.js';
import { reasonText } from '../parts/card.js';
import { LineChart } from '../parts/chart.js';
import { Modal } from '../parts/modal.js';
import { StatusPill } from '../parts/pill.js';
import { Table } from '../parts/table.js';

const RANGES = ['15m', '1h', '6h', '24h', '7d'];
const REFRESH_MS = 30_000;
const FIGURES = [
  ['cpu', 'percent'], ['memory', 'percent'], ['disk', 'percent'], ['network_in', 'bytes_per_second'],
  ['network_out', 'bytes_per_second'], ['load', 'number'], ['uptime_s', 'seconds'],
];
const DRAWN_WITH = { network_out: 'network_in' };

/** @param {{id: string, known: any, range: string}} props `known`: the server as the list has it, shown at once */
export function Server({ id, known, range = '1h' }) {
  const url = `/api/servers/${encodeURIComponent(id)}?window=${encodeURIComponent(range)}`;
  const { data, error, mutate } = useSWR(url, getData, { refreshInterval: REFRESH_MS, revalidateOnFocus: false });
  const found = known ?? data?.server;
  const server = found && { reasons: [], age_s: null, ...found }; // one that has just gone comes with less
  const close = () => setParams({ server: null, range: null });
  return html`
    <${Modal} label=${id} onClose=${close}>
      <${Head} id=${id} server=${server} range=${range} />
      ${server && html`<${Now} server=${server} />`}
      ${error && html`
        <div class="banner" role="alert">
          <p>${t('server.failed')} ${word('error', error.code)}${error.details && html`<small>${error.details}</small>`}</p>
          <button type="button" onClick=${() => mutate()}>${t('banner.retry')}</button>
        </div>`}
      ${data ? html`<${Charts} metrics=${data.metrics} />` : !error && html`<div class="chart skeleton" />`}
      ${data?.alerts?.length > 0 && html`<${Alerts} alerts=${data.alerts} />`}
    </${Modal}>`;
}

function Head({ id, server, range }) {
  const ask = (event) => {
    event.currentTarget.closest('dialog').close();
    setSidebar(true);
    askAbout(id);
  };
  return html`
    <header class="modal-head">
      <h2>${id}</h2>
      ${server && html`<${StatusPill} status=${server.status} />`}
      <span class="spacer" />
      <button type="button" onClick=${ask}>${t('server.ask')}</button>
      <select aria-label=${t('server.range')} value=${range} onChange=${(event) => setParams({ range: event.currentTarget.value }, { replace: true })}>
        ${RANGES.map((one) => html`<option key=${one} value=${one}>${t(`range.${one}`)}</option>`)}
      </select>
      <button type="button" onClick=${(event) => event.currentTarget.closest('dialog').close()}>${t('server.close')}</button>
    </header>
    ${server && html`<p class="modal-kind">${kindOf(server)}</p>`}`;
}

function kindOf(server) {
  const type = server.type_guessed ? t('server.guessed', { type: server.type }) : server.type;
  const simulated = server.simulated && t('card.simulated');
  const seen = server.age_s !== null && t('server.seen', { age: ago(server.age_s) });
  return [type, simulated, seen].filter(Boolean).join(' · ');
}

const Now = ({ server }) => html`
  ${server.reasons.length > 0 && html`
    <ul class="reasons">
      ${server.reasons.map((reason, i) => html`<li key=${i} data-level=${reason.level ?? server.status}>${reasonText(reason)}</li>`)}
    </ul>`}
  <dl class="figures">
    ${FIGURES.map(([name, unit]) => html`
      <div key=${name}>
        <dt>${t(`concept.${name}`)}${name === 'disk' && server.disk_mount && html` <small>${server.disk_mount}</small>`}</dt>
        <dd title=${server[name] === null ? t('card.not_reported') : undefined}>${figure(server[name], unit)}</dd>
      </div>`)}
  </dl>`;

/** One chart per concept; its parts (mounts) and both directions of the network are lines of one chart. */
function Charts({ metrics }) {
  const groups = Map.groupBy(Object.keys(metrics), (name) => DRAWN_WITH[conceptOf(name)] ?? conceptOf(name));
  return html`
    <div class="charts">
      ${[...groups].map(([concept, names]) => html`
        <${LineChart} key=${concept} title=${[...new Set(names.map((name) => word('concept', conceptOf(name))))].join(' · ')}
          unit=${metrics[names[0]].unit} series=${names.map((name) => seriesOf(name, metrics[name]))} />`)}
      ${groups.size === 0 && html`<p class="muted">${t('chart.none')}</p>`}
    </div>`;
}

/** `disk` of `disk:/var`. */
const conceptOf = (name) => name.split(':', 1)[0];

function seriesOf(name, { times, values }) {
  const part = name.slice(conceptOf(name).length + 1);
  return { name: part || word('concept', name), points: times.map((time, i) => [time, values[i]]) };
}

const Alerts = ({ alerts }) => html`
  <h3>${t('server.alerts')}</h3>
  <${Table} caption=${t('server.alerts')} columns=${['concept', 'severity', 'value', 'threshold', 'state', 'since'].map((name) => t(`alert.${name}`))}
    rows=${alerts.map((alert) => [
      [word('concept', alert.concept), alert.part].filter(Boolean).join(' '),
      word('status', alert.severity), alert.value, alert.threshold, word('alert_state', alert.state), timeOf(alert.since),
    ])} />`;

/** A time that came as Unix seconds or as RFC 3339. */
function timeOf(since) {
  if (since === null || since === undefined) return null;
  return clock(typeof since === 'number' ? since : Date.parse(since) / 1000);
}
