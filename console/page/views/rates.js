// Counts of the last hours in steps of five minutes, and the delay of notifications.

import { drawing, h } from "../dom.js";
import { clock, count, duration } from "../format.js";
import { card } from "../parts.js";

/** @import { Rates, Tone } from "../../types" */

// Hours that the bars show: a shift.
export const HOURS = 6;
const AN_HOUR = 3_600;
/** @type {[string, string, Tone][]} */
const DRAWN = [
  ["payments", "Payments", "good"],
  ["declines", "Declined", "wait"],
  ["refunds", "Refunds", "none"],
  ["events", "Stripe events", "none"],
  ["notifications", "Notifications", "none"],
  ["failures", "Failed attempts", "wait"],
  ["other_mode", "Stripe events of the other mode", "wait"],
  ["other_mode_connected", "Other mode, connected accounts", "none"],
];
// Counts that most installations never have; they appear only if they are not 0.
const RARE = new Set(["other_mode", "other_mode_connected"]);
// Units of the drawing: a bar is one wide, and this is the height of the highest.
const HEIGHT = 24;

/**
 * Show for each rate the sum of the last hour and a bar for each five minutes.
 * @param {Rates} rates
 */
export const rateCard = (rates) =>
  card(
    `The last ${HOURS} hours`,
    {},
    h(
      "ul",
      { class: "rates" },
      ...DRAWN.filter(([name]) => !RARE.has(name) || sumOf(rates, name) > 0).map(
        ([name, title, tone]) => rate(rates, rates.counts[name] ?? [], title, tone),
      ),
      delay(rates),
    ),
  );

/**
 * Add up a rate over all hours shown.
 * @param {Rates} rates
 * @param {string} name
 */
export const sumOf = (rates, name) =>
  (rates.counts[name] ?? []).reduce((one, other) => one + other, 0);

/**
 * @param {Rates} rates
 * @param {number[]} counts
 * @param {string} title
 * @param {Tone} tone
 */
function rate(rates, counts, title, tone) {
  const sum = counts.reduce((one, other) => one + other, 0);
  const lately = counts
    .slice(-AN_HOUR / rates.bucket_seconds)
    .reduce((one, other) => one + other, 0);
  const most = Math.max(...counts, 0);
  return h(
    "li",
    { class: tone },
    h("span", {}, title),
    h("b", {}, count(lately)),
    h("small", {}, "in the last hour"),
    bars(counts, most, summaryOf(rates, counts, title, most)),
    h("small", {}, `${count(sum)} in ${HOURS} hours`),
  );
}

/**
 * Describe in words what the bars show.
 * @param {Rates} rates
 * @param {number[]} counts
 * @param {string} title
 * @param {number} most
 */
function summaryOf(rates, counts, title, most) {
  if (most === 0) return `${title}: none in ${HOURS} hours`;
  const at = Date.parse(rates.since) + counts.indexOf(most) * rates.bucket_seconds * 1000;
  return `${title}: at most ${count(most)} in five minutes, in those from ${clock(new Date(at))}`;
}

/**
 * @param {number[]} counts
 * @param {number} most
 * @param {string} label
 */
const bars = (counts, most, label) =>
  drawing(
    "svg",
    {
      viewBox: `0 0 ${counts.length} ${HEIGHT}`,
      preserveAspectRatio: "none",
      class: "bars-of",
      role: "img",
      "aria-label": label,
    },
    ...counts.map((one, place) => bar(one, place, most)),
  );

/**
 * @param {number} one
 * @param {number} place
 * @param {number} most
 */
function bar(one, place, most) {
  const height = one === 0 ? 0.6 : Math.max(1.5, (HEIGHT * one) / most);
  const shape = { x: place, y: HEIGHT - height, width: 0.8, height };
  return drawing("rect", one === 0 ? { ...shape, class: "nothing" } : shape);
}

/** @param {Rates} rates */
function delay(rates) {
  const { p50, p99 } = rates.delay;
  const slowest = rates.delays.map((one) => Math.round((one.p99 ?? 0) * 1000));
  const most = Math.max(...slowest, 0);
  const label =
    most === 0
      ? "Delay of notifications: none was delivered"
      : `Delay of notifications: 99 of 100 within ${duration(most / 1000)} at worst`;
  return h(
    "li",
    { class: "none" },
    h("span", {}, "Delay to delivery"),
    h("b", {}, p50 === null ? "–" : duration(p50)),
    h("small", {}, "median"),
    bars(slowest, most, label),
    h("small", {}, p99 === null ? "none delivered" : `99 of 100 within ${duration(p99)}`),
  );
}
