"""The four jobs of a worker, one for each queue: the function that acts, and its attempts."""

from __future__ import annotations

from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS, UPKEEP
from worker.delivery import deliver, pause_ms
from worker.events import process_event
from worker.refunding import run_refund
from worker.run import Job
from worker.upkeep import run_upkeep

JOBS = {
    job.kind.name: job
    for job in (
        Job(
            EVENTS,
            act=process_event,
            max_attempts=lambda settings: settings.event_max_attempts,
        ),
        Job(
            REFUNDS,
            act=run_refund,
            max_attempts=lambda settings: settings.refund_max_attempts,
        ),
        # Only our own defects count here: an answer of the event service is never an error.
        Job(
            NOTIFICATIONS,
            act=deliver,
            max_attempts=lambda settings: settings.event_max_attempts,
            pause_ms=pause_ms,
        ),
        Job(
            UPKEEP,
            act=run_upkeep,
            max_attempts=lambda settings: settings.event_max_attempts,
        ),
    )
}
