// Shows one view and keeps it true: loads, draws what changed, tries again when nobody answers.

import { outage, Refused, Unreachable } from "./client.js";
import { h, nodes } from "./dom.js";
import { keepingFocus, rememberOpen } from "./focus.js";
import * as ops from "./ops.js";
import { empty, freshen, loading } from "./parts.js";

/** @import { Notice, View } from "../types" */

const REFRESH_MS = 5_000;
// While nobody answers: soon enough that a person sees a restart end, and no burden to anyone.
const RETRY_MS = 2_000;

/**
 * Put a view on the page: `frame` is made once, `load` is asked again and again, and `draw` shows
 * what it gave. `notice` hears how the connection stands, and of a refusal that concerns the whole
 * page; `drawn` is called once, when there is something to see.
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
 * Give the window a title of its own: a tab or a bookmark says which page it is.
 * @param {string} title
 */
function entitle(title) {
  document.title = `${title} · Billing console`;
}

/**
 * Replace what is shown, and leave the keyboard and open parts where they were.
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
 * Say whether an error is of an outage, which passes by itself.
 * @param {unknown} error
 * @returns {error is Unreachable | Refused}
 */
const isAway = (error) =>
  error instanceof Unreachable || (error instanceof Refused && error.status === 503);

/** @param {Refused} error */
const refusal = (error) =>
  error.status === 404
    ? empty("Not found", error.message)
    : empty("The service refused this", `${error.message} (${error.code})`, reference(error));

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
