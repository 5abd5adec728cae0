// Export rows as a CSV file for a spreadsheet.

import { h } from "./dom.js";

// A text that a spreadsheet would execute as a formula; customers wrote some of these texts.
// Some read the wide signs of Chinese and Japanese keyboards so, too.
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

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
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
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
