"""`stripe listen --forward-to`: the real CLI, its websocket and a local server."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from tests.contract.cli import Cli
from tests.contract.client import Api
from tests.contract.purchases import create, pay
from tests.contract.receiver import Receiver
from tests.contract.side import Side
from tests.servers import wait_until

# Seconds; forwarding takes milliseconds, starting the CLI about one.


class Listening:
    """A running `stripe listen`; `said` gets its output line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ready = wait_until(lambda: self.match(r"(whsec_\w+)"), f"Ready! {self.output}")
        self.secret = ready.group(1)

    def match(self, pattern: str) -> re.Match[str] | None:
        """Search its output for a pattern."""
        return re.search(pattern, "".join(self.output))

    def stop(self) -> None:
        """End it and read the rest."""
        self.process.terminate()
        self.process.wait(timeout=10)
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.output.extend(output)


@pytest.fixture
def listen(cli: Cli, receiver: Receiver) -> Iterator[Any]:
    """Start listeners that forward to the receiver."""
    started: list[Listening] = []

    def start(*flags: str) -> Listening:
        process = cli.start(
            *("listen", "--skip-update", "--forward-to", receiver.url),
            *(flags or ("--all-snapshot",)),
        )
        started.append(Listening(process))
        return started[-1]

    yield start
    for listening in started:
        listening.stop()


def test_events_are_forwarded_signed(api: Api, listen: Any, receiver: Receiver) -> None:
    secret = listen().secret
    intent = pay(api)["id"]
    expected = {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
    wait_until(lambda: expected <= set(receiver.types(intent)), "the forwarded events")
    for delivery in receiver.about(intent):
        assert delivery.verified_by(secret).id == delivery.event["id"]
        assert delivery.headers["content-type"] == "application/json; charset=utf-8"


def test_the_secret_stays_the_same(cli: Cli, listen: Any) -> None:
    printed = cli.run("listen", "--print-secret")
    assert printed.stdout.strip() == listen().secret


def test_the_answer_is_reported(api: Api, listen: Any, receiver: Receiver) -> None:
    receiver.statuses = [418]
    listening = listen()
    create(api)
    wait_until(lambda: listening.match(r"\[418\] POST"), "the report of the answer")


def test_only_chosen_events_are_forwarded(api: Api, listen: Any, receiver: Receiver) -> None:
    listen("--events", "charge.succeeded,charge.refunded")
    intent = pay(api)["id"]
    api.make("/v1/refunds", {"payment_intent": intent})
    wait_until(lambda: "charge.refunded" in receiver.types(intent), "the refund")
    assert set(receiver.types(intent)) == {"charge.succeeded", "charge.refunded"}


def test_an_event_is_resent_to_the_listener(
    api: Api, cli: Cli, listen: Any, receiver: Receiver
) -> None:
    secret = listen().secret
    intent = create(api)["id"]
    wait_until(lambda: receiver.about(intent), "the event")
    event = receiver.about(intent)[0].event
    assert cli.run("events", "resend", event["id"]).json["id"] == event["id"]
    wait_until(lambda: len(receiver.about(intent)) == 2, "the event again")
    assert receiver.about(intent)[1].verified_by(secret).id == event["id"]


def test_a_trigger_arrives_at_the_listener(
    api: Api, cli: Cli, listen: Any, receiver: Receiver
) -> None:
    secret = listen().secret
    assert cli.run("trigger", "charge.refunded").status == 0
    intent = api.find("/v1/refunds", {"limit": 1})["data"][0]["payment_intent"]
    wait_until(lambda: "charge.refunded" in receiver.types(intent), "the refund")
    assert all(delivery.verified_by(secret) for delivery in receiver.about(intent))


def test_two_listeners_hear_the_same(api: Api, listen: Any, receiver: Receiver) -> None:
    listen()
    listen()
    intent = create(api)["id"]
    wait_until(lambda: len(receiver.about(intent)) == 2, "both listeners")
    first, second = receiver.about(intent)
    assert first.event["id"] == second.event["id"]


@pytest.mark.fake_only(reason="reads the sandbox's own log of deliveries")
def test_what_was_forwarded_stands_among_the_deliveries(
    api: Api, listen: Any, receiver: Receiver, side: Side
) -> None:
    # An event of an earlier test may come first, and must not use it up.
    receiver.statuses = [500] * 10
    listen()
    intent = create(api)["id"]

    def logged() -> list[dict[str, Any]]:
        answer = requests.get(f"{side.url}/_sandbox/deliveries", timeout=10).json()
        return [
            d for d in answer["data"] if d["endpoint"] == "stripe listen" and intent in d["payload"]
        ]

    wait_until(logged, "the delivery in the log")
    assert (logged()[0]["state"], logged()[0]["attempts"][0]["status"]) == ("failed", 500)


def test_thin_events_are_forwarded_too(api: Api, listen: Any, receiver: Receiver) -> None:
    secret = listen("--all-thin").secret
    intent = create(api)["id"]

    def thin() -> list[dict[str, Any]]:
        return [
            d.event
            for d in receiver.deliveries
            if d.event.get("related_object", {}).get("id") == intent
        ]

    wait_until(thin, "the thin event")
    assert thin()[0]["type"] == "v1.payment_intent.created"
    assert "data" not in thin()[0]
    client = stripe.StripeClient("sk_test_thin")
    for delivery in receiver.deliveries:
        assert client.parse_event_notification(
            delivery.body, delivery.headers["stripe-signature"], secret
        )
