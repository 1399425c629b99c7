/** What the process says about itself: readiness and its store, as plain facts. */
import { html, useSWR } from '../../vendor/vendor.js';
import { reach } from '../api.js';
import { t, word } from '../i18n.js';
import { Table } from '../parts/table.js';

const SOURCES = [['admin.ready', '/readyz'], ['admin.store', '/api/redis/status']];

export const Admin = () => SOURCES.map(([title, path]) => html`<${Facts} key=${path} title=${t(title)} path=${path} />`);

function Facts({ title, path }) {
  const { data, error } = useSWR(path, readFacts, { refreshInterval: 10_000 });
  return html`
    <section class="facts">
      <h2>${title} <code>${path}</code></h2>
      ${error && html`<p role="alert">${word('error', error.code)}</p>`}
      ${data && html`<${Table} caption=${title} columns=${[t('admin.fact'), t('admin.value')]} rows=${data} />`}
    </section>`;
}

/** Rows of name and value; an answer of 503 is a fact too. */
async function readFacts(path) {
  const response = await reach(path);
  const body = await response.json();
  return [['HTTP', String(response.status)], ...flat(body.data ?? body.error ?? body)];
}

function flat(facts, prefix = '') {
  return Object.entries(facts).flatMap(([name, value]) =>
    value !== null && typeof value === 'object' ? flat(value, `${prefix}${name}.`) : [[prefix + name, value === null ? null : String(value)]]);
}
