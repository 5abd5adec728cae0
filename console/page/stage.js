// Shows one view and keeps it up to date: loads, redraws changes, tries again after an outage.

import { outage, Refused, Unreachable } from "./client.js";
import { h, nodes } from "./dom.js";
import { keepingFocus, rememberOpen } from "./focus.js";
import * as ops from "./ops.js";
import { empty, freshen, loading } from "./parts.js";

/** @import { Notice, View } from "../types" */

const REFRESH_MS = 5_000;
// Pause while the service does not answer: short enough to notice the end of a restart.
const RETRY_MS = 2_000;

/**
 * Put a view on the page: `frame` is created once, `load` is called repeatedly, and `draw` shows
 * its result. `notice` is called with the state of the connection, and when the key is refused;
 * `drawn` is called once, after the first result is shown.
 * @param {HTMLElement} main
 * @param {View} view
 * @param {Notice} notice
 * @param {() => void} drawn
 */
export function mount(main, view, notice, drawn) {
  const region = h("div", { class: "region" }, loading());
  const heading = h("h1", { tabindex: "-1" }, view.title);
  main.replaceChildren(
    h("div", { class: "head" }, heading, ...nodes(view.actions)),
    ...nodes(view.frame),
    region,
  );
  entitle(view.title);
  const ending = new AbortController();
  /** @type {string | null} */
  let shown = null;
  let isFirst = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function round() {
    const stand = await ops.queues(ending.signal);
    const data = await view.load(ending.signal, stand);
    if (ending.signal.aborted) return;
    notice.reached(stand);
    const now = JSON.stringify([data, view.needsStand ? stand : null]);
    if (now !== shown && !isSelecting(region)) {
      redraw(region, view.draw(data, stand));
      shown = now;
      if (view.name) entitle(`${view.title} ${view.name(data)}`);
    }
    freshen();
    if (isFirst) drawn();
    isFirst = false;
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

  /** @param {unknown} error */
  function failed(error) {
    if (isAway(error)) {
      notice.away(error, shown !== null);
      if (shown === null) redraw(region, away(error));
      return RETRY_MS;
    }
    if (!(error instanceof Refused)) throw error;
    if ([401, 403].includes(error.status)) {
      notice.closed();
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

/**
 * Set the title of the window, so that tabs and bookmarks name the page.
 * @param {string} title
 */
function entitle(title) {
  document.title = `${title} · Billing console`;
}

/**
 * Replace the content of a region, and keep the focus and the open parts.
 * @param {HTMLElement} region
 * @param {import("../types").Child} drawn
 */
function redraw(region, drawn) {
  keepingFocus(region, () => {
    const reopen = rememberOpen(region);
    region.replaceChildren(...nodes(drawn));
    reopen();
  });
}

/** @param {HTMLElement} region */
function isSelecting(region) {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && region.contains(selection.anchorNode);
}

/**
 * Say whether an error is an outage, after which the page tries again.
 * @param {unknown} error
 * @returns {error is Unreachable | Refused}
 */
const isAway = (error) =>
  error instanceof Unreachable || (error instanceof Refused && error.status === 503);

/** @param {Refused} error */
const refusal = (error) =>
  error.status === 404
    ? empty("Not found", error.message)
    : empty(
        "The service refused the request",
        `${error.message} (${error.code})`,
        reference(error),
      );

/** @param {Unreachable | Refused} error */
const away = (error) =>
  error instanceof Refused
    ? empty(
        "The service cannot answer now",
        `${outage(error)} Trying again every two seconds.`,
        reference(error),
      )
    : empty("Cannot reach the service", "It may be restarting. Trying again every two seconds.");

/** @param {Refused} error */
const reference = ({ requestId }) =>
  requestId ? h("p", {}, "Request ", h("code", {}, requestId)) : null;
