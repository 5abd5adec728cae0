"""The Celery application for Flower: the queues, without tasks and without a key of Stripe."""

from __future__ import annotations

from shared.settings import load_settings
from worker.queue_app import queue_app

settings = load_settings("flower")
app = queue_app(settings)
