/** What went wrong with the data on the screen, how old it is, and the way out. */
import { html } from '../../vendor/vendor.js';
import { ago, clock, t, word } from '../i18n.js';
import { ageOf } from '../fleet.js';

/** A failed refresh, or data that the server itself calls old. Nothing where all is well. */
export function FleetBanner({ fleet, failure, now, onRetry }) {
  if (!failure && !fleet?.stale) return null;
  const cause = failure ? word('error', failure.code) : t('banner.stale');
  return html`
    <div class="banner" role="alert">
      <p>${failure ? t('banner.failed') : ''} ${cause} ${fleet && html`<${Age} fleet=${fleet} now=${now} />`}
        ${failure?.details && html`<small>${failure.details}</small>`}</p>
      <button type="button" onClick=${onRetry}>${t('banner.retry')}</button>
    </div>`;
}

/** `aria-live=off`: the age counts on, and an alert is read out once. */
function Age({ fleet, now }) {
  const age = ageOf(fleet, now);
  if (age === null) return t('banner.no_samples');
  const when = { time: clock(now / 1000 - age), age: ago(age) };
  return html`<span aria-live="off">${t('banner.showing', when)}</span>`;
}
