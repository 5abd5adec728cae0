// One payment: its amounts, its work, and its timeline.

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
  "Payments are deleted here half a year after their last Stripe event. " +
  "Stripe's dashboard has all of them.";

/**
 * Show one payment; for an id of anything else, open the search.
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
    draw: (record) => story(record, service),
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
 * Show one refund, by its id at Stripe or that of its job, with its payment.
 * @param {Place} place
 * @param {{ service: Service }} tools
 * @returns {View<{ record: Refund, owner: Whole | null }>}
 */
export function refund({ id }, { service }) {
  return {
    title: "Refund",
    name: ({ record }) => record.refund_id ?? record.refund_request_id ?? "",
    load: async (signal) => {
      const record = await ops.refund(id ?? "", signal);
      const owner = record.payment_intent_id ?? record.charge_id;
      return { record, owner: owner ? await ifKnown(owner, signal) : null };
    },
    draw: ({ record, owner }) => [refundCard(record, owner), owner && story(owner, service)],
    missing: (error) =>
      empty(error.message, "Search for it in Stripe's dashboard or on its payment."),
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
 * @param {Refund} record
 * @param {Whole | null} owner
 */
function refundCard(record, owner) {
  const currency = record.currency ?? currencyOf(owner?.known ?? null);
  const amount = record.amount === null ? "The whole rest" : money(record.amount, currency);
  return headCard(
    "Refund",
    {
      title: [amount, " ", pill(record.status)],
      id: record.refund_id ?? record.refund_request_id ?? "",
    },
    facts([
      ["Payment", orNone(record.payment_intent_id, idLink)],
      ["Refund job", orNone(record.refund_request_id, idLink)],
      ["Reason", orNone(record.reason, sentence)],
      ["Failed because", orNone(record.failure_reason, sentence)],
      ["Created", orNone(record.created, (at) => when(at * 1000))],
      ...Object.entries(record.metadata),
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
 * @param {Whole} record
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
 * @param {KnownPayment | null} record
 * @returns {Named[]}
 */
const subjectsOf = (record) =>
  Object.entries(/** @type {Record<string, Subject>} */ (record?.known.subjects ?? {}));

/**
 * @param {KnownPayment | null} record
 * @returns {string | null}
 */
const currencyOf = (record) =>
  subjectsOf(record)
    .map(([, { snapshot }]) => snapshot?.currency)
    .find(Boolean) ?? null;

/**
 * @param {KnownPayment} record
 * @param {Subject} own
 * @param {Service} service
 */
function head(record, own, service) {
  const { amount, currency, description, metadata, created, livemode, ...rest } = own.snapshot;
  const settled = ofFamily(record, "settlement").map(([, one]) => one.snapshot);
  return headCard(
    "Payment",
    {
      title: [money(amount, currency), " ", pill(own.status), disputeFlag(record)],
      id: record.payment_id,
      actions: atStripe(service, `payments/${record.payment_id}`),
    },
    facts([
      ["Received", money(rest.amount_received ?? rest.amount_captured, currency)],
      ["Refunded", refunded(record, currency)],
      ...settled.flatMap(settledFacts),
      ["Created", when(created ? created * 1000 : null)],
      ["Last change", when(record.updated_at_ms)],
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
 * @param {KnownPayment} record
 * @param {string} family
 */
const ofFamily = (record, family) => subjectsOf(record).filter(([, one]) => one.family === family);

/**
 * @param {KnownPayment} record
 * @param {string} currency
 */
function refunded(record, currency) {
  const sum = ofFamily(record, "refund")
    .filter(([, one]) => one.status === "succeeded")
    .reduce((total, [, one]) => total + (one.snapshot.amount ?? 0), 0);
  return sum ? money(sum, currency) : "none";
}

/**
 * Show the state of the latest dispute, with the date by which evidence is due.
 * @param {KnownPayment} record
 */
function disputeFlag(record) {
  const [latest] = ofFamily(record, "dispute").toSorted(
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
 * @param {KnownPayment} record
 * @param {Service} service
 */
const bare = (record, service) =>
  headCard("Payment", {
    title: "State not known yet",
    id: record.payment_id,
    actions: atStripe(service, `payments/${record.payment_id}`),
  });

/** @param {Record<string, string> | undefined} metadata */
function details(metadata) {
  const pairs = Object.entries(metadata ?? {});
  return pairs.length ? [h("h3", {}, "Metadata"), facts(pairs)] : null;
}
