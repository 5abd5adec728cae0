// The refunds, disputes, charges and checkout sessions of a payment.

import { h, outside } from "../dom.js";
import { money, sentence } from "../format.js";
import { card, idLink, pill, when } from "../parts.js";
import { table } from "../table.js";

/** @import { Column, Service, Subject } from "../../types" */
/** @typedef {[string, Subject]} Named */

/** @type {[string, string][]} */
const FAMILIES = [
  ["refund", "Refunds"],
  ["dispute", "Disputes"],
  ["charge", "Charges"],
  ["checkout", "Checkout sessions"],
];

/**
 * Build a card for each of these families that the payment has objects of.
 * @param {Named[]} subjects
 * @param {Service} service
 */
export const related = (subjects, service) =>
  FAMILIES.map(([family, name]) => {
    const own = subjects.filter(([, one]) => one.family === family);
    if (own.length === 0) return null;
    return card(name, {}, table(name, [idColumn(service), ...columnsOf(own)], own));
  });

/**
 * @param {Service} service
 * @returns {Column<Named>}
 */
const idColumn = (service) => ({
  name: "Id",
  show: ([id, one]) => {
    if (one.family === "refund") return idLink(id);
    const text = h("span", { class: "id" }, id);
    const isAtStripe = one.family === "dispute" && service.mode !== "simulated";
    return isAtStripe ? outside(service.dashboard, `disputes/${id}`, text) : text;
  },
});

/**
 * Give the columns, without those that nothing in the list has a value for.
 * @param {Named[]} own
 * @returns {Column<Named>[]}
 */
function columnsOf(own) {
  const some = (/** @type {(snapshot: Record<string, any>) => unknown} */ has) =>
    own.some(([, { snapshot }]) => has(snapshot));
  const reason = some(givenReason);
  return [
    STATUS,
    ...(reason ? [REASON] : []),
    { ...AMOUNT, phone: reason ? undefined : "span" },
    ...(some(({ created }) => created) ? [CREATED] : []),
  ];
}

/** @type {Column<Named>} */
const STATUS = { name: "Status", show: ([, one]) => [pill(one.status), evidenceDue(one)] };
/** @type {Column<Named>} */
const REASON = { name: "Reason", show: ([, { snapshot }]) => orDash(givenReason(snapshot)) };
/** @type {Column<Named>} */
const AMOUNT = {
  name: "Amount",
  end: true,
  show: ([, { snapshot }]) => money(snapshot.amount ?? snapshot.amount_total, snapshot.currency),
};
/** @type {Column<Named>} */
const CREATED = {
  name: "Created",
  end: true,
  phone: "none",
  show: ([, { snapshot }]) => when(snapshot.created ? snapshot.created * 1000 : null),
};

/** @param {Subject} one */
const evidenceDue = ({ status, snapshot }) =>
  status.endsWith("needs_response") &&
  snapshot.due_by &&
  h("small", { class: "below" }, "evidence is due ", when(snapshot.due_by * 1000));

/** @param {Record<string, any>} snapshot */
function givenReason(snapshot) {
  return snapshot.failure_reason ?? snapshot.pending_reason ?? snapshot.reason;
}

/** @param {string | null | undefined} text */
const orDash = (text) => (text ? sentence(text) : "–");
