// The table of bans. What is searched for, sorted and told is the agent's work: the page has one leaf of it at a time.

import { ago, ask, count, element, grouped, say, until } from './text.js';
import { openWhy } from './why.js';

const LEAF = 50;
const TYPING = 250;
/** So far the agent turns leaves. */
const FARTHEST = 10000;

const byId = (id) => document.getElementById(id);
const table = byId('bans');

let sort = 'since';
let skip = 0;
let matching = 0;
let asking;
let typing;
let heard = () => {};

/** Has `listener` hear of all bans' counts by jail and origin, whenever they are told. */
export function onCounts(listener) {
  heard = listener;
}

/** Asks for the leaf that is shown. `aloud` where somebody has asked for it. */
export async function refresh(aloud = false) {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const search = byId('search-text').value.trim();
  const query = { search, jail: byId('search-jail').value, origin: byId('search-origin').value, sort, skip, limit: LEAF };
  if (aloud) table.setAttribute('aria-busy', 'true');
  let found;
  try {
    found = await ask('bans', query, signal);
  } catch (error) {
    if (signal.aborted) return;
    table.removeAttribute('aria-busy');
    if (error.isFromAgent) problem(error.message);
    throw error;
  }
  if (signal.aborted) return;
  problem('');
  table.removeAttribute('aria-busy');
  matching = found.matching;
  if (skip > 0 && found.bans.length === 0) {
    // They have become fewer meanwhile.
    skip = Math.max(0, Math.floor((matching - 1) / LEAF) * LEAF);
    return refresh(aloud);
  }
  heard(found.counts);
  choices('search-origin', found.counts.map((one) => one.origin));
  show(found.bans);
  tell(search, aloud);
}

function problem(text) {
  byId('bans-problem').hidden = text === '';
  say('bans-problem', text);
}

function tell(search, aloud) {
  const of = matching > LEAF ? `${grouped(skip + 1)}–${grouped(Math.min(skip + LEAF, matching))} of ` : '';
  const text = matching === 0 ? 'No ban in force is found' : `${of}${count(matching, 'ban')} in force`;
  say('bans-count', text);
  if (aloud) say('bans-said', text);
  byId('earlier').disabled = skip === 0;
  byId('later').disabled = skip + LEAF >= matching || skip + LEAF > FARTHEST;
  const isAddress = /^[0-9a-f]*[.:][0-9a-f.:/]*$/i.test(search);
  byId('bans-unknown').hidden = !(matching === 0 && isAddress);
  say('ask-why', `What is known of ${search}?`);
}

function show(bans) {
  const focused = document.activeElement?.dataset.ban;
  table.tBodies[0].replaceChildren(...bans.map(row));
  if (focused !== undefined) {
    const buttons = [...table.tBodies[0].querySelectorAll('button')];
    buttons.find((button) => button.dataset.ban === focused)?.focus();
  }
}

function row(ban) {
  const why = element('button', { type: 'button', className: 'link', 'aria-haspopup': 'dialog', 'aria-label': `Why ${ban.address}` }, ban.address);
  why.dataset.ban = `${ban.jail} ${ban.address}`;
  why.addEventListener('click', () => openWhy(ban.address));
  const badge = ban.enforced ? [] : [' ', element('strong', { className: 'badge' }, 'not enforced')];
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, why, ...badge),
    element('td', {}, ban.jail),
    element('td', { className: 'wide' }, ban.origin),
    element('td', {}, ago(ban.since)),
    element('td', {}, ban.until === null ? 'never' : until(ban.until)),
    element('td', { className: 'number wide' }, grouped(ban.failures)),
    element('td', { className: 'number' }, ban.packets === null ? '?' : grouped(ban.packets)),
    element('td', { className: 'wide' }, ban.last_knock === null ? '–' : ago(ban.last_knock)),
  );
}

/** Offers these beside those that are offered. */
export function choices(id, values) {
  const select = byId(id);
  const known = new Set([...select.options].map((option) => option.value));
  for (const value of new Set(values)) {
    if (!known.has(value)) {
      select.append(element('option', { value }, value));
    }
  }
}

function anew() {
  skip = 0;
  refresh(true).catch(() => {});
}

function turn(by) {
  skip = Math.max(0, skip + by);
  refresh(true).catch(() => {});
}

byId('search').addEventListener('submit', (event) => {
  event.preventDefault();
  clearTimeout(typing);
  anew();
});
byId('search-text').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(anew, TYPING);
});
byId('search-jail').addEventListener('change', anew);
byId('search-origin').addEventListener('change', anew);
byId('earlier').addEventListener('click', () => turn(-LEAF));
byId('later').addEventListener('click', () => turn(LEAF));
byId('ask-why').addEventListener('click', () => openWhy(byId('search-text').value.trim()));
for (const button of table.tHead.querySelectorAll('button')) {
  button.addEventListener('click', () => {
    sort = button.dataset.sort;
    for (const other of table.tHead.querySelectorAll('button')) {
      other.parentElement.setAttribute('aria-sort', other === button ? button.dataset.order : 'none');
    }
    anew();
  });
}
