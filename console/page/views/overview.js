// How everything stands, and what needs a person first.

import { get, post } from "../client.js";
import { ask } from "../dialogs.js";
import { button, h, icon, link } from "../dom.js";
import { count, counted, duration, words } from "../format.js";
import { causeOf } from "../advice.js";
import { card, empty, facts, pill, table, when } from "../parts.js";
import { address } from "../router.js";
import { eventTable } from "./events.js";
import { findings } from "./findings.js";

const LATEST = 8;
// Dead letters that are read to name their causes; more are counted all the same.
const SURVEYED = 500;

export function overview(_, refresh) {
  return {
    title: "Overview",
    needsStand: true,
    load: async (signal, stand) => {
      const died = stand.data.some((queue) => queue.dead > 0);
      const [reconcile, latest, letters] = await Promise.all([
        get("reconcile", {}, signal),
        get("events", { limit: LATEST }, signal),
        died ? get("dead-letters", { limit: SURVEYED }, signal) : null,
      ]);
      return { reconcile, latest, letters };
    },
    draw: ({ reconcile, latest, letters }, stand) => [
      health(findings(stand, reconcile)),
      figures(stand),
      card("Queues", {}, queueTable(stand)),
      h("div", { class: "halves" }, causes(letters), comparison(reconcile, refresh)),
      card(
        "Latest events",
        { actions: link(address("events"), { class: "more" }, "All events") },
        latest.data.length
          ? eventTable(latest.data)
          : empty("No events yet", "Stripe's events show up here as they come in."),
      ),
    ],
  };
}

function health(found) {
  if (found.length === 0) {
    return h(
      "section",
      { class: "health good", "aria-label": "Health" },
      icon("check"),
      h(
        "p",
        {},
        h("strong", {}, "All is well. "),
        "Somebody is at work everywhere, and nothing waits for a person.",
      ),
    );
  }
  return h(
    "section",
    { class: "health", "aria-label": "Health" },
    h("h2", {}, `${counted(found.length, "thing needs", "things need")} a look`),
    h("ul", {}, ...found.map(finding)),
  );
}

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

function figures(stand) {
  const work = stand.data.filter((queue) => queue.name !== "upkeep");
  const sum = (name) => work.reduce((total, queue) => total + queue[name], 0);
  const oldest = Math.max(...stand.data.map((queue) => queue.overdue_seconds));
  const open = stand.breaker_open;
  return h(
    "div",
    { class: "figures" },
    figure("Open work", count(sum("open")), `${count(sum("due"))} due now`),
    figure(
      "Longest overdue",
      oldest > 0 ? duration(oldest) : "–",
      oldest > 0 ? "waits for a worker" : "nothing waits",
    ),
    figure(
      "Dead letters",
      count(sum("dead")),
      "given up",
      sum("dead") ? "bad" : "",
      address("dead-letters"),
    ),
    figure(
      "Workers",
      count(stand.workers),
      upkeepSign(stand.upkeep_seconds_ago),
      stand.workers ? "" : "bad",
    ),
    figure(
      "Event service",
      open ? "Ill" : "Well",
      open ? "breaker open, probing" : "breaker closed",
      open ? "bad" : "",
    ),
  );
}

function figure(name, value, note, tone = "", to = null) {
  const inside = [
    h("span", {}, name),
    h("b", { class: tone || null }, value),
    h("small", {}, note),
  ];
  return to ? link(to, { class: "figure" }, ...inside) : h("div", { class: "figure" }, ...inside);
}

const upkeepSign = (seconds) =>
  seconds === null ? "no upkeep" : `upkeep ${duration(Math.ceil(seconds))} ago`;

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
      { name: "Last sign", end: true, show: sign },
    ],
    stand.data,
    "dense",
  );

const deadCell = (row) =>
  row.dead
    ? link(address("dead-letters", null, { kind: row.name }), { class: "bad" }, count(row.dead))
    : "0";

const sign = (row) =>
  row.consumed_seconds_ago === null
    ? pill("never", "bad")
    : `${duration(Math.round(row.consumed_seconds_ago))} ago`;

function causes(letters) {
  if (!letters?.data.length) {
    return card("Dead letters by cause", {}, empty("None", "Nothing was given up."));
  }
  const groups = new Map();
  for (const { kind, error } of letters.data) {
    const cause = causeOf(error);
    const name = `${kind} ${cause}`;
    groups.set(name, { kind, cause, size: (groups.get(name)?.size ?? 0) + 1 });
  }
  const sorted = [...groups.values()].sort((one, other) => other.size - one.size);
  const rest = letters.matched - letters.data.length;
  return card(
    "Dead letters by cause",
    { actions: link(address("dead-letters"), { class: "more" }, "All") },
    h("ul", { class: "bars" }, ...sorted.map((group) => bar(group, sorted[0].size))),
    rest > 0
      ? h("p", { class: "hint" }, `Of the newest ${count(SURVEYED)}; ${count(rest)} are older.`)
      : null,
  );
}

function bar({ kind, cause, size }, longest) {
  const length = h("i", { "aria-hidden": "true" });
  length.style.width = `${(100 * size) / longest}%`;
  const to = address("dead-letters", null, { kind, error: cause });
  return h(
    "li",
    {},
    link(to, {}, h("span", {}, cause, h("small", {}, kind)), h("b", {}, count(size))),
    length,
  );
}

function comparison(found, refresh) {
  const { seen, recorded, gap } = found.last_round;
  const act = button(
    { class: "small" },
    () => reconcileNow(refresh),
    icon("again"),
    "Reconcile now",
  );
  return card(
    "Compared with Stripe",
    { actions: act },
    facts([
      ["Last round", found.completed_at_ms ? when(found.completed_at_ms) : "never"],
      ["Under way", found.running ? pill("running", "wait") : "no"],
      ["Seen", counted(seen, "event")],
      ["Was missing here", counted(recorded, "event")],
      ["Gap", gap ? pill(`${count(gap)} no webhook brought`, "wait") : "none"],
      ["Recorded in all", counted(found.total.recorded, "event")],
    ]),
  );
}

function reconcileNow(refresh) {
  ask({
    title: "Compare with Stripe's archive now?",
    body: [h("p", {}, "Every event that is missing here is recorded. It may be done at any time.")],
    confirm: "Reconcile",
    act: async (said) => {
      const { outcome } = await post("reconcile", said);
      refresh();
      return outcome === "due" ? "A comparison begins." : "One is running; another follows it.";
    },
  });
}
