"""`stripe listen --forward-to`: the real CLI, its websocket, a local server."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.cli import Cli
from tests.contract.client import Api, eventually
from tests.contract.purchases import create, pay
from tests.contract.receiver import Receiver

# Seconds; forwarding takes milliseconds, a start of the CLI about one.
PATIENCE = 20


class Listening:
    """A running `stripe listen`; `said` grows line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        ready = eventually(lambda: self.match(r"(whsec_\w+)"), PATIENCE, f"Ready! {self.said}")
        self.secret = ready.group(1)

    def match(self, pattern: str) -> re.Match[str] | None:
        """Look for a pattern in what it said."""
        return re.search(pattern, "".join(self.said))

    def stop(self) -> None:
        """End it and read the rest."""
        self.process.terminate()
        self.process.wait(timeout=10)
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.said.extend(output)


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
    intent = pay(api)
    expected = {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
    eventually(lambda: expected <= set(receiver.types()), PATIENCE, "the forwarded events")
    for delivery in receiver.deliveries:
        event = delivery.verified_by(secret)
        assert intent["id"] in {
            event.data.object["id"],
            event.data.object.get("payment_intent"),
        }
        assert delivery.headers["content-type"] == "application/json; charset=utf-8"


def test_the_secret_stays_the_same(cli: Cli, listen: Any) -> None:
    printed = cli.run("listen", "--print-secret")
    assert printed.stdout.strip() == listen().secret


def test_the_answer_is_reported(api: Api, listen: Any, receiver: Receiver) -> None:
    receiver.statuses = [418]
    listening = listen()
    create(api)
    eventually(lambda: listening.match(r"\[418\] POST"), PATIENCE, "the report of the answer")


def test_only_chosen_events_are_forwarded(api: Api, listen: Any, receiver: Receiver) -> None:
    listen("--events", "charge.succeeded,charge.refunded")
    intent = pay(api)
    api.made("/v1/refunds", {"payment_intent": intent["id"]})
    eventually(lambda: "charge.refunded" in receiver.types(), PATIENCE, "the refund")
    assert set(receiver.types()) == {"charge.succeeded", "charge.refunded"}


def test_an_event_is_resent_to_the_listener(
    api: Api, cli: Cli, listen: Any, receiver: Receiver
) -> None:
    secret = listen().secret
    create(api)
    eventually(lambda: receiver.deliveries, PATIENCE, "the event")
    event = receiver.deliveries[0].event
    assert cli.run("events", "resend", event["id"]).json["id"] == event["id"]
    eventually(lambda: len(receiver.deliveries) > 1, PATIENCE, "the event again")
    assert receiver.deliveries[1].verified_by(secret).id == event["id"]


def test_a_trigger_arrives_at_the_listener(cli: Cli, listen: Any, receiver: Receiver) -> None:
    secret = listen().secret
    assert cli.run("trigger", "charge.refunded").status == 0
    eventually(lambda: "charge.refunded" in receiver.types(), PATIENCE, "the trigger's event")
    assert all(delivery.verified_by(secret) for delivery in receiver.deliveries)


def test_two_listeners_hear_the_same(api: Api, listen: Any, receiver: Receiver) -> None:
    listen()
    listen()
    create(api)
    eventually(lambda: len(receiver.deliveries) == 2, PATIENCE, "both listeners")
    first, second = receiver.deliveries
    assert first.event["id"] == second.event["id"]
