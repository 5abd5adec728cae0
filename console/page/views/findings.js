// The problems of the service; each names its section in the runbook. Every red figure of the
// overview belongs to one of them, so that "All is well" never appears beside a red figure.

import { counted, duration } from "../format.js";
import { address } from "../router.js";
import { HOURS, sumOf } from "./rates.js";

/** @import { Comparison, Queue, Rates, Stand, Tone } from "../../types" */
/**
 * @typedef {object} Finding
 * @property {Tone} tone
 * @property {string} what
 * @property {string} fix
 * @property {string} runbook
 * @property {string} about the figure that it turns red, or its queue
 * @property {string} [to]
 */

// Seconds, as in the alert rules (deploy/prometheus/alerts.yml).
const LATE_SECONDS = 60;
const STALE_SECONDS = 3_600;

/**
 * List the problems that need a person, the worst first.
 * @param {Stand} stand
 * @param {Comparison} reconcile
 * @param {Rates} rates
 */
export function findings(stand, reconcile, rates) {
  return [
    upkeep(stand.upkeep_silent),
    silent(stand.data.filter((queue) => queue.silent)),
    stuck(stand.stuck),
    ...stand.store_findings.map(store),
    disabled(reconcile),
    breaker(stand.breaker_open),
    dead(stand.data),
    ...stand.data.filter((queue) => queue.overdue_seconds > LATE_SECONDS).map(late),
    stale(reconcile),
    gap(reconcile),
    otherMode(sumOf(rates, "other_mode")),
  ].filter((finding) => finding !== null);
}

/**
 * @param {Queue[]} queues
 * @returns {Finding | null}
 */
const silent = (queues) =>
  queues.length === 0
    ? null
    : {
        tone: "bad",
        about: "workers",
        what: `No worker serves ${queues.map(({ name }) => name).join(", ")}`,
        fix: "The work waits, and none is lost. Start or restart workers: python -m worker.",
        runbook: "QueueSilent",
      };

/**
 * @param {boolean} isSilent
 * @returns {Finding | null}
 */
const upkeep = (isSilent) =>
  isSilent
    ? {
        tone: "bad",
        about: "upkeep",
        what: "Upkeep is not running",
        fix: "Retries, lost doorbells and reconcile wait. Start python -m worker.upkeep.",
        runbook: "UpkeepSilent",
      }
    : null;

/**
 * @param {string[]} processes
 * @returns {Finding | null}
 */
const stuck = (processes) =>
  processes.length === 0
    ? null
    : {
        tone: "bad",
        about: "workers",
        what: `Stuck: ${processes.join(", ")}`,
        fix: "None of its threads makes progress. Restart it; other workers do its work meanwhile.",
        runbook: "WorkerStuck",
      };

/**
 * @param {Stand["store_findings"][number]} finding
 * @returns {Finding}
 */
const store = ({ level, what, fix }) => ({
  tone: level === "error" ? "bad" : "wait",
  about: "redis",
  what: `Redis: ${what}`,
  fix,
  runbook: level === "error" ? "StoreNotDurable" : "Lost Redis",
});

/**
 * @param {Comparison} reconcile
 * @returns {Finding | null}
 */
const disabled = ({ endpoints: { enabled, disabled: off } }) =>
  off && !enabled
    ? {
        tone: "bad",
        about: "webhooks",
        what: "Stripe has disabled our webhook endpoint",
        fix: "Stripe events arrive by reconcile alone, minutes late. Run ./billing doctor.",
        runbook: "WebhookEndpointDisabled",
      }
    : null;

/**
 * @param {boolean} open
 * @returns {Finding | null}
 */
const breaker = (open) =>
  open
    ? {
        tone: "bad",
        about: "event service",
        what: "The event service is failing",
        fix: "Notifications wait; one is sent every three seconds as a probe.",
        runbook: "EventServiceIll",
      }
    : null;

/**
 * @param {Queue[]} queues
 * @returns {Finding | null}
 */
function dead(queues) {
  const total = queues.reduce((sum, queue) => sum + queue.dead, 0);
  if (total === 0) return null;
  return {
    tone: "bad",
    about: "dead letters",
    what: counted(total, "dead letter"),
    fix: "Their last attempt failed. Decide whether to redrive them.",
    runbook: "DeadLetters",
    to: address("dead-letters"),
  };
}

/**
 * @param {Queue} queue
 * @returns {Finding}
 */
const late = ({ name, due, overdue_seconds: seconds }) => ({
  tone: "wait",
  about: name,
  what: `The queue ${name} is late`,
  fix: `${counted(due, "item")} due, the first for ${duration(seconds)}. Start more workers.`,
  runbook: "Scale up",
});

/**
 * @param {Comparison} reconcile
 * @returns {Finding | null}
 */
function stale({ completed_at_ms: at }) {
  const seconds = at === null ? 0 : (Date.now() - at) / 1000;
  if (seconds <= STALE_SECONDS) return null;
  return {
    tone: "wait",
    about: "comparison",
    what: "Reconcile is late",
    fix: `The last round was completed ${duration(seconds)} ago.`,
    runbook: "ReconcileStale",
  };
}

/**
 * @param {Comparison} reconcile
 * @returns {Finding | null}
 */
const gap = ({ last_round: { gap: missed } }) =>
  missed > 0
    ? {
        tone: "wait",
        about: "comparison",
        what: `No webhook delivered ${counted(missed, "Stripe event")}`,
        fix: "Reconcile recorded them. Check at Stripe whether webhook deliveries fail.",
        runbook: "ReconcileGap",
      }
    : null;

/**
 * Report events of the other mode, except of connected accounts, which Stripe sends by design.
 * @param {number} events
 * @returns {Finding | null}
 */
const otherMode = (events) =>
  events > 0
    ? {
        tone: "wait",
        about: "events",
        what: `${counted(events, "Stripe event")} of the other mode in ${HOURS} hours`,
        fix: "None was recorded. One of our own webhook endpoints has the wrong mode.",
        runbook: "EventsOfAnotherMode",
      }
    : null;
