/** A line without axes for a card; a missing value stays a gap. */
import { html } from '../../vendor/vendor.js';

const [WIDTH, HEIGHT] = [100, 24];

/** @param {{values: (number | null)[], title: string}} props values in percent, oldest first */
export const Spark = ({ values, title }) => html`
  <svg class="spark" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${title}>
    <path d=${path(values)} vector-effect="non-scaling-stroke" />
  </svg>`;

function path(values) {
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, i) => {
    if (value === null) return '';
    const command = i === 0 || values[i - 1] === null ? 'M' : 'L';
    const y = HEIGHT - 1 - (Math.min(100, Math.max(0, value)) / 100) * (HEIGHT - 2);
    return `${command}${(i * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  return points.join('');
}
