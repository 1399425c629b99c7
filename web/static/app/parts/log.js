/** The turns of the conversation. It follows the end only while the reader is there. */
import { html, useLayoutEffect, useRef, useState } from '../../vendor/vendor.js';
import { conversation } from '../conversation.js';
import { worseFirst } from './grid.js';
import { t } from '../i18n.js';
import { useStore } from '../store.js';
import { Suggestions, Turn } from './answer.js';

const NEAR_END_PX = 40;

export function Log({ fleet }) {
  const { turns } = useStore(conversation);
  const frame = useRef(null);
  const pinned = useRef(true);
  const [behind, setBehind] = useState(false);
  const toEnd = () => { frame.current.scrollTop = Math.max(frame.current.scrollTop, placeOfLast(frame.current)); };
  const onScroll = ({ currentTarget }) => {
    pinned.current = currentTarget.scrollTop > placeOfLast(currentTarget) - NEAR_END_PX;
    if (pinned.current) setBehind(false);
  };
  useLayoutEffect(() => { pinned.current = true; }, [turns.length]);
  useLayoutEffect(() => {
    if (pinned.current) toEnd();
    else setBehind(true);
  }, [turns]);
  const last = turns.at(-1);
  return html`
    <div class="log" role="log" aria-live="off" aria-label=${t('ask.log')} tabindex="0" ref=${frame} onScroll=${onScroll}>
      ${turns.length === 0 && html`<p class="muted">${t('ask.hello')}</p><${Suggestions} questions=${starters(fleet)} />`}
      ${turns.map((turn) => html`<${Turn} key=${turn.key} turn=${turn} />`)}
    </div>
    ${behind && html`<button type="button" class="to-end" onClick=${toEnd}>${t('ask.new')}</button>`}
    <p class="hidden" role="status">${last?.phase === 'done' ? last.text : ''}</p>`;
}

/** Where to scroll for the last turn: its end, but never so far that its question and first sentence leave the view. */
function placeOfLast(frame) {
  const top = frame.lastElementChild?.offsetTop ?? 0;
  return Math.min(frame.scrollHeight - frame.clientHeight, top - NEAR_END_PX / 2);
}

/** First questions, made from what is worst now. */
function starters(fleet) {
  const worst = [...(fleet?.servers ?? [])].sort(worseFirst)[0];
  const first = worst && worst.status !== 'healthy' ? [t('starter.why', { server: worst.id })] : [];
  return [...first, t('starter.top'), t('starter.disk'), t('starter.summary')];
}
