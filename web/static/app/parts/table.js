/** A plain table of cells; numbers stand right. */
import { html } from '../../vendor/vendor.js';
import { plain } from '../units.js';

/** @param {{caption: string, columns: string[], rows: any[][]}} props */
export const Table = ({ caption, columns, rows }) => html`
  <div class="table" tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption class="hidden">${caption}</caption>
      <thead><tr>${columns.map((name, i) => html`<th key=${i} scope="col">${name}</th>`)}</tr></thead>
      <tbody>
        ${rows.map((row, i) => html`<tr key=${i}>${row.map((cell, j) => html`<${Cell} key=${j} value=${cell} />`)}</tr>`)}
      </tbody>
    </table>
  </div>`;

function Cell({ value }) {
  if (typeof value === 'number') return html`<td class="number">${plain(value)}</td>`;
  return html`<td>${value ?? '–'}</td>`;
}
