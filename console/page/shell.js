// The frame around every view: navigation, the search field, and the state of the connection.

import { outage } from "./client.js";
import { button, h, icon, link } from "./dom.js";
import { clock, count, counted } from "./format.js";
import { lookUp } from "./lookup.js";
import { address } from "./router.js";

/** @import { Listener, Service, Stand } from "../types" */
/** @typedef {Parameters<typeof icon>[0]} Icon */

/** @type {[string, string, Icon, string[]][]} */
const ROOMS = [
  ["", "Overview", "overview", [""]],
  ["payments", "Payments", "payments", ["payments", "event-payments", "find"]],
  ["refunds", "Refunds", "refunds", ["refunds", "refund-batches"]],
  ["notifications", "Notifications", "notifications", ["notifications"]],
  ["events", "Stripe events", "events", ["events"]],
  ["dead-letters", "Dead letters", "letters", ["dead-letters"]],
  ["audit", "Audit", "audit", ["audit"]],
];
const MODES = {
  live: ["Live", "Real money moves."],
  test: ["Test", "Stripe's test mode: no money moves."],
  simulated: ["Simulated", "The sandbox stands in for Stripe: no money moves."],
};

/**
 * Build the page around the views; `service` is the answer of `/ops/service`.
 * @param {Service} service
 * @param {Listener} signOut
 */
export function shell(service, signOut) {
  const main = h("main", { id: "main" });
  const status = h("p", { class: "connection", role: "status" });
  const banner = h("div", { class: "banner bad", role: "alert", hidden: true });
  const badge = h("span", { class: "count", hidden: true });
  const rooms = ROOMS.map(([room, name, picture, holds]) => {
    const inside = [icon(picture), h("span", {}, name), room === "dead-letters" && badge];
    return { holds, element: link(address(room), {}, ...inside) };
  });
  const [mode, meaning] = MODES[service.mode];
  const skip = h("a", { class: "skip", href: "#main" }, "Skip to the content");
  skip.addEventListener("click", (event) => {
    event.preventDefault(); // The address is the place in the console.
    main.querySelector("h1")?.focus();
  });
  const foot = service.open ? [] : [button({ class: "quiet" }, signOut, "Sign out")];
  document.body.replaceChildren(
    skip,
    h(
      "div",
      { class: "frame" },
      h(
        "header",
        { class: "side" },
        h(
          "div",
          { class: "brand" },
          mark(),
          h("span", {}, "Billing"),
          modeBadge(service.mode, mode, meaning),
        ),
        h("nav", { "aria-label": "Console" }, ...rooms.map(({ element }) => element)),
        h("div", { class: "foot" }, status, ...foot),
      ),
      h("div", { class: "stage" }, lookUp(), service.open && openBanner(), banner, main),
    ),
    h("div", { id: "toasts", role: "status" }),
  );
  return { main, ...connection({ status, banner, badge }), highlight: highlight(rooms) };
}

export function mark() {
  const image = h("span", { class: "mark", "aria-hidden": "true" });
  image.append(h("i"), h("i"), h("i"));
  return image;
}

/**
 * @param {string} mode
 * @param {string} name
 * @param {string} meaning
 */
const modeBadge = (mode, name, meaning) =>
  h("span", { class: `mode ${mode}`, title: meaning }, name);

const openBanner = () =>
  h(
    "aside",
    { class: "banner wait", "aria-label": "Access" },
    icon("warning"),
    h(
      "p",
      {},
      h("strong", {}, "This service is open. "),
      "No operator key is set, so everybody who can reach it can see and redrive everything. Set ",
      h("code", {}, "OPERATOR_KEYS"),
      " to require a key.",
    ),
  );

/** @param {{ holds: string[], element: HTMLElement }[]} rooms */
const highlight = (rooms) => (/** @type {string} */ room) => {
  for (const { holds, element } of rooms) {
    if (holds.includes(room)) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
};

/**
 * Show the state of the connection; `away` also shows how old the content of the page is.
 * @param {Record<"status" | "banner" | "badge", HTMLElement>} parts
 */
function connection({ status, banner, badge }) {
  /** @type {Date | null} */
  let reachedAt = null;
  return {
    /** @param {Stand | null} stand */
    reached(stand) {
      reachedAt = new Date();
      banner.hidden = true;
      const text = h("span", { class: "state" }, `Updated ${clock(reachedAt)}`);
      status.replaceChildren(h("i", { class: "dot good" }), text);
      if (stand === null) return;
      const dead = stand.data.reduce((sum, queue) => sum + queue.dead, 0);
      badge.textContent = count(dead);
      badge.title = counted(dead, "dead letter");
      badge.hidden = dead === 0;
    },
    /**
     * @param {{ status?: number, message: string }} error
     * @param {boolean} isShowing
     */
    away(error, isShowing) {
      const text = h("span", { class: "state" }, "Not connected");
      status.replaceChildren(h("i", { class: "dot bad" }), text);
      const since = isShowing && reachedAt ? ` This page is from ${clock(reachedAt)}.` : "";
      const what = error.status === 503 ? outage(error) : "Cannot reach the service.";
      const why = `${what} Trying again every two seconds.${since}`;
      if (banner.textContent !== why) banner.replaceChildren(icon("warning"), h("p", {}, why));
      banner.hidden = !isShowing;
    },
  };
}
