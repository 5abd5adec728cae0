"""Webhook routes to compare with ours: a bare one, a minimal one, and that of tutorials."""

from __future__ import annotations

import json
import os

import stripe
from celery import Celery
from flask import Flask, request
from redis import Redis

SECRET = os.environ.get("STRIPE_WEBHOOK_SECRET", "")
# One atomic step like ours, without the data that operators need.
RECORD = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], 1, ARGV[2])
return redis.call('LPUSH', KEYS[3], ARGV[2])
"""
bare = Flask("bare")
checked = Flask("checked")
least = Flask("least")
usual = Flask("usual")
queue = Celery("usual", broker=os.environ.get("REDIS_URL"))
queue.conf.task_ignore_result = True
record = Redis.from_url(
    os.environ.get("REDIS_URL", "redis://127.0.0.1"), decode_responses=True
).register_script(RECORD)


@bare.post("/api/webhook")
def answer() -> dict[str, bool]:
    """Do nothing, to measure the cost of the server and Flask alone."""
    return {"received": True}


@checked.post("/api/webhook")
def check() -> dict[str, bool]:
    """Check only the signature: the lowest cost with Flask."""
    body = request.get_data(cache=False)
    stripe.WebhookSignature.verify_header(body, request.headers["Stripe-Signature"], SECRET, 300)
    return {"received": True}


@least.post("/api/webhook")
def keep() -> dict[str, bool]:
    """Verify, and record in one script: no limits, log, metrics, timeline, trace or problems."""
    body = request.get_data(cache=False)
    stripe.WebhookSignature.verify_header(body, request.headers["Stripe-Signature"], SECRET, 300)
    event_id = json.loads(body)["id"]
    record(keys=[f"event:{event_id}", "due", "events"], args=[body, event_id])
    return {"received": True}


@queue.task(name="handle")
def handle(event: dict[str, object]) -> None:
    """Do nothing in place of the work."""


@usual.post("/api/webhook")
def receive() -> dict[str, bool]:
    """Verify by building the SDK's event, and queue the whole event with Celery."""
    event = stripe.Webhook.construct_event(
        request.get_data(), request.headers["Stripe-Signature"], SECRET
    )
    handle.delay(event.to_dict())
    return {"received": True}
