// Shows one view and keeps it true: loads, draws what changed, tries again when nobody answers.

import { Refused, Unreachable, get } from "./client.js";
import { h, nodes } from "./dom.js";
import { empty, freshen, loading } from "./parts.js";

const REFRESH_MS = 5_000;
// While nobody answers: soon enough that a person sees a restart end, and no burden to anyone.
const RETRY_MS = 2_000;

/**
 * Put a view on the page: `frame` is made once, `load` is asked again and again, and `draw` shows
 * what it gave. Returns `refresh` (now) and `stop`. `notice` hears how the connection stands, and
 * of a refusal that concerns the whole page.
 */
export function mount(main, view, notice) {
  const region = h("div", { class: "region" }, loading());
  const heading = h("h1", { tabindex: "-1" }, view.title);
  main.replaceChildren(
    h("div", { class: "head" }, heading, ...nodes(view.actions ?? [])),
    ...nodes(view.frame ?? []),
    region,
  );
  document.title = `${view.title} · Billing console`;
  const ending = new AbortController();
  let shown = null;
  let timer;

  async function round() {
    const stand = await get("queues", {}, ending.signal);
    const data = await view.load(ending.signal, stand);
    if (ending.signal.aborted) return;
    notice.reached(stand);
    const now = JSON.stringify([data, view.needsStand ? stand : null]);
    if (now !== shown && !isSelecting(region)) {
      redraw(region, view.draw(data, stand));
      shown = now;
    }
    freshen();
  }

  async function turn() {
    clearTimeout(timer);
    if (ending.signal.aborted || document.hidden) return;
    let pause = REFRESH_MS;
    try {
      await round();
    } catch (error) {
      if (ending.signal.aborted) return;
      pause = failed(error);
    }
    clearTimeout(timer);
    if (!ending.signal.aborted) timer = setTimeout(turn, pause);
  }

  function failed(error) {
    if (error instanceof Unreachable || error.status === 503) {
      notice.away(error, shown !== null);
      if (shown === null) redraw(region, away(error));
      return RETRY_MS;
    }
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401 || error.status === 403) {
      notice.closed(error);
      return REFRESH_MS;
    }
    notice.reached(null);
    shown = null;
    redraw(region, view.missing?.(error) ?? refusal(error));
    return REFRESH_MS;
  }

  document.addEventListener("visibilitychange", turn, { signal: ending.signal });
  turn();
  return { refresh: turn, stop: () => ending.abort(), heading };
}

/** Replace what is shown, and leave the keyboard and open parts where they were. */
function redraw(region, drawn) {
  const focused = region.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const open = new Set([...region.querySelectorAll("details[open]")].map(nameOf));
  region.replaceChildren(...nodes(drawn));
  for (const part of region.querySelectorAll("details")) part.open ||= open.has(nameOf(part));
  if (focused === null) return;
  const same = [...region.querySelectorAll("a, button, summary, pre")];
  same.find((element) => nameOf(element) === focused)?.focus({ preventScroll: true });
}

const nameOf = (element) =>
  `${element.tagName} ${element.getAttribute("href") ?? element.ariaLabel ?? element.textContent}`;

function isSelecting(region) {
  const selection = document.getSelection();
  return !selection.isCollapsed && region.contains(selection.anchorNode);
}

const refusal = (error) =>
  error.status === 404
    ? empty("Not found", error.message)
    : empty("The service refused this", `${error.message} (${error.code})`, reference(error));

const away = (error) =>
  error instanceof Unreachable
    ? empty("Cannot reach the service", "It may be restarting. Trying again every two seconds.")
    : empty("The service cannot answer now", `${error.message} Trying again.`, reference(error));

const reference = ({ requestId }) =>
  requestId ? h("p", {}, "Request ", h("code", {}, requestId)) : null;
