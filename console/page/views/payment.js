// One payment: how its money stands, all work for it, and everything that happened to it.

import { Refused } from "../client.js";
import { h } from "../dom.js";
import { money, sentence } from "../format.js";
import * as ops from "../ops.js";
import { atStripe, card, empty, facts, headCard, idLink, pill, when } from "../parts.js";
import { address } from "../router.js";
import { related } from "./related.js";
import { timeline } from "./timeline.js";
import { workCard } from "./work.js";

/** @import { Child, Entry, KnownPayment, PaymentWork, Place, Refund } from "../../types" */
/** @import { Service, Subject, View } from "../../types" */
/** @typedef {[string, Subject]} Named */
/** @typedef {{ known: KnownPayment, work: PaymentWork }} Whole */

const UNKNOWN =
  "Payments are remembered for half a year after their last event. " +
  "Stripe's dashboard knows all of them.";

/**
 * Show one payment; an id that is no payment's is looked for elsewhere.
 * @param {Place} place
 * @param {{ service: Service }} tools
 * @returns {View<Whole>}
 */
export function payment({ id: given }, { service }) {
  const id = given ?? "";
  return {
    title: "Payment",
    name: ({ known }) => known.payment_id,
    load: (signal) => whole(id, signal),
    draw: (found) => story(found, service),
    missing: (error) => {
      if (!id.startsWith("pi_")) location.replace(address("find", id));
      return empty(error.message, UNKNOWN);
    },
  };
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Whole>}
 */
async function whole(id, signal) {
  const [known, work] = await Promise.all([ops.payment(id, signal), ops.workOf(id, signal)]);
  return { known, work };
}

/**
 * Show one refund, by Stripe's id or by our request's, with the payment it belongs to.
 * @param {Place} place
 * @param {{ service: Service }} tools
 * @returns {View<{ found: Refund, owner: Whole | null }>}
 */
export function refund({ id }, { service }) {
  return {
    title: "Refund",
    name: ({ found }) => found.refund_id ?? found.refund_request_id ?? "",
    load: async (signal) => {
      const found = await ops.refund(id ?? "", signal);
      const owner = found.payment_intent_id ?? found.charge_id;
      return { found, owner: owner ? await ifKnown(owner, signal) : null };
    },
    draw: ({ found, owner }) => [refundCard(found, owner), owner && story(owner, service)],
    missing: (error) => empty(error.message, "Look for it at Stripe, or by its payment."),
  };
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function ifKnown(id, signal) {
  try {
    return await whole(id, signal);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

/**
 * @param {Refund} found
 * @param {Whole | null} owner
 */
function refundCard(found, owner) {
  const currency = found.currency ?? currencyOf(owner?.known ?? null);
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
 * @param {Value | null | undefined} value
 * @param {(value: Value) => Child} show
 */
const orNone = (value, show) => (value === null || value === undefined ? null : show(value));

/**
 * @param {Whole} found
 * @param {Service} service
 */
function story({ known, work }, service) {
  const subjects = subjectsOf(known);
  const own = subjects.find(([id]) => id === known.payment_id)?.[1];
  const currency = currencyOf(known);
  return [
    own ? head(known, own, service) : bare(known, service),
    ...related(subjects, service),
    workCard(work.data),
    card("Timeline", {}, timeline(/** @type {Entry[]} */ (known.timeline), currency)),
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
 * @param {Service} service
 */
function head(found, own, service) {
  const { amount, currency, description, metadata, created, livemode, ...rest } = own.snapshot;
  const settled = ofFamily(found, "settlement").map(([, one]) => one.snapshot);
  return headCard(
    "Payment",
    {
      title: [money(amount, currency), " ", pill(own.status), disputeFlag(found)],
      id: found.payment_id,
      actions: atStripe(service, `payments/${found.payment_id}`),
    },
    facts([
      ["Received", money(rest.amount_received ?? rest.amount_captured, currency)],
      ["Refunded", refunded(found, currency)],
      ...settled.flatMap(settledFacts),
      ["Created", when(created ? created * 1000 : null)],
      ["Last news", when(found.updated_at_ms)],
      ["Mode", orNone(livemode, (live) => (live ? "live" : "test"))],
      ["Description", description],
    ]),
    details(metadata),
  );
}

/**
 * @param {Record<string, any>} snapshot
 * @returns {[string, Child][]}
 */
const settledFacts = (snapshot) => [
  ["Stripe's fee", orNone(snapshot.fee, (fee) => money(fee, snapshot.settlement_currency))],
  ["Net", orNone(snapshot.net, (net) => money(net, snapshot.settlement_currency))],
];

/**
 * @param {KnownPayment} found
 * @param {string} family
 */
const ofFamily = (found, family) => subjectsOf(found).filter(([, one]) => one.family === family);

/**
 * @param {KnownPayment} found
 * @param {string} currency
 */
function refunded(found, currency) {
  const sum = ofFamily(found, "refund")
    .filter(([, one]) => one.status === "succeeded")
    .reduce((total, [, one]) => total + (one.snapshot.amount ?? 0), 0);
  return sum ? money(sum, currency) : "none";
}

/**
 * Flag a dispute that waits for evidence, with until when.
 * @param {KnownPayment} found
 */
function disputeFlag(found) {
  const [latest] = ofFamily(found, "dispute").toSorted(
    ([, one], [, other]) => (other.snapshot.created ?? 0) - (one.snapshot.created ?? 0),
  );
  if (latest === undefined) return null;
  const { status, snapshot } = latest[1];
  const isOpen = status.endsWith("needs_response") && snapshot.due_by;
  return [
    " ",
    pill(`dispute: ${status}`, isOpen ? "bad" : undefined),
    isOpen && h("small", {}, " evidence is due ", when(snapshot.due_by * 1000)),
  ];
}

/**
 * @param {KnownPayment} found
 * @param {Service} service
 */
const bare = (found, service) =>
  headCard("Payment", {
    title: "State not known yet",
    id: found.payment_id,
    actions: atStripe(service, `payments/${found.payment_id}`),
  });

/** @param {Record<string, string> | undefined} metadata */
function details(metadata) {
  const pairs = Object.entries(metadata ?? {});
  return pairs.length ? [h("h3", {}, "Metadata"), facts(pairs)] : null;
}
