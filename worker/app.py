"""The Celery application of a worker, with one task for each queue.

A Celery message is a doorbell that carries an id. The work itself is recorded in Redis, so kombu's
emulation of acknowledgements is off, and the loss of a message loses no work.
docs/adr/0003-doorbells-not-messages.md has the figures behind each choice.
"""

from __future__ import annotations

from functools import cache, partial

from celery.signals import setup_logging, worker_init
from celery.worker.control import inspect_command

from shared.errors import CallerError, Misconfigured, Unavailable
from shared.opening import begin, ensure_usable
from shared.refusal import refuse_start
from shared.settings import load_worker_settings
from shared.telemetry.logging import configure_logging, get_logger
from shared.telemetry.tracing import configure_tracing
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS, UPKEEP
from shared.work.liveness import PULSE_ID, Signs
from worker.bells import Bells, GivenUp
from worker.broker import Aside
from worker.garbage import put_aside
from worker.jobs import JOBS
from worker.progress import Progress, Watchdog, longest_lease_seconds
from worker.queue_app import queue_app
from worker.run import run
from worker.runtime import Runtime
from worker.side_threads import SideThreads
from worker.task_events import TaskEvents

log = get_logger(__name__)
settings = load_worker_settings()
app = queue_app(settings)
task_events = TaskEvents()


@cache
def runtime() -> Runtime:
    """Return the runtime of this process; the first call builds it."""
    return Runtime.from_settings(settings)


@setup_logging.connect
def _configure_logging(**_: object) -> None:
    configure_logging(settings, "worker")
    configure_tracing(settings, "worker")


@worker_init.connect
def _begin(**_: object) -> None:
    """Check Redis before any work, then start this process's background thread."""
    store = runtime().store
    try:
        ours = ensure_usable(store, settings)
    except Misconfigured as error:
        refuse_start("The worker", error)
    Aside.put = partial(put_aside, store)
    begin(store, settings, ours, Watchdog(progress(), signs()))


@cache
def side_threads() -> SideThreads:
    """Return the threads in which slow deliveries continue."""
    return SideThreads(expected=EXPECTED)


@cache
def signs() -> Signs:
    """Return the object that records in Redis which queues this process serves."""
    return Signs(runtime().store)


@cache
def progress() -> Progress:
    """Return the object that knows whether this process makes progress."""
    return Progress(longest_lease_seconds(settings))


@inspect_command()
def progress_of_worker(_: object) -> dict[str, bool]:
    """Tell `python -m worker.ping` whether this worker is stuck."""
    return {"stuck": progress().is_stuck()}


@cache
def bells() -> Bells:
    """Return the object that serves this process's queues."""
    return Bells(runtime().store, task_events, _work)


def _work(queue: str, item_id: str) -> str | None:
    """Make an attempt at an item; return the reason if it became a dead letter.

    An outage of Redis ends the attempt with a warning in the log: the item's lease lapses, and the
    relay rings again. A message with an invalid id is dropped.
    """
    try:
        with progress().attempt():
            signs().give(queue)
            return None if item_id == PULSE_ID else run(JOBS[queue], runtime(), item_id)
    except (Unavailable, CallerError) as error:
        log.warning("work_interrupted", id=item_id, error=str(error))
        return None


EXPECTED = (GivenUp,)  # the attempt has logged it


@app.task(name=EVENTS.task, throws=EXPECTED)
def process_event_task(stripe_event_id: str) -> None:
    """Process one event."""
    bells().serve(EVENTS.name, stripe_event_id)


@app.task(name=REFUNDS.task, throws=EXPECTED)
def run_refund_task(refund_request_id: str) -> None:
    """Run one refund job."""
    bells().serve(REFUNDS.name, refund_request_id)


@app.task(name=NOTIFICATIONS.task, throws=EXPECTED)
def deliver_task(notification_id: str) -> None:
    """Deliver one notification."""
    side_threads().run(bells().serve, NOTIFICATIONS.name, notification_id)


@app.task(name=UPKEEP.task, throws=EXPECTED)
def upkeep_task(duty: str) -> None:
    """Perform one duty of upkeep."""
    bells().serve(UPKEEP.name, duty)
