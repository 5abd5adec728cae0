// The text of each entry of a timeline: its title, its notes and the tone of its dot.

import { counted, duration, money, sentence, words } from "../format.js";
import { idLink, toneOf, whoOf } from "../parts.js";

/** @import { Child, Entry, Tone } from "../../types" */
/** @typedef {{ title: Child, notes: Child[], tone?: Tone }} Story */

const UNTOLD = new Set(["at", "kind", "type", "error", "end"]);

/** @type {Record<string, (entry: Entry, currency: string | null) => Story>} */
const STORIES = {
  payment_requested: (entry) => ({
    title: "Payment requested",
    tone: entry.outcome === "succeeded" ? "good" : "wait",
    notes: [words(entry.outcome), `caller ${entry.caller}`, idLink(entry.request_id)],
  }),
  event_received: (entry) => ({
    title: [entry.type, " received"],
    notes: [
      `by ${entry.source}`,
      ended(entry),
      ...moved(entry.end ?? entry),
      idLink(entry.stripe_event_id),
    ],
  }),
  event_processed: (entry) => ({
    title: [entry.type, " processed"],
    notes: [
      `after ${counted(entry.attempts, "attempt")}`,
      ...moved(entry),
      idLink(entry.stripe_event_id),
    ],
  }),
  event_ignored: (entry) => ({
    title: [entry.type, " ignored"],
    notes: [idLink(entry.stripe_event_id)],
  }),
  event_late: (entry) => ({
    title: [entry.type ?? "A Stripe event", " arrived late"],
    tone: "wait",
    notes: ["it changes nothing", entry.subject, idLink(entry.stripe_event_id)],
  }),
  event_attempt: (entry) => tried(entry, [entry.type, ": "], entry.stripe_event_id),
  notification_staged: (entry) => ({
    title: [entry.end ? "Notified: " : "Notification recorded: ", entry.type],
    tone: entry.end ? "good" : "wait",
    notes: [...(entry.end ? outcome(entry.end) : []), idLink(entry.notification_id)],
  }),
  delivery_attempt: (entry) => ({
    title: [entry.outcome === "delivered" ? "Notified: " : "Not delivered: ", entry.type],
    tone: entry.outcome === "delivered" ? "good" : "bad",
    notes: [...outcome(entry), idLink(entry.notification_id)],
  }),
  refund_requested: (entry, currency) => ({
    title: entry.amount
      ? `Refund of ${money(entry.amount, currency)} requested`
      : "Refund of the rest requested",
    notes: [ended(entry), idLink(entry.refund_request_id)],
  }),
  refund_attempt: (entry) => tried(entry, ["Refund job, "], entry.refund_request_id),
  refund_finished: (entry) => ({
    title: "Refund job finished",
    notes: [`after ${counted(entry.attempts, "attempt")}`, idLink(entry.refund_request_id)],
  }),
  redriven: (entry) => decision(entry),
  resolved: (entry) => decision(entry),
};

/**
 * Return the text of an entry of a payment's timeline.
 * @param {Entry} entry
 * @param {string | null} currency
 * @returns {Story}
 */
export const storyOf = (entry, currency) => STORIES[entry.kind]?.(entry, currency) ?? plain(entry);

/**
 * Return the text of an attempt at an item, or of a decision about it.
 * @param {Entry} entry
 * @returns {Story}
 */
export function attempt(entry) {
  if (entry.outcome === undefined || entry.attempt === undefined) return decision(entry);
  return tried(entry, [], null);
}

/**
 * Return the net amount and the fee of an event's balance transaction, if it has one.
 * @param {Entry} entry
 * @returns {Child[]}
 */
function moved({ fee, net, settlement_currency: currency }) {
  if (net === undefined) return [];
  return [`net ${money(net, currency)}`, fee ? `fee ${money(fee, currency)}` : null];
}

/**
 * @param {Entry} entry
 * @param {Child[]} what
 * @param {unknown} id
 * @returns {Story}
 */
function tried(entry, what, id) {
  const ignored = entry.outcome === "ignored";
  return {
    title: [
      ...what,
      what.length ? "attempt " : "Attempt ",
      entry.attempt,
      ": ",
      words(entry.outcome),
    ],
    tone: ignored ? "good" : toneOf(entry.outcome),
    notes: [...outcome(entry), id ? idLink(id) : null],
  };
}

/**
 * @param {Entry} entry
 * @returns {Story}
 */
const decision = (entry) => ({
  title: [
    sentence(entry.kind ?? entry.outcome),
    prefixed(" by ", whoOf(entry)),
    prefixed(": ", entry.type),
  ],
  notes: [
    entry.reason ?? null,
    entry.key ? `key ${entry.key}` : null,
    idLink(entry.notification_id ?? entry.refund_request_id ?? entry.stripe_event_id),
  ].filter((note) => note !== "–"),
});

/**
 * @param {string} before
 * @param {string | null | undefined} text
 */
const prefixed = (before, text) => (text ? `${before}${text}` : "");

/** @param {Entry} entry */
const ended = ({ at, end }) =>
  end ? `${end.kind.split("_")[1]} after ${between(at, end.at)}` : null;

/**
 * @param {string} at
 * @param {string} later
 */
const between = (at, later) => duration((Date.parse(later) - Date.parse(at)) / 1000 || 0.001);

/**
 * @param {Entry} entry
 * @returns {Story}
 */
const plain = (entry) => ({
  title: [
    sentence(entry.kind ?? entry.outcome ?? "unknown entry"),
    entry.type ? `: ${entry.type}` : "",
  ],
  notes: Object.entries(entry)
    .filter(([name, value]) => !UNTOLD.has(name) && value !== undefined)
    .map(([name, value]) => `${words(name)} ${value}`),
});

/**
 * Describe the result of an attempt: error, answer, duration, and the pause before the next.
 * @param {Entry} entry
 * @returns {Child[]}
 */
const outcome = (entry) => [
  entry.error ?? null,
  entry.status && !String(entry.error ?? "").includes(entry.status)
    ? `answered ${entry.status}`
    : null,
  entry.answer ? `“${entry.answer}”` : null,
  entry.duration_ms === undefined ? null : `took ${entry.duration_ms} ms`,
  entry.delay_seconds ? `next attempt after ${duration(entry.delay_seconds)}` : null,
];
