// Payments: how the money stands, and all that is known to have happened to it.

import { Refused } from "../client.js";
import { h, link } from "../dom.js";
import { money, sentence } from "../format.js";
import * as ops from "../ops.js";
import { card, empty, facts, headCard, idLink, pill, when } from "../parts.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { timeline } from "./timeline.js";

/** @import { Child, Entry, Item, KnownPayment, Place, Refund, Subject, View } from "../../types" */
/** @typedef {[string, Subject]} Named */

// Events that are read to list the payments heard of last.
const RECENT_EVENTS = 200;
/** @type {[string, string][]} */
const FAMILIES = [
  ["refund", "Refunds"],
  ["dispute", "Disputes"],
  ["charge", "Charges"],
  ["checkout", "Checkout sessions"],
];

/**
 * List the payments heard of last.
 * @returns {View}
 */
export function payments() {
  return {
    title: "Payments",
    load: (signal) => ops.events({ limit: RECENT_EVENTS }, signal),
    draw: ({ data }) => {
      /** @type {Map<string, Item>} */
      const latest = new Map();
      for (const event of data) {
        if (event.payment_id && !latest.has(event.payment_id)) latest.set(event.payment_id, event);
      }
      if (latest.size === 0)
        return empty("No payments yet", "Find one by its id with the field above.");
      return [
        h(
          "p",
          { class: "hint" },
          "Heard of last. Any other is found by its id with the field above.",
        ),
        h("section", { class: "card" }, recent([...latest.values()])),
      ];
    },
  };
}

/** @param {Item[]} rows */
const recent = (rows) =>
  table(
    "Payments",
    [
      { name: "Payment", show: (row) => idLink(row.payment_id) },
      {
        name: "Latest event",
        show: (row) => link(address("events", row.id), {}, row.type),
      },
      { name: "State of the event", show: (row) => pill(row.state) },
      {
        name: "Heard",
        end: true,
        show: (row) => when(/** @type {string} */ (row.recorded_at)),
      },
    ],
    rows,
  );

/**
 * Show one payment.
 * @param {Place} place
 * @returns {View<KnownPayment>}
 */
export function payment({ id }) {
  return {
    title: "Payment",
    name: (found) => found.payment_id,
    load: (signal) => ops.payment(id ?? "", signal),
    draw: story,
    missing: (error) => empty(error.message, UNKNOWN),
  };
}

const UNKNOWN =
  "Payments are remembered for half a year after their last event. " +
  "Stripe's dashboard knows all of them.";

/**
 * Show one refund, by Stripe's id or by our request's, with the payment it belongs to.
 * @param {Place} place
 * @returns {View<{ found: Refund, owner: KnownPayment | null }>}
 */
export function refund({ id }) {
  return {
    title: "Refund",
    name: ({ found }) => found.refund_id ?? found.refund_request_id ?? "",
    load: async (signal) => {
      const found = await ops.refund(id ?? "", signal);
      const owner = found.payment_intent_id ?? found.charge_id;
      return { found, owner: owner ? await known(owner, signal) : null };
    },
    draw: ({ found, owner }) => [refundCard(found, owner), owner && story(owner)],
    missing: (error) => empty(error.message, "Look for it at Stripe, or by its payment."),
  };
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function known(id, signal) {
  try {
    return await ops.payment(id, signal);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

/**
 * @param {Refund} found
 * @param {KnownPayment | null} owner
 */
function refundCard(found, owner) {
  const currency = found.currency ?? currencyOf(owner);
  const amount = found.amount === null ? "All that was left" : money(found.amount, currency);
  return headCard(
    "Refund",
    {
      title: [amount, " ", pill(found.status)],
      id: found.refund_id ?? found.refund_request_id ?? "",
    },
    facts([
      ["Payment", orNone(found.payment_intent_id, idLink)],
      ["Request", orNone(found.refund_request_id, idLink)],
      ["Reason", orNone(found.reason, sentence)],
      ["Failed because", orNone(found.failure_reason, sentence)],
      ["Created", orNone(found.created, (at) => when(at * 1000))],
      ...Object.entries(found.metadata),
    ]),
  );
}

/**
 * @template Value
 * @param {Value | null} value
 * @param {(value: Value) => Child} show
 */
const orNone = (value, show) => (value === null ? null : show(value));

/** @param {KnownPayment} found */
function story(found) {
  const subjects = subjectsOf(found);
  const own = subjects.find(([id]) => id === found.payment_id)?.[1];
  const currency = currencyOf(found);
  return [
    own ? head(found, own, subjects) : bare(found),
    ...FAMILIES.map(([family, name]) =>
      related(
        name,
        subjects.filter(([, one]) => one.family === family),
      ),
    ),
    card("Timeline", {}, timeline(/** @type {Entry[]} */ (found.timeline), currency)),
  ];
}

/**
 * @param {KnownPayment | null} found
 * @returns {Named[]}
 */
const subjectsOf = (found) =>
  Object.entries(/** @type {Record<string, Subject>} */ (found?.known.subjects ?? {}));

/**
 * @param {KnownPayment | null} found
 * @returns {string | null}
 */
const currencyOf = (found) =>
  subjectsOf(found)
    .map(([, { snapshot }]) => snapshot?.currency)
    .find(Boolean) ?? null;

/**
 * @param {KnownPayment} found
 * @param {Subject} own
 * @param {Named[]} subjects
 */
function head(found, own, subjects) {
  const { amount, currency, description, metadata, created, livemode, ...rest } = own.snapshot;
  const refunded = subjects
    .filter(([, one]) => one.family === "refund" && one.status === "succeeded")
    .reduce((sum, [, one]) => sum + (one.snapshot.amount ?? 0), 0);
  return headCard(
    "Payment",
    { title: [money(amount, currency), " ", pill(own.status)], id: found.payment_id },
    facts([
      ["Received", money(rest.amount_received ?? rest.amount_captured, currency)],
      ["Refunded", refunded ? money(refunded, currency) : "none"],
      ["Created", when(created ? created * 1000 : null)],
      ["Last news", when(found.updated_at_ms)],
      ["Mode", livemode === undefined ? null : livemode ? "live" : "test"],
      ["Description", description],
    ]),
    details(metadata),
  );
}

/** @param {KnownPayment} found */
const bare = (found) => headCard("Payment", { title: "State not known yet", id: found.payment_id });

/** @param {Record<string, string> | undefined} metadata */
function details(metadata) {
  const pairs = Object.entries(metadata ?? {});
  return pairs.length ? [h("h3", {}, "Metadata"), facts(pairs)] : null;
}

/**
 * @param {string} name
 * @param {Named[]} subjects
 */
function related(name, subjects) {
  if (subjects.length === 0) return null;
  return card(
    name,
    {},
    table(
      name,
      [
        {
          name: "Id",
          show: ([id, one]) =>
            one.family === "refund" ? idLink(id) : h("span", { class: "id" }, id),
        },
        { name: "Status", show: ([, one]) => pill(one.status) },
        { name: "Reason", show: ([, { snapshot }]) => reasonOf(snapshot) },
        {
          name: "Amount",
          end: true,
          show: ([, { snapshot }]) =>
            money(snapshot.amount ?? snapshot.amount_total, snapshot.currency),
        },
        { name: "As of", end: true, phone: "none", show: ([, one]) => when(one.as_of * 1000) },
      ],
      subjects,
    ),
  );
}

/** @param {Record<string, any>} snapshot */
function reasonOf(snapshot) {
  const reason = snapshot.failure_reason ?? snapshot.reason;
  return reason ? sentence(reason) : "–";
}
