// The actions on a batch of refunds: pause, resume, cancel, retry, and export its report.

import { newIdempotencyKey } from "./client.js";
import { csv, save } from "./csv.js";
import { ask, explain, toast } from "./dialogs.js";
import { button, h, icon } from "./dom.js";
import { counted } from "./format.js";
import * as ops from "./ops.js";

/** @import { Batch, BatchMember } from "../types" */

// Members in one answer of the service.
const MOST_AT_ONCE = 1_000;

/**
 * Build the buttons for the actions that the batch's state allows.
 * @param {Batch} known
 * @param {() => void} refresh
 */
export function actions(known, refresh) {
  const { state } = known;
  const isOpen = state === "running" || state === "paused";
  return [
    state === "running" && button({}, () => turn(known, "pause", refresh), "Pause"),
    state === "paused" && button({}, () => turn(known, "resume", refresh), "Resume"),
    isOpen && button({}, () => confirmCancel(known, refresh), "Cancel"),
    ...(state === "canceled" ? [] : moreOf(known, refresh)),
    button({}, () => report(known), icon("save"), "Report CSV"),
  ];
}

/**
 * Build the buttons that refund failed and late members.
 * @param {Batch} known
 * @param {() => void} refresh
 */
function moreOf(known, refresh) {
  const { failed = 0, late = 0 } = known.counts;
  return [
    failed > 0 && button({}, () => confirmRetry(known, refresh), "Retry failed"),
    late > 0 && button({}, () => confirmLate(known, refresh), "Refund late payments"),
  ];
}

/**
 * @param {Batch} known
 * @param {"pause" | "resume"} what
 * @param {() => void} refresh
 */
async function turn(known, what, refresh) {
  try {
    await ops.turnBatch(known.batch_id, what, newIdempotencyKey());
    toast(what === "pause" ? "The batch is paused." : "The batch was resumed.");
  } catch (error) {
    toast(explain(error));
  }
  refresh();
}

/**
 * @param {Batch} known
 * @param {() => void} refresh
 */
function confirmCancel(known, refresh) {
  const { not_begun = 0, waiting = 0 } = known.counts;
  ask({
    title: "Cancel this batch?",
    body: [
      h("p", {}, h("code", {}, known.batch_id)),
      h(
        "p",
        {},
        not_begun > 0
          ? "Refunds that have begun are completed; " +
              `${counted(not_begun, "payment")} will not be refunded.`
          : "All refunds have begun, and are completed.",
      ),
      waiting > 0 &&
        h("p", {}, `${counted(waiting, "refund")} will be made when the balance suffices.`),
      h("p", {}, "You cannot resume a canceled batch. A new one can refund the rest."),
    ],
    signed: false,
    confirm: "Cancel the batch",
    dismiss: "Keep the batch",
    once: true,
    act: async (_, key) => {
      await ops.turnBatch(known.batch_id, "cancel", key);
      refresh();
      return "The batch is canceled.";
    },
  });
}

/**
 * @param {Batch} known
 * @param {() => void} refresh
 */
function confirmRetry(known, refresh) {
  ask({
    title: `Retry ${counted(known.counts.failed, "failed refund")}?`,
    body: h("p", {}, "A payment that was refunded meanwhile is not refunded again."),
    signed: false,
    confirm: "Retry",
    once: true,
    act: async (_, key) => {
      await ops.turnBatch(known.batch_id, "retry", key);
      refresh();
      return "The failed refunds are tried once more.";
    },
  });
}

/**
 * @param {Batch} known
 * @param {() => void} refresh
 */
function confirmLate(known, refresh) {
  ask({
    title: `Refund ${counted(known.counts.late ?? 0, "late payment")}?`,
    body: h("p", {}, "They could not be refunded when the batch started: most were paid after it."),
    signed: false,
    confirm: "Refund them",
    once: true,
    act: async (_, key) => {
      await ops.turnBatch(known.batch_id, "retry", key, ["late"]);
      refresh();
      return "The late payments will be refunded.";
    },
  });
}

/**
 * Save every member of the batch as a file, whatever the page shows.
 * @param {Batch} known
 */
async function report({ batch_id }) {
  /** @type {BatchMember[]} */
  const rows = [];
  try {
    for (let more = true; more;) {
      const page = await ops.batchMembers(batch_id, {
        starting_after: rows.at(-1)?.payment_id,
        limit: MOST_AT_ONCE,
      });
      rows.push(...page.data);
      more = page.has_more;
    }
    save(`${batch_id}.csv`, csv(rows));
    toast(`${counted(rows.length, "payment")} exported`);
  } catch (error) {
    toast(explain(error));
  }
}
