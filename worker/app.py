"""The Celery application: its settings, its four queues and its tasks of one line each.

The Celery message is a doorbell that carries an id; the work itself is recorded in Redis, so
kombu's own acknowledgement emulation is off and nothing is lost with a message. The figures behind
each choice are in docs/adr/0003-doorbells-not-messages.md.
"""

from __future__ import annotations

from functools import cache

from celery import Celery
from celery.signals import setup_logging, worker_init
from kombu import Queue

from shared.errors import CallerError, Misconfigured, Unavailable
from shared.settings import load_settings
from shared.store.connection import broker_settings
from shared.store.durability import ensure_durable
from shared.store.figures import Flusher
from shared.telemetry.logging import configure_logging, get_logger
from shared.telemetry.tracing import configure_tracing
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS, UPKEEP
from shared.work.liveness import PULSE_ID, Signs
from worker.jobs import JOBS
from worker.run import run
from worker.runtime import Runtime
from worker.task_events import BatchingEvents

log = get_logger(__name__)
app = Celery("billing", set_as_current=False, events=BatchingEvents)
settings = load_settings()

app.conf.update(
    **broker_settings(settings),
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_queues=[Queue(name, routing_key=name) for name in KINDS],
    task_default_queue=EVENTS.name,
    task_create_missing_queues=False,
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    task_publish_retry=False,
    worker_prefetch_multiplier=2,
    worker_eta_task_limit=100,
    worker_send_task_events=settings.task_events,
    task_send_sent_event=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=4,
    # No pool: Flower inspects with a dozen threads, each of which holds one connection while it
    # asks for another; with a pool they wait for one another for ever.
    broker_pool_limit=None,
    control_queue_ttl=300.0,
    control_queue_expires=600.0,
)


@cache
def runtime() -> Runtime:
    """Give this process's runtime, built at its first task."""
    return Runtime.from_settings(settings)


@setup_logging.connect
def _configure_logging(**_: object) -> None:
    configure_logging(settings, "worker")
    configure_tracing(settings, "worker")


@worker_init.connect
def _begin(**_: object) -> None:
    """Look at the store before any work, and tell what is counted from now on."""
    store = runtime().store
    try:
        ensure_durable(store, settings)
    except Misconfigured as error:
        raise SystemExit(f"The worker cannot start.\n{error.detail}") from error
    Flusher(store).start()


@cache
def signs() -> Signs:
    """Give what tells that this process consumes its queues."""
    return Signs(runtime().store)


def _work(queue: str, item_id: str) -> None:
    """Let an outage of Redis end the task quietly: the item's lease lapses, the relay rings.

    A message of somebody else's, with an id that is none, is dropped.
    """
    try:
        signs().give(queue)
        if item_id != PULSE_ID:
            run(JOBS[queue], runtime(), item_id)
    except (Unavailable, CallerError) as error:
        log.warning("work_interrupted", id=item_id, error=str(error))


@app.task(name=EVENTS.task)
def process_event_task(event_id: str) -> None:
    """Process one event."""
    _work(EVENTS.name, event_id)


@app.task(name=REFUNDS.task)
def run_refund_task(refund_request_id: str) -> None:
    """Run one refund job."""
    _work(REFUNDS.name, refund_request_id)


@app.task(name=NOTIFICATIONS.task)
def deliver_task(notification_id: str) -> None:
    """Deliver one notification."""
    _work(NOTIFICATIONS.name, notification_id)


@app.task(name=UPKEEP.task)
def upkeep_task(duty: str) -> None:
    """Do one duty of upkeep."""
    _work(UPKEEP.name, duty)
