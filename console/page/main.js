// The console: a page of an operator's, made of what `/ops` answers.

import { read } from "./router.js";
import { forgetAll } from "./session.js";
import { shell } from "./shell.js";
import { signIn } from "./signin.js";
import { mount } from "./stage.js";
import { audit } from "./views/audit.js";
import { events } from "./views/events.js";
import { item } from "./views/item.js";
import { letters } from "./views/letters.js";
import { overview } from "./views/overview.js";
import { payment, payments, refund } from "./views/payments.js";

const LISTS = { events, "dead-letters": letters, payments, audit };
const DETAILS = { events: item, items: item, payments: payment, refunds: refund };

let current = null;
let around = null;

function enter(service) {
  around = shell(service, signOut);
  show();
}

function show() {
  if (around === null) return;
  current?.stop();
  const place = read(location.hash);
  const make = (place.id === null ? LISTS : DETAILS)[place.room] ?? overview;
  const view = make(place, () => current.refresh());
  around.highlight(place.room in LISTS || place.room in DETAILS ? place.room : "");
  current = mount(around.main, view, { ...around, closed });
}

/** The key is no longer accepted, or one is needed now: ask, and come back to the same place. */
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
  show();
  scrollTo(0, 0);
  current?.heading.focus({ preventScroll: true });
});
signIn(enter);
