// Asks the agent again and again while somebody looks, and says so when it does not answer.

import * as bans from './bans.js';
import * as charts from './charts.js';
import { show, showGone, showJails } from './health.js';
import { ask, setClock } from './text.js';
import { isReading } from './why.js';

const STATUS = 2000;
const BANS = 10000;

let status;
let counts = [];
let goneSince = null;
/** When each is to be asked for again. */
const due = { bans: 0, charts: 0 };
let timer;
let isAsking = false;

async function look() {
  status = await ask('status');
  setClock(status.now);
  if (goneSince !== null) {
    // Another agent may know other bans.
    goneSince = null;
    due.bans = due.charts = 0;
  }
  show(status);
  showJails(status, counts);
  bans.choices('search-jail', status.jails.map((jail) => jail.name));
  const now = Date.now();
  const asked = [];
  if (now >= due.charts) {
    due.charts = now + charts.lasts();
    asked.push(charts.refresh());
  }
  // Nothing is taken from under the eyes of somebody who reads.
  if (now >= due.bans && !isReading()) {
    due.bans = now + BANS;
    // The agent may be busy with others' questions, and is well all the same.
    asked.push(bans.refresh().catch((error) => { if (!error.isFromAgent) throw error; }));
  }
  await Promise.all(asked);
}

async function tick() {
  clearTimeout(timer);
  if (isAsking) return;
  isAsking = true;
  try {
    await look();
  } catch (error) {
    goneSince ??= Date.now();
    const why = error.isFromAgent || error.message.startsWith('the server says') ? error.message : 'no connection';
    showGone(goneSince, why);
  } finally {
    isAsking = false;
  }
  if (!document.hidden) timer = setTimeout(tick, STATUS);
}

bans.onCounts((told) => {
  counts = told;
  if (status) showJails(status, counts);
});
document.getElementById('spans').addEventListener('change', () => {
  due.charts = Date.now() + charts.lasts();
  charts.refresh().catch(() => {});
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) tick();
});
tick();
