// Timelines: all that happened to a payment, or to one item.

import { h, nodes } from "../dom.js";
import { day, exactClock, whole, zone } from "../format.js";
import { empty } from "../parts.js";
import { attempt, storyOf } from "./stories.js";

/** @import { Child, Entry } from "../../types" */
/** @import { Story } from "./stories.js" */

// An end within this time after its beginning is shown in the same line.
const SOON_MS = 5_000;

/**
 * Show a payment's timeline, oldest first; `currency` is that of its amounts.
 * @param {Entry[]} entries
 * @param {string | null} currency
 */
export function timeline(entries, currency) {
  if (entries.length === 0)
    return empty("No entries yet", "Stripe events and attempts appear here.");
  return list(folded(entries).map((entry) => ({ at: entry.at, ...storyOf(entry, currency) })));
}

/**
 * Show the attempts at an item and its redrives.
 * @param {Entry[]} history
 */
export function attempts(history) {
  if (history.length === 0) return empty("No attempts yet", "The first attempt appears here.");
  return list(history.map((entry) => ({ at: entry.at, ...attempt(entry) })));
}

/** @param {(Story & { at: string })[]} rows */
function list(rows) {
  const shown = [];
  let today = null;
  for (const row of rows) {
    const at = new Date(row.at);
    const date = `${day(at)}, ${zone(at)}`;
    if (date !== today) shown.push(h("li", { class: "day" }, date));
    today = date;
    shown.push(line(row, at));
  }
  return h("ol", { class: "timeline" }, ...shown);
}

/**
 * @param {Story} story
 * @param {Date} at
 */
const line = ({ tone = "none", title, notes }, at) =>
  h(
    "li",
    {},
    h("i", { class: `dot ${tone}` }),
    h(
      "div",
      {},
      h("p", { class: "strong" }, ...nodes(title)),
      h("p", { class: "notes" }, ...nodes(dotted(notes))),
    ),
    h("time", { datetime: at.toISOString(), title: whole(at) }, exactClock(at)),
  );

/** @param {Child[]} notes */
const dotted = (notes) =>
  notes
    .filter((note) => note !== null && note !== undefined && note !== "")
    .flatMap((note, index) => (index ? [" · ", note] : [note]));

/**
 * Merge each end that followed at once into the line of its beginning.
 * @param {Entry[]} entries
 */
function folded(entries) {
  const beginnings = new Map(entries.map((entry) => [entry, beginningOf(entry, entries)]));
  const ends = new Map(entries.map((entry) => [beginnings.get(entry), entry]));
  return entries
    .filter((entry) => beginnings.get(entry) === null)
    .map((entry) => ({ ...entry, end: ends.get(entry) }));
}

/** @type {Record<string, [string, string]>} */
const PAIRS = {
  event_processed: ["event_received", "stripe_event_id"],
  event_ignored: ["event_received", "stripe_event_id"],
  refund_finished: ["refund_requested", "refund_request_id"],
  delivery_attempt: ["notification_staged", "notification_id"],
};

/**
 * @param {Entry} end
 * @param {Entry[]} entries
 */
function beginningOf(end, entries) {
  if (!(end.kind in PAIRS) || !endedAtOnce(end)) return null;
  const [kind, name] = PAIRS[end.kind];
  const [first, ...others] = entries.filter((e) => e.kind === kind && e[name] === end[name]);
  if (first === undefined || others.length > 0) return null;
  return Date.parse(end.at) - Date.parse(first.at) < SOON_MS ? first : null;
}

/** @param {Entry} end */
function endedAtOnce(end) {
  const failed = end.kind === "delivery_attempt" && end.outcome !== "delivered";
  return !failed && (end.attempts ?? end.attempt ?? 1) <= 1;
}
