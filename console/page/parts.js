// Small elements that all views use.

import { button, h, icon, link, nodes, outside } from "./dom.js";
import { ago, whole, words } from "./format.js";
import { addressOf } from "./router.js";

/** @import { Attributes, Child, Service, Tone } from "../types" */

/** @type {Record<string, string[]>} */
const TONES = {
  good: ["processed", "finished", "delivered", "succeeded", "paid", "won", "complete", "redriven"],
  bad: ["dead", "failed", "lost", "canceled", "needs_response", "expired"],
  wait: [
    ["received", "processing", "retrying", "queued", "waiting", "pending", "requires_action"],
    ["requires_payment_method", "requires_confirmation", "requires_capture", "under_review"],
    ["retry", "snoozed", "warning_needs_response", "warning_under_review", "open"],
  ].flat(),
};

/**
 * Name the tone of a state: good, bad, wait or none.
 * @param {string} state
 * @returns {Tone}
 */
export const toneOf = (state) =>
  /** @type {Tone} */ (Object.keys(TONES).find((tone) => TONES[tone].includes(state)) ?? "none");

/**
 * @param {string} state
 * @param {Tone} tone
 */
export const pill = (state, tone = toneOf(state)) =>
  h("span", { class: `pill ${tone}` }, words(state));

/**
 * Show a moment as the time since then; `freshen` keeps it up to date.
 * @param {string | number | null | undefined} moment
 */
export function when(moment) {
  if (!moment) return "–";
  const at = new Date(moment);
  return h("time", { datetime: at.toISOString(), title: whole(at), "data-ago": true }, ago(at));
}

/**
 * Show below a state when the next attempt is due, if there is one.
 * @param {string | null} moment
 */
export const nextTry = (moment) =>
  moment && h("small", { class: "below" }, "next attempt ", when(moment));

/**
 * Show below a state what an unfinished item waits for: its next attempt, or an earlier
 * notification, because those of a payment go one after the other.
 * @param {string} state
 * @param {string | null} moment
 */
export const waitsFor = (state, moment) =>
  state === "waiting" && !moment
    ? h("small", { class: "below" }, "for an earlier notification of this payment")
    : nextTry(moment);

/** Bring every relative time on the page up to date. */
export function freshen() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(new Date(/** @type {HTMLTimeElement} */ (element).dateTime));
    if (element.textContent !== text) element.textContent = text;
  }
}

/**
 * Show an id, as a link if the console has a page for it.
 * @param {unknown} id
 * @param {Attributes} attributes
 */
export function idLink(id, attributes = {}) {
  if (!id) return "–";
  const to = addressOf(id);
  const text = String(id);
  return to ? link(to, { class: "id", ...attributes }, text) : h("span", { class: "id" }, text);
}

/**
 * Show an id with a button that copies it.
 * @param {string} id
 */
export function copyable(id) {
  const label = h("span", { class: "unseen", "aria-live": "polite" });
  /** @param {Event} event */
  const copy = async (event) => {
    const pressed = /** @type {HTMLElement} */ (event.currentTarget);
    await navigator.clipboard?.writeText(id);
    label.textContent = "Copied";
    pressed.classList.add("done");
    setTimeout(() => pressed.classList.remove("done"), 1500);
  };
  const press = button({ class: "bare", "aria-label": `Copy ${id}` }, copy, icon("copy"));
  return h("span", { class: "copyable" }, h("code", {}, id), press, label);
}

// Letters that fit in four lines of a column; a longer text takes the whole width.
const COLUMN_LETTERS = 120;
// Letters of an amount that fit in half the width of a phone.
const PHONE_LETTERS = 15;

/**
 * Build a list of names and values; names without a value are left out.
 * @param {[string, Child][]} pairs
 */
export function facts(pairs) {
  const given = pairs.filter(
    ([, value]) => value !== null && value !== undefined && value !== false && value !== "",
  );
  return h(
    "dl",
    { class: "facts" },
    ...given.map(([name, value]) =>
      h("div", { class: widthOf(value) }, h("dt", {}, name), h("dd", {}, ...nodes(value))),
    ),
  );
}

/**
 * Return the class of a value that needs more width than a column has.
 * @param {Child} value
 */
function widthOf(value) {
  if (typeof value === "string") return value.length > COLUMN_LETTERS ? "wide" : null;
  const isLong = nodes(value).some(
    (one) => one instanceof HTMLDivElement && (one.textContent ?? "").length > PHONE_LETTERS,
  );
  return isLong ? "phone-wide" : null;
}

/**
 * @param {string} title
 * @param {Attributes & { actions?: Child }} attributes
 * @param {...Child} children
 */
export function card(title, attributes, ...children) {
  const { actions = [], ...rest } = attributes;
  const head = h("div", { class: "card-head" }, h("h2", {}, title), ...nodes(actions));
  return h("section", { class: "card", "aria-label": title, ...rest }, head, ...children);
}

/**
 * Build the first card of a page about one object: its title, id and actions.
 * @param {string} name
 * @param {{ title: Child, id: string, actions?: Child }} head
 * @param {...Child} children
 */
export const headCard = (name, { title, id, actions = null }, ...children) =>
  h(
    "section",
    { class: "card", "aria-label": name },
    h(
      "div",
      { class: "card-head" },
      h("div", {}, h("h2", { class: "big" }, ...nodes(title)), copyable(id)),
      h("div", { class: "actions" }, ...nodes(actions)),
    ),
    ...children,
  );

/**
 * Link to an object's page in the dashboard of Stripe or of the sandbox.
 * @param {Service} service
 * @param {string} path
 */
export const atStripe = (service, path) =>
  outside(service.dashboard, path, service.mode === "simulated" ? "In the sandbox" : "At Stripe");

/**
 * Name who made a decision: the name of the operator's key, and the name they typed.
 * @param {Record<string, any>} decision
 */
export const whoOf = ({ operator, by }) =>
  operator && by && operator !== by ? `${operator} (${by})` : (operator ?? by ?? null);

/**
 * Build the text for an empty place, which says why it is empty and what to do.
 * @param {string} title
 * @param {string} detail
 * @param {...Child} more
 */
export const empty = (title, detail, ...more) =>
  h("div", { class: "empty" }, h("p", { class: "strong" }, title), h("p", {}, detail), ...more);

/** Build a placeholder for content that is loading. */
export const loading = () =>
  h(
    "div",
    { class: "card loading", role: "status" },
    h("span", { class: "unseen" }, "Loading"),
    ...[70, 95, 82, 60].map((width) => {
      const line = h("i");
      line.style.width = `${width}%`;
      return line;
    }),
  );

const TOKENS =
  /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Show JSON, indented, with colours for keys and values.
 * @param {unknown} value
 */
export function json(value) {
  const text = JSON.stringify(value, null, 2);
  /** @type {Child[]} */
  const shown = [];
  let done = 0;
  for (const match of text.matchAll(TOKENS)) {
    const [token, quoted, colon] = match;
    shown.push(text.slice(done, match.index));
    shown.push(h("span", { class: colon ? "name" : quoted ? "text" : "plain" }, quoted ?? token));
    if (colon) shown.push(colon);
    done = match.index + token.length;
  }
  return h(
    "pre",
    { tabindex: "0", role: "region", "aria-label": "JSON" },
    h("code", {}, ...nodes([shown, text.slice(done)])),
  );
}
