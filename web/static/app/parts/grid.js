/** The cards, worst first. The order is held while somebody points at them, so that none moves under a click. */
import { html, useEffect, useLayoutEffect, useRef, useState } from '../../vendor/vendor.js';
import { language } from '../i18n.js';
import { STATUSES } from '../fleet.js';
import { Card } from './card.js';

const HOLD_MS = 30_000;
const WINDOW_FROM = 200; // cards; below that all of them stand in the page
const ROW_PX = 148; // height of a card and the gap, as in parts.css
const SPARE_ROWS = 2;

export function Grid({ servers, label }) {
  const list = useRef(null);
  const busy = useRef(false);
  const ordered = useHeldOrder(servers, busy);
  const { from, to, before, after } = useWindow(list, ordered.length);
  const hold = (held) => () => { busy.current = held; };
  return html`
    <ul class="grid" ref=${list} aria-label=${label} style=${{ paddingTop: before, paddingBottom: after }}
      onPointerEnter=${hold(true)} onPointerLeave=${hold(false)} onFocusIn=${hold(true)} onFocusOut=${hold(false)}>
      ${ordered.slice(from, to).map((server, i) => html`
        <li key=${server.id} aria-setsize=${ordered.length} aria-posinset=${from + i + 1}>
          <${Card} server=${server} language=${language()} />
        </li>`)}
    </ul>`;
}

/** Twelve cards that are still to come, of the final size. */
export const GridSkeleton = () => html`
  <div class="grid" aria-hidden="true">${Array.from({ length: 12 }, (_, i) => html`<div key=${i} class="card skeleton" />`)}</div>`;

/** Worst first; ranked again at most every 30 s and never while `busy`. Newcomers wait at the end. */
function useHeldOrder(servers, busy) {
  const held = useRef({ at: 0, rank: new Map() });
  if (!busy.current && Date.now() - held.current.at > HOLD_MS) {
    const worst = [...servers].sort(worseFirst);
    held.current = { at: Date.now(), rank: new Map(worst.map((server, i) => [server.id, i])) };
  }
  const { rank } = held.current;
  const place = (server) => rank.get(server.id) ?? Infinity;
  return [...servers].sort((a, b) => (place(a) === place(b) ? worseFirst(a, b) : place(a) - place(b)));
}

export function worseFirst(a, b) {
  return STATUSES.indexOf(a.status) - STATUSES.indexOf(b.status) || excess(b) - excess(a) || a.id.localeCompare(b.id);
}

/** How far the worst value is beyond its threshold, as a ratio. */
function excess(server) {
  return Math.max(0, ...server.reasons.map(({ value, threshold }) => value / (threshold || 1)));
}

/** Which cards to draw, and the height of the others in pixels. */
function useWindow(list, count) {
  const [view, setView] = useState({ first: 0, rows: 12, columns: 1 });
  const windowed = count > WINDOW_FROM;
  const look = () => {
    const top = list.current.getBoundingClientRect().top;
    const columns = getComputedStyle(list.current).gridTemplateColumns.split(' ').length;
    const first = Math.max(0, Math.floor(-top / ROW_PX) - SPARE_ROWS);
    const rows = Math.ceil(innerHeight / ROW_PX) + 2 * SPARE_ROWS;
    setView((old) => (old.first === first && old.rows === rows && old.columns === columns ? old : { first, rows, columns }));
  };
  useLayoutEffect(() => { if (windowed) look(); }, [windowed, count]);
  useEffect(() => {
    if (!windowed) return undefined;
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [windowed]);
  if (!windowed) return { from: 0, to: count, before: 0, after: 0 };
  const allRows = Math.ceil(count / view.columns);
  const first = Math.min(view.first, Math.max(0, allRows - 1));
  const last = Math.min(allRows, first + view.rows);
  return { from: first * view.columns, to: last * view.columns, before: first * ROW_PX, after: (allRows - last) * ROW_PX };
}
