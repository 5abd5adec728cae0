// What can be done about a batch of refunds: stop it, go on, try again, take its report away.

import { csv, save } from "./csv.js";
import { ask, explained, toast } from "./dialogs.js";
import { button, h, icon } from "./dom.js";
import { counted } from "./format.js";
import * as ops from "./ops.js";

/** @import { Batch, BatchMember } from "../types" */

// Members of one answer, for the report.
const MOST_AT_ONCE = 1_000;

/**
 * Offer what can be done about a batch as it stands.
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
 * Offer to refund what was not, though it could be.
 * @param {Batch} known
 * @param {() => void} refresh
 */
function moreOf(known, refresh) {
  const { failed = 0, late = 0 } = known.counts;
  return [
    failed > 0 && button({}, () => confirmRetry(known, refresh), "Retry failed"),
    late > 0 && button({}, () => confirmLate(known, refresh), "Refund late ones"),
  ];
}

/**
 * @param {Batch} known
 * @param {"pause" | "resume"} what
 * @param {() => void} refresh
 */
async function turn(known, what, refresh) {
  try {
    await ops.turnBatch(known.batch_id, what);
    toast(what === "pause" ? "No more refunds are begun." : "The batch goes on.");
  } catch (error) {
    toast(explained(error));
  }
  refresh();
}

/**
 * @param {Batch} known
 * @param {() => void} refresh
 */
function confirmCancel(known, refresh) {
  const left = (known.counts.not_begun ?? 0) + (known.counts.waiting ?? 0);
  ask({
    title: "Cancel this batch?",
    body: [
      h("p", {}, h("code", {}, known.batch_id)),
      h("p", {}, `What was begun comes to its end; ${counted(left, "payment")} stay as they are.`),
      h("p", {}, "A canceled batch cannot go on. The rest can be refunded by a new one."),
    ],
    signed: false,
    confirm: "Cancel the batch",
    act: async () => {
      await ops.turnBatch(known.batch_id, "cancel");
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
    body: h("p", {}, "Nothing that was refunded meanwhile is refunded twice."),
    signed: false,
    confirm: "Retry",
    act: async () => {
      await ops.turnBatch(known.batch_id, "retry");
      refresh();
      return "They are tried once more.";
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
    body: h("p", {}, "They came for the event after the batch was started."),
    signed: false,
    confirm: "Refund them",
    act: async () => {
      await ops.turnBatch(known.batch_id, "retry", ["late"]);
      refresh();
      return "They are refunded, too.";
    },
  });
}

/**
 * Give every member of the batch as a file, whatever is shown.
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
    toast(explained(error));
  }
}
