// Keep the keyboard focus where it is while the content changes.

const FOCUSABLE = "a[href], button, summary, pre, input, select";

/** @param {Element} element */
const nameOf = (element) =>
  `${element.tagName} ${element.getAttribute("href") ?? element.ariaLabel ?? element.textContent}`;

/** @param {Element} region */
const focusable = (region) =>
  /** @type {HTMLElement[]} */ ([...region.querySelectorAll(FOCUSABLE)]);

/**
 * Change a region, then restore the focus: to the element of the same name, or if there is none to
 * the one in its place, or to the page's heading.
 * @param {Element} region
 * @param {() => void} change
 */
export function keepingFocus(region, change) {
  const focused = document.activeElement;
  if (focused === null || !region.contains(focused)) {
    change();
    return;
  }
  const name = nameOf(focused);
  const kind = focused.tagName;
  const before = focusable(region).filter((element) => element.tagName === kind);
  const place = before.indexOf(/** @type {HTMLElement} */ (focused));
  change();
  const after = focusable(region);
  const alike = after.filter((element) => element.tagName === kind);
  const same = after.find((element) => nameOf(element) === name);
  const next = same ?? alike[Math.min(place, alike.length - 1)];
  (next ?? headingOf(region))?.focus({ preventScroll: true });
}

/** @param {Element} region */
const headingOf = (region) =>
  /** @type {HTMLElement | null} */ (region.closest("main")?.querySelector("h1") ?? null);

/**
 * Remember which element has the focus; the returned function gives it back to that element, or
 * if it was replaced, to one of the same name.
 */
export function rememberFocus() {
  const opener = /** @type {HTMLElement | null} */ (document.activeElement);
  const name = opener === null ? "" : nameOf(opener);
  return () => {
    if (opener?.isConnected && opener !== document.body) {
      opener.focus({ preventScroll: true });
      return;
    }
    const main = document.querySelector("main");
    if (main === null) return;
    const same = focusable(main).find((element) => nameOf(element) === name);
    (same ?? /** @type {HTMLElement | null} */ (main.querySelector("h1")))?.focus({
      preventScroll: true,
    });
  };
}

/**
 * Remember the open parts of a region; the returned function opens them again after a redraw.
 * @param {Element} region
 */
export function rememberOpen(region) {
  const open = new Set([...region.querySelectorAll("details[open]")].map(summaryOf));
  return () => {
    for (const part of region.querySelectorAll("details")) part.open ||= open.has(summaryOf(part));
  };
}

/** @param {Element} part */
const summaryOf = (part) => part.querySelector("summary")?.textContent ?? "";
