// Elements are made here and nowhere else. Text goes in as text: what strangers wrote into Stripe's
// objects can be read and never becomes an element.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. `on` has listeners by event; null and false attributes are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, ...plain } = attributes;
  for (const [name, value] of Object.entries(plain)) {
    if (value === null || value === undefined || value === false) continue;
    if (/^(on|style$)/i.test(name)) throw new TypeError(`${name} is no attribute to set`);
    element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...nodes(children));
  return element;
}

/** Flatten what is to be shown; null and false are nothing. */
export function nodes(children) {
  return [children]
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Link to a place in the console, and to nowhere else. */
export function link(address, attributes, ...children) {
  if (!address.startsWith("#/")) throw new TypeError("the console links to itself only");
  return h("a", { ...attributes, href: address }, ...children);
}

export const button = (attributes, act, ...children) =>
  h("button", { type: "button", ...attributes, on: { click: act } }, ...children);

/** Draw an icon of a few strokes in the colour of the text; it says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", STROKES[name]);
  svg.append(path);
  return svg;
}

const STROKES = {
  overview: "M3 3h6v6H3zM11.5 3H17v3.5h-5.5zM11.5 9.5H17V17h-5.5zM3 12h6v5H3z",
  events: "M11 2.5 4.5 11.5H9.5L9 17.5 15.5 8.5H10.5z",
  letters: "M3 11 5.2 4h9.6L17 11v5H3zM3 11h4l1 2.2h4L13 11h4",
  payments: "M2.5 5h15v10.5h-15zM2.5 8.5h15M5.5 12.5h3.5",
  audit: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2.5",
  search: "M9 3.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11M13.2 13.2 17 17",
  check: "M4 10.5 8.2 14.5 16 6",
  warning: "M10 3.2 18 16.5H2zM10 8v3.8M10 14.1v.2",
  copy: "M7 7h9v10H7zM4 13V3h9",
  arrow: "M8 4.5 13.5 10 8 15.5",
  again: "M16 10a6 6 0 1 1-2-4.5M16.5 2.5V6H13",
  key: "M8.6 11.4 15.5 4.5M13 7l2 2M7 10a3.2 3.2 0 1 1 0 6.4A3.2 3.2 0 1 1 7 10",
  none: "M3.5 10h13",
};
