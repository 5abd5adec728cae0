"""Webhook endpoints and their deliveries, as an integrator receives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.contract.client import Api
from tests.contract.purchases import create, pay
from tests.contract.receiver import Receiver
from tests.contract.side import Side
from tests.servers import wait_until
from tests.stopwatch import Stopwatch

NOT_REACHABLE = "Stripe does not reach this machine's loopback"
pytestmark = pytest.mark.fake_only(reason=NOT_REACHABLE)
# Seconds for deliveries and their first retries.


@pytest.fixture
def endpoint(api: Api, receiver: Receiver) -> Iterator[Any]:
    """Register endpoints for the receiver; delete them after the test."""
    endpoints = []

    def register(*types: str, **form: Any) -> dict[str, Any]:
        pairs = [("enabled_events[]", t) for t in types or ("*",)]
        endpoints.append(
            api.make("/v1/webhook_endpoints", [("url", receiver.url), *pairs, *form.items()])
        )
        return endpoints[-1]

    yield register
    for one in endpoints:
        api.delete(f"/v1/webhook_endpoints/{one['id']}")


def arrived(receiver: Receiver, subject: str, *types: str) -> list[Any]:
    """Wait until these events about the subject have arrived."""

    def look() -> list[Any] | None:
        about = receiver.about(subject)
        return about if set(types) <= {d.event["type"] for d in about} else None

    return wait_until(look, f"{types} at the receiver")


def test_the_secret_is_shown_once(api: Api, endpoint: Any) -> None:
    new_endpoint = endpoint()
    assert new_endpoint["secret"].startswith("whsec_")
    assert "secret" not in api.find(f"/v1/webhook_endpoints/{new_endpoint['id']}")
    assert new_endpoint["status"] == "enabled"


def test_a_payment_arrives_signed(api: Api, endpoint: Any, receiver: Receiver) -> None:
    secret = endpoint()["secret"]
    intent = pay(api)
    for delivery in arrived(
        receiver,
        intent["id"],
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ):
        event = delivery.verified_by(secret)
        assert event.id == delivery.event["id"]
        assert delivery.headers["content-type"] == "application/json; charset=utf-8"
        assert delivery.headers["user-agent"].startswith("Stripe/1.0")


def test_a_delivery_is_the_listed_event(api: Api, endpoint: Any, receiver: Receiver) -> None:
    endpoint("payment_intent.created")
    intent = create(api)
    [delivery] = arrived(receiver, intent["id"], "payment_intent.created")
    listing = api.find(f"/v1/events/{delivery.event['id']}")
    without = {"pending_webhooks": None}
    assert listing | without == delivery.event | without


def test_a_changed_body_does_not_verify(api: Api, endpoint: Any, receiver: Receiver) -> None:
    secret = endpoint("payment_intent.created")["secret"]
    [delivery] = arrived(receiver, create(api)["id"], "payment_intent.created")
    header = delivery.headers["stripe-signature"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(delivery.body + b" ", header, secret)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(delivery.body, header, "whsec_other")


def test_only_what_was_asked_for_arrives(api: Api, endpoint: Any, receiver: Receiver) -> None:
    endpoint("charge.succeeded", "charge.refunded")
    intent = pay(api)
    api.make("/v1/refunds", {"payment_intent": intent["id"]})
    arrived(receiver, intent["id"], "charge.refunded", "charge.succeeded")
    assert set(receiver.types(intent["id"])) == {"charge.succeeded", "charge.refunded"}


@pytest.mark.parametrize("name", ["payment_intent.exploded", "invoice.payed", "v1.charge.failed"])
def test_unknown_event_types_are_refused(api: Api, receiver: Receiver, name: str) -> None:
    form = {"url": receiver.url, "enabled_events[]": name}
    assert api.post("/v1/webhook_endpoints", form).status == 400


def test_types_beside_payments_can_be_enabled(api: Api, endpoint: Any) -> None:
    types = ["invoice.paid", "customer.subscription.deleted", "payout.failed"]
    assert endpoint(*types)["enabled_events"] == types


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_is_not_a_2xx_is_sent_again_signed_anew(
    api: Api, endpoint: Any, receiver: Receiver, status: int
) -> None:
    secret = endpoint("payment_intent.created")["secret"]
    receiver.statuses = [status]
    intent = create(api)
    first, second = wait_until(
        lambda: receiver.deliveries[:2] if len(receiver.deliveries) > 1 else None,
        "the second attempt",
    )
    assert first.event["id"] == second.event["id"]
    assert first.event["data"]["object"]["id"] == intent["id"]
    assert second.verified_by(secret)
    assert first.headers["stripe-signature"] != second.headers["stripe-signature"]


def test_pending_webhooks_falls_when_delivered(api: Api, endpoint: Any, receiver: Receiver) -> None:
    endpoint("payment_intent.created")
    [delivery] = arrived(receiver, create(api)["id"], "payment_intent.created")
    path = f"/v1/events/{delivery.event['id']}"
    assert delivery.event["pending_webhooks"] >= 1
    wait_until(
        lambda: api.find(path)["pending_webhooks"] < delivery.event["pending_webhooks"],
        "the acknowledgement",
    )


def test_a_disabled_endpoint_hears_nothing(api: Api, endpoint: Any, receiver: Receiver) -> None:
    path = f"/v1/webhook_endpoints/{endpoint('payment_intent.created')['id']}"
    assert api.make(path, {"disabled": "true"})["status"] == "disabled"
    create(api)
    api.make(path, {"disabled": "false"})
    intent = create(api)
    arrived(receiver, intent["id"], "payment_intent.created")
    assert len(receiver.deliveries) == 1


def test_a_resent_event_arrives_again(api: Api, endpoint: Any, receiver: Receiver) -> None:
    new_endpoint = endpoint("payment_intent.created")
    [delivery] = arrived(receiver, create(api)["id"], "payment_intent.created")
    api.make(f"/v1/events/{delivery.event['id']}/retry", {"webhook_endpoint": new_endpoint["id"]})
    wait_until(lambda: len(receiver.deliveries) > 1, "the event again")
    assert receiver.deliveries[1].event["id"] == delivery.event["id"]


def test_a_slow_endpoint_does_not_slow_the_api(
    api: Api, endpoint: Any, receiver: Receiver, side: Side
) -> None:
    endpoint()
    with Stopwatch() as watch:
        pay(api)
    assert watch.seconds < 1


def test_secrets_overlap_when_rolled(
    api: Api, endpoint: Any, receiver: Receiver, side: Side
) -> None:
    new_endpoint = endpoint("payment_intent.created")
    rolled = side.control(f"webhook_endpoints/{new_endpoint['id']}/rotate")
    [delivery] = arrived(receiver, create(api)["id"], "payment_intent.created")
    assert delivery.verified_by(new_endpoint["secret"])
    assert delivery.verified_by(str(rolled["secret"]))
    assert delivery.headers["stripe-signature"].count("v1=") == 2


def test_strangers_are_never_called(api: Api) -> None:
    stranger = api.make(
        "/v1/webhook_endpoints",
        {"url": "https://example.com/hook", "enabled_events[]": "payment_intent.created"},
    )
    intent = create(api)
    assert intent["status"] == "requires_payment_method"
    deleted = api.delete(f"/v1/webhook_endpoints/{stranger['id']}")
    assert deleted.body["deleted"] is True
