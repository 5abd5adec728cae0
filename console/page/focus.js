// Where the keyboard is, kept while what is shown changes under it.

const FOCUSABLE = "a[href], button, summary, pre, input, select";

/** @param {Element} element */
const nameOf = (element) =>
  `${element.tagName} ${element.getAttribute("href") ?? element.ariaLabel ?? element.textContent}`;

/** @param {Element} region */
const focusable = (region) =>
  /** @type {HTMLElement[]} */ ([...region.querySelectorAll(FOCUSABLE)]);

/**
 * Change a region, then put the keyboard back to where it was: to the element of the same name, or
 * when that is gone to the one that took its place, or to the page's heading.
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
 * Remember who has the keyboard; the function that is returned gives it back, to an element of the
 * same name if the first was replaced meanwhile.
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
 * Find the parts of a region that are open, so that they are again when it is drawn anew.
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
