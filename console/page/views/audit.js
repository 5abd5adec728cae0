// What people decided here, the newest first.

import { get } from "../client.js";
import { h } from "../dom.js";
import { words } from "../format.js";
import { empty, idLink, pill, table, when } from "../parts.js";

const SHOWN = 200;

export function audit() {
  return {
    title: "Audit",
    load: (signal) => get("audit", { limit: SHOWN }, signal),
    draw: ({ data }) =>
      data.length === 0
        ? empty(
            "Nobody decided anything yet",
            "Every redrive, resolution and reconcile is kept here with who and why.",
          )
        : h("section", { class: "card" }, auditTable(data)),
  };
}

const auditTable = (rows) =>
  table(
    "Audit",
    [
      { name: "What", show: (row) => pill(words(row.kind), "none") },
      { name: "Item", show: (row) => idLink(row.id) },
      { name: "By", show: (row) => row.by ?? "–" },
      { name: "Reason", show: (row) => row.reason ?? "–" },
      { name: "Key", phone: "none", show: (row) => h("code", {}, row.key) },
      { name: "When", end: true, show: (row) => when(row.at) },
    ],
    rows,
  );
