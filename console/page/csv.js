// Export rows as a CSV file for a spreadsheet.

import { h } from "./dom.js";

// A text that a spreadsheet would execute as a formula; customers wrote some of these texts. Some
// read the wide signs of Chinese and Japanese keyboards so, too, and some skip spaces before it.
const FORMULA = /^ *[=+\-@\uff1d\uff0b\uff0d\uff20]/;
// Invisible characters, which would hide the sign with which a text begins: all that Python, too,
// calls not printable. `cli/csv_cells.py` formats cells in the same way.
const INVISIBLE = /(?! )[\p{C}\p{Z}]/gu;

/**
 * Return rows as CSV (RFC 4180), with a column for each field of the rows.
 * @param {Record<string, unknown>[]} rows
 */
export function csv(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [names, ...rows.map((row) => names.map((name) => row[name]))];
  return lines.map((line) => `${line.map(field).join(",")}\r\n`).join("");
}

/** @param {unknown} value */
function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const visible = text.replace(INVISIBLE, escaped);
  const harmless = FORMULA.test(visible) ? `'${visible}` : visible;
  return /[",]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/**
 * Write a character as JSON does.
 * @param {string} character
 */
function escaped(character) {
  const units = character.split("").map((unit) => unit.charCodeAt(0).toString(16));
  return units.map((unit) => `\\u${unit.padStart(4, "0")}`).join("");
}

/**
 * Let the browser download a text as a file.
 * @param {string} name
 * @param {string} text
 */
export function save(name, text) {
  // Without this byte order mark, a spreadsheet assumes an old encoding of its country.
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  const anchor = h("a", { href: address, download: name });
  anchor.click();
  URL.revokeObjectURL(address);
}
