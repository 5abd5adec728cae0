// Finish a dead refund job with the outcome that a person saw at Stripe.

import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import * as ops from "./ops.js";

const RESOLVE =
  "If the job ends as failed, the event service gets the notification refund.failed. You cannot " +
  "undo it, but you can request a new refund.";

/**
 * Ask for the outcome at Stripe, and finish the job with it.
 * @param {{ id: string }} job
 * @param {() => void} afterwards
 */
export function resolveRefund(job, afterwards) {
  const refund = h("input", { id: "resolve-id", placeholder: "re_…", pattern: "(re|pyr)_\\w+" });
  const some = h("input", { type: "radio", name: "finding", id: "resolve-made", checked: true });
  const none = h("input", { type: "radio", name: "finding", id: "resolve-none" });
  const follow = () => {
    refund.disabled = none.checked;
    refund.required = some.checked;
  };
  [some, none].forEach((choice) => choice.addEventListener("change", follow));
  follow();
  const element = h(
    "fieldset",
    {},
    h("legend", {}, "What does Stripe's dashboard show?"),
    h("p", {}, some, h("label", { for: "resolve-made" }, "Stripe made this refund:"), refund),
    h("p", {}, none, h("label", { for: "resolve-none" }, "Stripe made no refund: the job failed")),
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
