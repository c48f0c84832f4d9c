// How the agent is: the verdict first, then figures, jails and what the verdict rests on.

import { count, element, fill, grouped, length, now, printable, rate, say } from './text.js';

const byId = (id) => document.getElementById(id);

/** Says how it is, in a word: `well`, `wrong`, `gone` or `unknown`. */
function verdict(kind, heading, problems) {
  byId('verdict').className = kind;
  say('verdict-heading', heading);
  const list = byId('problems');
  const shown = [...list.children].map((item) => item.textContent);
  const told = problems.map(printable);
  if (shown.join('\n') !== told.join('\n')) {
    list.replaceChildren(...told.map((problem) => element('li', {}, problem)));
  }
  const sign = { well: '✓', wrong: '!', gone: '✕' }[kind] ?? '…';
  document.title = kind === 'well' ? 'blocker' : `${sign} blocker: ${heading}`;
}

/** The agent does not answer since then, or what stands between answers in its place. */
export function showGone(since, why) {
  verdict('gone', 'The agent does not answer', [
    'bans in force stay in the kernel without it, each to its end',
    'on the relay, `blocker status` says whether it runs, and its log why not',
  ]);
  say('verdict-note', `For ${length((Date.now() - since) / 1000)}: ${why}. Asking again; what stands below is its last word.`);
  document.body.classList.add('stale');
}

/** The agent has said how it is. */
export function show(status) {
  document.body.classList.remove('stale');
  if (status.problems.length > 0) {
    verdict('wrong', status.problems.length === 1 ? 'Something is wrong' : `${status.problems.length} things are wrong`, status.problems);
  } else {
    verdict('well', 'All is well', []);
  }
  const on = status.interfaces.map((one) => `${one.interface} (${one.mode})`).join(', ');
  const dry = status.dry_run ? 'This is a dry run: what would be dropped is counted, and nothing is dropped. ' : '';
  say('verdict-note', `${dry}${status.firewall} on ${on}`);
  say('agent', `${status.version}, running for ${length((now() - Date.parse(status.started)) / 1000)}`);
  tiles(status);
  health(status);
}

function tiles(status) {
  const { rate: last } = status;
  say('now-dropped', last ? rate(last.dropped) : '–');
  say('now-bans', grouped(status.bans));
  say('now-enforced', `${percent(status.enforced_ratio)} enforced`);
  say('now-new', last ? rate(last.bans * 60) : '–');
  say('now-failures', last ? rate(last.failures * 60) : '–');
  say('now-total', grouped(status.dropped_packets));
}

// What is not all is never said to be.
const percent = (ratio) => `${ratio < 1 ? Math.min(99.9, Math.floor(ratio * 1000) / 10).toFixed(1) : 100} %`;

function health(status) {
  const rows = [
    ...status.interfaces.map((one) => [one.mode !== 'nothing', `Interface ${one.interface}`, enforcedBy(one.mode)]),
    [status.enforced_ratio >= 1, 'Enforced', `${percent(status.enforced_ratio)} of the bans`],
    [!status.brake_engaged, 'Brake', status.brake_engaged ? 'holds: nobody new is banned' : 'off'],
    [status.ledger_durable, 'Ledger', status.ledger_durable ? 'on disk' : 'in memory alone'],
    ...status.sources.map((source) => [
      source.lag_seconds < 60,
      `Log ${source.name}`,
      `${source.lag_seconds < 1 ? 'read to its end' : `${length(source.lag_seconds)} behind`}, ${count(source.lines, 'line')}`,
    ]),
  ];
  const item = ([isWell, what, how]) =>
    element(
      'li',
      { className: isWell ? 'well' : 'wrong' },
      element('span', { className: 'sign', role: 'img', 'aria-label': isWell ? 'well' : 'wrong' }, isWell ? '✓' : '!'),
      element('span', { className: 'what' }, what),
      element('span', {}, how),
    );
  fill(byId('health'), rows.map(item));
}

function enforcedBy(mode) {
  return { driver: 'XDP, in the driver', generic: 'XDP, generic', nftables: 'nftables', nothing: 'nothing enforces bans' }[mode] ?? mode;
}

/** The jails, with their bans by origin. */
export function showJails(status, counts) {
  const origins = [...new Set(['jail', ...counts.map((one) => one.origin)])];
  const of = (jail, origin) => counts.find((one) => one.jail === jail && one.origin === origin)?.bans ?? 0;
  const head = ['Jail', 'Closes', 'Bans', ...origins.map((origin) => `by ${origin}`), 'Made', 'Failures', 'Dropped', 'A second'];
  const cell = (text, at) => element('th', { scope: 'col', className: at > 1 ? 'number' : '' }, text);
  const most = Math.max(1, ...status.jails.map((jail) => jail.dropped ?? 0));
  const row = (jail) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, jail.name),
      element('td', {}, jail.scope),
      ...[jail.bans, ...origins.map((origin) => of(jail.name, origin)), jail.bans_made, jail.failures, jail.dropped_packets].map((number) =>
        element('td', { className: 'number' }, grouped(number)),
      ),
      element(
        'td',
        { className: 'number' },
        element('span', {}, jail.dropped === null ? '–' : rate(jail.dropped)),
        element('meter', { max: most, value: jail.dropped ?? 0, 'aria-hidden': 'true' }),
      ),
    );
  const table = byId('jails');
  fill(table.tHead, [element('tr', {}, ...head.map(cell))]);
  fill(table.tBodies[0], status.jails.map(row));
}
