// Payments, the newest first, with their states and amounts.

import { h, link } from "../dom.js";
import { counted, money } from "../format.js";
import * as ops from "../ops.js";
import { pill, when } from "../parts.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { listing } from "./listing.js";

/** @import { Asked, PaymentRow, Place } from "../../types" */
/** @typedef {PaymentRow & { id: string }} Row */

const STATUSES = [
  ...["succeeded", "requires_action", "requires_payment_method", "requires_capture"],
  ...["requires_confirmation", "processing", "canceled"],
];
const FIELDS = [
  { name: "status", label: "Status", options: STATUSES },
  { name: "event_id", label: "Event (event_id)", hint: "123" },
  { name: "order_id", label: "Order (order_id)", hint: "A-4711" },
  { name: "email", label: "E-mail", hint: "kim@example.com" },
  { name: "since", label: "Made since", type: "datetime-local" },
  { name: "until", label: "Made before", type: "datetime-local" },
  { name: "disputed", label: "Disputed", options: ["true"] },
  { name: "dead", label: "Dead letters", options: ["true"] },
];

/** @param {Place} place */
export const payments = ({ query }) =>
  listing({
    room: "payments",
    title: "Payments",
    thing: "payment",
    query,
    fields: FIELDS,
    at: "heard_at",
    byId: true,
    load: named,
    show: paymentTable,
    nothing: ["No payments yet", "Payments appear here with Stripe's first event about them."],
    hint: "Clear the search to see all payments, or find one by its id.",
  });

/**
 * Load a page of payments; the service continues after the id of the last one.
 * @param {Asked} asked
 * @param {AbortSignal} [signal]
 */
export async function named({ past, ...asked }, signal) {
  const list = await ops.payments({ ...asked, starting_after: past }, signal);
  return { ...list, data: list.data.map((row) => ({ ...row, id: row.payment_id })) };
}

/** @param {Row[]} rows */
export const paymentTable = (rows) =>
  table(
    "Payments",
    [
      {
        name: "Payment",
        phone: "span",
        show: (row) => [
          h(
            "span",
            { class: "lead" },
            link(
              address("payments", row.id),
              { class: "title" },
              row.amount === null ? "Not known yet" : money(row.amount, row.currency),
            ),
            flags(row),
          ),
          h("small", { class: "id" }, row.id),
        ],
      },
      { name: "Status", show: (row) => (row.status ? pill(row.status) : "–") },
      {
        name: "Customer, event",
        phone: "span",
        show: (row) => [row.customer_email ?? row.user_id ?? "–", eventLink(row.event_id)],
      },
      {
        name: "Refunded",
        end: true,
        phone: "none",
        show: (row) => (row.amount_refunded ? money(row.amount_refunded, row.currency) : "–"),
      },
      { name: "Created", end: true, show: (row) => when(row.created * 1000) },
    ],
    rows,
  );

/** @param {string | null} id */
const eventLink = (id) =>
  id === null
    ? null
    : h("small", { class: "below" }, link(address("event-payments", id), {}, `Event ${id}`));

/** @param {Row} row */
const flags = (row) => [
  row.dispute && [" ", pill(`dispute: ${row.dispute}`, "bad")],
  row.dead > 0 && [" ", pill(counted(row.dead, "dead letter"), "bad")],
];
