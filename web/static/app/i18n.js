/** Words, times and ages in the reader's language. Sentences live in locales/, one flat table per language. */
import { setLanguage, settings } from './store.js';
import * as units from './units.js';

const AGE_UNITS = [[86_400, 'day'], [3_600, 'hour'], [60, 'minute'], [1, 'second']];

export const language = () => settings.get().language;

const tables = {};
await load(language());

/** Shows the page in another language, as soon as its sentences are here. @param {'en' | 'ko'} wanted */
export async function switchLanguage(wanted) {
  await load(wanted);
  setLanguage(wanted);
}

async function load(wanted) {
  tables[wanted] ??= (await import(`./locales/${wanted}.js`)).default;
}

/**
 * The sentence of `key` with its `{placeholders}` filled in; the key itself where the table has none.
 * @param {string} key
 * @param {Record<string, string | number>} [params]
 */
export function t(key, params = {}) {
  const text = tables[language()][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => params[name]);
}

/** The word for something the server named by a code, or the code itself where we have no word for it. */
export const word = (area, code) => tables[language()][`${area}.${code}`] ?? code;

/** `value` with its unit; a dash where there is none. */
export const figure = (value, unit) => units.figure(value, unit, language());

/** "12s ago" / "12초 전". @param {number} seconds */
export function ago(seconds) {
  const past = Math.max(0, seconds);
  const [per, unit] = AGE_UNITS.find(([least]) => past >= least) ?? AGE_UNITS.at(-1);
  return new Intl.RelativeTimeFormat(language(), { style: 'narrow' }).format(-Math.floor(past / per), unit);
}

/** A time of day, with the date where it is not today. @param {number} unix seconds */
export function clock(unix, { seconds = true, zone = false } = {}) {
  const date = new Date(unix * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(language(), {
    hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
    ...(seconds && { second: '2-digit' }),
    ...(!today && { month: 'short', day: 'numeric' }),
    ...(zone && { timeZoneName: 'short' }),
  }).format(date);
}
