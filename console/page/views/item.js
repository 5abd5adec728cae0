// One event, refund job or notification: its state, every attempt, its payload.

import { adviceOn } from "../advice.js";
import { get } from "../client.js";
import { button, h, icon } from "../dom.js";
import { sentence } from "../format.js";
import { card, copyable, empty, facts, idLink, json, pill, when } from "../parts.js";
import { fetchFromStripe, redriveOne, resolveRefund } from "../redrive.js";
import { attempts } from "./timeline.js";

const NAMES = { events: "Event", refunds: "Refund job", notifications: "Notification" };
const TITLES = { evt: "Event", rr: "Refund job", ntf: "Notification" };
const REDRIVABLE = {
  events: ["dead", "processed", "ignored"],
  notifications: ["dead", "delivered"],
  refunds: ["dead"],
};
// Said elsewhere on the page, or of use to nobody.
const LEFT_OUT = new Set([
  ...["id", "kind", "state", "type", "error", "attempts", "payment_id"],
  ...["payload", "history", "result", "traceparent", "claimed_at"],
]);

export function item({ id }, refresh) {
  return {
    title: TITLES[id.split("_")[0]] ?? "Item",
    load: (signal) => get(`items/${encodeURIComponent(id)}`, {}, signal),
    draw: (found) => [
      summary(found, refresh),
      found.error && advice(found),
      card("Attempts", {}, attempts(found.history)),
      payload(found),
    ],
    missing: (error) => unknown(id, error, refresh),
  };
}

function summary(found, refresh) {
  return h(
    "section",
    { class: "card", "aria-label": NAMES[found.kind] },
    h(
      "div",
      { class: "card-head" },
      h(
        "div",
        {},
        h("h2", { class: "big" }, found.type ?? NAMES[found.kind], " ", pill(found.state)),
        copyable(found.id),
      ),
      h("div", { class: "actions" }, ...actions(found, refresh)),
    ),
    facts([
      ["Payment", found.payment_id ? idLink(found.payment_id) : null],
      ["Attempts", String(found.attempts)],
      ...Object.entries(found)
        .filter(([name]) => !LEFT_OUT.has(name))
        .map(shown),
    ]),
  );
}

function shown([name, value]) {
  if (name.endsWith("_at")) return [sentence(name.replace(/_at$/, "")), when(value)];
  if (name === "created") return ["Created at Stripe", when(Number(value) * 1000)];
  if (name === "crashes" && value === "0") return [name, null];
  return [sentence(name).replace(/^Api /, "API "), linked(value)];
}

function linked(value) {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (HAS_A_PAGE.test(text)) return idLink(text);
  return IS_AN_ID.test(text) ? h("span", { class: "id" }, text) : text;
}

// A charge or a session has one only where it is the payment itself, which is linked already.
const HAS_A_PAGE = /^(pi|re|pyr|evt|rr|ntf)_\w+$/;
const IS_AN_ID = /^[a-z]+_\w{6,}$/;

function actions(found, refresh) {
  const dead = found.state === "dead";
  const can = REDRIVABLE[found.kind]?.includes(found.state);
  const look = dead ? "primary" : "";
  return [
    dead && found.kind === "refunds" && button({}, () => resolveRefund(found, refresh), "Resolve"),
    can &&
      button(
        { class: look },
        () => redriveOne(found, refresh),
        icon("again"),
        dead ? "Redrive" : "Run once more",
      ),
  ].filter(Boolean);
}

function advice(found) {
  const dead = found.state === "dead";
  const known = dead ? adviceOn(found.kind, found.error) : null;
  return h(
    "section",
    { class: `advice ${dead ? "bad" : "wait"}`, "aria-label": "Error" },
    h(
      "p",
      { class: "strong" },
      dead ? "Given up: " : "Last error: ",
      h("span", { class: "error" }, found.error),
    ),
    known && h("p", {}, h("b", {}, "Means: "), `${sentence(known.means)}.`),
    known && h("p", {}, h("b", {}, "Do: "), `${sentence(known.act)}.`),
    dead &&
      !known &&
      h(
        "p",
        {},
        "The runbook has no line on this error; the attempts below and the log tell more.",
      ),
  );
}

function payload(found) {
  if (found.payload === null) {
    return card(
      "Payload",
      {},
      empty(
        "No longer kept",
        "It goes a day after an item is finished. Stripe keeps events for 30 days.",
      ),
    );
  }
  return h(
    "details",
    { class: "card", open: found.state === "dead" },
    h("summary", {}, "Payload"),
    json(found.payload),
  );
}

const unknown = (id, error, refresh) =>
  empty(
    error.message,
    id.startsWith("evt_")
      ? "If Stripe's dashboard shows it, it can be fetched and recorded."
      : "Finished items are remembered for 31 days.",
    id.startsWith("evt_") &&
      button({ class: "primary" }, () => fetchFromStripe(id, refresh), "Fetch from Stripe"),
  );
