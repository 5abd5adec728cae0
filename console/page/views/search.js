// The search form, whose values are in the page's address, and the paging of lists by time.

import { button, h, link } from "../dom.js";
import { sentence } from "../format.js";
import { address } from "../router.js";

/** @import { Asked, Query } from "../../types" */
/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} [hint]
 * @property {string[]} [options]
 * @property {string} [type]
 */

export const PAGE = 50;
// Extra rows to load for each page, because some may have the time of the last row and are skipped.
const SLACK = 25;

// Below this width the form would fill the screen, so it is closed at first.
const WIDE = matchMedia("(min-width: 52.01rem)");

/**
 * Build the search form, which opens the address of its search. `typed` is called with whether the
 * form's values differ from the search that the list shows.
 * @param {string} room
 * @param {Query} query
 * @param {Field[]} fields
 * @param {(differs: boolean) => void} typed
 */
export function searchForm(room, query, fields, typed = () => {}) {
  const isNarrowed = fields.some(({ name }) => query[name]);
  const open = WIDE.matches || isNarrowed;
  const summary = h("summary", {}, "Search");
  return h("details", { class: "searching", open }, summary, form(room, query, fields, typed));
}

/**
 * @param {string} room
 * @param {Query} query
 * @param {Field[]} fields
 * @param {(differs: boolean) => void} typed
 */
function form(room, query, fields, typed) {
  const controls = fields.map((field) => control(field, query[field.name] ?? ""));
  const filled = h(
    "form",
    { class: "filters", role: "search", "aria-label": "This list" },
    ...controls,
    h(
      "div",
      { class: "go" },
      h("button", {}, "Search"),
      link(address(room), { class: "button" }, "Clear"),
    ),
  );
  const read = () =>
    Object.fromEntries(
      [...new FormData(filled)].map(([name, value]) => [name, String(value).trim()]),
    );
  const go = () => {
    location.hash = address(room, null, read());
  };
  filled.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  filled.addEventListener("input", () => {
    const now = read();
    typed(fields.some(({ name }) => (now[name] ?? "") !== (query[name] ?? "")));
  });
  filled.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) go();
  });
  return filled;
}

/**
 * @param {Field} field
 * @param {string} value
 */
function control({ name, label, options, hint, type = "text" }, value) {
  const id = `search-${name}`;
  if (options) {
    const choices = ["", ...options].map((one) =>
      h("option", { value: one, selected: one === value }, one ? sentence(one) : "Any"),
    );
    return h("div", {}, h("label", { for: id }, label), h("select", { id, name }, ...choices));
  }
  const shown = h("input", {
    id,
    name,
    type,
    placeholder: hint,
    autocomplete: "off",
    spellcheck: "false",
  });
  shown.value = value;
  return h("div", {}, h("label", { for: id }, label), shown);
}

/**
 * Turn a word into a pattern that finds it anywhere; leave a pattern or a full type unchanged.
 * @param {string | undefined} type
 */
export const pattern = (type) => (!type || /[*.?[]/.test(type) ? type : `*${type}*`);

/**
 * Convert a form's local date and time into a time for the service.
 * @param {string | undefined} local
 */
export function moment(local) {
  const at = new Date(local ?? "");
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/**
 * Return the parameters for the page that an address names, with rows to skip.
 * @param {Asked} query
 * @returns {Asked}
 */
export const pageQuery = ({ until, past, ...rest }) => ({
  ...rest,
  until,
  limit: until ? PAGE + SLACK : PAGE + 1,
});

/**
 * Select the rows of a page from those loaded; `more` names the next page, or is null.
 * @template {{ id: string }} Row
 * @param {Row[]} items
 * @param {Query} query
 * @param {keyof Row & string} at
 */
export function pageOf(items, { past }, at) {
  const seen = items.findIndex((item) => item.id === past);
  const left = items.slice(seen + 1);
  const rows = left.slice(0, PAGE);
  const last = rows.at(-1);
  const isMore = left.length > PAGE && last !== undefined;
  return { rows, more: isMore ? { until: String(last[at]), past: last.id } : null };
}

/**
 * Link to the newest and to the next page. In lists that page by id, `until` is part of the search.
 * @param {string} room
 * @param {Query} query
 * @param {Query | null} more
 * @param {boolean} byId
 */
export function pager(room, query, more, byId = false) {
  const { until, past, ...rest } = query;
  const search = byId ? { ...rest, until } : rest;
  const isFirst = byId ? !past : !until;
  if (isFirst && !more) return null;
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    isFirst ? h("span", {}) : link(address(room, null, search), { class: "button" }, "Newest"),
    more
      ? link(address(room, null, { ...search, ...more }), { class: "button" }, "Older")
      : button({ disabled: true }, () => {}, "Older"),
  );
}
