/** One concept of a card: its name, a bar from 0 to 100 %, and the figure. */
import { html } from '../../vendor/vendor.js';
import { figure, t } from '../i18n.js';

/** `level`: the status whose threshold the value reached, or undefined. */
export const Bar = ({ name, value, level, title }) => html`
  <div class="bar" data-level=${level} title=${value === null ? t('card.not_reported') : title}>
    <span class="bar-name">${name}</span>
    <span class="bar-track"><span style=${{ width: `${Math.min(100, Math.max(0, value ?? 0))}%` }} /></span>
    <span class="bar-value">${figure(value, 'percent')}</span>
  </div>`;
