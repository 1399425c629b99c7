/** All servers: what is wrong on top, then the cards. */
import { html, useRef } from '../../vendor/vendor.js';
import { STATUSES } from '../fleet.js';
import { t } from '../i18n.js';
import { setParams } from '../router.js';
import { FleetBanner } from '../parts/banner.js';
import { Grid, GridSkeleton } from '../parts/grid.js';
import { StatusPill } from '../parts/pill.js';

/** @param {{fleet: any, failure: Error | null, refresh: () => void, now: number, params: Record<string, string>}} props */
export function Dashboard({ fleet, failure, refresh, now, params }) {
  return html`
    <${StatusStrip} fleet=${fleet} chosen=${params.status} />
    <${Filter} value=${params.q ?? ''} />
    <${FleetBanner} fleet=${fleet} failure=${failure} now=${now} onRetry=${refresh} />
    ${fleet ? html`<${Servers} fleet=${fleet} params=${params} />` : !failure && html`<${GridSkeleton} />`}`;
}

function StatusStrip({ fleet, chosen }) {
  const choose = (status) => () => setParams({ status });
  return html`
    <div class="strip" role="group" aria-label=${t('strip.label')}>
      <button type="button" aria-pressed=${!chosen} onClick=${choose(null)}>${t('strip.all')} <b>${fleet?.total ?? '–'}</b></button>
      ${STATUSES.map((status) => html`
        <button type="button" key=${status} aria-pressed=${chosen === status} onClick=${choose(status)}>
          <${StatusPill} status=${status} /> <b>${fleet?.counts[status] ?? '–'}</b>
        </button>`)}
    </div>`;
}

function Filter({ value }) {
  const box = useRef(null);
  const onInput = () => setParams({ q: box.current.value }, { replace: true });
  return html`
    <input ref=${box} id="filter" class="filter" type="search" value=${value} onInput=${onInput}
      aria-label=${t('filter.label')} placeholder=${t('filter.placeholder')} />`;
}

function Servers({ fleet, params }) {
  if (fleet.servers.length === 0) return html`<${NoServers} message=${fleet.message} />`;
  const shown = fleet.servers.filter((server) => matches(server, params));
  if (shown.length > 0) return html`<${Grid} servers=${shown} label=${t('grid.label')} />`;
  return html`
    <div class="empty">
      <p>${t('filter.none')}</p>
      <button type="button" onClick=${() => setParams({ q: null, status: null })}>${t('filter.clear')}</button>
    </div>`;
}

/** Every word of the filter stands in the name, the type or the status. */
function matches(server, { q = '', status }) {
  const text = [server.id, server.type, server.status, t(`status.${server.status}`)].join(' ').toLowerCase();
  return (!status || server.status === status) && q.toLowerCase().split(/\s+/).every((part) => text.includes(part));
}

const CONNECT = [
  ['empty.local', 'openmanager serve --local'],
  ['empty.scrape', 'openmanager serve --scrape HOST:9100'],
  ['empty.prometheus', 'openmanager serve --prometheus http://HOST:9090'],
  ['empty.demo', 'openmanager serve --demo'],
];

const NoServers = ({ message }) => html`
  <div class="empty">
    <h2>${t('empty.title')}</h2>
    ${message && html`<p class="muted">${message}</p>`}
    <p>${t('empty.how')}</p>
    <dl>${CONNECT.map(([key, command]) => html`<div key=${key}><dt>${t(key)}</dt><dd><code>${command}</code></dd></div>`)}</dl>
  </div>`;
