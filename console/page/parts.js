// The small parts that every view is made of.

import { button, h, icon, link, nodes } from "./dom.js";
import { ago, whole, words } from "./format.js";
import { addressOf } from "./router.js";

const TONES = {
  good: ["processed", "finished", "delivered", "succeeded", "paid", "won", "complete", "redriven"],
  bad: ["dead", "failed", "lost", "canceled", "needs_response", "expired"],
  wait: [
    ["received", "processing", "retrying", "queued", "waiting", "pending", "requires_action"],
    ["requires_payment_method", "requires_confirmation", "requires_capture", "under_review"],
    ["retry", "snoozed", "warning_needs_response", "warning_under_review", "open"],
  ].flat(),
};

/** Name the tone of a state: good, bad, wait or none. */
export const toneOf = (state) =>
  Object.keys(TONES).find((tone) => TONES[tone].includes(state)) ?? "none";

export const pill = (state, tone = toneOf(state)) =>
  h("span", { class: `pill ${tone}` }, words(state));

/** Show when something was, as time that has passed; `freshen` keeps it true. */
export function when(moment) {
  if (!moment) return "–";
  const at = new Date(moment);
  return h("time", { datetime: at.toISOString(), title: whole(at), "data-ago": true }, ago(at));
}

/** Bring every relative time on the page up to date. */
export function freshen() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(new Date(element.dateTime));
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Show an id: a link where the console can show what it names. */
export function idLink(id, attributes = {}) {
  if (!id) return "–";
  const to = addressOf(id);
  return to ? link(to, { class: "id", ...attributes }, id) : h("span", { class: "id" }, id);
}

/** Show an id with a button that copies it. */
export function copyable(id) {
  const label = h("span", { class: "unseen", "aria-live": "polite" });
  const copy = async (event) => {
    await navigator.clipboard?.writeText(id);
    label.textContent = "Copied";
    const pressed = event.currentTarget ?? event.target;
    pressed.classList.add("done");
    setTimeout(() => pressed.classList.remove("done"), 1500);
  };
  const press = button({ class: "bare", "aria-label": `Copy ${id}` }, copy, icon("copy"));
  return h("span", { class: "copyable" }, h("code", {}, id), press, label);
}

/**
 * A table whose rows become cards on a phone; roles keep it a table for a screen reader. A column
 * is `{ name, show }`; `end` aligns it right, `phone` says how it fares there: `span`, `none`.
 */
export function table(caption, columns, rows, look = null) {
  const head = columns.map(({ name, end }) =>
    h("th", { scope: "col", role: "columnheader", class: end && "end" }, name),
  );
  const cells = (row) =>
    columns.map(({ name, end, phone, show }) => {
      const looks = [end && "end", phone && `phone-${phone}`].filter(Boolean).join(" ");
      const attributes = { role: "cell", "data-name": name, class: looks || null };
      return h("td", attributes, h("span", { class: "value" }, ...nodes(show(row))));
    });
  return h(
    "table",
    { role: "table", "aria-label": caption, class: look },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
    h("tbody", { role: "rowgroup" }, ...rows.map((row) => h("tr", { role: "row" }, ...cells(row)))),
  );
}

/** A list of names and values; what has no value is left out. */
export function facts(pairs) {
  const given = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h(
    "dl",
    { class: "facts" },
    ...given.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...nodes(value)))),
  );
}

export function card(title, attributes, ...children) {
  const { actions = [], ...rest } = attributes;
  const head = h("div", { class: "card-head" }, h("h2", {}, title), ...nodes(actions));
  return h("section", { class: "card", "aria-label": title, ...rest }, head, ...children);
}

/** What is shown where nothing is to be shown: it says why, and what to do. */
export const empty = (title, detail, ...more) =>
  h("div", { class: "empty" }, h("p", { class: "strong" }, title), h("p", {}, detail), ...more);

/** Lines where text will be, while it is waited for. */
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

/** Show JSON, indented, its keys and values told apart by colour. */
export function json(value) {
  const text = JSON.stringify(value, null, 2);
  const shown = [];
  let done = 0;
  for (const found of text.matchAll(TOKENS)) {
    const [token, quoted, colon] = found;
    shown.push(text.slice(done, found.index));
    shown.push(h("span", { class: colon ? "name" : quoted ? "text" : "plain" }, quoted ?? token));
    if (colon) shown.push(colon);
    done = found.index + token.length;
  }
  return h("pre", { tabindex: "0" }, h("code", {}, ...nodes([shown, text.slice(done)])));
}
