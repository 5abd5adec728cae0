// Format amounts, times and names for people.

// Stripe's rule (https://docs.stripe.com/currencies). A browser's rule differs: for it HUF and IDR
// have no decimals, so that an amount would look a hundred times too large.
const ZERO_DECIMAL = new Set(
  "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "),
);
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));

/**
 * Return the number of decimal digits of a currency.
 * @param {string} currency
 */
export function decimals(currency) {
  const code = currency.toLowerCase();
  if (ZERO_DECIMAL.has(code)) return 0;
  return THREE_DECIMAL.has(code) ? 3 : 2;
}

/**
 * Format an amount in a currency's smallest unit: `12.50 SGD`.
 * @param {unknown} amount
 * @param {string | null | undefined} currency
 */
export function money(amount, currency) {
  if (typeof amount !== "number") return "–";
  if (!currency) return String(amount);
  const digits = decimals(currency);
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const figure = new Intl.NumberFormat(undefined, options).format(amount / 10 ** digits);
  return `${figure}\u00a0${currency.toUpperCase()}`;
}

/** @param {number} number */
export const count = (number) => new Intl.NumberFormat().format(number);

/**
 * Count things in words: `1 event`, `2 events`.
 * @param {number} number
 * @param {string} one
 * @param {string} many
 */
export const counted = (number, one, many = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : many}`;

/** @type {[number, number, string][]} */
const STEPS = [
  [90, 1, "s"],
  [90 * 60, 60, "min"],
  [36 * 3600, 3600, "h"],
  [Infinity, 86_400, "d"],
];

/**
 * Format a duration in one unit: `12 s`, `3 min`.
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)}\u00a0ms`;
  const [, unit, name] = STEPS.find(([below]) => seconds < below) ?? STEPS[STEPS.length - 1];
  return `${Math.round(seconds / unit)}\u00a0${name}`;
}

/**
 * Say how long ago something was; the clocks of browser and service may differ a little.
 * @param {Date} moment
 */
export function ago(moment) {
  const seconds = (Date.now() - moment.getTime()) / 1000;
  if (seconds < -5) return `in ${duration(-seconds)}`;
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

/** @type {Intl.DateTimeFormatOptions} */
const DAY = { year: "numeric", month: "short", day: "numeric" };
/** @type {Intl.DateTimeFormatOptions} */
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

/** @param {Date} moment */
export const day = (moment) => moment.toLocaleDateString(undefined, DAY);
/** @param {Date} moment */
export const clock = (moment) => moment.toLocaleTimeString(undefined, CLOCK);
/** @param {Date} moment */
export const exactClock = (moment) =>
  `${clock(moment)}.${String(moment.getMilliseconds()).padStart(3, "0")}`;

/**
 * Name the time zone of the browser at a moment: `UTC`, `GMT+8`.
 * @param {Date} moment
 */
export function zone(moment) {
  const parts = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" }).formatToParts(moment);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}

/**
 * Format a moment in full: in the browser's time zone, and in UTC as in the logs.
 * @param {Date} moment
 */
export const whole = (moment) =>
  `${day(moment)}, ${exactClock(moment)} ${zone(moment)} ` +
  `(${moment.toISOString().replace("T", " ")})`;

/**
 * Turn a name of ours or Stripe's into words.
 * @param {unknown} name
 */
export const words = (name) => String(name).replaceAll("_", " ");

/**
 * Turn a name into words that begin with a capital letter.
 * @param {unknown} name
 */
export function sentence(name) {
  const text = words(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
