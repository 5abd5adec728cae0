// Refund an event's payments: show what would happen, ask for confirmation, start the batch.

import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { counted, decimals, money, sentence } from "./format.js";
import * as ops from "./ops.js";
import { address } from "./router.js";

/** @import { Child, DryRun } from "../types" */
/** @typedef {import("../types").BatchTerms} Terms */

const REASONS = ["requested_by_customer", "duplicate", "fraudulent"];

/**
 * Ask how much of each payment to refund, and show what that would do.
 * @param {string} eventId
 * @param {string[]} currencies currencies of its payments
 */
export function refundEvent(eventId, currencies) {
  const { element, read } = termFields(eventId, currencies);
  ask({
    title: "Refund this event?",
    body: h("p", {}, "The next step shows what would happen. Nothing is refunded yet."),
    fields: { element, read },
    signed: false,
    confirm: "Show what would happen",
    act: async () => {
      const terms = read();
      const plan = await ops.tryBatch(terms);
      // This dialog closes when this function ends; the next one opens after that.
      setTimeout(() => confirmStart(eventId, terms, plan));
      return "";
    },
  });
}

/**
 * @param {string} eventId
 * @param {string[]} currencies
 */
function termFields(eventId, currencies) {
  const share = select("refund-share", {
    all: "All that is left",
    percent: "A percentage",
    amount: "An amount",
  });
  const percent = figure("Percentage", "0.01", "100");
  const amount = figure("Amount");
  const kept = select("refund-kept", {
    "": "Nothing",
    stripe_fee: "Stripe's fee",
    fixed: "An amount",
  });
  const fee = figure("Amount to keep");
  const currency = select(
    "refund-currency",
    Object.fromEntries(currencies.map((one) => [one, one.toUpperCase()])),
  );
  const reason = select(
    "refund-reason",
    Object.fromEntries(REASONS.map((one) => [one, sentence(one)])),
  );
  const only = row("refund-currency", "Only payments in", currency);
  const follow = () => {
    offer(percent, share.value === "percent");
    offer(amount, share.value === "amount");
    offer(fee, kept.value === "fixed");
    only.hidden = amount.hidden && fee.hidden;
    const step = String(1 / 10 ** decimals(currency.value));
    for (const input of [amount, fee]) input.min = input.step = step;
  };
  for (const one of [share, kept, currency]) one.addEventListener("change", follow);
  follow();
  const element = h(
    "div",
    { class: "terms" },
    row("refund-share", "How much of each payment", share, percent, amount),
    row("refund-kept", "Keep of each payment", kept, fee),
    only,
    row("refund-reason", "Reason", reason),
  );
  /** @param {HTMLInputElement} input */
  const smallest = (input) => Math.round(input.valueAsNumber * 10 ** decimals(currency.value));
  /** @returns {Terms} */
  const read = () => ({
    event_id: eventId,
    reason: reason.value,
    ...(percent.hidden ? {} : { percent: percent.value }),
    ...(amount.hidden ? {} : { amount: smallest(amount) }),
    ...(kept.value === "stripe_fee" ? { keep_fee: kept.value } : {}),
    ...(fee.hidden ? {} : { keep_fee: smallest(fee) }),
    ...(only.hidden ? {} : { expected_currency: currency.value }),
  });
  return { element, read };
}

/**
 * @param {string} label
 * @param {string} [least]
 * @param {string} [most]
 */
const figure = (label, least = "1", most = "") =>
  h("input", { type: "number", min: least, max: most, step: least, "aria-label": label });

/**
 * Show an input and require a value, or hide it.
 * @param {HTMLInputElement} input
 * @param {boolean} wanted
 */
function offer(input, wanted) {
  input.hidden = input.disabled = !wanted;
  input.required = wanted;
}

/**
 * @param {string} id
 * @param {Record<string, string>} options
 */
const select = (id, options) =>
  h(
    "select",
    { id },
    ...Object.entries(options).map(([value, label]) => h("option", { value }, label)),
  );

/**
 * @param {string} id
 * @param {string} label
 * @param {...Child} controls
 */
const row = (id, label, ...controls) => h("div", {}, h("label", { for: id }, label), ...controls);

/**
 * Show what would happen, and start the batch when the operator has typed the event's id.
 * @param {string} eventId
 * @param {Terms} terms
 * @param {DryRun} plan
 */
function confirmStart(eventId, terms, plan) {
  if (plan.payments === 0) {
    ask({
      title: "Nothing can be refunded",
      body: leftOut(plan),
      signed: false,
      confirm: "Close",
      dismiss: null,
      act: async () => "",
    });
    return;
  }
  const typed = h("input", { id: "refund-typed", autocomplete: "off", spellcheck: "false" });
  typed.required = true;
  typed.addEventListener("input", () => {
    const isSame = asShown(typed.value) === asShown(eventId);
    typed.setCustomValidity(isSame ? "" : `Type ${asShown(eventId)}`);
  });
  const label = h("label", { for: "refund-typed" }, "Type ", h("code", {}, eventId), " to confirm");
  ask({
    title: `Refund ${counted(plan.payments, "payment")}?`,
    body: [wouldRefund(plan), leftOut(plan), funds(plan)],
    fields: { element: h("div", {}, label, typed), read: () => ({}) },
    signed: false,
    confirm: `Refund ${counted(plan.payments, "payment")}`,
    once: true,
    act: async (_, key) => {
      const { batch_id } = await ops.startBatch(terms, key);
      location.hash = address("refund-batches", batch_id);
      return `${counted(plan.payments, "payment")} will be refunded.`;
    },
  });
}

/**
 * Return a text as a page shows it: nobody can see, or type into a line, other white space.
 * @param {string} text
 */
const asShown = (text) => text.replace(/\s+/g, " ").trim();

/** @param {DryRun} plan */
const wouldRefund = ({ payments, amounts }) =>
  h(
    "ul",
    { class: "plain", "aria-label": "What would be refunded" },
    ...Object.entries(amounts).map(([currency, amount]) =>
      h("li", {}, h("strong", {}, money(amount, currency))),
    ),
    h("li", {}, `go back to the customers of ${counted(payments, "payment")}.`),
  );

/** @param {DryRun} plan */
function leftOut({ left_out, left_out_payments }) {
  const reasons = Object.entries(left_out);
  if (reasons.length === 0) return null;
  const ids = left_out_payments.map(({ payment_id, reason }) => `${payment_id}  ${reason}`);
  return [
    h("p", {}, "Left out:"),
    h(
      "ul",
      { class: "plain", "aria-label": "Left out" },
      ...reasons.map(([reason, number]) =>
        h("li", {}, `${counted(number, "payment")}: ${reason.replaceAll("_", " ")}`),
      ),
    ),
    h(
      "details",
      { class: "ids" },
      h("summary", {}, "Their ids"),
      h("pre", { tabindex: "0", role: "region", "aria-label": "Ids" }, ids.join("\n")),
    ),
  ];
}

/** @param {DryRun} plan */
const funds = ({ funds: needed }) =>
  needed.map(({ currency, needed: sum, available, missing }) =>
    missing
      ? h(
          "p",
          { class: "advice wait" },
          `The balance at Stripe lacks ${money(missing, currency)}: it has ` +
            `${money(available, currency)} of ${money(sum, currency)}. The batch pauses when the ` +
            "balance is used up, and resumes by itself when it suffices.",
        )
      : h(
          "p",
          {},
          available === null
            ? `The batch needs ${money(sum, currency)}; how much the balance has is unknown.`
            : `The batch needs ${money(sum, currency)} of the ${money(available, currency)} ` +
                "in the balance at Stripe.",
        ),
  );
