/** What an answer or a server shows as a picture; every one of them also stands as a table. */
import { html, uPlot, useEffect, useId, useMemo, useRef, useState } from '../../vendor/vendor.js';
import { clock, figure, t } from '../i18n.js';
import { settings, useStore } from '../store.js';
import { Table } from './table.js';

const HEIGHT_PX = 170;
const COLOURS = ['--c1', '--c2', '--c3', '--c4'];
const BYTE_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const DASHES = [[], [6, 3], [2, 3], [10, 4]];
const MOST_BARS = 10;

/** A chart as the server describes it: `kind` is line, bars, value or table. */
export function Chart({ chart }) {
  if (chart.kind === 'line') return html`<${LineChart} title=${chart.title} unit=${chart.unit} series=${chart.series} />`;
  if (chart.kind === 'value') return html`<${BigValue} ...${chart} rows=${rowsOf(chart)} />`;
  if (chart.kind === 'bars') return html`<${Bars} ...${chart} rows=${rowsOf(chart)} />`;
  return html`<${ValueTable} ...${chart} rows=${rowsOf(chart)} />`;
}

/**
 * Lines over time, with gaps where nothing was measured.
 * @param {{title: string, unit: string, series: {name: string, points: [number, number | null][]}[]}} props
 */
export function LineChart({ title, unit, series }) {
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  const columns = useMemo(() => inColumns(series), [series]);
  return html`
    <figure class="chart">
      <figcaption id=${id}>${title}
        <button type="button" class="link" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${t('chart.table')}</button>
      </figcaption>
      ${asTable
        ? html`<${Table} caption=${title} columns=${[t('chart.time'), ...series.map(({ name }) => name)]}
            rows=${columns[0].map((time, i) => [clock(time), ...columns.slice(1).map((values) => figure(values[i], unit))])} />`
        : html`<${Plot} columns=${columns} names=${series.map(({ name }) => name)} unit=${unit}
            label=${`${title}. ${series.map((one) => inWords(one, unit)).join(' ')}`} />`}
    </figure>`;
}

function Plot({ columns, names, unit, label }) {
  const frame = useRef(null);
  const plot = useRef(null);
  const { theme, language: reader } = useStore(settings);
  useEffect(() => {
    const element = frame.current; // the observer may speak once more after the element has left the page
    plot.current = new uPlot(optionsOf(names, unit, element.clientWidth, element), columns, element);
    const observer = new ResizeObserver(() => plot.current.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, [names.join('\n'), unit, theme, reader]);
  useEffect(() => plot.current.setData(columns), [columns]);
  return html`<div class="plot" ref=${frame} role="img" aria-label=${label} />`;
}

function optionsOf(names, unit, width, element) {
  const colour = (token) => resolved(element, token);
  const line = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  const bytes = unit === 'bytes' || unit === 'bytes_per_second';
  const lines = names.map((name, i) => ({
    label: name,
    stroke: colour(COLOURS[i % COLOURS.length]),
    dash: DASHES[i % DASHES.length],
    width: 1.5,
    points: { show: false },
    value: (_, value) => figure(value, unit),
  }));
  return {
    width,
    height: HEIGHT_PX,
    scales: { y: { range: unit === 'percent' ? percent : fromZero } },
    axes: [
      { ...line, values: (_, times) => times.map((time) => clock(time, { seconds: false })), space: 64, size: 28 },
      { ...line, values: (_, values) => values.map((value) => figure(value, unit)), size: 74, ...(bytes && { incrs: BYTE_STEPS }) },
    ],
    series: [{ label: t('chart.time'), value: (_, time) => (time === null ? '–' : clock(time)) }, ...lines],
  };
}

const percent = (_, least, most) => [0, Math.max(100, most ?? 0)];
const fromZero = (_, least, most) => [Math.min(0, least ?? 0), (most ?? 1) * 1.05 || 1];

/** A colour token as the browser computes it: a canvas knows neither `var()` nor `light-dark()`. */
function resolved(element, token) {
  const probe = element.appendChild(document.createElement('span'));
  probe.style.color = `var(${token})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Series of their own times as uPlot's columns: all times once, then one column per series. */
function inColumns(series) {
  const times = [...new Set(series.flatMap(({ points }) => points.map(([time]) => time)))].sort((a, b) => a - b);
  return [times, ...series.map(({ points }) => {
    const values = new Map(points);
    return times.map((time) => values.get(time) ?? null);
  })];
}

function inWords({ name, points }, unit) {
  const values = points.map(([, value]) => value).filter((value) => value !== null);
  if (!values.length) return t('chart.no_samples_of', { name });
  const [least, most, last] = [Math.min(...values), Math.max(...values), values.at(-1)].map((value) => figure(value, unit));
  return t('chart.summary', { name, least, most, last });
}

/** `[{name, value}]`, also where the chart came with series: their last values. */
function rowsOf({ rows, series = [] }) {
  return rows ?? series.map(({ name, points }) => ({ name, value: points.at(-1)?.[1] ?? null }));
}

const BigValue = ({ title, unit, rows }) => html`
  <figure class="chart">
    <figcaption>${title}</figcaption>
    ${rows.map(({ name, value }) => html`
      <p class="big" key=${name}><strong>${figure(value, unit)}</strong> <span>${name}</span></p>`)}
  </figure>`;

function Bars({ title, unit, rows }) {
  const [all, setAll] = useState(false);
  const most = unit === 'percent' ? 100 : Math.max(...rows.map(({ value }) => value ?? 0)) || 1;
  return html`
    <figure class="chart">
      <figcaption>${title}</figcaption>
      <table class="bars">
        <caption class="hidden">${title}</caption>
        <tbody>
          ${(all ? rows : rows.slice(0, MOST_BARS)).map(({ name, value }, i) => html`
            <tr key=${i}>
              <th scope="row">${name}</th>
              <td><span class="bar-track"><span style=${{ width: `${Math.max(0, Math.min(100, (100 * (value ?? 0)) / most))}%` }} /></span></td>
              <td class="number">${figure(value, unit)}</td>
            </tr>`)}
        </tbody>
      </table>
      ${rows.length > MOST_BARS && html`
        <button type="button" class="link" onClick=${() => setAll(!all)}>
          ${all ? t('chart.fewer') : t('chart.all', { n: rows.length })}
        </button>`}
    </figure>`;
}

const ValueTable = ({ title, unit, rows }) => html`
  <figure class="chart">
    <figcaption>${title}</figcaption>
    <${Table} caption=${title} columns=${[t('chart.name'), t('chart.value')]}
      rows=${rows.map(({ name, value }) => [name, typeof value === 'number' ? figure(value, unit) : value])} />
  </figure>`;
