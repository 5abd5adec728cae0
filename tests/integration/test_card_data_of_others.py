"""Card numbers in texts of Stripe and of the event service are not stored and not shown."""

from __future__ import annotations

from typing import Any

import requests
from redis import Redis

from shared.card_numbers import REDACTED
from shared.settings import Settings
from tests import hostile
from tests.integration.hands import Hands
from worker.runtime import Runtime

NUMBER = "2223003122003222"
WRITTEN = "2223 0031 2200 3222"
KEY = {"Authorization": "Bearer sk_test_tests_0123456789"}


def everything_in(valkey_url: str) -> str:
    """Return the whole content of Redis as one text."""
    client: Any = Redis.from_url(valkey_url, decode_responses=True)
    readers = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda name: client.lrange(name, 0, -1),
        "set": client.smembers,
        "zset": lambda name: client.zrange(name, 0, -1),
        "stream": client.xrange,
    }
    values = [f"{name} {readers[client.type(name)](name)}" for name in client.scan_iter("*")]
    client.close()
    return "\n".join(values)


def test_a_note_of_somebody_at_stripe_is_kept_and_told_without_its_number(
    hands: Hands, valkey_url: str
) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    form = {"metadata[note]": f"card {WRITTEN}", "metadata[other]": "order 12"}
    url = f"{hands.sandbox}/v1/payment_intents/{payment}"
    requests.post(url, form, headers=KEY, timeout=5).raise_for_status()
    hands.deliver_events("payment_intent.succeeded")
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    event["id"] = "evt_WithANote"
    event["data"]["object"]["metadata"] = {"note": f"card {WRITTEN}", "other": "order 12"}
    assert hands.post_event(event).status_code == 200
    hands.work()
    answer = hands.client.get(f"/api/payment/{payment}")
    assert answer.get_json()["metadata"] == {"note": f"card {REDACTED}", "other": "order 12"}
    for text in (
        answer.get_data(as_text=True),
        str(hands.notifications()),
        everything_in(valkey_url),
    ):
        assert NUMBER not in text
        assert WRITTEN not in text
    inspected = hands.client.get(f"/ops/items/{event['id']}").get_data(as_text=True)
    assert REDACTED in inspected


def test_an_answer_of_the_event_service_is_kept_without_its_number(
    hands: Hands, settings: Settings, valkey_url: str
) -> None:
    text = f"no seat for {WRITTEN}"
    answer = f"HTTP/1.1 410 Gone\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    hands.pay()
    hands.deliver_events("payment_intent.succeeded")
    with hostile.peer(hostile.says(answer)) as peer:
        changed = settings.model_copy(update={"event_service_url": peer.url})
        hands.runtime = Runtime(changed, hands.runtime.store)
        hands.ring()
        hands.ring()
        hands.runtime.event_service.close()
    contents = everything_in(valkey_url)
    assert f"no seat for {REDACTED}" in contents
    assert WRITTEN not in contents
