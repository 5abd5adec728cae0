// Events received from Stripe, the newest first.

import { get } from "../client.js";
import { h, link } from "../dom.js";
import { count, counted } from "../format.js";
import { empty, idLink, pill, table, when } from "../parts.js";
import { addressOf } from "../router.js";
import { pageOf, pageQuery, pager, pattern, searchForm } from "./search.js";

const STATES = ["received", "processing", "retrying", "processed", "ignored", "dead"];
const FIELDS = [
  { name: "type", label: "Type", hint: "payment_intent.*" },
  { name: "state", label: "State", options: STATES },
  { name: "payment_id", label: "Payment", hint: "pi_…" },
  { name: "error", label: "Error contains", hint: "stripe_…" },
];

export function events({ query }) {
  const sought = pageQuery({ ...query, type: pattern(query.type) });
  return {
    title: "Events",
    frame: searchForm("events", query, FIELDS),
    load: (signal) => get("events", sought, signal),
    draw: ({ data }) => {
      const { rows, more } = pageOf(data, query, "recorded_at");
      if (rows.length === 0) return nothing(query);
      return [
        h(
          "p",
          { class: "hint" },
          `${counted(rows.length, "event")}${more ? ", more are older" : ""}`,
        ),
        h("section", { class: "card" }, eventTable(rows)),
        pager("events", query, more),
      ];
    },
  };
}

export const eventTable = (rows) =>
  table(
    "Events",
    [
      {
        name: "Event",
        show: (row) => [
          link(addressOf(row.id), { class: "title" }, row.type ?? "unknown"),
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

const nothing = (query) =>
  Object.keys(query).length
    ? empty("No event matches", "A type is a pattern: payment_intent.* or *refund*.")
    : empty("No events yet", "Stripe's events show up here as they come in.");
