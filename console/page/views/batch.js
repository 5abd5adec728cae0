// A batch of refunds: its progress, the state of each payment, and the actions on it.

import { actions } from "../batches.js";
import { h, link } from "../dom.js";
import { count, counted, duration, money, sentence, words } from "../format.js";
import * as ops from "../ops.js";
import { card, empty, facts, headCard, idLink, pill, when } from "../parts.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { termsOf } from "../terms.js";
import { PAGE } from "./search.js";

/** @import { Batch, BatchMember, Child, MemberPage, Place, Tone, View } from "../../types" */

/** @type {Record<string, Tone>} */
const STATE_TONES = { running: "wait", paused: "wait", completed: "good", canceled: "none" };
/** @type {Record<string, Tone>} */
const TONES = { refunded: "good", failed: "bad", dead: "bad", begun: "wait", late: "wait" };
const STATES = [
  ...["refunded", "pending", "begun", "waiting", "not_begun"],
  ...["failed", "dead", "left_out", "late"],
];

// Refunds that are made also when the batch is canceled.
const BEGUN = ["begun", "waiting"];

/**
 * @param {Place} place
 * @param {{ refresh: () => void }} tools
 * @returns {View<{ batch: Batch, page: MemberPage }>}
 */
export function batch({ id, query }, { refresh }) {
  const batchId = id ?? "";
  const search = { status: query.status, starting_after: query.past, limit: PAGE };
  return {
    title: "Batch of refunds",
    name: ({ batch: known }) => known.batch_id,
    load: async (signal) => {
      const [known, page] = await Promise.all([
        ops.batch(batchId, signal),
        ops.batchMembers(batchId, search, signal),
      ]);
      return { batch: known, page };
    },
    draw: ({ batch: known, page }) => [
      head(known, refresh),
      card("By state", {}, countTable(known)),
      membersCard(known, page, query),
    ],
    missing: (error) => empty(error.message, "All batches are listed under Refunds, Batches."),
  };
}

/**
 * Show a batch's progress as a bar and in figures.
 * @param {Batch} known
 */
export const progressOf = ({ batch_id, done, total }) => {
  const text = `${count(done)} of ${count(total)}`;
  const label = `Progress of ${batch_id}`;
  return h(
    "span",
    { class: "progress" },
    h("progress", { value: done, max: Math.max(total, 1), "aria-label": label }, text),
    h("span", {}, text),
  );
};

/**
 * @param {Batch} known
 * @param {() => void} refresh
 */
function head(known, refresh) {
  const { event_id } = known;
  return headCard(
    "Batch",
    {
      title: [
        event_id
          ? link(address("event-payments", event_id), {}, `Event ${event_id}`)
          : counted(known.total, "payment"),
        " ",
        statePill(known),
      ],
      id: known.batch_id,
      actions: actions(known, refresh),
    },
    progressOf(known),
    known.state === "paused" ? h("p", { class: "advice wait" }, pausedBecause(known)) : null,
    facts([
      ["Refunded", sums(known, ["refunded", "pending"])],
      ...unrefunded(known),
      ["Failed", sums(known, ["failed", "dead"])],
      ["Speed", known.per_second ? `${known.per_second} a second` : null],
      ["Ends", known.estimated_end && remaining(known.estimated_end)],
      ["Started", when(known.created)],
      ["Ended", known.ended && when(known.ended)],
      ["Of each payment", sentence(termsOf(known))],
      ["Reason", known.reason && sentence(known.reason)],
      ["Account", known.account],
      ...Object.entries(known.metadata),
    ]),
  );
}

/**
 * Sum up what is still to refund, and what will not be refunded.
 * @param {Batch} known
 * @returns {[string, Child][]}
 */
const unrefunded = (known) =>
  known.state === "canceled"
    ? [
        ["Still to refund", sums(known, BEGUN)],
        ["Not refunded", sums(known, ["not_begun"])],
      ]
    : [["Still to refund", sums(known, [...BEGUN, "not_begun"])]];

/**
 * Show the state of a batch in its colour, and how many of its refunds failed: it completes all
 * the same.
 * @param {Batch} known
 * @returns {Child}
 */
export const statePill = ({ state, counts }) => {
  const lost = (counts.failed ?? 0) + (counts.dead ?? 0);
  return [pill(state, STATE_TONES[state]), lost > 0 && [" ", pill(`${count(lost)} failed`, "bad")]];
};

/** @param {string} end */
function remaining(end) {
  const seconds = (new Date(end).getTime() - Date.now()) / 1000;
  return seconds > 0 ? `in about ${duration(seconds)}` : "soon";
}

/** @param {Batch} known */
function pausedBecause({ paused_reason, missing }) {
  if (paused_reason !== "insufficient_funds")
    return "Paused. Refunds that have begun are completed.";
  const lacks = Object.entries(missing ?? {}).map(([currency, lack]) => money(lack, currency));
  const much = lacks.length ? `: ${lacks.join(", ")} is missing` : "";
  return `The balance at Stripe is too low${much}. The batch resumes by itself when it suffices.`;
}

/**
 * Add up the amounts of members in some states, by currency; null if there are none.
 * @param {Batch} known
 * @param {string[]} states
 * @returns {Child}
 */
function sums({ amounts }, states) {
  const texts = Object.entries(amounts)
    .map(([currency, own]) => ({
      currency,
      sum: states.reduce((total, state) => total + (own[state] ?? 0), 0),
    }))
    .filter(({ sum }) => sum > 0)
    .map(({ currency, sum }) => h("div", {}, money(sum, currency)));
  return texts.length ? texts : null;
}

/** @param {Batch} known */
const countTable = (known) =>
  table(
    "Payments by state",
    [
      {
        name: "State",
        show: (state) =>
          link(
            address("refund-batches", known.batch_id, { status: state }),
            {},
            pill(state, TONES[state]),
          ),
      },
      { name: "Payments", end: true, show: (state) => count(known.counts[state]) },
      { name: "Amount", end: true, show: (state) => sums(known, [state]) ?? "–" },
    ],
    STATES.filter((state) => known.counts[state]),
    "dense",
  );

/**
 * @param {Batch} known
 * @param {MemberPage} page
 * @param {Record<string, string>} query
 */
function membersCard(known, page, query) {
  const title = query.status ? `Payments: ${words(query.status)}` : "Payments";
  const here = address("refund-batches", known.batch_id);
  const all = query.status ? link(here, { class: "more" }, "All states") : null;
  return card(
    title,
    { actions: all },
    page.data.length
      ? memberTable(page.data)
      : empty("No payments", "No payment is in this state now."),
    pages(known, page, query),
  );
}

/**
 * Link to the first and to the next page.
 * @param {Batch} known
 * @param {MemberPage} page
 * @param {Record<string, string>} query
 */
function pages({ batch_id }, { data, has_more }, { past, ...search }) {
  const last = data.at(-1);
  const next = has_more && last ? { ...search, past: last.payment_id } : null;
  if (!past && next === null) return null;
  /** @param {Record<string, string>} query */
  const here = (query) => address("refund-batches", batch_id, query);
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    past ? link(here(search), { class: "button" }, "First page") : h("span", {}),
    next && link(here(next), { class: "button" }, "Next page"),
  );
}

/** @param {BatchMember[]} rows */
const memberTable = (rows) =>
  table(
    "Payments of the batch",
    [
      { name: "Payment", phone: "span", show: (row) => idLink(row.payment_id) },
      { name: "State", show: (row) => pill(row.status, TONES[row.status]) },
      {
        name: "Why",
        phone: "span",
        show: (row) => {
          const why = row.failure_message ?? row.failure_code ?? row.reason;
          return why && h("span", { class: "error" }, sentence(why));
        },
      },
      { name: "Refund", phone: "none", show: (row) => idLink(row.refund_id) },
      { name: "Amount", end: true, show: (row) => money(row.amount || null, row.currency) },
    ],
    rows,
  );
