// Redrive work, always after a question; exactly the ids that the dialog shows are redriven.

import { ask, explain, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { count, counted } from "./format.js";
import * as ops from "./ops.js";

/** @import { Asked, Item, Kind, Signature } from "../types" */
/** @typedef {{ kind: Kind, ids: string[], matched: number }} Plan */

/** @type {Kind[]} */
const KINDS = ["events", "refunds", "notifications"];
/** @type {Record<Kind, string>} */
const NAMES = { events: "Stripe event", refunds: "refund job", notifications: "notification" };
/** @type {Record<string, Kind>} */
const KIND_OF = { evt: "events", rr: "refunds", ntf: "notifications" };
// Most items that the service redrives in one request.
const MOST_AT_ONCE = 1_000;

/**
 * Redrive one item, dead or finished.
 * @param {Pick<Item, "id" | "kind" | "state">} item
 * @param {() => void} afterwards
 */
export function redriveOne(item, afterwards) {
  const name = NAMES[item.kind];
  const dead = item.state === "dead";
  const explanation = dead
    ? "It starts again with all of its attempts."
    : "It has finished already. Its notification keeps its id, so a repeat has no second effect.";
  ask({
    title: dead ? `Redrive this ${name}?` : `Run this ${name} once more?`,
    body: [h("p", {}, h("code", {}, item.id)), h("p", {}, explanation)],
    confirm: "Redrive",
    act: async (signature) => {
      const { outcome } = await ops.redriveOne(item.id, signature);
      afterwards();
      return `${item.id}: ${outcome}`;
    },
  });
}

/**
 * Let the service fetch an event that it never received.
 * @param {string} eventId
 * @param {() => void} afterwards
 */
export function fetchFromStripe(eventId, afterwards) {
  ask({
    title: "Fetch this Stripe event?",
    body: [
      h("p", {}, h("code", {}, eventId)),
      h(
        "p",
        {},
        "It is recorded and processed as if Stripe had just sent it. Stripe keeps its events " +
          "for 30 days.",
      ),
    ],
    confirm: "Fetch",
    act: async (signature) => {
      const { outcome } = await ops.redriveOne(eventId, signature);
      afterwards();
      return `${eventId}: ${outcome}`;
    },
  });
}

/**
 * Redrive the dead letters that a person chose.
 * @param {string[]} ids
 * @param {() => void} afterwards
 */
export function redriveChosen(ids, afterwards) {
  const plans = KINDS.map((kind) => {
    const own = ids.filter((id) => KIND_OF[id.split("_")[0]] === kind);
    return { kind, ids: own, matched: own.length };
  });
  confirmPlans(plans, "The dead letters that you chose.", afterwards);
}

/**
 * Redrive every dead letter that matches a search, after a dry run that lists them.
 * @param {Asked} search
 * @param {string} meaning the search in words
 * @param {() => void} afterwards
 */
export async function redriveMatching(search, meaning, afterwards) {
  const { kind, ...rest } = search;
  const kinds = KINDS.filter((one) => !kind || one === kind);
  try {
    confirmPlans(await Promise.all(kinds.map((one) => planFor(one, rest))), meaning, afterwards);
  } catch (error) {
    toast(explain(error));
  }
}

/**
 * @param {Kind} kind
 * @param {Asked} rest
 * @returns {Promise<Plan>}
 */
async function planFor(kind, rest) {
  const plan = await ops.wouldRedrive({ kind, ...rest, limit: MOST_AT_ONCE });
  return { kind, ids: plan.redriven, matched: plan.matched };
}

const ORDER =
  "Exactly these are redriven, the oldest first. You cannot undo it, but it is safe: " +
  "notifications keep their ids, and refund jobs keep their idempotency keys.";

/**
 * @param {Plan[]} plans
 * @param {string} meaning
 * @param {() => void} afterwards
 */
function confirmPlans(plans, meaning, afterwards) {
  const full = plans.filter((plan) => plan.ids.length > 0);
  const ids = full.flatMap((plan) => plan.ids);
  if (ids.length === 0) {
    toast("No dead letter matches.");
    return;
  }
  ask({
    title: `Redrive ${counted(ids.length, "dead letter")}?`,
    body: [
      h("p", {}, meaning),
      h("ul", { class: "plain" }, ...full.map(planLine)),
      h("details", { class: "ids" }, h("summary", {}, "Their ids"), idList(ids)),
      h("p", {}, ORDER),
    ],
    confirm: `Redrive ${count(ids.length)}`,
    act: (signature) => carryOut(full, signature, afterwards),
  });
}

/** @param {string[]} ids */
const idList = (ids) =>
  h("pre", { tabindex: "0", role: "region", "aria-label": "Ids" }, ids.join("\n"));

/** @param {Plan} plan */
function planLine({ kind, ids, matched }) {
  const left = matched - ids.length;
  const more = left > 0 ? `; ${count(left)} more match: redrive again for those` : "";
  return h("li", {}, h("strong", {}, counted(ids.length, NAMES[kind])), more);
}

/**
 * @param {Plan[]} plans
 * @param {Signature} signature
 * @param {() => void} afterwards
 */
async function carryOut(plans, signature, afterwards) {
  const done = { redriven: 0, skipped: 0 };
  for (const { ids } of plans) {
    const result = await ops.redrive(ids, signature);
    done.redriven += result.redriven.length;
    done.skipped += Object.keys(result.skipped).length;
  }
  afterwards();
  const skipped = done.skipped ? `; ${count(done.skipped)} were no longer dead` : "";
  return `${counted(done.redriven, "dead letter")} redriven${skipped}`;
}
