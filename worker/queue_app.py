"""The Celery application without its tasks: how it connects to the queues and reads them.

docs/adr/0003-doorbells-not-messages.md has the figures behind each choice.
"""

from __future__ import annotations

from celery import Celery
from kombu import Queue

from shared.settings import Settings
from shared.store.connection import broker_settings
from shared.work.kinds import EVENTS, KINDS
from worker import broker
from worker.task_events import BatchingEvents


def queue_app(settings: Settings) -> Celery:
    """Build the application; connects to nothing yet."""
    broker.install()
    app = Celery("billing", set_as_current=False, events=BatchingEvents)
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
        # An error answer (no permission, a primary that became a replica) is an outage, too.
        broker_channel_error_retry=True,
        broker_connection_timeout=4,
        # No pool: Flower inspects with a dozen threads, each of which needs a second connection
        # while it holds one; with a pool they would wait for one another forever.
        broker_pool_limit=None,
        control_queue_ttl=300.0,
        control_queue_expires=600.0,
    )
    return app
