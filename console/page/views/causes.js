// The causes of dead letters, the most frequent first.

import { causeOf } from "../advice.js";
import { h, link } from "../dom.js";
import { count } from "../format.js";
import { card, empty } from "../parts.js";
import { address } from "../router.js";

/** @import { ItemList } from "../../types" */

// Most dead letters that are read for their causes; any more are only counted.
export const SURVEYED = 500;

/** @param {ItemList | null} letters */
export function causes(letters) {
  if (!letters?.data.length) {
    return card("Dead letters by cause", {}, empty("No dead letters", "No work needs a decision."));
  }
  const groups = new Map();
  for (const { kind, error } of letters.data) {
    const cause = causeOf(error);
    const name = `${kind} ${cause}`;
    groups.set(name, { kind, cause, size: (groups.get(name)?.size ?? 0) + 1 });
  }
  const sorted = [...groups.values()].sort((one, other) => other.size - one.size);
  const rest = letters.matched - letters.data.length;
  return card(
    "Dead letters by cause",
    { actions: link(address("dead-letters"), { class: "more" }, "All") },
    h("ul", { class: "bars" }, ...sorted.map((group) => bar(group, sorted[0].size))),
    rest > 0 &&
      h(
        "p",
        { class: "hint" },
        `This counts the newest ${count(SURVEYED)}; ${count(rest)} more are older.`,
      ),
  );
}

/**
 * @param {{ kind: string, cause: string, size: number }} group
 * @param {number} longest
 */
function bar({ kind, cause, size }, longest) {
  const length = h("i", { "aria-hidden": "true" });
  length.style.width = `${(100 * size) / longest}%`;
  const to = address("dead-letters", null, { kind, error: cause });
  return h(
    "li",
    {},
    link(to, {}, h("span", {}, cause, h("small", {}, kind)), h("b", {}, count(size))),
    length,
  );
}
