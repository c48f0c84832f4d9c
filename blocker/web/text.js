// How texts, numbers and times are shown, and the only way in which they come onto the page: as text, never as markup.

const STEERS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const SHORT = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** A text in which nothing turns what stands beside it round: as `blocker` writes it on a terminal. */
export function printable(text) {
  return text.replace(STEERS, (char) => SHORT[char] ?? `\\u{${char.codePointAt(0).toString(16)}}`);
}

/** An element with properties and children; strings become text. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) {
      made[key] = value;
    } else {
      made.setAttribute(key, value);
    }
  }
  made.append(...children.map((child) => (typeof child === 'string' ? printable(child) : child)));
  return made;
}

/** Puts rows in an element, unless they say what stands there: nothing is taken from under somebody who reads it. */
export function fill(place, rows) {
  const made = document.createDocumentFragment();
  made.append(...rows);
  if (place.textContent !== made.textContent || place.childElementCount !== rows.length) {
    place.replaceChildren(made);
  }
}

/** Puts a text in an element, unless it stands there: what does not change is not read out again. */
export function say(id, text) {
  const there = document.getElementById(id);
  const shown = printable(text);
  if (there.textContent !== shown) {
    there.textContent = shown;
  }
}

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** `1234567` as `1,234,567`. */
export const grouped = (number) => WHOLE.format(number);

/** A rate: small ones with a tenth. */
export const rate = (number) => (number < 10 ? TENTHS : WHOLE).format(number);

/** So many of something, which has an `s` at its end where there is not just one. */
export const count = (number, what) => `${grouped(number)} ${what}${number === 1 ? '' : 's'}`;

/** Seconds in the largest unit that tells them well, as `blocker` has it. */
export function length(seconds) {
  const whole = Math.max(0, Math.trunc(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.trunc(whole / 60)} min`;
  if (whole < 172800) return `${Math.trunc(whole / 3600)} h`;
  return `${Math.trunc(whole / 86400)} d`;
}

// The agent's clock minus the browser's: what is said to be ago is so by the agent's.
let ahead = 0;

/** Takes the agent's time. */
export function setClock(now) {
  ahead = Date.parse(now) - Date.now();
}

/** Milliseconds by the agent's clock. */
export const now = () => Date.now() + ahead;

const MOMENT = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
});
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** The time of day. */
export const clock = (milliseconds) => CLOCK.format(milliseconds);

/** A `time` element that says how far a time is away, and on pointing at it which it is. */
export function time(text, words) {
  const away = (Date.parse(text) - now()) / 1000;
  return element('time', { dateTime: text, title: MOMENT.format(Date.parse(text)) }, words(length(Math.abs(away))));
}

export const ago = (text) => time(text, (away) => `${away} ago`);
export const until = (text) => time(text, (away) => `in ${away}`);

/** What the agent answers to a question, or an error with what is wrong in words. */
export async function ask(path, query = {}, signal = undefined) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  const limit = AbortSignal.timeout(30000);
  const answer = await fetch(`api/${path}?${parameters}`, {
    cache: 'no-store',
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
  const isJson = /^application\/(problem\+)?json/.test(answer.headers.get('Content-Type') ?? '');
  const said = isJson ? await answer.json() : {};
  if (!answer.ok) {
    const problem = new Error(said.detail ?? `the server says ${answer.status}`);
    // A proxy without an agent behind it says so in its own words.
    problem.isFromAgent = isJson;
    throw problem;
  }
  return said;
}
