"""The Celery application as Flower sees it: the queues and no task, no key of Stripe's."""

from __future__ import annotations

from shared.settings import load_settings
from worker.queue_app import queue_app

settings = load_settings("flower")
app = queue_app(settings)
