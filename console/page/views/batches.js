// All batches of refunds, the newest first, with their progress.

import { h, link } from "../dom.js";
import { counted, words } from "../format.js";
import * as ops from "../ops.js";
import { empty, when } from "../parts.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { termsOf } from "../terms.js";
import { progressOf, statePill } from "./batch.js";

/** @import { Batch, BatchList, View } from "../../types" */

const NEWEST = 100;

/** @returns {View<BatchList>} */
export const batches = () => ({
  title: "Batches of refunds",
  load: (signal) => ops.batches({ limit: NEWEST }, signal),
  draw: ({ data }) =>
    data.length === 0
      ? empty("No batches yet", "You start one on the page of an event.")
      : [
          h("p", { class: "hint" }, counted(data.length, "batch", "batches")),
          h("section", { class: "card", "aria-label": "List of batches" }, batchTable(data)),
        ],
});

/** @param {Batch[]} rows */
export const batchTable = (rows) =>
  table(
    "Batches of refunds",
    [
      {
        name: "Batch",
        phone: "span",
        show: (batch) => [
          link(address("refund-batches", batch.batch_id), { class: "title" }, nameOf(batch)),
          h("small", { class: "id" }, batch.batch_id),
        ],
      },
      { name: "State", show: statePill },
      { name: "Progress", phone: "span", show: (batch) => progressOf(batch) },
      { name: "Started", end: true, show: (batch) => when(batch.created) },
    ],
    rows,
  );

/**
 * Describe a batch: its event or payments, and how much of each it refunds.
 * @param {Batch} batch
 */
function nameOf(batch) {
  const { event_id, total, reason } = batch;
  const whose = event_id ? `Event ${event_id}` : counted(total, "payment");
  return [whose, termsOf(batch), reason && words(reason)].filter(Boolean).join(", ");
}
