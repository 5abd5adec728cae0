// The runbook's advice on dead letters (docs/runbook.md, "Dead letters"; a test compares both).

/** @type {{ of: RegExp, error: RegExp, means: string, act: string, instead?: string }[]} */
const RULES = [
  {
    of: /./,
    error: /^defect: /,
    means: "a defect of this service failed five attempts",
    act: "the log has its traceback; fix, release, redrive",
  },
  {
    of: /./,
    error: /crash_limit/,
    means: "five workers died or hung on the item",
    act: "look at memory and at the payload before a redrive",
  },
  {
    of: /events/,
    error: /stripe_key_refused/,
    means: "Stripe refused our key while the event needed a look-up",
    act: "set a new key, redrive",
  },
  {
    of: /events/,
    error: /not_yet/,
    means: "a fact that the event needs did not arrive within an hour",
    act: "./billing reconcile --wait, redrive",
  },
  {
    of: /events/,
    error: /inconsistent|unreadable_body/,
    means: "the service cannot read the object",
    act: "show it; this is a defect: fix, release, redrive",
  },
  {
    of: /events/,
    error: /resource_missing/,
    means: "Stripe no longer has the object, or the event is over 30 days old",
    act: "leave it; there is nothing to notify",
  },
  {
    of: /events/,
    error: /unavailable|stripe_/,
    means: "Stripe or Redis was down for longer than all attempts",
    act: "redrive when it works again",
  },
  {
    of: /notifications/,
    error: /the event service answered 410/,
    means: "the event service answered 410 Gone, so the notification was not tried again",
    act: "ask its owner whether that was intended; if not, redrive",
  },
  {
    of: /notifications/,
    error: /the event service answered 4/,
    means: "the event service refused this notification at every attempt",
    act:
      "ask its owner; the answer is in the attempts; redrive when the event service would " +
      "accept it",
  },
  {
    of: /notifications/,
    error: /no_answer|answered 5|dns|connect_|tls|reset|not_http/,
    means: "the event service was down for as long as this was tried",
    act:
      "redrive all: --kind notifications; those of a payment go in order, after its " +
      "notifications under way",
  },
  {
    of: /refunds/,
    error: /refund_outcome_unknown/,
    means: "the job began over 23 h ago and got no answer: Stripe may have forgotten the key",
    act: "see below",
    instead:
      "a redrive looks for a refund made under the job's key and makes one only if it finds" +
      " none; if Stripe's dashboard shows the outcome, resolve the job with it",
  },
  {
    of: /refunds/,
    error: /stripe_idempotency_mismatch/,
    means: "another request used this key: a defect",
    act: "compare at Stripe, then resolve",
  },
  {
    of: /refunds/,
    error: /^stripe_error/,
    means: "Stripe failed with a 500, and repeats that answer under the key for 24 h",
    act:
      "redrive after the 24 h: the redrive looks for the refund first. If it cannot wait, " +
      "see below",
    instead:
      "redrive after the 24 h: the redrive looks for the refund first; if it cannot wait " +
      "and Stripe's dashboard shows no refund, resolve the job as failed and request a new " +
      "one",
  },
  {
    of: /refunds/,
    error: /unavailable|stripe_/,
    means: "Stripe was down for longer than all attempts",
    act: "redrive: the key is the same",
  },
];

/**
 * Return the runbook's advice on a dead letter, or null if it has none.
 * @param {string} kind
 * @param {string | null | undefined} error
 */
export function adviceOn(kind, error) {
  const rule = RULES.find((one) => one.of.test(kind) && one.error.test(error ?? ""));
  return rule ? { means: rule.means, act: rule.instead ?? rule.act } : null;
}

// After these names the next part belongs to the cause, too: the exception, or the HTTP status.
const SAYS_MORE = new Set(["defect", "status"]);

/**
 * Name the cause of a dead letter: its error without the parts that differ between items.
 * @param {string | null | undefined} error
 */
export function causeOf(error) {
  const parts = (error ?? "no error recorded").split(": ");
  return parts.slice(0, SAYS_MORE.has(parts[0]) ? 2 : 1).join(": ");
}
