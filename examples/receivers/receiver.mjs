// Receive the billing service's notifications: verify, store, answer, then apply in order.
//
// EVENT_SERVICE_SECRET=whsec_… node receiver.mjs     (PORT 5000, JOURNAL notifications.jsonl)
//
// Needs Node 18 and no package. The journal stands for a table of your database, keyed by the id.
// docs/receiver.md explains each step.
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";

const PATH = "/api/billing/notifications";
// Seconds: an older signature, or one further in the future, is refused (Standard Webhooks).
const TOLERANCE_SECONDS = 300;
// The longest notification has about 20 kB, mostly 50 metadata values.
const MOST_BODY_BYTES = 1_048_576;
// Types about the same object, which are applied in order; all other types are independent.
const OBJECTS = {
  "payment.settled": ["charge_id"],
  "payment.fraud_warning": ["fraud_warning_id"],
  "payment.review_opened": ["review_id"],
  "payment.review_closed": ["review_id"],
  "dispute.funds_withdrawn": ["dispute_id"],
  "dispute.funds_reinstated": ["dispute_id"],
  payment: ["payment_intent_id", "charge_id"],
  refund: ["refund_id", "refund_request_id"],
  dispute: ["dispute_id"],
  checkout: ["checkout_session_id"],
  refund_batch: ["refund_batch_id"],
};
// States besides that of the object: money that moved, and the fee.
const BOOKS = {
  "payment.settled": "fee",
  "dispute.funds_withdrawn": "funds",
  "dispute.funds_reinstated": "funds",
};
// A state is never replaced by one with a lower number, whatever the times; 0 for all other types.
const ENDS = {
  "payment.canceled": 1,
  "payment.succeeded": 2,
  "payment.review_closed": 1,
  "refund.succeeded": 1,
  "refund.failed": 2,
  "refund.canceled": 2,
  "checkout.payment_succeeded": 1,
  "checkout.payment_failed": 1,
};
// In one second, where Stripe's times are equal, the type that is later in this list counts.
const COURSE = [
  "payment.requires_action",
  "payment.processing",
  "payment.authorized",
  "payment.partially_captured",
  "payment.failed",
  "dispute.opened",
  "dispute.updated",
  "dispute.won",
  "dispute.lost",
  "dispute.closed",
  "dispute.funds_withdrawn",
  "dispute.funds_reinstated",
];

class Refusal extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

// Return the id of a notification with a valid signature, or throw.
function verify(headers, body, secrets, nowSeconds) {
  const id = headers["webhook-id"];
  const sentAt = headers["webhook-timestamp"];
  const signatures = headers["webhook-signature"];
  if (!id || !/^\d+$/.test(sentAt ?? "") || !signatures) {
    throw new Refusal(401, "the headers webhook-id, -timestamp and -signature are needed");
  }
  if (Math.abs(nowSeconds - Number(sentAt)) > TOLERANCE_SECONDS) {
    throw new Refusal(401, "webhook-timestamp is too far from our clock");
  }
  for (const secret of secrets) {
    const signed = createHmac("sha256", secret).update(`${id}.${sentAt}.`).update(body);
    const expected = Buffer.from(`v1,${signed.digest("base64")}`);
    for (const one of signatures.split(" ").map((text) => Buffer.from(text))) {
      if (one.length === expected.length && timingSafeEqual(one, expected)) return id;
    }
  }
  throw new Refusal(401, "no signature matches");
}

// The received notifications, each id once, and the states that follow from them.
class Inbox {
  #received = new Set();
  #file;
  state = {};

  constructor(journal) {
    const text = existsSync(journal) ? readFileSync(journal, "utf8") : "";
    const whole = text.slice(0, text.lastIndexOf("\n") + 1); // a crash may have cut the last line
    writeFileSync(journal, whole);
    for (const line of whole.split("\n").filter(Boolean)) this.#take(JSON.parse(line));
    this.#file = openSync(journal, "a");
  }

  // Store a notification on disk and apply it, unless it was stored before. Nothing waits in
  // between, so two requests with one id cannot both pass.
  add(notification) {
    if (this.#received.has(notification.id)) return;
    writeSync(this.#file, `${JSON.stringify(notification)}\n`);
    fsyncSync(this.#file);
    this.#take(notification);
  }

  #take(notification) {
    this.#received.add(notification.id);
    apply(this.state, notification);
  }
}

// Set the state of the notification's object, unless a later notification has set it.
function apply(state, { type, timestamp, sequence, data }) {
  const fields = OBJECTS[type] ?? OBJECTS[type.split(".")[0]] ?? [];
  const subject = fields.map((name) => data[name]).find(Boolean);
  if (!subject) return; // test.notification, or a type that is newer than this program
  const key = type in BOOKS ? `${BOOKS[type]}:${subject}` : subject;
  const place = [ENDS[type] ?? 0, timestamp, COURSE.indexOf(type), sequence];
  if (!state[key] || isLater(place, state[key].place)) {
    state[key] = { type, status: data.status, place };
  }
}

function isLater(one, other) {
  const at = one.findIndex((part, index) => part !== other[index]);
  return at >= 0 && one[at] > other[at];
}

// Decode `whsec_<base64>` secrets, separated by commas: two while one is being replaced.
function keys(text) {
  const parts = text.split(",").map((part) => part.trim().replace(/^whsec_/, "")).filter(Boolean);
  const bad = parts.some((part) => Buffer.from(part, "base64").toString("base64") !== part);
  if (bad || parts.length === 0) {
    console.error("Set EVENT_SERVICE_SECRET to the secret of the billing service: whsec_<base64>.");
    process.exit(1);
  }
  return parts.map((part) => Buffer.from(part, "base64"));
}

async function bodyOf(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > MOST_BODY_BYTES) throw new Refusal(413, "no notification");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function take(request) {
  if (request.url !== PATH) throw new Refusal(404, "no notification");
  const body = await bodyOf(request);
  const id = verify(request.headers, body, secrets, Date.now() / 1000);
  inbox.add(parse(body, id));
}

// Return the notification with this id, or throw.
function parse(body, id) {
  let notification;
  try {
    notification = JSON.parse(body);
  } catch {
    throw new Refusal(400, "the body is no notification");
  }
  const names = ["id", "type", "timestamp", "sequence", "data"];
  if (names.some((name) => notification?.[name] === undefined)) {
    throw new Refusal(400, "the body is no notification");
  }
  if (notification.id !== id) throw new Refusal(400, "webhook-id is not the id in the body");
  return notification;
}

function answer(response, status, body) {
  const headers = { "Content-Type": "application/json" };
  if (status >= 400) headers.Connection = "close"; // the body may not have been read
  response.writeHead(status, headers).end(JSON.stringify(body));
}

const secrets = keys(process.env.EVENT_SERVICE_SECRET ?? "");
const inbox = new Inbox(process.env.JOURNAL ?? "notifications.jsonl");
const server = createServer((request, response) => {
  // The state of every object is for you, not for the billing service.
  if (request.method === "GET") return answer(response, 200, inbox.state);
  return take(request).then(
    () => answer(response, 200, { received: true }),
    (error) => answer(response, error.status ?? 500, { error: error.message }),
  );
});
server.listen(Number(process.env.PORT ?? 5000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
