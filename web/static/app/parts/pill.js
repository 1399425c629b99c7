/** A status as icon and word; colour only underlines it. */
import { html } from '../../vendor/vendor.js';
import { t } from '../i18n.js';

const SHAPES = {
  critical: 'M3 3 9 9M9 3 3 9',
  warning: 'M6 2 10.5 10h-9Z',
  healthy: 'M2.5 6.5 5 9l4.5-6',
  offline: 'M2 6h8',
  unknown: 'M4 4.5a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1M6 9.6v.1',
};

export const StatusIcon = ({ status }) => html`
  <svg class="icon" data-shape=${status} viewBox="0 0 12 12" aria-hidden="true"><path d=${SHAPES[status]} /></svg>`;

export const StatusPill = ({ status }) => html`
  <span class="pill" data-status=${status}><${StatusIcon} status=${status} />${t(`status.${status}`)}</span>`;
