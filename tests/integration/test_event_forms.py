"""Forms of events: thin, of a connected account, of another version, of another mode."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from sandbox.events_out import event_forms
from shared.store.scripts import Store
from shared.stripe.gateway import API_VERSION
from shared.telemetry.tally import OTHER_VERSION_EVENTS
from tests import servers
from tests.conftest import SIGNING_SECRET, make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from worker import events

Json = dict[str, Any]
ACCOUNT = "acct_1Connected"
OLDER = "2026-08-26.dahlia"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process a refund's event without a wait for its payment."""
    monkeypatch.setattr("worker.events.PAYMENT_PATIENCE_SECONDS", 0.0)


def thin(event: Json, **changes: Any) -> Json:
    """Return an event in its thin form."""
    return event_forms.thin(event) | changes


def of_type(hands: Hands, event_type: str) -> Json:
    return next(event for event in hands.events() if event["type"] == event_type)


def act(hands: Hands, path: str, account: str | None = None, **form: Any) -> Json:
    headers = {"Authorization": "Bearer sk_test_tests_0123456789"}
    if account:
        headers["Stripe-Account"] = account
    answer = requests.post(f"{hands.sandbox}{path}", data=form, headers=headers, timeout=5)
    answer.raise_for_status()
    result: Json = answer.json()
    return result


def test_a_thin_event_is_told_as_its_snapshot_would_be(hands: Hands) -> None:
    hands.pay(metadata={"event_id": "evening"})
    event = of_type(hands, "payment_intent.succeeded")
    assert hands.post_event(thin(event)).status_code == 200
    hands.work()
    (notification,) = hands.notifications()
    assert notification["type"] == "payment.succeeded"
    assert notification["body"]["data"]["event_id"] == "evening"

    hands.post_event(event)
    hands.work()
    assert len(hands.notifications()) == 1


def test_thin_events_of_a_whole_life_are_told(hands: Hands) -> None:
    payment = hands.pay("pm_card_createDispute").get_json()["payment_intent_id"]
    (dispute,) = [e for e in hands.events() if e["type"] == "charge.dispute.created"]
    act(hands, f"/v1/disputes/{dispute['data']['object']['id']}/close")
    for event in hands.events():
        hands.post_event(thin(event))
        hands.work()
    notification = hands.notifications()
    assert {item["body"]["data"]["payment_intent_id"] for item in notification} == {payment}
    assert [item["type"] for item in notification] == [
        "payment.succeeded",
        "dispute.opened",
        "dispute.funds_withdrawn",
        "dispute.lost",
    ]


def test_a_thin_event_whose_object_moved_on_tells_only_the_end(hands: Hands) -> None:
    payment = hands.pay("pm_card_threeDSecure2Required").get_json()["payment_intent_id"]
    path = f"{hands.sandbox}/_sandbox/payment_intents/{payment}/authenticate"
    requests.post(path, json={"outcome": "complete"}, timeout=5).raise_for_status()
    hands.post_event(thin(of_type(hands, "payment_intent.requires_action")))
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]
    hands.deliver_events("payment_intent.succeeded")
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def test_a_thin_event_of_no_interest_is_ignored_without_a_fetch(hands: Hands) -> None:
    hands.pay()
    event = thin(of_type(hands, "payment_intent.succeeded"), type="v1.invoice.paid")
    hands.break_stripe(kind="error", status=500, times=None)
    hands.post_event(event)
    hands.work()
    assert (
        hands.runtime.store.hash(f"{{billing}}:event:{event['snapshot_event']}")["state"]
        == "ignored"
    )


def test_a_thin_event_that_points_elsewhere_is_a_dead_letter(hands: Hands) -> None:
    hands.pay()
    event = thin(of_type(hands, "payment_intent.succeeded"))
    event["related_object"] = {"id": "x", "type": "x", "url": "/v2/core/accounts/acct_x"}
    hands.post_event(event)
    hands.work()
    assert (
        hands.runtime.store.hash(f"{{billing}}:event:{event['snapshot_event']}")["state"] == "dead"
    )
    assert hands.notified_types() == []


def test_an_event_whose_payload_is_gone_is_fetched_again(hands: Hands) -> None:
    hands.pay()
    event = of_type(hands, "payment_intent.succeeded")
    for body in (event, thin(event, snapshot_event=None)):
        hands.post_event(body)
        hands.runtime.store.redis.delete(f"{{billing}}:event:{body['id']}:body")
        hands.work()
        assert hands.runtime.store.hash(f"{{billing}}:event:{body['id']}")["state"] == "processed"
    assert hands.notified_types() == ["payment.succeeded"]


def test_an_event_that_stripe_no_longer_has_is_a_dead_letter(hands: Hands) -> None:
    hands.pay()
    hands.post_event(of_type(hands, "payment_intent.succeeded") | {"id": "evt_1gone"})
    hands.runtime.store.redis.delete("{billing}:event:evt_1gone:body")
    hands.work()
    fields = hands.runtime.store.hash("{billing}:event:evt_1gone")
    assert (fields["state"], fields["error"].partition(":")[0]) == ("dead", "resource_missing")


@pytest.mark.parametrize("form", ["snapshot", "thin", "thin of an organisation"])
def test_what_a_connected_account_says_is_looked_up_there(hands: Hands, form: str) -> None:
    intent = act(
        hands,
        "/v1/payment_intents",
        ACCOUNT,
        amount=1000,
        currency="sgd",
        confirm="true",
        payment_method="pm_card_visa",
        **{"payment_method_types[]": "card", "metadata[event_id]": "theirs"},
    )
    act(hands, "/v1/refunds", ACCOUNT, payment_intent=intent["id"], amount=300)
    listing = hands.runtime.gateway.events(ACCOUNT, type="charge.refunded")
    (event,) = next(iter(listing))
    event["account"] = ACCOUNT
    if form != "snapshot":
        event = thin(event)
        event["context"] = f"org_1/{ACCOUNT}" if "organisation" in form else ACCOUNT
    assert hands.post_event(event).status_code == 200
    hands.work()
    (notification,) = hands.notifications()
    assert notification["type"] == "refund.succeeded"
    assert notification["body"]["data"]["event_id"] == "theirs"


def test_a_connected_accounts_payment_and_refund_go_there(hands: Hands) -> None:
    theirs = {"Stripe-Account": ACCOUNT}
    body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
    payment = hands.client.post("/api/payment/process", json=body, headers=theirs).get_json()
    request_body = {"payment_intent_id": payment["payment_intent_id"]}
    job = hands.client.post("/api/refund/process", json=request_body, headers=theirs).get_json()
    hands.work()
    path = f"/api/refund/{job['refund_request_id']}"
    assert hands.client.get(path, headers=theirs).get_json()["status"] == "succeeded"
    assert hands.events() == []
    (refund,) = hands.runtime.gateway.refunds_of(
        ACCOUNT, payment_intent=payment["payment_intent_id"]
    )
    assert refund["amount"] == 1000


def test_an_event_of_another_version_is_processed_and_counted(hands: Hands) -> None:
    hands.pay()
    event = of_type(hands, "payment_intent.succeeded") | {"api_version": "2020-08-27"}
    for _ in range(2):
        hands.post_event(event)
        hands.work()
    assert hands.notified_types() == ["payment.succeeded"]
    counts = {
        series: count
        for series, count in hands.runtime.store.tally.take().items()
        if OTHER_VERSION_EVENTS.name in str(series)
    }
    assert list(counts.values()) == [1]
    assert "2020-08-27" in str(counts)


def test_another_version_is_logged_once_for_all_its_events(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, str]] = []
    monkeypatch.setattr(events.log, "warning", lambda _, **fields: lines.append(fields))
    events._warn_of_version.cache_clear()
    hands.pay()
    event = of_type(hands, "payment_intent.succeeded")
    for number, version in enumerate(("2020-08-27", "2020-08-27", "2022-11-15")):
        hands.post_event(event | {"id": f"evt_{number}Copy", "api_version": version})
        hands.work()
    assert [line["api_version"] for line in lines] == ["2020-08-27", "2022-11-15"]


def test_the_sandboxs_own_endpoint_sends_the_version_we_pin() -> None:
    request_body = {"SANDBOX_WEBHOOK_URL": "http://127.0.0.1:1/x"}
    key = {"Authorization": "Bearer sk_test_version"}
    for environment, version in (({}, API_VERSION), ({"SANDBOX_WEBHOOK_VERSION": OLDER}, OLDER)):
        with servers.sandbox(**request_body, **environment) as url:
            listing = requests.get(f"{url}/v1/webhook_endpoints", headers=key, timeout=5).json()
            assert [endpoint["api_version"] for endpoint in listing["data"]] == [version]


@pytest.fixture
def rotating(hands: Hands, real_store: Store) -> FlaskClient:
    """Serve with two secrets, as during a rotation."""
    both = make_settings(stripe_webhook_secret=f"whsec_the_new_one_abc,{SIGNING_SECRET}")
    hands.client = open_door(both, real_store)
    return hands.client


@pytest.mark.parametrize("secret", [SIGNING_SECRET, "whsec_the_new_one_abc"])
def test_a_thin_event_is_taken_with_either_secret(
    hands: Hands, rotating: FlaskClient, secret: str
) -> None:
    act(hands, "/v1/payment_intents", amount=1000, currency="sgd")
    event = thin(of_type(hands, "payment_intent.created"))
    assert hands.post_event(event, secret=secret).status_code == 200
    assert hands.post_event(event, secret="whsec_nobody_knows").status_code == 400


def test_a_thin_event_of_the_other_mode_is_acknowledged_and_not_recorded(hands: Hands) -> None:
    act(hands, "/v1/payment_intents", amount=1000, currency="sgd")
    event = thin(of_type(hands, "payment_intent.created"), livemode=True)
    answer = hands.post_event(event)
    assert (answer.status_code, answer.get_json()["result"]) == (200, "other_mode")
    assert hands.runtime.store.hash(f"billing:event:{event['id']}") == {}
