"""Two other webhook doors to hold ours against: a bare route, and the way tutorials show."""

from __future__ import annotations

import os

import stripe
from celery import Celery
from flask import Flask, request

bare = Flask("bare")
usual = Flask("usual")
queue = Celery("usual", broker=os.environ.get("REDIS_URL"))
queue.conf.task_ignore_result = True


@bare.post("/api/webhook")
def answer() -> dict[str, bool]:
    """Do nothing at all: what the server and Flask cost by themselves."""
    return {"received": True}


@queue.task(name="handle")
def handle(event: dict[str, object]) -> None:
    """Stand for the work."""


@usual.post("/api/webhook")
def receive() -> dict[str, bool]:
    """Verify by building the SDK's event, queue it whole with Celery."""
    event = stripe.Webhook.construct_event(
        request.get_data(), request.headers["Stripe-Signature"], os.environ["STRIPE_WEBHOOK_SECRET"]
    )
    handle.delay(event.to_dict())
    return {"received": True}
