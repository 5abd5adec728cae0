// What the runbook says of a dead letter (docs/runbook.md, "Dead letters"; a test compares them).

/** @type {{ of: RegExp, error: RegExp, means: string, act: string, instead?: string }[]} */
const RULES = [
  {
    of: /./,
    error: /^defect: /,
    means: "an error of our own making, five attempts",
    act: "the log has its traceback; fix, release, redrive",
  },
  {
    of: /./,
    error: /crash_limit/,
    means: "five workers died or hung on it",
    act: "look at memory and at the payload before a redrive",
  },
  {
    of: /events/,
    error: /stripe_key_refused/,
    means: "our key was refused while the event needed a look-up",
    act: "new key, redrive",
  },
  {
    of: /events/,
    error: /not_yet/,
    means: "a fact it needs did not come within an hour",
    act: "./billing reconcile --wait, redrive",
  },
  {
    of: /events/,
    error: /inconsistent|unreadable_body/,
    means: "an object we do not understand",
    act: "show it; a defect: fix, release, redrive",
  },
  {
    of: /events/,
    error: /resource_missing/,
    means: "the object, or an event over 30 days old, is gone at Stripe",
    act: "leave it; nothing can be told",
  },
  {
    of: /events/,
    error: /unavailable|stripe_/,
    means: "Stripe or Redis was ill for longer than all attempts",
    act: "when it is well, redrive",
  },
  {
    of: /notifications/,
    error: /the event service answered 410/,
    means: "it said 410 Gone: it wants this one no more, so it was not tried again",
    act: "ask its owner whether that was meant; if not, redrive",
  },
  {
    of: /notifications/,
    error: /the event service answered 4/,
    means: "it refused this one for 72 h",
    act: "ask its owner; the answer is in the attempts; redrive when it would be taken",
  },
  {
    of: /notifications/,
    error: /no_answer|answered 5|dns|connect_|tls|reset|not_http/,
    means: "it was ill for 72 h",
    act:
      "redrive all: --kind notifications; those of a payment go in order, " +
      "behind what is under way",
  },
  {
    of: /refunds/,
    error: /refund_outcome_unknown/,
    means: "begun over 23 h ago without an answer: Stripe may have forgotten the key",
    act: "see below",
    instead:
      "a redrive looks for a refund made under the job's key and makes one only if there is " +
      "none; if you know better from Stripe's dashboard, resolve it",
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
    means: "Stripe failed with a 500, and keeps that answer under the key for 24 h",
    act: "redrive when those are over: it looks for the refund first. If it cannot wait, see below",
    instead:
      "redrive when those are over: it looks for the refund first; if it cannot wait and " +
      "Stripe's dashboard shows none, resolve it as failed and request a new one",
  },
  {
    of: /refunds/,
    error: /unavailable|stripe_/,
    means: "Stripe was ill for longer than all attempts",
    act: "redrive: the key is the same",
  },
];

/**
 * Give the runbook's advice on a dead letter, or null where it has none.
 * @param {string} kind
 * @param {string | null | undefined} error
 */
export function adviceOn(kind, error) {
  const rule = RULES.find((one) => one.of.test(kind) && one.error.test(error ?? ""));
  return rule ? { means: rule.means, act: rule.instead ?? rule.act } : null;
}

// After these names the next words say what it was: the defect, or the event service's status.
const SAYS_MORE = new Set(["defect", "status"]);

/**
 * Name the cause of a death: its error without what differs from one item to the next.
 * @param {string | null | undefined} error
 */
export function causeOf(error) {
  const parts = (error ?? "no error was kept").split(": ");
  return parts.slice(0, SAYS_MORE.has(parts[0]) ? 2 : 1).join(": ");
}
