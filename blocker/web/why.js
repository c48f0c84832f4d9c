// Why a host is banned: what `blocker why` tells, in a dialog.

import { ago, ask, count, element, grouped, length, printable, until } from './text.js';

const dialog = document.getElementById('why');
const heading = document.getElementById('why-heading');
const story = document.getElementById('why-story');

let asked;

/** Opens the story of a host or network. */
export async function openWhy(address) {
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  heading.textContent = printable(address);
  story.replaceChildren(element('p', { role: 'status' }, 'Asking the agent…'));
  if (!dialog.open) dialog.showModal();
  try {
    const why = await ask('why', { address }, signal);
    if (!signal.aborted) show(why);
  } catch (error) {
    if (!signal.aborted) story.replaceChildren(element('p', { role: 'alert' }, error.message));
  }
}

/** Whether a story is being read. */
export const isReading = () => dialog.open;

function show(why) {
  heading.textContent = printable(head(why));
  const parts = [
    ...(why.allowed ? [element('p', { className: 'allowed' }, covering(why.allowed))] : []),
    ...why.bans.map((reason) => ban(reason, why)),
    ...why.jails.map((counted) => counting(counted, why)),
    ...past(why),
    ...undo(why),
  ];
  story.replaceChildren(...(parts.length > 0 ? parts : [element('p', {}, 'Nothing is known of it.')]));
}

function head(why) {
  if (why.bans.length === 0) {
    return `${why.address} is not banned${why.allowed ? ', and cannot be' : ''}`;
  }
  const jails = why.bans.map((reason) => reason.jail).join(', ');
  return `${why.address} is banned by ${jails}${why.allowed ? '; the allowlist lets it in all the same' : ''}`;
}

function covering(allowed) {
  switch (allowed.by) {
    case 'networks':
      return `Allowed by ${allowed.entry} in networks under [allow] in blocker.toml`;
    case 'own':
      return 'Allowed: it is the relay’s own address';
    case 'looked-up':
      return 'Allowed by what names or spf under [allow] in blocker.toml come to';
    default:
      return 'Allowed by a loopback network, or by several entries under [allow] in blocker.toml together';
  }
}

function ban(reason, why) {
  const cause = reason.origin === 'jail' ? `for ${count(reason.failures, 'failure')}` : `asked for: ${reason.origin}`;
  const next =
    reason.next_seconds === null
      ? 'the next one has no end'
      : `the next one lasts ${length(reason.next_seconds)}${reason.grows ? ' or more' : ' too'}`;
  const dropped =
    reason.packets === null
      ? ['the kernel does not tell']
      : [count(reason.packets, 'packet'), ...(reason.last_knock === null ? [] : [', the last ', ago(reason.last_knock)])];
  return element(
    'section',
    {},
    element('h3', {}, reason.jail),
    list([
      ...(reason.enforced ? [] : [['But', [element('strong', {}, 'the kernel does not enforce it yet; the agent’s log says why')]]]),
      ...(reason.address === why.address ? [] : [['Banned', [`all of ${reason.address}`]]]),
      ['Closes', [reason.scope]],
      ['Since', [ago(reason.since), `, ${cause}`]],
      ['Ends', [reason.until === null ? 'never by itself' : until(reason.until)]],
      ['Ban', [`number ${reason.nth}; ${next}`]],
      ['Dropped', dropped],
    ]),
    ...lines(reason.lines, why, reason.origin === 'jail'),
  );
}

function list(rows) {
  return element('dl', {}, ...rows.map(([what, how]) => element('div', {}, element('dt', {}, what), element('dd', {}, ...how))));
}

function lines(failed, why, areMissed = false) {
  if (failed.length === 0) {
    if (!areMissed) return [];
    const text = why.lines_shown ? 'No line that led to it is known: it is too old, or was taken over.' : 'Lines are not shown here; `blocker why` shows them.';
    return [element('p', {}, text)];
  }
  const line = (one) => element('li', {}, ago(one.time), element('span', {}, `#${one.number}`), element('code', {}, one.line));
  const failregexes = new Map(failed.map((one) => [one.number, one.failregex]));
  const regex = ([number, text]) => element('li', {}, element('span', {}, `#${number}`), element('code', {}, text));
  return [
    element('h4', {}, 'Lines'),
    element('ol', { className: 'lines' }, ...failed.map(line)),
    element('h4', {}, 'failregex'),
    element('ul', { className: 'lines' }, ...[...failregexes].map(regex)),
  ];
}

function counting(counted, why) {
  const ignored = counted.ignores ? [element('p', {}, `Ignored: ignoreip of the jail covers it, by ${counted.ignored_by ?? 'what a name in it comes to'}.`)] : [];
  const text = `${grouped(counted.failures)} of the ${grouped(counted.max_retry)} failures within ${length(counted.find_seconds)} for which it bans`;
  const failures = counted.failures > 0 ? [element('p', {}, text), ...lines(counted.lines, why)] : [];
  return element('section', {}, element('h3', {}, `${counted.jail}, not banned`), ...ignored, ...failures);
}

function past(why) {
  if (why.past.length === 0) return [];
  const end = (ban) => {
    if (ban.lifted) return 'lifted by hand';
    return ban.until === null ? 'without an end' : time(ban.until);
  };
  const time = (text) => (Date.parse(text) > Date.now() ? until(text) : ago(text));
  const row = (ban) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, ban.jail),
      element('td', {}, ban.address),
      element('td', {}, ago(ban.since)),
      element('td', {}, end(ban)),
    );
  const columns = ['Jail', 'Banned', 'Since', 'Ended'].map((text) => element('th', { scope: 'col' }, text));
  const section = element(
    'section',
    {},
    element('h3', {}, count(why.past_total, 'earlier ban')),
    element('table', {}, element('thead', {}, element('tr', {}, ...columns)), element('tbody', {}, ...why.past.map(row))),
  );
  if (why.bans.length === 0) section.append(...lines(why.past[0].lines, why));
  return [section];
}

function undo(why) {
  if (why.bans.length === 0) return [];
  const networks = new Set(why.address.includes('/') ? why.bans.map((reason) => reason.address) : [why.address]);
  const commands = [...networks].map((network) => element('li', {}, element('code', {}, `blocker unban ${network}`)));
  return [element('section', {}, element('h3', {}, 'To lift it, type on the relay'), element('ul', { className: 'lines' }, ...commands))];
}

document.getElementById('why-close').addEventListener('click', () => dialog.close());
dialog.addEventListener('close', () => asked?.abort());
