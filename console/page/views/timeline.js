// What happened, in order: of a payment, or at one item.

import { h } from "../dom.js";
import { counted, day, duration, exactClock, money, sentence, whole, words } from "../format.js";
import { empty, idLink } from "../parts.js";

// What follows its cause so soon is told in the cause's own line.
const SOON_MS = 5_000;
const HIDDEN = new Set(["at", "kind", "type", "error"]);

/** Show a payment's timeline, oldest first; `currency` is that of its amounts. */
export function timeline(entries, currency) {
  if (entries.length === 0) return empty("Nothing yet", "What happens to it shows up here.");
  return list(folded(entries).map((entry) => ({ ...entry, ...told(entry, currency) })));
}

/** Show the attempts at an item and its redrives. */
export function attempts(history) {
  if (history.length === 0) return empty("None yet", "Its first attempt shows up here.");
  return list(history.map((entry) => ({ ...entry, ...attempt(entry) })));
}

function list(rows) {
  const shown = [];
  let today = null;
  for (const row of rows) {
    const at = new Date(row.at);
    if (day(at) !== today) shown.push(h("li", { class: "day" }, (today = day(at))));
    shown.push(line(row, at));
  }
  return h("ol", { class: "timeline" }, ...shown);
}

const line = ({ tone = "none", title, notes }, at) =>
  h(
    "li",
    {},
    h("i", { class: `dot ${tone}` }),
    h(
      "div",
      {},
      h("p", { class: "strong" }, ...title),
      h("p", { class: "notes" }, ...dotted(notes)),
    ),
    h("time", { datetime: at.toISOString(), title: whole(at) }, exactClock(at)),
  );

const dotted = (notes) =>
  notes
    .filter((note) => note !== null && note !== "")
    .flatMap((note, index) => (index ? [" · ", note] : [note]));

/** Fold an end into its beginning where it followed at once: half the lines tell the same story. */
function folded(entries) {
  const ends = entries.filter((entry) => beginningOf(entry, entries) !== null);
  return entries
    .filter((entry) => !ends.includes(entry))
    .map((entry) => ({ ...entry, end: ends.find((end) => beginningOf(end, entries) === entry) }));
}

const PAIRS = {
  event_processed: ["event_received", "event_id"],
  event_ignored: ["event_received", "event_id"],
  refund_finished: ["refund_requested", "refund_request_id"],
  delivery_attempt: ["notification_staged", "notification_id"],
};

function beginningOf(end, entries) {
  const [kind, name] = PAIRS[end.kind] ?? [];
  const tries = end.attempts ?? end.attempt;
  const failed = end.kind === "delivery_attempt" && end.outcome !== "delivered";
  if (!kind || tries > 1 || failed) return null;
  const found = entries.filter((entry) => entry.kind === kind && entry[name] === end[name]);
  return found.length === 1 && new Date(end.at) - new Date(found[0].at) < SOON_MS ? found[0] : null;
}

const STORIES = {
  payment_requested: (entry) => ({
    title: ["Payment requested"],
    tone: entry.outcome === "succeeded" ? "good" : "wait",
    notes: [words(entry.outcome), `caller ${entry.caller}`, idLink(entry.request_id)],
  }),
  event_received: (entry) => ({
    title: [entry.type, " received"],
    notes: [`by ${entry.source}`, ended(entry), idLink(entry.event_id)],
  }),
  event_processed: (entry) => ({
    title: [entry.type, " processed"],
    notes: [`after ${counted(entry.attempts, "attempt")}`, idLink(entry.event_id)],
  }),
  event_ignored: (entry) => ({ title: [entry.type, " ignored"], notes: [idLink(entry.event_id)] }),
  event_late: (entry) => ({
    title: [entry.type ?? "An event", " came late"],
    tone: "wait",
    notes: ["changes nothing", entry.subject, idLink(entry.event_id)],
  }),
  notification_staged: (entry) => ({
    title: [entry.end ? "Told: " : "To be told: ", entry.type],
    tone: entry.end ? "good" : "wait",
    notes: [...(entry.end ? outcome(entry.end) : []), idLink(entry.notification_id)],
  }),
  delivery_attempt: (entry) => ({
    title: [entry.outcome === "delivered" ? "Told: " : "Not told: ", entry.type],
    tone: entry.outcome === "delivered" ? "good" : "bad",
    notes: [...outcome(entry), idLink(entry.notification_id)],
  }),
  refund_requested: (entry, currency) => ({
    title: [
      entry.amount
        ? `Refund of ${money(entry.amount, currency)} requested`
        : "Refund of the rest requested",
    ],
    notes: [ended(entry), idLink(entry.refund_request_id)],
  }),
  refund_finished: (entry) => ({
    title: ["Refund job finished"],
    notes: [`after ${counted(entry.attempts, "attempt")}`, idLink(entry.refund_request_id)],
  }),
};

const told = (entry, currency) => STORIES[entry.kind]?.(entry, currency) ?? plain(entry);

const ended = ({ at, end }) =>
  end ? `${end.kind.split("_")[1]} after ${between(at, end.at)}` : null;

const between = (at, later) => duration((new Date(later) - new Date(at)) / 1000 || 0.001);

const plain = (entry) => ({
  title: [
    sentence(entry.kind ?? entry.outcome ?? "something"),
    entry.type ? `: ${entry.type}` : "",
  ],
  notes: Object.entries(entry)
    .filter(([name]) => !HIDDEN.has(name) && name !== "end")
    .map(([name, value]) => `${words(name)} ${value}`),
});

function attempt(entry) {
  if (entry.outcome === undefined || entry.attempt === undefined) return decision(entry);
  const good = ["processed", "ignored", "finished", "delivered"].includes(entry.outcome);
  return {
    title: [`Attempt ${entry.attempt}: `, words(entry.outcome)],
    tone: good ? "good" : entry.outcome === "dead" ? "bad" : "wait",
    notes: outcome(entry),
  };
}

const decision = (entry) => ({
  title: [sentence(entry.kind ?? entry.outcome), entry.by ? ` by ${entry.by}` : ""],
  notes: [entry.reason ?? null, entry.key ? `key ${entry.key}` : null],
});

const outcome = (entry) => [
  entry.error ?? null,
  entry.status && !entry.error ? `answered ${entry.status}` : null,
  entry.duration_ms === undefined ? null : `took ${entry.duration_ms} ms`,
  entry.delay_seconds ? `again after ${duration(entry.delay_seconds)}` : null,
];
