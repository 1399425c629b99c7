/** The sign-in page of a server that has no users: it says so. */
import { html } from '../../vendor/vendor.js';
import { t } from '../i18n.js';
import { followLink } from '../router.js';

export const Login = () => html`
  <div class="empty">
    <p>${t('login.open')}</p>
    <p><a href="/" onClick=${followLink}>${t('nav.servers')}</a></p>
  </div>`;
