// Tables to take away: what was found, as a file that a spreadsheet reads.

import { h } from "./dom.js";

// What a spreadsheet would take for a formula; strangers wrote some of these texts.
const FORMULA = /^[=+\-@\t\r]/;

/**
 * Write rows as CSV (RFC 4180), a column for each field of the rows.
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
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/**
 * Give the browser a file to keep.
 * @param {string} name
 * @param {string} text
 */
export function save(name, text) {
  // A spreadsheet takes a file without this mark for one of its country's old encodings.
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  const anchor = h("a", { href: address, download: name });
  anchor.click();
  URL.revokeObjectURL(address);
}
