// An event that tickets were sold for: its payments, their sums, and the refund of all of them.

import { button, h, link } from "../dom.js";
import { count, counted, money } from "../format.js";
import * as ops from "../ops.js";
import { card, empty, facts, headCard, pill } from "../parts.js";
import { refundEvent } from "../refunding.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { batchTable } from "./batches.js";
import { named, paymentTable } from "./payments.js";

/** @import { Batch, PaymentRow, PaymentSum, PaymentSums, Place, View } from "../../types" */
/** @typedef {PaymentRow & { id: string }} Row */
/** @typedef {{ sums: PaymentSums, rows: Row[], batches: Batch[] }} Sales */

const NEWEST = 20;
// How long sums are reused: the service needs a second to add up ten thousand payments.
const SUMS_LAST_MS = 30_000;

/**
 * @param {Place} place
 * @returns {View<Sales>}
 */
export function event({ id }) {
  const name = id ?? "";
  const sums = cached((signal) => ops.paymentSums({ event_id: name }, signal));
  return {
    title: "Event",
    name: () => name,
    load: async (signal) => {
      const [known, newest, started] = await Promise.all([
        sums(signal),
        named({ event_id: name, limit: NEWEST }, signal),
        ops.batches({ event_id: name }, signal),
      ]);
      return { sums: known, rows: newest.data, batches: started.data };
    },
    draw: (sales) => drawn(name, sales),
  };
}

/**
 * Load data, and return the same data for a while instead of loading it again.
 * @template Data
 * @param {(signal: AbortSignal) => Promise<Data>} load
 */
function cached(load) {
  /** @type {{ data: Data, until: number } | null} */
  let last = null;
  return async (/** @type {AbortSignal} */ signal) => {
    if (last === null || Date.now() > last.until) {
      last = { data: await load(signal), until: Date.now() + SUMS_LAST_MS };
    }
    return last.data;
  };
}

/**
 * @param {string} name
 * @param {Sales} sales
 */
function drawn(name, { sums, rows, batches }) {
  if (sums.payments === 0) {
    return empty(
      "No payment names this event",
      "A payment belongs to the event that event_id in its metadata names.",
    );
  }
  const all = link(address("payments", null, { event_id: name }), { class: "more" }, "All of them");
  return [
    headCard(
      "Event",
      {
        title: counted(sums.payments, "payment") + (sums.complete ? "" : ", and more"),
        id: name,
        actions: button(
          { class: "primary" },
          () => refundEvent(name, currencies(sums.sums)),
          "Refund this event",
        ),
      },
      facts([
        ["Received", byCurrency(sums.sums, "amount_received")],
        ["Refunded", byCurrency(sums.sums, "amount_refunded")],
        ["Stripe's fees", settled(sums, "fee")],
        ["Net, before refunds", settled(sums, "net")],
      ]),
      sums.complete ? null : h("p", { class: "hint" }, "The sums are of the newest payments only."),
    ),
    batches.length ? card("Refunds of this event", {}, batchTable(batches)) : null,
    card("By status", {}, sumTable(sums.sums)),
    card(`Newest ${counted(rows.length, "payment")}`, { actions: all }, paymentTable(rows)),
  ];
}

/**
 * List the currencies of the payments, the most frequent first.
 * @param {PaymentSum[]} sums
 */
function currencies(sums) {
  const most = [...sums].sort((one, other) => other.payments - one.payments);
  return [...new Set(most.flatMap(({ currency }) => currency ?? []))];
}

/**
 * Add up the sums of each currency.
 * @param {PaymentSum[]} sums
 * @param {"amount_received" | "amount_refunded"} field
 */
function byCurrency(sums, field) {
  /** @type {Record<string, number>} */
  const totals = {};
  for (const sum of sums) {
    if (sum.currency) totals[sum.currency] = (totals[sum.currency] ?? 0) + sum[field];
  }
  return lines(Object.entries(totals).map(([currency, total]) => money(total, currency)));
}

/**
 * @param {PaymentSums} sums
 * @param {"fee" | "net"} field
 */
const settled = (sums, field) =>
  lines(sums.settled.map((one) => money(one[field], one.settlement_currency))) ?? "not known yet";

/** @param {string[]} texts */
const lines = (texts) => (texts.length ? texts.map((text) => h("div", {}, text)) : null);

/**
 * Keep the sums of one status together, that of most payments first.
 * @param {PaymentSum[]} sums
 */
function byStatus(sums) {
  /** @type {Map<string | null, PaymentSum[]>} */
  const groups = new Map();
  for (const sum of sums) groups.set(sum.status, [...(groups.get(sum.status) ?? []), sum]);
  return [...groups.values()].flat();
}

/** @param {PaymentSum[]} sums */
const sumTable = (sums) =>
  table(
    "Sums by status",
    [
      { name: "Status", show: (sum) => (sum.status ? pill(sum.status) : "not known") },
      {
        name: "Payments",
        end: true,
        show: (sum) => [
          count(sum.payments),
          sum.disputed > 0 && [" ", pill(counted(sum.disputed, "dispute"), "bad")],
        ],
      },
      { name: "Received", end: true, show: (sum) => money(sum.amount_received, sum.currency) },
      { name: "Refunded", end: true, show: (sum) => money(sum.amount_refunded, sum.currency) },
    ],
    byStatus(sums),
    "dense",
  );
