// Searches: a form whose answers are in the address, and pages from one moment to an older one.

import { button, h, link } from "../dom.js";
import { sentence } from "../format.js";
import { address } from "../router.js";

export const PAGE = 50;
// Items may share a millisecond with the last one shown: so many more are asked for to skip them.
const SLACK = 25;

// Below this width the form would fill a screen: it stays folded until it is asked for.
const WIDE = matchMedia("(min-width: 52.01rem)");

/** Build the form of a search; sending it goes to the address of what it asks for. */
export function searchForm(room, query, fields) {
  const isNarrowed = fields.some(({ name }) => query[name]);
  const open = WIDE.matches || isNarrowed;
  const summary = h("summary", {}, "Search");
  return h("details", { class: "searching", open }, summary, form(room, query, fields));
}

function form(room, query, fields) {
  const controls = fields.map((field) => control(field, query[field.name] ?? ""));
  const filled = h(
    "form",
    { class: "filters", role: "search" },
    ...controls,
    h(
      "div",
      { class: "go" },
      h("button", {}, "Search"),
      link(address(room), { class: "button" }, "Clear"),
    ),
  );
  const go = () => {
    const entries = [...new FormData(filled)].map(([name, value]) => [name, String(value).trim()]);
    location.hash = address(room, null, Object.fromEntries(entries));
  };
  filled.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  filled.addEventListener("change", (event) => event.target.matches("select") && go());
  return filled;
}

function control({ name, label, options, hint }, value) {
  const id = `search-${name}`;
  const shown = options
    ? h(
        "select",
        { id, name },
        ...["", ...options].map((one) =>
          h("option", { value: one, selected: one === value }, one ? sentence(one) : "Any"),
        ),
      )
    : h("input", { id, name, placeholder: hint, autocomplete: "off", spellcheck: "false" });
  if (!options) shown.value = value;
  return h("div", {}, h("label", { for: id }, label), shown);
}

/** Turn a word into the pattern that finds it anywhere; a pattern or a whole type stays. */
export const pattern = (type) => (!type || /[*.?[]/.test(type) ? type : `*${type}*`);

/** Give the query for the page an address names: everything up to a moment, with what to skip. */
export const pageQuery = ({ until, past, ...rest }) => ({
  ...rest,
  until,
  limit: until ? PAGE + SLACK : PAGE + 1,
});

/** Cut a page out of what was found; `more` tells whether an older one follows. */
export function pageOf(items, { past }, at) {
  const seen = items.findIndex((item) => item.id === past);
  const left = items.slice(seen + 1);
  const rows = left.slice(0, PAGE);
  const last = rows.at(-1);
  const more = left.length > PAGE ? { until: last[at], past: last.id } : null;
  return { rows, more };
}

/** Lead to the newest and to the older page. */
export function pager(room, query, more) {
  const { until, past, ...search } = query;
  if (!until && !more) return null;
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    until ? link(address(room, null, search), { class: "button" }, "Newest") : h("span", {}),
    more
      ? link(address(room, null, { ...search, ...more }), { class: "button" }, "Older")
      : button({ disabled: true }, () => {}, "Older"),
  );
}
