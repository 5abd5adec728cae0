// Events received from Stripe, the newest first.

import { h, link } from "../dom.js";
import { count } from "../format.js";
import * as ops from "../ops.js";
import { idLink, pill, when } from "../parts.js";
import { addressOf } from "../router.js";
import { table } from "../table.js";
import { listing } from "./listing.js";

/** @import { Item, Place } from "../../types" */

const STATES = ["received", "processing", "retrying", "processed", "ignored", "dead"];
const FIELDS = [
  { name: "type", label: "Type", hint: "payment_intent.*" },
  { name: "state", label: "State", options: STATES },
  { name: "payment_id", label: "Payment", hint: "pi_…" },
  { name: "error", label: "Error contains", hint: "stripe_…" },
];

/** @param {Place} place */
export const events = ({ query }) =>
  listing({
    room: "events",
    title: "Stripe events",
    thing: "Stripe event",
    query,
    fields: FIELDS,
    at: "recorded_at",
    load: ops.events,
    show: eventTable,
    nothing: ["No Stripe events yet", "They appear here when Stripe sends them."],
    hint: "A type may be a pattern: payment_intent.* or *refund*.",
  });

/** @param {Item[]} rows */
export const eventTable = (rows) =>
  table(
    "Stripe events",
    [
      {
        name: "Stripe event",
        show: (row) => [
          link(addressOf(row.id) ?? "#/", { class: "title" }, row.type ?? "unknown"),
          h("small", { class: "id" }, row.id),
        ],
      },
      { name: "State", show: (row) => pill(row.state) },
      { name: "Payment", show: (row) => idLink(row.payment_id) },
      { name: "Attempts", end: true, phone: "none", show: (row) => count(row.attempts) },
      { name: "Recorded", end: true, show: (row) => when(row.recorded_at) },
    ],
    rows,
  );
