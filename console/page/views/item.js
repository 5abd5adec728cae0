// One Stripe event, refund job or notification: its state, its attempts and its payload.

import { adviceOn } from "../advice.js";
import { button, h, icon } from "../dom.js";
import { sentence } from "../format.js";
import * as ops from "../ops.js";
import { atStripe, card, empty, facts, headCard, idLink, json, pill, when } from "../parts.js";
import { fetchFromStripe, redriveOne } from "../redrive.js";
import { resolveRefund } from "../resolve.js";
import { attempts } from "./timeline.js";

/** @import { Child, Entry, ItemDetails, Place, Service, View } from "../../types" */

const NAMES = { events: "Stripe event", refunds: "Refund job", notifications: "Notification" };
/** @type {Record<string, string>} */
const TITLES = { evt: "Stripe event", rr: "Refund job", ntf: "Notification" };
const REDRIVABLE = {
  events: ["dead", "processed", "ignored"],
  notifications: ["dead", "delivered"],
  refunds: ["dead"],
};
// Fields that the page shows elsewhere, or that help no operator.
const LEFT_OUT = new Set([
  ...["id", "kind", "state", "type", "error", "attempts", "payment_id"],
  ...["payload", "history", "result", "traceparent", "claimed_at"],
]);

/**
 * @param {Place} place
 * @param {{ refresh: () => void, service: Service }} tools
 * @returns {View<ItemDetails>}
 */
export function item({ id: given }, { refresh, service }) {
  const id = given ?? "";
  return {
    title: TITLES[id.split("_")[0]] ?? "Item",
    name: (record) => `${record.type ?? ""} ${record.id}`,
    load: (signal) => ops.item(id, signal),
    draw: (record) => [
      summary(record, [...actions(record, refresh), eventAtStripe(record, service)]),
      record.error && advice(record),
      card("Attempts", {}, attempts(/** @type {Entry[]} */ (record.history))),
      payload(record),
    ],
    missing: (error) => unknown(id, error, refresh),
  };
}

/**
 * @param {ItemDetails} record
 * @param {Service} service
 */
const eventAtStripe = (record, service) =>
  record.kind === "events" && atStripe(service, `events/${record.id}`);

/**
 * @param {ItemDetails} record
 * @param {Child[]} acts
 */
function summary(record, acts) {
  const title = [record.type ?? NAMES[record.kind], " ", pill(record.state)];
  return headCard(
    NAMES[record.kind],
    { title, id: record.id, actions: acts },
    facts([
      ["Payment", record.payment_id === "none" ? null : orNothing(record.payment_id)],
      ["Attempts", String(record.attempts)],
      ...Object.entries(record)
        .filter(([name]) => !LEFT_OUT.has(name))
        .map(shown),
    ]),
  );
}

/** @param {string | null | undefined} id */
const orNothing = (id) => (id ? idLink(id) : null);

// Names of an item's times, which have three formats.
/** @type {Record<string, (value: any) => [string, Child]>} */
const TIMES = {
  not_before: (value) => ["Next attempt", when(Number(value))],
  created: (value) => ["Created at Stripe", when(Number(value) * 1000)],
};

/**
 * @param {[string, any]} field
 * @returns {[string, Child]}
 */
function shown([name, value]) {
  const isNothing = value === null || (name === "crashes" && Number(value) === 0);
  if (isNothing) return [name, null];
  if (name in TIMES) return TIMES[name](value);
  if (name.endsWith("_at")) return [sentence(name.replace(/_at$/, "")), when(value)];
  return [sentence(name).replace(/^Api /, "API "), linked(value)];
}

/** @param {unknown} value */
function linked(value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (HAS_A_PAGE.test(text)) return idLink(text);
  return IS_AN_ID.test(text) ? h("span", { class: "id" }, text) : text;
}

// A charge or a session has a page only if it is the payment itself, which is linked already.
const HAS_A_PAGE = /^(pi|re|pyr|evt|rr|ntf)_\w+$/;
const IS_AN_ID = /^[a-z]+_\w{6,}$/;

/**
 * @param {ItemDetails} record
 * @param {() => void} refresh
 */
function actions(record, refresh) {
  const dead = record.state === "dead";
  const can = REDRIVABLE[record.kind].includes(record.state);
  return [
    dead &&
      record.kind === "refunds" &&
      button({}, () => resolveRefund(record, refresh), "Resolve"),
    can &&
      button(
        { class: dead ? "primary" : null },
        () => redriveOne(record, refresh),
        icon("again"),
        dead ? "Redrive" : "Run once more",
      ),
  ];
}

/** @param {ItemDetails} record */
function advice(record) {
  const dead = record.state === "dead";
  const known = dead ? adviceOn(record.kind, record.error) : null;
  return h(
    "section",
    { class: `advice ${dead ? "bad" : "wait"}`, "aria-label": "Error" },
    h(
      "p",
      { class: "strong" },
      dead ? "Dead letter: " : "Last error: ",
      h("span", { class: "error" }, record.error),
    ),
    known && h("p", {}, h("b", {}, "Meaning: "), `${sentence(known.means)}.`),
    known && h("p", {}, h("b", {}, "Action: "), `${sentence(known.act)}.`),
    dead &&
      !known &&
      h("p", {}, "The runbook does not list this error. See the attempts below and the log."),
  );
}

/** @param {ItemDetails} record */
function payload(record) {
  if (record.payload === null) {
    return card(
      "Payload",
      {},
      empty(
        "No longer stored",
        "It is deleted a day after the item is finished. Stripe keeps its events for 30 days.",
      ),
    );
  }
  return h(
    "details",
    { class: "card", open: record.state === "dead" },
    h("summary", {}, "Payload"),
    json(record.payload),
  );
}

/**
 * @param {string} id
 * @param {Error} error
 * @param {() => void} refresh
 */
const unknown = (id, error, refresh) =>
  empty(
    error.message,
    id.startsWith("evt_")
      ? "If Stripe's dashboard shows this event, fetch it here."
      : "Finished items are deleted after 31 days.",
    id.startsWith("evt_") &&
      button({ class: "primary" }, () => fetchFromStripe(id, refresh), "Fetch from Stripe"),
  );
