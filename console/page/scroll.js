// Where a page was scrolled to, kept with its entry in the browser's history: a new place begins at
// its top, and one that is gone back to is as it was left.

const PAUSE_MS = 150;

/** Keep the position of the page that is shown, whenever it was scrolled. */
export function rememberPlace() {
  history.scrollRestoration = "manual";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  addEventListener("scroll", () => {
    const here = location.href;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (location.href === here) history.replaceState({ y: scrollY }, "");
    }, PAUSE_MS);
  });
}

/** Go to the top; the function that is returned goes to where this page was left. */
export function restorePlace() {
  const y = history.state?.y ?? 0;
  scrollTo(0, 0);
  return () => {
    if (y > 0) scrollTo(0, y);
  };
}
