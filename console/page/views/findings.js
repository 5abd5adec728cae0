// What is wrong, in the words of the runbook: each has its section there. Whatever the overview
// shows in red is one of these, so that "All is well" never stands beside a red number.

import { count, counted, duration } from "../format.js";
import { address } from "../router.js";
import { HOURS, sumOf } from "./rates.js";

/** @import { Comparison, Queue, Rates, Stand, Tone } from "../../types" */
/**
 * @typedef {object} Finding
 * @property {Tone} tone
 * @property {string} what
 * @property {string} fix
 * @property {string} runbook
 * @property {string} about the figure that is red for it, or its queue
 * @property {string} [to]
 */

// The alert rules' own limits (deploy/prometheus/alerts.yml).
const LATE_SECONDS = 60;
const STALE_SECONDS = 3_600;

/**
 * List what needs a person, the worst first.
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
        what: `Nobody consumes ${queues.map(({ name }) => name).join(", ")}`,
        fix: "Nothing is lost; it waits. Start or restart workers: python -m worker.",
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
        what: "No upkeep runs",
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
        fix: "None of its threads gets anywhere. Restart it; others do its work meanwhile.",
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
        fix: "Events come by the comparison alone, minutes late. ./billing doctor finds the cause.",
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
        what: "The event service is ill",
        fix: "Notifications wait; one probe goes out every three seconds.",
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
    fix: "Work was given up and waits for a decision.",
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
  what: `Late ${name}`,
  fix: `${count(due)} are due, the first since ${duration(seconds)}: too few workers?`,
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
    what: "The comparison with Stripe is old",
    fix: `No round ended for ${duration(seconds)}.`,
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
        what: `${counted(missed, "event")} came by no webhook`,
        fix: "They were found in Stripe's archive and recorded. Do deliveries fail?",
        runbook: "ReconcileGap",
      }
    : null;

/**
 * Those of connected accounts come by Stripe's design and need nobody.
 * @param {number} events
 * @returns {Finding | null}
 */
const otherMode = (events) =>
  events > 0
    ? {
        tone: "wait",
        about: "events",
        what: `${counted(events, "event")} of the other mode in ${HOURS} hours`,
        fix: "None was recorded. One of our own endpoints is of the wrong mode.",
        runbook: "EventsOfAnotherMode",
      }
    : null;
