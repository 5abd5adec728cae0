// Ending a dead refund job as a person found it to be at Stripe.

import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import * as ops from "./ops.js";

const RESOLVE =
  "“Failed” tells the event service refund.failed and cannot be undone, but a new refund can be " +
  "requested.";

/**
 * Ask what was found at Stripe, and have the job end so.
 * @param {{ id: string }} job
 * @param {() => void} afterwards
 */
export function resolveRefund(job, afterwards) {
  const refund = h("input", { id: "resolve-id", placeholder: "re_…", pattern: "(re|pyr)_\\w+" });
  const made = h("input", { type: "radio", name: "finding", id: "resolve-made", checked: true });
  const none = h("input", { type: "radio", name: "finding", id: "resolve-none" });
  const follow = () => {
    refund.disabled = none.checked;
    refund.required = made.checked;
  };
  [made, none].forEach((choice) => choice.addEventListener("change", follow));
  follow();
  const element = h(
    "fieldset",
    {},
    h("legend", {}, "What did you find at Stripe?"),
    h("p", {}, made, h("label", { for: "resolve-made" }, "It made this refund"), refund),
    h("p", {}, none, h("label", { for: "resolve-none" }, "It made none: the job failed")),
  );
  refund.setAttribute("aria-label", "The refund's id");
  ask({
    title: "Resolve this refund job?",
    body: [h("p", {}, h("code", {}, job.id)), h("p", {}, RESOLVE)],
    fields: {
      element,
      read: () => (none.checked ? { failed: true } : { refund_id: refund.value.trim() }),
    },
    confirm: "Resolve",
    act: async (finding) => {
      const { outcome } = await ops.resolve(job.id, finding);
      afterwards();
      return `${job.id}: ${outcome}`;
    },
  });
}
