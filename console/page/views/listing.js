// What all lists share: a search, a page of rows, links to other pages, and an export.

import { csv, save } from "../csv.js";
import { explain, toast } from "../dialogs.js";
import { button, h, icon } from "../dom.js";
import { counted } from "../format.js";
import { empty } from "../parts.js";
import { moment, PAGE, pageOf, pageQuery, pager, pattern, searchForm } from "./search.js";

/** @import { Asked, Child, Load, Query, View } from "../../types" */
/** @import { Field } from "./search.js" */

// Most rows that the service returns at once, and most rows in an exported file.
const MOST_AT_ONCE = 1_000;
const MOST_IN_A_FILE = 20_000;

/**
 * @template {{ id: string }} Row
 * @typedef {object} Listing
 * @property {string} room
 * @property {string} title
 * @property {string} thing the name of one row
 * @property {Query} query
 * @property {Field[]} fields
 * @property {keyof Row & string} at the field by which the list is sorted
 * @property {Load<Row>} load
 * @property {boolean} [byId] the service continues after the id of the last row
 * @property {(rows: Row[]) => Child} show
 * @property {[string, string]} nothing the text for an empty list
 * @property {string} [hint] the text for a search without a match
 * @property {Child} [actions]
 * @property {(differs: boolean) => void} [typed]
 */

/**
 * Build the view of a list.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 * @returns {View<{ data: Row[], complete: boolean }>}
 */
export function listing(list) {
  const { room, title, query, fields } = list;
  return {
    title,
    actions: h("div", { class: "actions" }, list.actions, exporter(list)),
    frame: searchForm(room, query, fields, list.typed),
    load: (signal) => list.load(pageSearch(list), signal),
    draw: (answer) => drawn(list, answer),
  };
}

/**
 * Return the parameters for the current page.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 */
const pageSearch = ({ query, byId }) =>
  byId ? { ...searched(query), past: query.past, limit: PAGE } : pageQuery(searched(query));

/**
 * Return the parameters for the search that an address names.
 * @param {Query} query
 * @returns {Asked}
 */
export function searched({ past: _, ...query }) {
  /** @type {Asked} */
  const search = { ...query };
  if (query.type) search.type = pattern(query.type);
  if (query.since) search.since = moment(query.since);
  if (query.until) search.until = moment(query.until);
  return search;
}

/**
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 * @param {{ data: Row[], complete: boolean }} answer
 */
function drawn(list, answer) {
  const { room, query, thing, nothing, hint, show } = list;
  const { rows, more } = page(list, answer);
  if (rows.length === 0) {
    return Object.keys(query).length
      ? empty(`No ${thing} matches`, hint ?? "Clear the search to see all of them.")
      : empty(...nothing);
  }
  const known = `${counted(rows.length, thing)}${more ? "; older ones follow" : ""}`;
  return [
    h("p", { class: "hint" }, known),
    h("section", { class: "card", "aria-label": `List of ${thing}s` }, show(rows)),
    pager(room, query, more, list.byId),
  ];
}

/**
 * Select the rows of the page from the answer, unless the service did.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 * @param {{ data: Row[], complete: boolean }} answer
 */
function page({ query, at, byId }, answer) {
  if (!byId) return pageOf(answer.data, query, at);
  const rows = answer.data;
  const last = rows.at(-1);
  return { rows, more: last && !answer.complete ? { past: last.id } : null };
}

/**
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 */
const exporter = (list) => button({}, () => exportRows(list), icon("save"), "Export CSV");

/**
 * Save all rows that match the search as a file, whatever page is shown.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 */
async function exportRows({ room, thing, query, byId, load }) {
  const { until, ...rest } = searched(query);
  const all = { ...rest, until: byId ? until : undefined, limit: MOST_AT_ONCE };
  try {
    const { rows, complete } = await everything(all, load, byId ? MOST_IN_A_FILE : 1);
    save(`${room}.csv`, csv(rows));
    const hint = complete ? "" : "; there are more: narrow the search to export the others";
    toast(`${counted(rows.length, thing)} exported${hint}`);
  } catch (error) {
    toast(explain(error));
  }
}

/**
 * Load page after page until there are `most` rows; say whether these are all.
 * @template {{ id: string }} Row
 * @param {Asked} asked
 * @param {Load<Row>} load
 * @param {number} most
 */
async function everything(asked, load, most) {
  /** @type {Row[]} */
  const rows = [];
  for (;;) {
    const { data, complete } = await load({ ...asked, past: rows.at(-1)?.id });
    rows.push(...data);
    if (complete || data.length === 0 || rows.length >= most) return { rows, complete };
  }
}
