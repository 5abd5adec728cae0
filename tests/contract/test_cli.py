"""The resource commands of the real Stripe CLI."""

from __future__ import annotations

import pytest

from tests.contract.cli import Cli
from tests.contract.client import Api
from tests.contract.purchases import create, pay
from tests.contract.receiver import Receiver
from tests.contract.test_cards import NO_RAW_CARDS
from tests.contract.test_webhooks import NOT_REACHABLE
from tests.servers import wait_until


@pytest.mark.fake_only(reason=NO_RAW_CARDS)
def test_a_payment_method_is_made_and_attached(cli: Cli) -> None:
    method = cli.run(
        *("payment_methods", "create", "--type", "card"),
        *("-d", "card[number]=4242424242424242", "-d", "card[exp_month]=12"),
        *("-d", "card[exp_year]=2031", "-d", "card[cvc]=123"),
    )
    assert method.json["card"]["last4"] == "4242"
    customer = cli.run("customers", "create", "--email", "jenny@example.com").json
    attached = cli.run("payment_methods", "attach", method.json["id"], "--customer", customer["id"])
    assert attached.json["customer"] == customer["id"]


def test_an_intent_goes_its_way(cli: Cli) -> None:
    intent = cli.run(
        *("payment_intents", "create", "--amount", "2000", "--currency", "usd"),
        *("--payment-method", "pm_card_visa", "--confirm"),
        *("--return-url", "https://example.com/after", "--capture-method", "manual"),
    ).json
    assert intent["status"] == "requires_capture"
    updated = cli.run("payment_intents", "update", intent["id"], "-d", "metadata[a]=b").json
    assert updated["metadata"] == {"a": "b"}
    captured = cli.run("payment_intents", "capture", intent["id"]).json
    assert captured["status"] == "succeeded"
    opened = cli.run("payment_intents", "retrieve", intent["id"], "-e", "latest_charge").json
    assert opened["latest_charge"]["captured"] is True
    refund = cli.run(
        *("refunds", "create", "--payment-intent", intent["id"]),
        *("--amount", "500", "--reason", "requested_by_customer"),
    ).json
    assert (refund["amount"], refund["reason"]) == (500, "requested_by_customer")


def test_lists_take_limit_and_cursor(api: Api, cli: Cli) -> None:
    older, newer = create(api)["id"], create(api)["id"]
    page = cli.run("payment_intents", "list", "--limit", "1", "--starting-after", newer).json
    assert [intent["id"] for intent in page["data"]] == [older]


def test_a_confirmation_and_a_cancellation(api: Api, cli: Cli) -> None:
    intent = create(api, payment_method="pm_card_visa")
    assert cli.run("payment_intents", "confirm", intent["id"]).json["status"] == "succeeded"
    other = create(api)
    assert cli.run("payment_intents", "cancel", other["id"]).json["status"] == "canceled"


def test_events_are_listed_by_type_and_retrieved(api: Api, cli: Cli) -> None:
    intent = create(api)
    page = cli.run("events", "list", "--type", "payment_intent.created", "--limit", "1").json
    [event] = page["data"]
    assert event["data"]["object"]["id"] == intent["id"]
    assert cli.run("events", "retrieve", event["id"]).json["id"] == event["id"]
    some = cli.run(
        *("events", "list", "-d", "types[]=payment_intent.created"),
        *("-d", f"created[gte]={event['created']}"),
    ).json
    assert event["id"] in [e["id"] for e in some["data"]]


def test_get_finds_the_path_by_itself(api: Api, cli: Cli) -> None:
    intent = pay(api)
    for what in (
        f"/v1/charges/{intent['latest_charge']}",
        f"/charges/{intent['latest_charge']}",
        intent["id"],
    ):
        assert cli.run("get", what).json["object"] in {"charge", "payment_intent"}


def test_post_and_delete_are_given_through(api: Api, cli: Cli) -> None:
    customer = cli.run("post", "/v1/customers", "-d", "email=jenny@example.com").json
    deletion = cli.run("delete", f"/v1/customers/{customer['id']}", "--confirm").json
    assert deletion["deleted"] is True


def test_an_error_is_printed_and_exits_0(cli: Cli) -> None:
    outcome = cli.run("payment_intents", "retrieve", "pi_nope")
    assert outcome.status == 0
    assert outcome.json["error"]["code"] == "resource_missing"


@pytest.mark.fake_only(reason=NOT_REACHABLE)
def test_an_event_is_resent_to_an_endpoint(api: Api, cli: Cli, receiver: Receiver) -> None:
    endpoint = cli.run(
        *("webhook_endpoints", "create", "--url", receiver.url),
        *("-d", "enabled_events[]=charge.refunded"),
    ).json
    intent = create(api)
    events = api.find("/v1/events", {"type": "payment_intent.created", "limit": 5})["data"]
    event = next(e for e in events if e["data"]["object"]["id"] == intent["id"])
    resent = cli.run("events", "resend", event["id"], "--webhook-endpoint", endpoint["id"])
    assert resent.json["id"] == event["id"]
    wait_until(lambda: receiver.deliveries, "the resent event")
    assert receiver.deliveries[0].verified_by(endpoint["secret"]).id == event["id"]
    api.delete(f"/v1/webhook_endpoints/{endpoint['id']}")


def test_disputes_and_checkouts_have_their_commands(api: Api, cli: Cli) -> None:
    session = cli.run(
        *("checkout", "sessions", "create", "--mode", "payment"),
        *("--success-url", "https://example.com/ok"),
        *("-d", "line_items[0][price_data][currency]=usd"),
        *("-d", "line_items[0][price_data][unit_amount]=1500"),
        *("-d", "line_items[0][price_data][product_data][name]=seat"),
        *("-d", "line_items[0][quantity]=1"),
    ).json
    assert session["status"] == "open"
    pay(api, "pm_card_createDisputeInquiry")
    [dispute] = cli.run("disputes", "list", "--limit", "1").json["data"]
    assert cli.run("disputes", "close", dispute["id"]).json["id"] == dispute["id"]
