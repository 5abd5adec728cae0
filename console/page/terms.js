// Describe in words how much a batch refunds of each payment.

import { count, money } from "./format.js";

/** @import { Batch } from "../types" */

/**
 * Describe how much a batch refunds of each payment.
 * @param {Batch} batch
 */
export function termsOf({ percent, amount, keep_fee, expected_currency, amounts }) {
  // A batch with amounts in its terms refunds payments of one currency only.
  const currency = expected_currency ?? Object.keys(amounts)[0] ?? null;
  const share = percent
    ? `${percent} %`
    : amount
      ? `${sum(amount, currency)} of each`
      : "all that is left";
  const kept = keep_fee === "stripe_fee" ? "Stripe's fee" : sum(Number(keep_fee), currency);
  return keep_fee === null ? share : `${share}, less ${kept}`;
}

/**
 * @param {number} amount
 * @param {string | null} currency
 */
const sum = (amount, currency) => (currency ? money(amount, currency) : count(amount));
