// One event, refund job or notification: its state, every attempt, its payload.

import { adviceOn } from "../advice.js";
import { button, h, icon } from "../dom.js";
import { sentence } from "../format.js";
import * as ops from "../ops.js";
import { atStripe, card, empty, facts, headCard, idLink, json, pill, when } from "../parts.js";
import { fetchFromStripe, redriveOne } from "../redrive.js";
import { resolveRefund } from "../resolve.js";
import { attempts } from "./timeline.js";

/** @import { Child, Entry, ItemDetails, Place, Service, View } from "../../types" */

const NAMES = { events: "Event", refunds: "Refund job", notifications: "Notification" };
/** @type {Record<string, string>} */
const TITLES = { evt: "Event", rr: "Refund job", ntf: "Notification" };
const REDRIVABLE = {
  events: ["dead", "processed", "ignored"],
  notifications: ["dead", "delivered"],
  refunds: ["dead"],
};
// Said elsewhere on the page, or of use to nobody.
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
    name: (found) => `${found.type ?? ""} ${found.id}`,
    load: (signal) => ops.item(id, signal),
    draw: (found) => [
      summary(found, [...actions(found, refresh), eventAtStripe(found, service)]),
      found.error && advice(found),
      card("Attempts", {}, attempts(/** @type {Entry[]} */ (found.history))),
      payload(found),
    ],
    missing: (error) => unknown(id, error, refresh),
  };
}

/**
 * @param {ItemDetails} found
 * @param {Service} service
 */
const eventAtStripe = (found, service) =>
  found.kind === "events" && atStripe(service, `events/${found.id}`);

/**
 * @param {ItemDetails} found
 * @param {Child[]} acts
 */
function summary(found, acts) {
  const title = [found.type ?? NAMES[found.kind], " ", pill(found.state)];
  return headCard(
    NAMES[found.kind],
    { title, id: found.id, actions: acts },
    facts([
      ["Payment", found.payment_id === "none" ? null : orNothing(found.payment_id)],
      ["Attempts", String(found.attempts)],
      ...Object.entries(found)
        .filter(([name]) => !LEFT_OUT.has(name))
        .map(shown),
    ]),
  );
}

/** @param {string | null | undefined} id */
const orNothing = (id) => (id ? idLink(id) : null);

// How the times of an item are named, which come in three spellings.
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

// A charge or a session has one only where it is the payment itself, which is linked already.
const HAS_A_PAGE = /^(pi|re|pyr|evt|rr|ntf)_\w+$/;
const IS_AN_ID = /^[a-z]+_\w{6,}$/;

/**
 * @param {ItemDetails} found
 * @param {() => void} refresh
 */
function actions(found, refresh) {
  const dead = found.state === "dead";
  const can = REDRIVABLE[found.kind].includes(found.state);
  return [
    dead && found.kind === "refunds" && button({}, () => resolveRefund(found, refresh), "Resolve"),
    can &&
      button(
        { class: dead ? "primary" : null },
        () => redriveOne(found, refresh),
        icon("again"),
        dead ? "Redrive" : "Run once more",
      ),
  ];
}

/** @param {ItemDetails} found */
function advice(found) {
  const dead = found.state === "dead";
  const known = dead ? adviceOn(found.kind, found.error) : null;
  return h(
    "section",
    { class: `advice ${dead ? "bad" : "wait"}`, "aria-label": "Error" },
    h(
      "p",
      { class: "strong" },
      dead ? "Given up: " : "Last error: ",
      h("span", { class: "error" }, found.error),
    ),
    known && h("p", {}, h("b", {}, "Means: "), `${sentence(known.means)}.`),
    known && h("p", {}, h("b", {}, "Do: "), `${sentence(known.act)}.`),
    dead &&
      !known &&
      h(
        "p",
        {},
        "The runbook has no line on this error; the attempts below and the log tell more.",
      ),
  );
}

/** @param {ItemDetails} found */
function payload(found) {
  if (found.payload === null) {
    return card(
      "Payload",
      {},
      empty(
        "No longer kept",
        "It goes a day after an item is finished. Stripe keeps events for 30 days.",
      ),
    );
  }
  return h(
    "details",
    { class: "card", open: found.state === "dead" },
    h("summary", {}, "Payload"),
    json(found.payload),
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
      ? "If Stripe's dashboard shows it, it can be fetched and recorded."
      : "Finished items are remembered for 31 days.",
    id.startsWith("evt_") &&
      button({ class: "primary" }, () => fetchFromStripe(id, refresh), "Fetch from Stripe"),
  );
