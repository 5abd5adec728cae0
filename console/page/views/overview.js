// The state of the service, with the problems that need a person first.

import { ask } from "../dialogs.js";
import { button, h, icon, link } from "../dom.js";
import { count, counted, duration, words } from "../format.js";
import * as ops from "../ops.js";
import { card, empty, facts, pill, when } from "../parts.js";
import { address } from "../router.js";
import { table } from "../table.js";
import { causes, SURVEYED } from "./causes.js";
import { eventTable } from "./events.js";
import { findings } from "./findings.js";
import { HOURS, rateCard } from "./rates.js";

/** @import { Comparison, ItemList, Place, Queue, Rates, Stand, View } from "../../types" */
/** @import { Finding } from "./findings.js" */
/**
 * @typedef {object} Standing
 * @property {Comparison} reconcile
 * @property {ItemList} latest
 * @property {ItemList | null} letters
 * @property {Rates} rates
 */

const LATEST = 8;
const FIRST_ONLY =
  "Of a payment's notifications only the first counts as open; the others wait for it.";

/**
 * @param {Place} _
 * @param {{ refresh: () => void }} tools
 * @returns {View<Standing>}
 */
export function overview(_, { refresh }) {
  return {
    title: "Overview",
    needsStand: true,
    load: async (signal, stand) => {
      const died = stand.data.some((queue) => queue.dead > 0);
      const [reconcile, latest, letters, rates] = await Promise.all([
        ops.reconciliation(signal),
        ops.events({ limit: LATEST }, signal),
        died ? ops.deadLetters({ limit: SURVEYED }, signal) : null,
        ops.rates(HOURS, signal),
      ]);
      return { reconcile, latest, letters, rates };
    },
    draw: ({ reconcile, latest, letters, rates }, stand) => {
      const problems = findings(stand, reconcile, rates);
      return [
        health(problems),
        figures(stand, problems),
        rateCard(rates),
        card("Queues", {}, queueTable(stand), h("p", { class: "hint" }, FIRST_ONLY)),
        h("div", { class: "halves" }, causes(letters), comparison(reconcile, refresh)),
        card(
          "Latest Stripe events",
          { actions: link(address("events"), { class: "more" }, "All Stripe events") },
          latest.data.length
            ? eventTable(latest.data)
            : empty("No Stripe events yet", "They appear here when Stripe sends them."),
        ),
      ];
    },
  };
}

/** @param {Finding[]} problems */
function health(problems) {
  if (problems.length === 0) {
    return h(
      "section",
      { class: "health good", "aria-label": "Health" },
      icon("check"),
      h(
        "p",
        {},
        h("strong", {}, "All is well. "),
        "All queues have workers, and no problem needs you.",
      ),
    );
  }
  return h(
    "section",
    { class: "health", "aria-label": "Health" },
    h("h2", {}, `${counted(problems.length, "problem needs", "problems need")} attention`),
    h("ul", {}, ...problems.map(finding)),
  );
}

/** @param {Finding} problem */
const finding = ({ tone, what, fix, runbook, to }) =>
  h(
    "li",
    { class: tone },
    h("i", { class: `dot ${tone}` }),
    h(
      "div",
      {},
      h("strong", {}, to ? link(to, {}, what) : what),
      h("p", {}, `${fix} Runbook: ${runbook}.`),
    ),
  );

/**
 * Show the main figures; a figure is red only if a finding is about it.
 * @param {Stand} stand
 * @param {Finding[]} problems
 */
function figures(stand, problems) {
  const work = stand.data.filter((queue) => queue.name !== "upkeep");
  const sum = (/** @type {"open" | "due" | "dead"} */ name) =>
    work.reduce((total, queue) => total + queue[name], 0);
  const oldest = Math.max(...stand.data.map((queue) => queue.overdue_seconds));
  const tone = (/** @type {string[]} */ ...about) =>
    problems.some((one) => one.tone === "bad" && about.includes(one.about)) ? "bad" : "";
  return h(
    "div",
    { class: "figures" },
    figure("Open work", count(sum("open")), `${count(sum("due"))} due now`),
    figure(
      "Longest overdue",
      oldest > 0 ? duration(oldest) : "–",
      oldest > 0 ? "work waits for a worker" : "no work is overdue",
    ),
    figure(
      "Dead letters",
      count(sum("dead")),
      "wait for a decision",
      tone("dead letters"),
      address("dead-letters"),
    ),
    figure(
      "Workers",
      count(stand.workers),
      upkeepSign(stand.upkeep_seconds_ago),
      tone("workers", "upkeep"),
    ),
    figure(
      "Event service",
      stand.breaker_open ? "Failing" : "Healthy",
      stand.breaker_open ? "breaker open, probing" : "breaker closed",
      tone("event service"),
    ),
  );
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} note
 * @param {string} tone
 * @param {string | null} to
 */
function figure(name, value, note, tone = "", to = null) {
  const inside = [
    h("span", {}, name),
    h("b", { class: tone || null }, value),
    h("small", {}, note),
  ];
  return to ? link(to, { class: "figure" }, ...inside) : h("div", { class: "figure" }, ...inside);
}

/** @param {number | null} seconds */
const upkeepSign = (seconds) =>
  seconds === null ? "upkeep never ran" : `upkeep ran ${duration(Math.ceil(seconds))} ago`;

/** @param {Stand} stand */
const queueTable = (stand) =>
  table(
    "Queues",
    [
      { name: "Queue", show: (row) => h("strong", {}, words(row.name)) },
      { name: "Open", end: true, show: (row) => count(row.open) },
      { name: "Due", end: true, show: (row) => count(row.due) },
      {
        name: "Overdue",
        end: true,
        show: (row) => (row.overdue_seconds ? duration(row.overdue_seconds) : "–"),
      },
      { name: "Messages", end: true, phone: "none", show: (row) => count(row.depth) },
      { name: "Dead", end: true, show: deadCell },
      { name: "Workers", end: true, show: (row) => count(row.consumers) },
      { name: "Last active", end: true, show: sign },
    ],
    stand.data,
    "dense",
  );

/** @param {Queue} row */
const deadCell = (row) =>
  row.dead
    ? link(address("dead-letters", null, { kind: row.name }), { class: "bad" }, count(row.dead))
    : "0";

/** @param {Queue} row */
function sign(row) {
  const seconds = row.consumed_seconds_ago;
  const text = seconds === null ? "never" : `${duration(Math.round(seconds))} ago`;
  return row.silent ? pill(text, "bad") : text;
}

/**
 * @param {Comparison} state
 * @param {() => void} refresh
 */
function comparison(state, refresh) {
  const { seen, recorded, gap } = state.last_round;
  const act = button(
    { class: "small" },
    () => reconcileNow(refresh),
    icon("again"),
    "Reconcile now",
  );
  return card(
    "Reconcile with Stripe",
    { actions: act },
    facts([
      ["Last round", state.completed_at_ms ? when(state.completed_at_ms) : "never"],
      ["Running now", state.running ? pill("running", "wait") : "no"],
      ["Listed by Stripe", counted(seen, "Stripe event")],
      ["Missing here, recorded", counted(recorded, "Stripe event")],
      ["Gap", gap ? pill(`${count(gap)} not delivered by webhook`, "wait") : "none"],
      ["Recorded in all rounds", counted(state.total.recorded, "Stripe event")],
    ]),
  );
}

/** @param {() => void} refresh */
function reconcileNow(refresh) {
  ask({
    title: "Reconcile with Stripe now?",
    body: h("p", {}, "It records every Stripe event that is missing here."),
    confirm: "Reconcile",
    act: async (signature) => {
      const { outcome } = await ops.reconcile(signature);
      refresh();
      return outcome === "due" ? "Reconcile starts." : "Reconcile is running, and runs once more.";
    },
  });
}
