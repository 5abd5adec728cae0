// Giving work another life: always asked first, and the ids that were shown are what is redriven.

import { ask, explained, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { count, counted } from "./format.js";
import * as ops from "./ops.js";

/** @import { Asked, Item, Kind, Said } from "../types" */
/** @typedef {{ kind: Kind, ids: string[], matched: number }} Plan */

/** @type {Kind[]} */
const KINDS = ["events", "refunds", "notifications"];
/** @type {Record<Kind, string>} */
const NAMES = { events: "event", refunds: "refund job", notifications: "notification" };
/** @type {Record<string, Kind>} */
const KIND_OF = { evt: "events", rr: "refunds", ntf: "notifications" };
// The service redrives so many at once, at most.
const MOST_AT_ONCE = 1_000;

/**
 * Redrive one item, dead or done.
 * @param {Pick<Item, "id" | "kind" | "state">} item
 * @param {() => void} afterwards
 */
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
      const { outcome } = await ops.redriveOne(item.id, said);
      afterwards();
      return `${item.id}: ${outcome}`;
    },
  });
}

/**
 * Have the service fetch an event that it never heard of.
 * @param {string} eventId
 * @param {() => void} afterwards
 */
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
      const { outcome } = await ops.redriveOne(eventId, said);
      afterwards();
      return `${eventId}: ${outcome}`;
    },
  });
}

/**
 * Redrive the dead letters that a person ticked.
 * @param {string[]} ids
 * @param {() => void} afterwards
 */
export function redriveChosen(ids, afterwards) {
  const plans = KINDS.map((kind) => {
    const own = ids.filter((id) => KIND_OF[id.split("_")[0]] === kind);
    return { kind, ids: own, matched: own.length };
  });
  confirmed(plans, "The ones you chose.", afterwards);
}

/**
 * Redrive every dead letter that a search finds: which these are is asked first, by a dry run.
 * @param {Asked} search
 * @param {string} meaning the search in words
 * @param {() => void} afterwards
 */
export async function redriveMatching(search, meaning, afterwards) {
  const { kind, ...rest } = search;
  const kinds = KINDS.filter((one) => !kind || one === kind);
  try {
    confirmed(await Promise.all(kinds.map((one) => planned(one, rest))), meaning, afterwards);
  } catch (error) {
    toast(explained(error));
  }
}

/**
 * @param {Kind} kind
 * @param {Asked} rest
 * @returns {Promise<Plan>}
 */
async function planned(kind, rest) {
  const plan = await ops.wouldRedrive({ kind, ...rest, limit: MOST_AT_ONCE });
  return { kind, ids: plan.redriven, matched: plan.matched };
}

const ORDER =
  "Exactly these, in the order they died. There is no undo and none is needed: what was " +
  "told before keeps its id, what was refunded before keeps its key.";

/**
 * @param {Plan[]} plans
 * @param {string} meaning
 * @param {() => void} afterwards
 */
function confirmed(plans, meaning, afterwards) {
  const full = plans.filter((plan) => plan.ids.length > 0);
  const ids = full.flatMap((plan) => plan.ids);
  if (ids.length === 0) {
    toast("Nothing matches: there is nothing to redrive.");
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
    act: (said) => carryOut(full, said, afterwards),
  });
}

/** @param {string[]} ids */
const idList = (ids) =>
  h("pre", { tabindex: "0", role: "region", "aria-label": "Ids" }, ids.join("\n"));

/** @param {Plan} plan */
function planLine({ kind, ids, matched }) {
  const left = matched - ids.length;
  const more = left > 0 ? `; ${count(left)} more match, redrive again for them` : "";
  return h("li", {}, h("strong", {}, counted(ids.length, NAMES[kind])), more);
}

/**
 * @param {Plan[]} plans
 * @param {Said} said
 * @param {() => void} afterwards
 */
async function carryOut(plans, said, afterwards) {
  const done = { redriven: 0, skipped: 0 };
  for (const { ids } of plans) {
    const result = await ops.redrive(ids, said);
    done.redriven += result.redriven.length;
    done.skipped += Object.keys(result.skipped).length;
  }
  afterwards();
  const skipped = done.skipped ? `; ${count(done.skipped)} were no longer dead` : "";
  return `${counted(done.redriven, "dead letter")} redriven${skipped}`;
}
