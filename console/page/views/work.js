// The unfinished work of a payment: waiting, retrying or dead.

import { h, link } from "../dom.js";
import { count } from "../format.js";
import { card, pill, waitsFor } from "../parts.js";
import { addressOf } from "../router.js";
import { table } from "../table.js";

/** @import { WorkItem } from "../../types" */

const DONE = ["processed", "ignored", "finished", "delivered"];

/**
 * Show the unfinished work, or nothing if all of it is done.
 * @param {WorkItem[]} items
 */
export function workCard(items) {
  const open = items.filter(({ state }) => !DONE.includes(state));
  if (open.length === 0) return null;
  return card(
    "Open work",
    {},
    table(
      "Open work",
      [
        {
          name: "Item",
          phone: "span",
          show: (row) => [
            link(addressOf(row.id) ?? "#/", { class: "title" }, row.type ?? row.kind),
            h("small", { class: "id" }, row.id),
          ],
        },
        {
          name: "State",
          show: (row) => [pill(row.state), waitsFor(row.state, row.next_attempt_at)],
        },
        {
          name: "Error",
          phone: "span",
          show: (row) => row.error && h("span", { class: "error" }, row.error),
        },
        { name: "Attempts", end: true, show: (row) => count(row.attempts) },
      ],
      open,
    ),
  );
}
