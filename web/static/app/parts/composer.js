/** The ask box. Enter sends, Shift+Enter makes a line, and composing Korean or Japanese stays unharmed. */
import { html, useEffect, useRef, useState } from '../../vendor/vendor.js';
import { ask, askAbout, conversation, stop } from '../conversation.js';
import { t } from '../i18n.js';
import { useStore } from '../store.js';

const MOST_CHARACTERS = 2_000; // CONTRACT.md
const HANGUL = /[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]$/;

/** @param {{onAsked?: () => void}} props */
export function Composer({ onAsked }) {
  const box = useRef(null);
  const [text, setText] = useState('');
  const { about, turns } = useStore(conversation);
  const running = turns.at(-1)?.phase === 'running';
  useEffect(() => { if (about) box.current.focus(); }, [about]);

  const send = () => {
    const query = box.current.value.trim();
    if (!query) return;
    setText('');
    ask(query);
    onAsked?.();
  };
  const keys = useEnter(send);
  return html`
    <form class="composer" onSubmit=${(event) => { event.preventDefault(); send(); }}>
      ${about && html`
        <p class="about">${t('ask.about', { server: about })}
          <button type="button" class="link" aria-label=${t('ask.about_clear')} onClick=${() => askAbout(null)}>✕</button></p>`}
      <div class="composer-row">
        <textarea ref=${box} id="ask" rows="1" maxlength=${MOST_CHARACTERS} value=${text} autocomplete="off"
          aria-label=${t('ask.label')} placeholder=${t('ask.placeholder')}
          onInput=${(event) => setText(event.currentTarget.value)} ...${keys} />
        ${running
          ? html`<button type="button" class="primary" onClick=${stop}>${t('ask.stop')}</button>`
          : html`<button type="submit" class="primary" disabled=${!text.trim()}>${t('ask.send')}</button>`}
      </div>
    </form>`;
}

/**
 * Enter sends. While a Hangul syllable is composed, Enter completes it and sends once; while kana or pinyin are
 * composed, Enter only chooses the candidate.
 */
function useEnter(send) {
  const composing = useRef({ text: '', sends: false });
  return {
    onCompositionUpdate: (event) => { composing.current.text = event.data; },
    onCompositionEnd: () => {
      if (composing.current.sends) queueMicrotask(send);
      composing.current = { text: '', sends: false };
    },
    onKeyDown: (event) => {
      if (event.key === 'Escape') stop();
      if (event.key !== 'Enter' || event.shiftKey) return;
      if (event.isComposing) {
        composing.current.sends = HANGUL.test(composing.current.text);
        return;
      }
      event.preventDefault();
      send();
    },
  };
}
