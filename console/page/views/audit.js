// The decisions of operators, the newest first.

import { csv, save } from "../csv.js";
import { explain, toast } from "../dialogs.js";
import { button, h, icon } from "../dom.js";
import { counted, words } from "../format.js";
import * as ops from "../ops.js";
import { empty, idLink, pill, when, whoOf } from "../parts.js";
import { table } from "../table.js";

/** @import { AuditList, View } from "../../types" */
/** @typedef {Record<string, any>} Decision */

const SHOWN = 200;
// Most entries that the service returns at once.
const MOST_IN_A_FILE = 1_000;

/** @returns {View<AuditList>} */
export function audit() {
  return {
    title: "Audit",
    actions: button({}, exportDecisions, icon("save"), "Export CSV"),
    load: (signal) => ops.audit(SHOWN, signal),
    draw: ({ data }) =>
      data.length === 0
        ? empty(
            "No operator has acted yet",
            "Every redrive, resolution and reconcile is kept here with who and why.",
          )
        : h("section", { class: "card", "aria-label": "Decisions" }, auditTable(data)),
  };
}

/** @param {Decision[]} rows */
const auditTable = (rows) =>
  table(
    "Audit",
    [
      { name: "What", phone: "span", show: (row) => pill(words(row.kind), "none") },
      { name: "Item", phone: "span", show: (row) => idLink(row.id) },
      { name: "By", show: (row) => whoOf(row) ?? "–" },
      { name: "Reason", phone: "span", show: (row) => row.reason ?? "–" },
      { name: "Key", phone: "none", show: (row) => h("code", {}, row.key) },
      { name: "When", end: true, show: (row) => when(row.at) },
    ],
    rows,
  );

async function exportDecisions() {
  try {
    const { data } = await ops.audit(MOST_IN_A_FILE);
    save("audit.csv", csv(data));
    toast(`${counted(data.length, "decision")} exported`);
  } catch (error) {
    toast(explain(error));
  }
}
