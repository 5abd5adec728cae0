// Tables, whose rows become cards on a phone, and the choice of rows.

import { h, nodes } from "./dom.js";

/**
 * @template Row
 * @typedef {import("../types").Column<Row>} Column
 */

/** The rows that a person chose, by id; `changed` is called after every change. */
export class Choice {
  /** @param {(ids: string[]) => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Set<string>} */
    this.ids = new Set();
    /** @type {string[]} */
    this.shown = [];
    /** @type {HTMLInputElement[]} */
    this.boxes = [];
  }

  /** Choose all rows shown, or none if all of them are chosen already. */
  toggleAll() {
    const all = this.ids.size < this.shown.length;
    this.ids = new Set(all ? this.shown : []);
    for (const box of this.boxes) box.checked = all;
    this.changed([...this.ids]);
  }

  /** Return the chosen ids, the oldest first; lists begin with the newest. */
  oldestFirst() {
    return this.shown.filter((id) => this.ids.has(id)).reverse();
  }

  /** Set the rows shown, and remove from the choice the rows that no longer are. */
  keep(/** @type {string[]} */ shown) {
    this.shown = shown;
    this.boxes = [];
    this.ids = new Set(shown.filter((id) => this.ids.has(id)));
    this.changed([...this.ids]);
  }

  set(/** @type {string} */ id, /** @type {boolean} */ chosen) {
    if (chosen) this.ids.add(id);
    else this.ids.delete(id);
    this.changed([...this.ids]);
  }
}

/**
 * Build a table; its roles keep it a table for screen readers when its rows are cards. A column is
 * `{ name, show }`; `end` aligns it right; `phone` is `span` (full width) or `none` (hidden) there.
 * @template Row
 * @param {string} caption
 * @param {Column<Row>[]} columns
 * @param {Row[]} rows
 * @param {string | null} look
 */
export function table(caption, columns, rows, look = null) {
  const head = columns.map(({ name, end }) =>
    h("th", { scope: "col", role: "columnheader", class: end && "end" }, heading(name)),
  );
  return h(
    "table",
    { role: "table", "aria-label": caption, class: look },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
    h(
      "tbody",
      { role: "rowgroup" },
      ...rows.map((row) => h("tr", { role: "row" }, ...columns.map((column) => cell(column, row)))),
    ),
  );
}

// Names of columns that only screen readers get.
const UNSEEN = new Set(["Actions", "Choose"]);

/** @param {string} name */
const heading = (name) => (UNSEEN.has(name) ? h("span", { class: "unseen" }, name) : name);

/**
 * @template Row
 * @param {Column<Row>} column
 * @param {Row} row
 */
function cell({ name, end, phone, show }, row) {
  const looks = [end && "end", phone && `phone-${phone}`].filter(Boolean).join(" ");
  const label = UNSEEN.has(name) ? "" : name;
  const attributes = { role: "cell", "data-name": label, class: looks || null };
  return h("td", attributes, h("span", { class: "value" }, ...nodes(show(row))));
}

/**
 * Build a column of checkboxes; rows for which `can` is false have none.
 * @template {{ id: string }} Row
 * @param {Choice} choice
 * @param {(row: Row) => boolean} can
 * @returns {Column<Row>}
 */
export const choosing = (choice, can) => ({
  name: "Choose",
  phone: "span",
  show: (row) => {
    if (!can(row)) return null;
    const box = h("input", { type: "checkbox", "aria-label": `Choose ${row.id}` });
    box.checked = choice.ids.has(row.id);
    choice.boxes.push(box);
    box.addEventListener("change", () => choice.set(row.id, box.checked));
    return box;
  },
});
