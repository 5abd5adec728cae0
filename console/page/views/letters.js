// Dead letters: work that was given up and waits for a person.

import { causeOf } from "../advice.js";
import { get } from "../client.js";
import { button, h, icon, link } from "../dom.js";
import { counted } from "../format.js";
import { empty, idLink, pill, table, when } from "../parts.js";
import { redriveMatching, redriveOne } from "../redrive.js";
import { addressOf } from "../router.js";
import { pageOf, pageQuery, pager, pattern, searchForm } from "./search.js";

const FIELDS = [
  { name: "kind", label: "Kind", options: ["events", "refunds", "notifications"] },
  { name: "type", label: "Type", hint: "payment.*" },
  { name: "error", label: "Error contains", hint: "answered 4" },
  { name: "payment_id", label: "Payment", hint: "pi_…" },
];

export function letters({ query }, refresh) {
  const { until, past, ...named } = query;
  const search = { ...named, type: pattern(named.type) };
  const all = () => redriveMatching(given(search), refresh);
  return {
    title: "Dead letters",
    actions: button({ class: "primary" }, all, icon("again"), "Redrive all that match"),
    frame: searchForm("dead-letters", query, FIELDS),
    load: (signal) => get("dead-letters", pageQuery({ ...search, until, past }), signal),
    draw: ({ data, matched, complete }) => {
      const { rows, more } = pageOf(data, query, "dead_at");
      if (rows.length === 0) return nothing(query);
      const known = `${counted(matched, "dead letter")}${complete ? "" : " or more"}`;
      return [
        h("p", { class: "hint" }, until ? `${known} from here on` : known),
        h("section", { class: "card" }, letterTable(rows, refresh)),
        pager("dead-letters", query, more),
      ];
    },
  };
}

const given = (search) => Object.fromEntries(Object.entries(search).filter(([, value]) => value));

const letterTable = (rows, refresh) =>
  table(
    "Dead letters",
    [
      {
        name: "Item",
        phone: "span",
        show: (row) => [
          h(
            "span",
            { class: "lead" },
            link(addressOf(row.id), { class: "title" }, row.type ?? row.kind),
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
      { name: "Died", end: true, show: (row) => when(row.dead_at) },
      { name: "", end: true, phone: "span", show: (row) => again(row, refresh) },
    ],
    rows,
  );

const again = (row, refresh) =>
  button(
    { class: "small", "aria-label": `Redrive ${row.id}` },
    () => redriveOne(row, refresh),
    "Redrive",
  );

const nothing = (query) =>
  Object.keys(query).length
    ? empty("No dead letter matches", "Clear the search to see all of them.")
    : empty("No dead letters", "Nothing was given up. What is will wait here for you.");
