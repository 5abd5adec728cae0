"""The prebuilt message has the form of Celery's own message, and a real worker answers it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from celery import Celery
from kombu import Queue

from shared.store.connection import broker_settings
from shared.work.doorbell import template
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS
from tests.conftest import make_settings
from tests.integration.hands import Hands
from tests.servers import process, wait_until


def celerys_own(url: str, task: str, queue: str) -> dict[str, Any]:
    """Let Celery send the message, and read the text that it pushed."""
    app = Celery("test", set_as_current=False)
    app.conf.update(
        **broker_settings(make_settings(redis_url=url)),
        task_queues=[Queue(name, routing_key=name) for name in KINDS],
        task_ignore_result=True,
    )
    app.send_task(task, args=("evt_1",), queue=queue, ignore_result=True)
    with app.connection_for_read() as connection:
        raw = connection.default_channel.client.rpop(queue)
    app.close()
    message: dict[str, Any] = json.loads(raw)
    return message


@pytest.mark.parametrize("kind", [EVENTS, REFUNDS, NOTIFICATIONS])
def test_the_message_has_the_shape_celery_sends(valkey_url: str, kind: Any) -> None:
    theirs = celerys_own(valkey_url, kind.task, kind.name)
    ours = json.loads(
        template(kind.task, kind.name).replace("@@ID@@", "evt_1").replace("@@TAG@@", "tag")
    )
    # Celery adds base64 on top of JSON and labels it; a worker takes plain text as well.
    assert theirs["properties"].pop("body_encoding") == "base64"
    assert set(ours) == set(theirs)
    assert set(ours["properties"]) == set(theirs["properties"])
    assert set(ours["headers"]) == set(theirs["headers"])
    changing = {"id", "root_id", "origin", "argsrepr"}
    for name in set(ours["headers"]) - changing:
        assert ours["headers"][name] == theirs["headers"][name], name
    assert ours["properties"]["delivery_info"] == theirs["properties"]["delivery_info"]


@pytest.mark.slow
def test_a_real_worker_answers_the_bell(hands: Hands) -> None:
    hands.pay()
    hands.deliver_events("payment_intent.succeeded")
    settings = hands.runtime.settings
    environment = {
        "REDIS_URL": settings.redis_url,
        "STRIPE_SECRET_KEY": settings.stripe_secret_key.get_secret_value(),
        "STRIPE_WEBHOOK_SECRET": settings.stripe_webhook_secret[0].get_secret_value(),
        "EVENT_SERVICE_URL": settings.event_service_url,
        "EVENT_SERVICE_SECRET": settings.event_service_secret[0].get_secret_value(),
        "STRIPE_API_BASE": str(settings.stripe_api_base),
    }
    with process(sys.executable, "-m", "worker", environment=environment) as worker:
        wait_until(
            lambda: hands.notified_types() == ["payment.succeeded"], "the event service is told"
        )
        worker.terminate()
        assert worker.wait(20) == 0
