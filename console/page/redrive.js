// Giving work another life: always asked first, and what was counted is what is redriven.

import { post } from "./client.js";
import { ask, explained, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { count, counted } from "./format.js";

const KINDS = ["events", "refunds", "notifications"];
const NAMES = { events: "event", refunds: "refund job", notifications: "notification" };
// The service redrives so many at once, at most.
const MOST_AT_ONCE = 1_000;

/** Redrive one item, dead or done. */
export function redriveOne(item, afterwards) {
  const name = NAMES[item.kind];
  const dead = item.state === "dead";
  const explanation = dead
    ? "It begins again with a fresh budget of attempts."
    : "It came to its end already. What was told before keeps its id, so nothing counts twice.";
  ask({
    title: dead ? `Redrive this ${name}?` : `Run this ${name} once more?`,
    body: [h("p", {}, h("code", {}, item.id)), h("p", {}, explanation)],
    confirm: "Redrive",
    act: async (said) => {
      const { outcome } = await post(`items/${item.id}/redrive`, said);
      afterwards();
      return `${item.id}: ${outcome}`;
    },
  });
}

/** Have the service fetch an event that it never heard of. */
export function fetchFromStripe(eventId, afterwards) {
  ask({
    title: "Fetch this event from Stripe?",
    body: [
      h("p", {}, h("code", {}, eventId)),
      h(
        "p",
        {},
        "Stripe keeps events for 30 days. It is recorded and processed as if it had come.",
      ),
    ],
    confirm: "Fetch",
    act: async (said) => {
      const { outcome } = await post(`items/${eventId}/redrive`, said);
      afterwards();
      return `${eventId}: ${outcome}`;
    },
  });
}

/** Redrive every dead letter that a search finds: counted first, by a dry run. */
export async function redriveMatching(search, afterwards) {
  const { kind, ...rest } = search;
  let plans;
  try {
    plans = await Promise.all((kind ? [kind] : KINDS).map((one) => dryRun(one, rest)));
  } catch (error) {
    toast(explained(error));
    return;
  }
  const planned = plans.filter((plan) => plan.ids.length > 0);
  if (planned.length === 0) {
    toast("Nothing matches: there is nothing to redrive.");
    return;
  }
  const total = planned.reduce((sum, plan) => sum + plan.ids.length, 0);
  ask({
    title: `Redrive ${counted(total, "dead letter")}?`,
    body: [h("ul", { class: "plain" }, ...planned.map(planLine)), h("p", {}, ORDER)],
    confirm: `Redrive ${count(total)}`,
    act: (said) => carryOut(planned, said, afterwards),
  });
}

const ORDER =
  "Exactly these, in the order they died. There is no undo and none is needed: what was " +
  "told before keeps its id, what was refunded before keeps its key.";

async function dryRun(kind, rest) {
  const body = { kind, ...rest, limit: MOST_AT_ONCE, dry_run: true };
  const found = await post("dead-letters/redrive", body);
  return { kind, ids: found.redriven, matched: found.matched };
}

function planLine({ kind, ids, matched }) {
  const left = matched - ids.length;
  const more = left > 0 ? `; ${count(left)} more match, redrive again for them` : "";
  return h("li", {}, h("strong", {}, counted(ids.length, NAMES[kind])), more);
}

async function carryOut(planned, said, afterwards) {
  const done = { redriven: 0, skipped: 0 };
  for (const { ids } of planned) {
    const result = await post("dead-letters/redrive", { ids, ...said });
    done.redriven += result.redriven.length;
    done.skipped += Object.keys(result.skipped).length;
  }
  afterwards();
  const skipped = done.skipped ? `; ${count(done.skipped)} were no longer dead` : "";
  return `${counted(done.redriven, "dead letter")} redriven${skipped}`;
}

/** End a dead refund job as a person found it to be at Stripe. */
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
    act: async (said) => {
      const { outcome } = await post(`refunds/${job.id}/resolve`, said);
      afterwards();
      return `${job.id}: ${outcome}`;
    },
  });
}

const RESOLVE =
  "“Failed” tells the event service refund.failed and cannot be undone, but a new refund can be " +
  "requested.";
