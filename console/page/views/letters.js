// Dead letters: work that failed for good and needs a decision.

import { causeOf } from "../advice.js";
import { choiceToRedrive } from "../choosing.js";
import { button, h, icon, link } from "../dom.js";
import { words } from "../format.js";
import * as ops from "../ops.js";
import { idLink, pill, when } from "../parts.js";
import { redriveMatching, redriveOne } from "../redrive.js";
import { addressOf } from "../router.js";
import { choosing, table } from "../table.js";
import { listing, searched } from "./listing.js";

/** @import { Item, Load, Place, Query } from "../../types" */

const FIELDS = [
  { name: "kind", label: "Kind", options: ["events", "refunds", "notifications"] },
  { name: "type", label: "Type", hint: "payment.*" },
  { name: "error", label: "Error contains", hint: "answered 4" },
  { name: "payment_id", label: "Payment", hint: "pi_…" },
];
const NOT_YET = "Press Search first: the list does not show the search that you typed.";

/**
 * @param {Place} place
 * @param {{ refresh: () => void }} tools
 */
export function letters({ query }, { refresh }) {
  const { until: _until, past: _past, ...search } = query;
  const all = () => redriveMatching(searched(search), inWords(search), refresh);
  const every = button({ class: "primary" }, all, icon("again"), "Redrive all that match");
  let [isTyping, isEmpty] = [false, true];
  const offer = () => {
    every.disabled = isTyping || isEmpty;
    every.title = isTyping ? NOT_YET : "";
  };
  /** @type {Load<Item>} */
  const load = async (asked, signal) => {
    const matches = await ops.deadLetters(asked, signal);
    isEmpty = matches.data.length === 0;
    offer();
    return matches;
  };
  const { choice, buttons } = choiceToRedrive(refresh);
  offer();
  return listing({
    room: "dead-letters",
    title: "Dead letters",
    thing: "dead letter",
    query,
    fields: FIELDS,
    at: "dead_at",
    actions: [...buttons, every],
    typed: (differs) => {
      isTyping = differs;
      offer();
    },
    load,
    show: (rows) => {
      choice.keep(rows.map(({ id }) => id));
      return letterTable(rows, choice, refresh);
    },
    nothing: ["No dead letters", "Work that is given up waits here for you."],
  });
}

/**
 * Describe in words which dead letters match a search.
 * @param {Query} search
 */
function inWords(search) {
  const given = Object.entries(search).filter(([, value]) => value);
  if (given.length === 0) return "All dead letters, because the search is empty.";
  const terms = given.map(([name, value]) => `${words(name)} “${value}”`);
  return `Dead letters with ${terms.join(", ")}.`;
}

/**
 * @param {Item[]} rows
 * @param {import("../table.js").Choice} choice
 * @param {() => void} refresh
 */
const letterTable = (rows, choice, refresh) =>
  table(
    "Dead letters",
    [
      choosing(choice, () => true),
      {
        name: "Item",
        phone: "span",
        show: (row) => [
          h(
            "span",
            { class: "lead" },
            link(addressOf(row.id) ?? "#/", { class: "title" }, row.type ?? row.kind),
            " ",
            pill(row.kind.replace(/s$/, ""), "none"),
          ),
          h("small", { class: "id" }, row.id),
        ],
      },
      {
        name: "Error",
        phone: "span",
        show: (row) => h("span", { class: "error", title: row.error }, causeOf(row.error)),
      },
      { name: "Payment", show: (row) => idLink(row.payment_id) },
      {
        name: "Dead since",
        end: true,
        show: (row) => when(row.dead_at),
      },
      { name: "Actions", end: true, phone: "span", show: (row) => again(row, refresh) },
    ],
    rows,
  );

/**
 * @param {Item} row
 * @param {() => void} refresh
 */
const again = (row, refresh) =>
  button(
    { class: "small", "aria-label": `Redrive ${row.id}` },
    () => redriveOne(row, refresh),
    "Redrive",
  );
