// The console: the operators' page, which displays the answers of `/ops`.

import { read } from "./router.js";
import { rememberPlace, restorePlace } from "./scroll.js";
import { forgetAll } from "./session.js";
import { shell } from "./shell.js";
import { signIn } from "./signin.js";
import { mount } from "./stage.js";
import { audit } from "./views/audit.js";
import { batch } from "./views/batch.js";
import { batches } from "./views/batches.js";
import { event } from "./views/event.js";
import { events } from "./views/events.js";
import { item } from "./views/item.js";
import { letters } from "./views/letters.js";
import { overview } from "./views/overview.js";
import { matches } from "./views/matches.js";
import { notifications } from "./views/notifications.js";
import { payment, refund } from "./views/payment.js";
import { payments } from "./views/payments.js";
import { refunds } from "./views/refunds.js";

/** @import { Place, Service, View } from "../types" */
/** @typedef {(place: Place, tools: { refresh: () => void, service: Service }) => View} Make */

/** @type {Record<string, Make>} */
const LISTS = {
  payments,
  refunds,
  "refund-batches": batches,
  notifications,
  events,
  "dead-letters": letters,
  audit,
};
/** @type {Record<string, Make>} */
const DETAILS = {
  events: item,
  items: item,
  payments: payment,
  refunds: refund,
  "event-payments": event,
  "refund-batches": batch,
  find: matches,
};

/** @type {ReturnType<typeof mount> | null} */
let current = null;
/** @type {ReturnType<typeof shell> | null} */
let around = null;
/** @type {Service | null} */
let running = null;

/** @param {Service} service */
function enter(service) {
  running = service;
  around = shell(service, signOut);
  show(restorePlace());
}

/** @param {() => void} drawn */
function show(drawn) {
  if (around === null || running === null) return;
  current?.stop();
  const place = read(location.hash);
  const make = makerOf(place);
  const view = make(place, { refresh: () => current?.refresh(), service: running });
  around.highlight(make === overview ? "" : roomOf(place));
  current = mount(around.main, view, { ...around, closed }, drawn);
}

/**
 * Name the room that a place belongs to: an item belongs to the list of its kind.
 * @param {Place} place
 */
const roomOf = ({ room, id }) =>
  room === "items" ? (id?.startsWith("rr_") ? "refunds" : "notifications") : room;

/** @param {Place} place */
const makerOf = ({ room, id }) => (id === null ? LISTS : DETAILS)[room] ?? overview;

/** Ask for a key when the service no longer accepts ours, and then return to the same place. */
function closed() {
  leave();
  signIn(enter);
}

function signOut() {
  forgetAll();
  closed();
}

function leave() {
  current?.stop();
  current = null;
  around = null;
}

addEventListener("hashchange", () => {
  show(restorePlace());
  current?.heading.focus({ preventScroll: true });
});
rememberPlace();
signIn(enter);
