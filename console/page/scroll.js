// Keep the scroll position with each entry of the browser's history: a new page begins at its top,
// and going back restores the position.

const PAUSE_MS = 150;

/** Save the position of the current page after each scroll. */
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

/** Scroll to the top; the returned function scrolls to the saved position of this page. */
export function restorePlace() {
  const y = history.state?.y ?? 0;
  scrollTo(0, 0);
  return () => {
    if (y > 0) scrollTo(0, y);
  };
}
