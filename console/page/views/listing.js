// What all lists have in common: a search, a page of rows, a way to older ones, a file to keep.

import { csv, save } from "../csv.js";
import { explained, toast } from "../dialogs.js";
import { button, h, icon } from "../dom.js";
import { counted } from "../format.js";
import { empty } from "../parts.js";
import { moment, PAGE, pageOf, pageQuery, pager, pattern, searchForm } from "./search.js";

/** @import { Asked, Child, Load, Query, View } from "../../types" */
/** @import { Field } from "./search.js" */

// Rows that the service gives at a time, and rows in a file of a list that goes on by ids.
const MOST_AT_ONCE = 1_000;
const MOST_IN_A_FILE = 20_000;

/**
 * @template {{ id: string }} Row
 * @typedef {object} Listing
 * @property {string} room
 * @property {string} title
 * @property {string} thing one of what is listed, in words
 * @property {Query} query
 * @property {Field[]} fields
 * @property {keyof Row & string} at the field that the list is in order of
 * @property {Load<Row>} load
 * @property {boolean} [byId] the service itself goes on after the last one shown
 * @property {(rows: Row[]) => Child} show
 * @property {[string, string]} nothing said when there is none at all
 * @property {string} [hint] said when none matches
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
    load: (signal) => list.load(pageAsked(list), signal),
    draw: (found) => drawn(list, found),
  };
}

/**
 * Give what the page that is shown asks the service for.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 */
const pageAsked = ({ query, byId }) =>
  byId ? { ...searched(query), past: query.past, limit: PAGE } : pageQuery(searched(query));

/**
 * Give what an address asks the service for.
 * @param {Query} query
 * @returns {Asked}
 */
export function searched({ past: _, ...query }) {
  /** @type {Asked} */
  const asked = { ...query };
  if (query.type) asked.type = pattern(query.type);
  if (query.since) asked.since = moment(query.since);
  if (query.until) asked.until = moment(query.until);
  return asked;
}

/**
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 * @param {{ data: Row[], complete: boolean }} found
 */
function drawn(list, found) {
  const { room, query, thing, nothing, hint, show } = list;
  const { rows, more } = page(list, found);
  if (rows.length === 0) {
    return Object.keys(query).length
      ? empty(`No ${thing} matches`, hint ?? "Clear the search to see all of them.")
      : empty(...nothing);
  }
  const known = `${counted(rows.length, thing)}${more ? ", more are older" : ""}`;
  return [
    h("p", { class: "hint" }, known),
    h("section", { class: "card", "aria-label": `List of ${thing}s` }, show(rows)),
    pager(room, query, more, list.byId),
  ];
}

/**
 * Cut the page out of what came, unless the service did.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 * @param {{ data: Row[], complete: boolean }} found
 */
function page({ query, at, byId }, found) {
  if (!byId) return pageOf(found.data, query, at);
  const rows = found.data;
  const last = rows.at(-1);
  return { rows, more: last && !found.complete ? { past: last.id } : null };
}

/**
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 */
const exporter = (list) => button({}, () => takeAway(list), icon("save"), "Export CSV");

/**
 * Give all that the search finds as a file, whatever page is shown.
 * @template {{ id: string }} Row
 * @param {Listing<Row>} list
 */
async function takeAway({ room, thing, query, byId, load }) {
  const { until, ...rest } = searched(query);
  const all = { ...rest, until: byId ? until : undefined, limit: MOST_AT_ONCE };
  try {
    const { rows, complete } = await everything(all, load, byId ? MOST_IN_A_FILE : 1);
    save(`${room}.csv`, csv(rows));
    const hint = complete ? "" : "; there are more: narrow the search for the others";
    toast(`${counted(rows.length, thing)} exported${hint}`);
  } catch (error) {
    toast(explained(error));
  }
}

/**
 * Load page after page until there are so many rows; say whether these are all.
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
