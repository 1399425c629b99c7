/** The page: its head, the view of the address, and the assistant beside it. */
import { h, html, render, useEffect, useState } from '../vendor/vendor.js';
import { ageOf, useFleet } from './fleet.js';
import { ago, switchLanguage, t } from './i18n.js';
import { onKeys } from './keys.js';
import { followLink, useRoute } from './router.js';
import { setSidebar, settings, setTheme, useStore } from './store.js';
import { Sidebar } from './parts/sidebar.js';
import { Dashboard } from './views/dashboard.js';

/** Loaded when they are first shown, which keeps the first load within its budget (design/UI.md §10). */
const VIEWS = {
  '/chat': later(async () => (await import('./views/chat.js')).Chat),
  '/admin': later(async () => (await import('./views/admin.js')).Admin),
  '/login': later(async () => (await import('./views/login.js')).Login),
};
const Server = later(async () => (await import('./views/server.js')).Server);
const PAGES = [['/', 'nav.servers'], ['/chat', 'nav.chat'], ['/admin', 'nav.admin']];
const NEXT_THEME = { system: 'light', light: 'dark', dark: 'system' };

function App() {
  const { path, params } = useRoute();
  const page = `/${path.split('/')[1]}`; // `/chat` of `/chat/<id>`
  const { sidebar } = useStore(settings);
  const { fleet, failure, live, loading, refresh } = useFleet();
  const now = useNow();
  useEffect(() => onKeys({ '/': () => focus('filter'), a: () => openAssistant(), r: refresh }), []);
  const View = VIEWS[page] ?? Dashboard;
  const beside = page !== '/chat';
  const known = fleet?.servers.find(({ id }) => id === params.server);
  return html`
    <a class="skip" href="#main">${t('nav.skip')}</a>
    <div class="app" data-beside=${beside && sidebar} data-page=${page}>
      <main id="main" tabindex="-1">
        <${Head} path=${page} fleet=${fleet} live=${live} now=${now} loading=${loading} refresh=${refresh} beside=${beside} />
        <${View} fleet=${fleet} failure=${failure} refresh=${refresh} now=${now} params=${params} />
      </main>
      ${beside && html`<${Sidebar} fleet=${fleet} />`}
    </div>
    ${params.server && html`<${Server} key=${params.server} id=${params.server} known=${known} range=${params.range} />`}`;
}

function Head({ path, fleet, live, now, loading, refresh, beside }) {
  const { sidebar, theme, language } = useStore(settings);
  const title = t((PAGES.find(([page]) => page === path) ?? PAGES[0])[1]);
  useEffect(() => { document.title = `${title} · OpenManager`; }, [title]);
  return html`
    <header class="head">
      <h1>${title}</h1>
      <${Live} live=${live} age=${fleet ? ageOf(fleet, now) : null} />
      <nav aria-label=${t('nav.label')}>
        ${PAGES.map(([page, key]) => html`
          <a key=${page} href=${page} aria-current=${page === path ? 'page' : undefined} onClick=${followLink}>${t(key)}</a>`)}
      </nav>
      <span class="spacer" />
      <button type="button" aria-busy=${loading} onClick=${refresh}>${t('head.refresh')}</button>
      <button type="button" onClick=${() => setTheme(NEXT_THEME[theme])}
        aria-label=${t('head.theme', { theme: t(`theme.${theme}`) })} title=${t('head.theme', { theme: t(`theme.${theme}`) })}>
        <span aria-hidden="true">${{ system: '◐', light: '☀', dark: '☾' }[theme]}</span>
      </button>
      <button type="button" lang=${language === 'en' ? 'ko' : 'en'} onClick=${() => switchLanguage(language === 'en' ? 'ko' : 'en')}>
        ${language === 'en' ? '한국어' : 'English'}
      </button>
      ${beside && !sidebar && html`
        <button type="button" class="primary open-assistant" onClick=${openAssistant}>${t('head.assistant')}</button>`}
    </header>`;
}

const LIVE_MARKS = { live: '●', reconnecting: '◐', polling: '◌' };

const Live = ({ live, age }) => html`
  <span class="live" data-live=${live}>
    <span aria-hidden="true">${LIVE_MARKS[live]}</span> ${t(`live.${live}`)}${age !== null && ` · ${ago(age)}`}
  </span>`;

function openAssistant() {
  setSidebar(true);
  setTimeout(() => focus('ask')); // once it is drawn
}

function focus(id) {
  document.getElementById(id)?.focus();
}

/** A component that draws nothing until its module has come. */
function later(load) {
  return function Later(props) {
    const [view, setView] = useState(null);
    useEffect(() => { load().then((component) => setView(() => component)); }, []);
    return view && h(view, props);
  };
}

/** The time, every second: ages count on while nothing arrives. */
function useNow() {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

render(html`<${App} />`, document.getElementById('app'));
