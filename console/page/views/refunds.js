// Refund jobs, the newest first, with their outcomes.

import { causeOf } from "../advice.js";
import { h, link } from "../dom.js";
import { count, money, sentence } from "../format.js";
import * as ops from "../ops.js";
import { idLink, nextTry, pill, when } from "../parts.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { listing } from "./listing.js";

/** @import { Place, RefundRow, Tone } from "../../types" */

const FIELDS = [
  {
    name: "status",
    label: "Status",
    options: ["queued", "processing", "retrying", "pending", "refunded", "failed", "dead"],
  },
  { name: "payment_id", label: "Payment", hint: "pi_…" },
  { name: "error", label: "Error contains", hint: "charge_already_refunded" },
  { name: "since", label: "Requested since", type: "datetime-local" },
];
/** @type {Record<string, Tone>} */
const TONES = { refunded: "good", failed: "bad" };

/** @param {Place} place */
export const refunds = ({ query }) =>
  listing({
    room: "refunds",
    title: "Refunds",
    thing: "refund",
    query,
    fields: FIELDS,
    at: "recorded_at",
    actions: link(address("refund-batches"), { class: "button" }, "Batches"),
    load: ops.refunds,
    show: refundTable,
    nothing: ["No refunds yet", "Refunds that this service is asked for appear here."],
  });

/** @param {RefundRow[]} rows */
const refundTable = (rows) =>
  table(
    "Refunds",
    [
      {
        name: "Refund",
        show: (row) => [
          link(address("items", row.id), { class: "title" }, amountOf(row)),
          h("small", { class: "id" }, row.refund_id ?? row.id),
        ],
      },
      {
        name: "Status",
        show: (row) => [pill(row.status, TONES[row.status]), nextTry(row.next_attempt_at)],
      },
      { name: "Payment", show: (row) => idLink(row.payment_id) },
      {
        name: "Why",
        phone: "span",
        show: why,
      },
      { name: "Attempts", end: true, phone: "none", show: (row) => count(row.attempts) },
      { name: "Requested", end: true, show: (row) => when(row.recorded_at) },
    ],
    rows,
  );

/**
 * Say what keeps a refund from being made, or why it was asked for.
 * @param {RefundRow} row
 */
function why({ status, error, pending_reason, reason }) {
  if (error && status !== "refunded") {
    return h("span", { class: "error", title: error }, causeOf(error));
  }
  const given = pending_reason ?? reason;
  return given && sentence(given);
}

/** @param {RefundRow} row */
const amountOf = (row) =>
  row.amount === null ? "The whole rest" : money(row.amount, row.currency);
