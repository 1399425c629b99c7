/** Figures with their units, rounded as in monitoring/units.py, so that cards and answers say the same. */

const SCALES = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
const BINARY = [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']];
const SPANS = [[172_800, 86_400, 'day'], [5_400, 3_600, 'hour'], [90, 60, 'minute'], [0, 1, 'second']];

/**
 * `value` as people read it; a dash where there is none.
 * @param {number | null | undefined} value
 * @param {string} unit
 * @param {'en' | 'ko'} language
 */
export function figure(value, unit, language) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  switch (unit) {
    case 'percent': return `${plain(value)} %`;
    case 'bytes': return bytes(value);
    case 'bytes_per_second': return `${bytes(value)}/s`;
    case 'seconds': return duration(value, language);
    case 'milliseconds': return Math.abs(value) >= 10_000 ? `${plain(value / 1000)} s` : `${plain(value)} ms`;
    case 'per_second': return `${plain(value)}/s`;
    default: return plain(value);
  }
}

/** Three significant digits, at most two decimals, thousands with k, M, G from 10,000. */
export function plain(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  if (size >= 10_000) {
    const [factor, letter] = SCALES.find(([scale]) => size >= scale);
    return `${Number((value / factor).toPrecision(3))}${letter}`;
  }
  const digits = size < 10 ? 2 : size < 99.95 ? 1 : 0;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits });
}

function duration(seconds, language) {
  const [, per, unit] = SPANS.find(([least]) => Math.abs(seconds) >= least);
  const maximumFractionDigits = per >= 3_600 ? 1 : 0;
  const style = { style: 'unit', unit, unitDisplay: language === 'ko' ? 'short' : 'long', maximumFractionDigits };
  return new Intl.NumberFormat(language, style).format(seconds / per);
}

function bytes(value) {
  const found = BINARY.find(([factor]) => Math.abs(value) >= factor);
  return found ? `${plain(value / found[0])} ${found[1]}` : `${plain(value)} B`;
}
