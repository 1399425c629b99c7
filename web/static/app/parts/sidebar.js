/** The assistant beside the cards: a column on a wide screen, a drawer or bottom sheet on a small one. */
import { html } from '../../vendor/vendor.js';
import { startOver } from '../conversation.js';
import { t } from '../i18n.js';
import { setSidebar, settings, useStore } from '../store.js';
import { Composer } from './composer.js';
import { Log } from './log.js';

/** Closed on a small screen, its ask box stays at the bottom edge. */
export function Sidebar({ fleet }) {
  const { sidebar: open } = useStore(settings);
  return html`
    <aside class="sidebar" data-open=${open} aria-labelledby="assistant">
      <header>
        <h2 id="assistant">${t('ask.title')}</h2>
        <button type="button" onClick=${startOver}>${t('ask.start_over')}</button>
        <button type="button" aria-label=${t('ask.close')} onClick=${() => setSidebar(false)}>✕</button>
      </header>
      <${Log} fleet=${fleet} />
      <button type="button" class="open-sheet" aria-label=${t('head.assistant')} onClick=${() => setSidebar(true)}>▴</button>
      <${Composer} onAsked=${() => setSidebar(true)} />
    </aside>`;
}
