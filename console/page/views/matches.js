// The objects that match a text; a single match opens at once.

import { h, link } from "../dom.js";
import * as ops from "../ops.js";
import { empty, pill } from "../parts.js";
import { address, addressOf } from "../router.js";
import { table } from "../table.js";

/** @import { Match, MatchList, Place, View } from "../../types" */

/**
 * @param {Place} place
 * @returns {View<MatchList>}
 */
export function matches({ id }) {
  const text = id ?? "";
  return {
    title: `Search results for ${text}`,
    load: async (signal) => {
      const list = await ops.find(text, signal);
      if (list.data.length === 1) location.replace(placeOf(list.data[0]));
      return list;
    },
    draw: ({ data, complete }) => {
      if (data.length === 0) return nothing(complete);
      return h("section", { class: "card", "aria-label": "Matches" }, matchTable(data));
    },
  };
}

/** @param {boolean} complete */
const nothing = (complete) =>
  empty(
    "Nothing found",
    complete
      ? "No Stripe event, refund job, notification or payment that is kept here has it."
      : "None of the newest ten thousand Stripe events has it. Stripe's dashboard knows all.",
  );

/** @param {Match} match */
const placeOf = ({ kind, id }) => {
  const room = { payment: "payments", event: "events", refund: "refunds", item: "items" }[kind];
  return addressOf(id) ?? address(room, id);
};

/** @param {Match[]} rows */
const matchTable = (rows) =>
  table(
    "Matches",
    [
      { name: "Id", show: (row) => link(placeOf(row), { class: "id" }, row.id) },
      { name: "What", show: (row) => pill(row.kind, "none") },
      { name: "Why", show: (row) => row.because },
    ],
    rows,
  );
