// What belongs to a payment: its refunds, disputes, charges and checkout sessions.

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
 * Build a card for each family that a payment has something of.
 * @param {Named[]} subjects
 * @param {Service} service
 */
export const related = (subjects, service) =>
  FAMILIES.map(([family, name]) => {
    const own = subjects.filter(([, one]) => one.family === family);
    if (own.length === 0) return null;
    return card(name, {}, table(name, [idColumn(service), ...COLUMNS], own));
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

/** @type {Column<Named>[]} */
const COLUMNS = [
  { name: "Status", show: ([, one]) => [pill(one.status), evidenceDue(one)] },
  { name: "Reason", show: ([, { snapshot }]) => reasonOf(snapshot) },
  {
    name: "Amount",
    end: true,
    show: ([, { snapshot }]) => money(snapshot.amount ?? snapshot.amount_total, snapshot.currency),
  },
  {
    name: "Created",
    end: true,
    phone: "none",
    show: ([, { snapshot }]) => when(snapshot.created ? snapshot.created * 1000 : null),
  },
];

/** @param {Subject} one */
const evidenceDue = ({ status, snapshot }) =>
  status.endsWith("needs_response") &&
  snapshot.due_by &&
  h("small", { class: "below" }, "evidence is due ", when(snapshot.due_by * 1000));

/** @param {Record<string, any>} snapshot */
function reasonOf(snapshot) {
  const reason = snapshot.failure_reason ?? snapshot.pending_reason ?? snapshot.reason;
  return reason ? sentence(reason) : "–";
}
