// Notifications to the event service, the newest first, and whether they were delivered.

import { causeOf } from "../advice.js";
import { choiceToRedrive } from "../choosing.js";
import { ask } from "../dialogs.js";
import { button, h, icon, link } from "../dom.js";
import { count } from "../format.js";
import * as ops from "../ops.js";
import { idLink, pill, waitsFor, when } from "../parts.js";
import { redriveOne } from "../redrive.js";
import { address } from "../router.js";
import { choosing, table } from "../table.js";
import { listing } from "./listing.js";

/** @import { NotificationRow, Place } from "../../types" */

const FIELDS = [
  {
    name: "state",
    label: "State",
    options: ["queued", "waiting", "processing", "retrying", "delivered", "dead"],
  },
  { name: "type", label: "Type", hint: "payment.*" },
  { name: "payment_id", label: "Payment", hint: "pi_…" },
  { name: "since", label: "Since", type: "datetime-local" },
];

/**
 * @param {Place} place
 * @param {{ refresh: () => void }} tools
 */
export function notifications({ query }, { refresh }) {
  const { choice, buttons } = choiceToRedrive(refresh);
  return listing({
    room: "notifications",
    title: "Notifications",
    thing: "notification",
    query,
    fields: FIELDS,
    at: "recorded_at",
    actions: [...buttons, button({}, sendTest, icon("notifications"), "Send a test")],
    load: ops.notifications,
    show: (rows) => {
      choice.keep(rows.filter(isDead).map(({ id }) => id));
      return notificationTable(rows, choice, refresh);
    },
    nothing: ["No notifications yet", "Notifications to the event service appear here."],
    hint: "A type may be a pattern: payment.* or *refund*.",
  });
}

/** @param {string} error */
const shortly = (error) => h("small", { class: "below", title: error }, causeOf(error));

/** @param {NotificationRow} row */
const isDead = (row) => row.state === "dead";

/**
 * @param {NotificationRow[]} rows
 * @param {import("../table.js").Choice} choice
 * @param {() => void} refresh
 */
const notificationTable = (rows, choice, refresh) =>
  table(
    "Notifications",
    [
      choosing(choice, isDead),
      {
        name: "Notification",
        phone: "span",
        show: (row) => [
          link(address("items", row.id), { class: "title" }, row.type),
          row.is_test && [" ", pill("test", "none")],
          h("small", { class: "id" }, row.id),
        ],
      },
      {
        name: "State",
        show: (row) => [
          pill(row.state),
          row.state !== "delivered" && row.error && shortly(row.error),
          waitsFor(row.state, row.next_attempt_at),
        ],
      },
      { name: "Payment", phone: "span", show: (row) => idLink(row.payment_id) },
      { name: "Attempts", end: true, phone: "none", show: (row) => count(row.attempts) },
      { name: "Recorded", end: true, show: (row) => when(row.recorded_at) },
      { name: "Actions", end: true, phone: "span", show: (row) => again(row, refresh) },
    ],
    rows,
  );

/**
 * @param {NotificationRow} row
 * @param {() => void} refresh
 */
function again(row, refresh) {
  if (!["dead", "delivered"].includes(row.state)) return null;
  const name = isDead(row) ? "Redrive" : "Send again";
  /** @type {Parameters<typeof redriveOne>[0]} */
  const item = { id: row.id, state: row.state, kind: "notifications" };
  return button(
    { class: "small", "aria-label": `${name} ${row.id}` },
    () => redriveOne(item, refresh),
    name,
  );
}

/** Send a test notification to the event service, and show its attempts. */
function sendTest() {
  ask({
    title: "Send a test notification?",
    body: h(
      "p",
      {},
      "The event service gets a signed notification of the type ",
      h("code", {}, "test.notification"),
      ". It is about no payment, and is delivered and retried as any other notification.",
    ),
    confirm: "Send",
    act: async (signature) => {
      const { id } = await ops.testNotification(signature);
      location.hash = address("items", id);
      return `${id} will be delivered.`;
    },
  });
}
