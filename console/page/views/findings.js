// What is wrong, in the words of the runbook: each has its section there.

import { count, counted, duration } from "../format.js";
import { address } from "../router.js";

// The alert rules' own limits (deploy/prometheus/alerts.yml).
const SILENT_SECONDS = 60;
const LATE_SECONDS = 60;
const STALE_SECONDS = 3_600;

/** List what needs a person, the worst first. */
export function findings(stand, reconcile) {
  const found = [
    silent(stand.data.filter(isSilent)),
    upkeep(stand.upkeep_seconds_ago),
    breaker(stand.breaker_open),
    dead(stand.data),
    ...stand.data.filter((queue) => queue.overdue_seconds > LATE_SECONDS).map(late),
    stale(reconcile),
    gap(reconcile),
  ];
  return found.filter(Boolean);
}

const isSilent = ({ consumed_seconds_ago: seconds }) =>
  seconds === null || seconds > SILENT_SECONDS;

const silent = (queues) =>
  queues.length > 0 && {
    tone: "bad",
    what: `Nobody consumes ${queues.map(({ name }) => name).join(", ")}`,
    fix: "Nothing is lost; it waits. Start or restart workers: python -m worker.",
    runbook: "QueueSilent",
  };

const upkeep = (seconds) =>
  (seconds === null || seconds > SILENT_SECONDS) && {
    tone: "bad",
    what: "No upkeep runs",
    fix: "Retries, lost doorbells and reconcile wait. Start python -m worker.upkeep.",
    runbook: "UpkeepSilent",
  };

const breaker = (open) =>
  open && {
    tone: "bad",
    what: "The event service is ill",
    fix: "Notifications wait; one probe goes out every three seconds.",
    runbook: "EventServiceIll",
  };

function dead(queues) {
  const total = queues.reduce((sum, queue) => sum + queue.dead, 0);
  return (
    total > 0 && {
      tone: "bad",
      what: `${counted(total, "dead letter")}`,
      fix: "Work was given up and waits for a decision.",
      runbook: "DeadLetters",
      to: address("dead-letters"),
    }
  );
}

const late = ({ name, due, overdue_seconds: seconds }) => ({
  tone: "wait",
  what: `Late ${name}`,
  fix: `${count(due)} are due, the first since ${duration(seconds)}: too few workers?`,
  runbook: "Scale up",
});

function stale({ completed_at_ms: at }) {
  const seconds = (Date.now() - at) / 1000;
  return (
    at !== null &&
    seconds > STALE_SECONDS && {
      tone: "wait",
      what: "The comparison with Stripe is old",
      fix: `No round ended for ${duration(seconds)}.`,
      runbook: "ReconcileStale",
    }
  );
}

const gap = ({ last_round: { gap: missed } }) =>
  missed > 0 && {
    tone: "wait",
    what: `${counted(missed, "event")} came by no webhook`,
    fix: "They were found in Stripe's archive and recorded. Do deliveries fail?",
    runbook: "ReconcileGap",
  };
