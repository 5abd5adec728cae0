// Payments: how the money stands, and all that is known to have happened to it.

import { get, Refused } from "../client.js";
import { h, link } from "../dom.js";
import { money, sentence } from "../format.js";
import { card, copyable, empty, facts, idLink, pill, table, when } from "../parts.js";
import { address } from "../router.js";
import { timeline } from "./timeline.js";

// Events that are read to list the payments heard of last.
const RECENT_EVENTS = 200;
const FAMILIES = [
  ["refund", "Refunds"],
  ["dispute", "Disputes"],
  ["charge", "Charges"],
  ["checkout", "Checkout sessions"],
];

/** List the payments heard of last. */
export function payments() {
  return {
    title: "Payments",
    load: (signal) => get("events", { limit: RECENT_EVENTS }, signal),
    draw: ({ data }) => {
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
      { name: "Heard", end: true, show: (row) => when(row.recorded_at) },
    ],
    rows,
  );

/** Show one payment. */
export function payment({ id }) {
  return {
    title: "Payment",
    load: (signal) => get(`payments/${encodeURIComponent(id)}`, {}, signal),
    draw: story,
    missing: (error) => empty(error.message, UNKNOWN),
  };
}

const UNKNOWN =
  "Payments are remembered for half a year after their last event. " +
  "Stripe's dashboard knows all of them.";

/** Show one refund, by Stripe's id or by our request's, with the payment it belongs to. */
export function refund({ id }) {
  return {
    title: "Refund",
    load: async (signal) => {
      const found = await get(`refunds/${encodeURIComponent(id)}`, {}, signal);
      const owner = found.payment_intent_id ?? found.charge_id;
      return { found, payment: owner ? await known(owner, signal) : null };
    },
    draw: ({ found, payment: owner }) => [refundCard(found, owner), owner && story(owner)],
    missing: (error) => empty(error.message, "Look for it at Stripe, or by its payment."),
  };
}

async function known(id, signal) {
  try {
    return await get(`payments/${id}`, {}, signal);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

function refundCard(found, owner) {
  const currency = found.currency ?? currencyOf(owner);
  const amount = found.amount === null ? "All that was left" : money(found.amount, currency);
  return h(
    "section",
    { class: "card", "aria-label": "Refund" },
    h(
      "div",
      { class: "card-head" },
      h(
        "div",
        {},
        h("h2", { class: "big" }, amount, " ", pill(found.status)),
        copyable(found.refund_id ?? found.refund_request_id),
      ),
    ),
    facts([
      ["Payment", found.payment_intent_id && idLink(found.payment_intent_id)],
      ["Request", found.refund_request_id && idLink(found.refund_request_id)],
      ["Reason", found.reason && sentence(found.reason)],
      ["Failed because", found.failure_reason && sentence(found.failure_reason)],
      ["Created", found.created && when(found.created * 1000)],
      ...Object.entries(found.metadata ?? {}),
    ]),
  );
}

function story(found) {
  const subjects = Object.entries(found.known.subjects ?? {});
  const own = found.known.subjects?.[found.payment_id];
  const currency = currencyOf(found);
  return [
    own ? head(found, own, subjects) : bare(found),
    ...FAMILIES.map(([family, name]) =>
      related(
        name,
        subjects.filter(([, one]) => one.family === family),
      ),
    ),
    card("Timeline", {}, timeline(found.timeline, currency)),
  ];
}

function currencyOf(found) {
  const subjects = Object.values(found?.known?.subjects ?? {});
  return subjects.map(({ snapshot }) => snapshot?.currency).find(Boolean) ?? null;
}

function head(found, own, subjects) {
  const { amount, currency, description, metadata, created, livemode, ...rest } = own.snapshot;
  const refunded = subjects
    .filter(([, one]) => one.family === "refund" && one.status === "succeeded")
    .reduce((sum, [, one]) => sum + (one.snapshot.amount ?? 0), 0);
  return h(
    "section",
    { class: "card", "aria-label": "Payment" },
    h(
      "div",
      { class: "card-head" },
      h(
        "div",
        {},
        h("h2", { class: "big" }, money(amount, currency), " ", pill(own.status)),
        copyable(found.payment_id),
      ),
    ),
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

const bare = (found) =>
  h(
    "section",
    { class: "card", "aria-label": "Payment" },
    h(
      "div",
      { class: "card-head" },
      h("div", {}, h("h2", { class: "big" }, "State not known yet"), copyable(found.payment_id)),
    ),
  );

function details(metadata) {
  const pairs = Object.entries(metadata ?? {});
  return pairs.length ? [h("h3", {}, "Metadata"), facts(pairs)] : null;
}

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
        {
          name: "Reason",
          show: ([, { snapshot }]) =>
            (snapshot.failure_reason ?? snapshot.reason)
              ? sentence(snapshot.failure_reason ?? snapshot.reason)
              : "–",
        },
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
