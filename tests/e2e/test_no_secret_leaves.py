"""Secrets and card numbers are planted and every route is used; then every place is searched."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from tests.e2e.attacks import API_KEY, OPERATOR_KEY
from tests.e2e.running import Service
from tests.servers import wait_until

WRONG = "planted-wrong-key-55de"
CARD = "4000056655665556"
SPACED = "4000 0566 5566 5556"
SECRETS = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_SECRET")


def run_file(folder: Path) -> dict[str, str]:
    """Read the settings that the run gave its processes, with secrets."""
    text = (folder / "data" / "run.env").read_text()
    return dict(part.split("=", 1) for part in shlex.split(text))


def drive(running: Service) -> str:
    """Use every route, correctly and not, with card numbers in wrong places; return a payment."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {API_KEY}"

    def post(path: str, body: Any, **headers: str) -> dict[str, Any]:
        url = f"{running.url()}{path}"
        answer: dict[str, Any] = session.post(url, json=body, headers=headers, timeout=30).json()
        return answer

    good = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    pay = "/api/payment/process"
    payment = str(post(pay, good)["payment_intent_id"])
    for method in ("pm_card_chargeDeclined", "pm_card_threeDSecure2Required", "pm_nobody"):
        post(pay, good | {"payment_method": method})
    for bad in (
        {"payment_method": CARD},
        {"description": SPACED},
        {"metadata": {"n": CARD}},
        {"card": {"number": CARD}},
        {CARD: 1},
        {"amount": int(CARD)},
    ):
        assert "payment_intent_id" not in post(pay, good | bad), bad
    post(pay, good, **{"Idempotency-Key": CARD})
    post(pay, good, **{"X-Request-Id": CARD})
    post(pay, good, **{"Stripe-Account": CARD})
    post(pay, good, Authorization=f"Bearer {WRONG}")
    post("/api/refund/process", {"payment_intent_id": payment, "amount": 10}, Prefer="wait=10")
    post("/api/refund/process", {"payment_intent_id": "pi_none"}, Prefer="wait=10")
    for path in (f"/api/payment/{payment}", f"/api/payment/{CARD}", f"/api/refund/{CARD}"):
        session.get(f"{running.url()}{path}", params={"card": CARD}, timeout=30)
    requests.post(f"{running.url()}/api/webhook", data=CARD, timeout=5)
    session.post(f"{running.url('SANDBOX_PORT')}/v1/payment_methods", timeout=5)
    return payment


def everything_in(client: Redis) -> str:
    """Render every key of Redis with its value."""
    words = []
    for name in client.scan_iter("*"):
        kind = client.type(name)
        readers: dict[str, Any] = {
            "string": client.get,
            "hash": client.hgetall,
            "list": lambda key: client.lrange(key, 0, -1),
            "set": client.smembers,
            "zset": lambda key: client.zrange(key, 0, -1),
            "none": lambda _: "expired during the scan",
        }
        words.append(f"{name} {readers[kind](name)}")
    return "\n".join(words)


@pytest.fixture
def places(guarded_service: Service) -> dict[str, str]:
    """Use all of a service, and collect everything that it wrote and shows."""
    running = guarded_service
    payment = drive(running)
    wait_until(lambda: len(running.notifications(payment_intent_id=payment)) >= 2, "the news of it")
    secrets = run_file(running.log.parent)
    with Redis.from_url(secrets["REDIS_URL"], decode_responses=True) as client:
        traces = {"redis": everything_in(client)}
    operator = {"Authorization": f"Bearer {OPERATOR_KEY}"}
    pages = {
        "metrics": f"{running.url()}/metrics",
        "contract": f"{running.url()}/openapi.json",
        "flower": f"{running.url('FLOWER_PORT')}/tasks",
        "flower workers": f"{running.url('FLOWER_PORT')}/workers",
        "told": f"{running.url('RECEIVER_PORT')}/notifications",
        "dashboard": f"{running.url('SANDBOX_PORT')}/",
    }
    for name, url in pages.items():
        traces[name] = requests.get(url, headers=operator, timeout=10).text
    traces["log"] = running.log.read_text()
    assert "work_attempt" in traces["log"]
    assert payment in traces["redis"]
    return traces | {f"secret {name}": secrets[name] for name in SECRETS}


def test_no_secret_and_no_card_number_is_anywhere(places: dict[str, str]) -> None:
    planted = [API_KEY, OPERATOR_KEY, WRONG, CARD, SPACED, CARD[:12]]
    planted += [places.pop(f"secret {name}") for name in SECRETS]
    traces = [
        (name, text[max(0, text.find(secret) - 80) : text.find(secret) + 40])
        for name, text in places.items()
        for secret in planted
        if secret in text
    ]
    assert traces == []
