// Only this module creates elements. Text is inserted as text: customers' texts in Stripe's objects
// are displayed and never become elements.

/** @import { Attributes, Child, Listener } from "../types" */

const SVG = "http://www.w3.org/2000/svg";
// Invisible characters, and those that reverse the order of others: somebody could hide with them
// what a text says. Line ends, tabs and the joiners of emoji and scripts are allowed.
const HIDDEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Replace the invisible characters of a text by escapes: `\u{202e}`.
 * @param {unknown} text
 */
export const visible = (text) =>
  String(text).replace(HIDDEN, (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`);

/**
 * Create an element. `on` has listeners by event; null and false attributes are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, ...plain } = attributes;
  for (const [name, value] of Object.entries(plain)) attribute(element, name, value);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...nodes(children));
  return element;
}

const SPOKEN = new Set(["title", "aria-label", "placeholder"]);

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (/^(on|style$)/i.test(name)) throw new TypeError(`The attribute ${name} is not allowed.`);
  const text = value === true ? "" : String(value);
  element.setAttribute(name, SPOKEN.has(name) ? visible(text) : text);
}

/**
 * Flatten children into nodes; null and booleans give none.
 * @param {Child} children
 * @returns {Node[]}
 */
export function nodes(children) {
  if (Array.isArray(children)) return children.flatMap(nodes);
  if (children === null || children === undefined || typeof children === "boolean") return [];
  return [children instanceof Node ? children : document.createTextNode(visible(children))];
}

/**
 * Link to a place in the console.
 * @param {string} address
 * @param {Attributes} attributes
 * @param {...Child} children
 */
export function link(address, attributes, ...children) {
  if (!address.startsWith("#/")) throw new TypeError("The address is not one of the console.");
  return h("a", { ...attributes, href: address }, ...children);
}

/**
 * Link to the dashboard of Stripe or of the sandbox; `base` is its address, from the service.
 * @param {string} base
 * @param {string} path
 * @param {...Child} children
 */
export function outside(base, path, ...children) {
  const to = new URL(base);
  if (!["https:", "http:"].includes(to.protocol)) throw new TypeError("The address is not HTTP.");
  const href = `${base}/${path.split("/").map(encodeURIComponent).join("/")}`;
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

/**
 * @param {Attributes} attributes
 * @param {Listener} act
 * @param {...Child} children
 */
export const button = (attributes, act, ...children) =>
  h("button", { type: "button", ...attributes, on: { click: act } }, ...children);

/**
 * Create an SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function drawing(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) attribute(element, name, value);
  element.append(...children);
  return element;
}

/**
 * Draw an icon of a few strokes in the colour of the text; screen readers ignore it.
 * @param {keyof typeof STROKES} name
 */
export const icon = (name) =>
  drawing(
    "svg",
    { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" },
    drawing("path", { d: STROKES[name] }),
  );

const STROKES = {
  overview: "M3 3h6v6H3zM11.5 3H17v3.5h-5.5zM11.5 9.5H17V17h-5.5zM3 12h6v5H3z",
  events: "M11 2.5 4.5 11.5H9.5L9 17.5 15.5 8.5H10.5z",
  letters: "M3 11 5.2 4h9.6L17 11v5H3zM3 11h4l1 2.2h4L13 11h4",
  payments: "M2.5 5h15v10.5h-15zM2.5 8.5h15M5.5 12.5h3.5",
  refunds: "M3.5 8.5h9a4 4 0 0 1 0 8H8M3.5 8.5 7 5M3.5 8.5 7 12",
  notifications:
    "M5.5 8a4.5 4.5 0 0 1 9 0c0 4 1.5 5 1.5 5H4s1.5-1 1.5-5M8.5 15.5a1.6 1.6 0 0 0 3 0",
  audit: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2.5",
  search: "M9 3.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11M13.2 13.2 17 17",
  check: "M4 10.5 8.2 14.5 16 6",
  warning: "M10 3.2 18 16.5H2zM10 8v3.8M10 14.1v.2",
  copy: "M7 7h9v10H7zM4 13V3h9",
  arrow: "M8 4.5 13.5 10 8 15.5",
  again: "M16 10a6 6 0 1 1-2-4.5M16.5 2.5V6H13",
  save: "M10 3v9M6.5 8.8 10 12.3l3.5-3.5M4 16.5h12",
  key: "M8.6 11.4 15.5 4.5M13 7l2 2M7 10a3.2 3.2 0 1 1 0 6.4A3.2 3.2 0 1 1 7 10",
  none: "M3.5 10h13",
};
