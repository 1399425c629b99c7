/** The same conversation over the full width. */
import { html } from '../../vendor/vendor.js';
import { Composer } from '../parts/composer.js';
import { Log } from '../parts/log.js';

export const Chat = ({ fleet }) => html`
  <section class="chat">
    <${Log} fleet=${fleet} />
    <${Composer} />
  </section>`;
