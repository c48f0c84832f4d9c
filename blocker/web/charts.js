// The charts, each with a sentence and a table that say the same.

import { ask, clock, element, printable, rate, say } from './text.js';

const SECONDS = { '15m': 900, '1h': 3600, '6h': 21600, '24h': 86400 };
const HEIGHT = 190;
/** Rows of a table: where there are more slots, each row is the mean of some. */
const ROWS = 60;
/** Lines are told apart by more than their colours. */
const DASHES = [[], [8, 4], [2, 3], [8, 3, 2, 3], [12, 4], [4, 4]];

const byId = (id) => document.getElementById(id);
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const chosen = () => document.querySelector('input[name=span]:checked').value;

const charts = new Map();
let last;

/** How long what is shown stays true, in milliseconds. */
export const lasts = () => (chosen() === '15m' ? 5000 : 20000);

/** Asks what happened, and shows it. */
export async function refresh() {
  const span = chosen();
  const past = await ask('history', { span });
  last = { past, span };
  draw();
}

function draw() {
  if (!last) return;
  const { past, span } = last;
  const end = past.end === null ? Date.now() / 1000 : Date.parse(past.end) / 1000;
  const times = past.dropped.map((_, at) => end - (past.dropped.length - 1 - at) * past.slot);
  const perMinute = (values) => values.map((value) => value * 60);
  const jails = past.jails.length > 1 ? past.jails : [];
  show('dropped', span, end, times, past.slot, [
    { label: 'all', values: past.dropped, colour: '--all', fill: true },
    ...jails.map((jail, at) => ({ label: printable(jail.name), values: jail.dropped, colour: `--line-${at}`, dash: DASHES[at] })),
  ], 'a second');
  show('bans', span, end, times, past.slot, [
    { label: 'bans', values: perMinute(past.bans), colour: '--line-0', fill: true },
    { label: 'failures', values: perMinute(past.failures), colour: '--line-1', dash: DASHES[1] },
  ], 'a minute');
}

function show(name, span, end, times, slot, series, unit) {
  say(`${name}-summary`, summary(times, series[0], unit));
  picture(name, span, end, times, series);
  const details = byId(`${name}-details`);
  if (details.open) table(details.querySelector('table'), times, slot, series, unit);
}

function summary(times, { values, label }, unit) {
  if (values.length === 0) return 'Nothing is noted yet: the agent has just started.';
  const most = values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const what = label === 'all' ? '' : `${label} `;
  if (values[most] === 0) return `No ${label === 'all' ? 'packets' : label}.`;
  return `${rate(values.at(-1))} ${what}${unit} now, ${rate(mean)} on average, at most ${rate(values[most])} at ${clock(times[most] * 1000)}.`;
}

function picture(name, span, end, times, series) {
  const place = byId(`${name}-chart`);
  const data = [times, ...series.map((one) => one.values)];
  const look = JSON.stringify([span, series.map((one) => one.label), style('--ink')]);
  const known = charts.get(name);
  if (known?.look === look) {
    known.range = [end - SECONDS[span], end];
    known.plot.setData(data);
    return;
  }
  known?.plot.destroy();
  const chart = { look, range: [end - SECONDS[span], end] };
  const axis = { stroke: style('--quiet'), grid: { stroke: style('--rule'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
  chart.plot = new uPlot(
    {
      width: place.clientWidth || 300,
      height: HEIGHT,
      legend: { live: true },
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { range: () => chart.range },
        // Where nothing happens there is still a scale.
        y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.08)] },
      },
      axes: [
        { ...axis, values: (_, marks) => marks.map((mark) => clock(mark * 1000).slice(0, 5)), space: 60, size: 28 },
        { ...axis, size: 56, values: (_, marks) => marks.map((mark) => mark.toLocaleString('en')) },
      ],
      series: [
        { label: 'at', value: (_, at) => (at === null ? '–' : clock(at * 1000)) },
        ...series.map((one) => ({
          label: one.label,
          stroke: style(one.colour),
          width: one.fill ? 2 : 1.5,
          dash: one.dash,
          fill: one.fill ? style('--fill') : undefined,
          points: { show: one.values.length < 2 },
          value: (_, value) => (value === null ? '–' : rate(value)),
        })),
      ],
    },
    data,
    place,
  );
  charts.set(name, chart);
}

function table(place, times, slot, series, unit) {
  const together = Math.max(1, Math.ceil(times.length / ROWS));
  const head = ['Until', ...series.map((one) => `${one.label}, ${unit}`)];
  const rows = [];
  for (let to = times.length; to > 0; to -= together) {
    const from = Math.max(0, to - together);
    const mean = ({ values }) => values.slice(from, to).reduce((sum, value) => sum + value, 0) / (to - from);
    const cells = series.map((one) => element('td', { className: 'number' }, rate(mean(one))));
    rows.push(element('tr', {}, element('th', { scope: 'row' }, clock(times[to - 1] * 1000)), ...cells));
  }
  place.tHead.replaceChildren(element('tr', {}, ...head.map((text, at) => element('th', { scope: 'col', className: at > 0 ? 'number' : '' }, text))));
  place.tBodies[0].replaceChildren(...rows);
}

for (const name of ['dropped', 'bans']) {
  byId(`${name}-details`).addEventListener('toggle', draw);
  new ResizeObserver(([{ contentRect }]) => {
    charts.get(name)?.plot.setSize({ width: Math.max(200, contentRect.width), height: HEIGHT });
  }).observe(byId(`${name}-chart`));
}
// The colours are drawn, and do not change by themselves.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
