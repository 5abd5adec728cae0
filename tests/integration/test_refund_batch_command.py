"""`./billing refund-batch` with the API over HTTP."""

from __future__ import annotations

import csv
import io
import json
import threading

import pytest

from shared.settings import Settings
from shared.store.scripts import Store
from tests.integration import batching as b
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_command_line import Billing, make_keys
from tests.warm import WarmPython


@pytest.fixture
def billing(settings: Settings, real_store: Store, python: WarmPython) -> Billing:
    """Run commands as an operator, with an API that requires keys."""
    door = open_door(settings.model_copy(update=make_keys()), real_store)
    return Billing(f"http://127.0.0.1:{door.application.wsgi_app.port}", python)


@pytest.fixture
def payments(hands: Hands) -> list[str]:
    """Take three payments for an event."""
    return b.pay(hands, 3)


def test_nothing_is_refunded_before_it_is_confirmed(
    hands: Hands, billing: Billing, payments: list[str]
) -> None:
    refusal = billing("refund-batch", "start", "--event", "evening")
    assert refusal.returncode == 4
    assert "--yes" in refusal.stderr
    output = billing("refund-batch", "start", "--event", "evening", "--percent", "50", "--dry-run")
    assert "payments to refund: 3" in output.stdout
    assert "15.00 SGD" in output.stdout
    wrong = billing("refund-batch", "start", "--event", "evening", "--percent", "150", "--dry-run")
    assert wrong.returncode == 1
    assert "percent" in wrong.stderr
    assert [b.refunded(hands, one) for one in payments] == [[], [], []]


def test_what_would_be_refused_is_not_asked_about(billing: Billing) -> None:
    screen = billing.on_screen("refund-batch", "start", "--event", "no-such-event")
    text = screen.rest()
    assert "No payment of this event is known here." in text
    assert "Refund these" not in text
    assert screen.ended() == 4


@pytest.mark.parametrize("members", [[], ["--event", "evening", "--payment", "pi_1"]])
def test_a_batch_without_members_or_with_both_kinds_is_a_wrong_command_line(
    billing: Billing, members: list[str]
) -> None:
    answer = billing("refund-batch", "start", *members, "--dry-run")
    assert answer.returncode == 2
    assert "either --event or --payment" in answer.stderr


def test_a_batch_is_started_steered_and_reported(
    hands: Hands, billing: Billing, payments: list[str]
) -> None:
    options = ("--event", "evening", "--keep-fee", "100", "--yes", "--idempotency-key", "k")
    options += ("--metadata", "why=rain", "--metadata", "note=a=b")
    started = json.loads(billing("refund-batch", "start", *options, "--json").stdout)
    assert started["metadata"] == {"why": "rain", "note": "a=b"}
    again = json.loads(billing("refund-batch", "start", *options, "--json").stdout)
    batch = started["batch_id"]
    assert again["batch_id"] == batch
    for verb, state in (("pause", "paused"), ("resume", "running")):
        assert json.loads(billing("refund-batch", verb, batch, "--json").stdout)["state"] == state
    b.turn(hands)
    b.turn(hands)
    output = billing("refund-batch", "show", batch)
    assert "completed" in output.stdout
    assert "(27.00 SGD)" in output.stdout
    rows = list(csv.DictReader(io.StringIO(billing("refund-batch", "report", batch).stdout)))
    assert {row["payment_id"] for row in rows} == set(payments)
    assert {(row["status"], row["amount"]) for row in rows} == {("refunded", "900")}
    lines = billing("refund-batch", "report", batch, "--json").stdout.splitlines()
    assert len([json.loads(line) for line in lines]) == 3
    assert billing("refund-batch", "report", batch, "--status", "failed").stdout.count("\n") == 1
    assert batch in billing("refund-batch", "list", "--event", "evening").stdout
    assert "refund_batch_pause" in billing("audit").stdout
    refusal = billing("refund-batch", "cancel", batch)
    assert (refusal.returncode, "completed" in refusal.stderr) == (1, True)
    refusal = billing("refund-batch", "retry", batch)
    assert (refusal.returncode, "nothing_to_retry" in refusal.stderr) == (4, True)


def test_a_progress_bar_follows_a_batch_on_a_terminal(
    hands: Hands, billing: Billing, payments: list[str]
) -> None:
    command = ("refund-batch", "start", "--event", "evening", "--yes")
    screen = billing.on_screen(*command)
    screen.read_until("0/3")
    worker = threading.Thread(target=lambda: [b.turn(hands), b.turn(hands)])
    worker.start()
    rest = screen.rest()
    worker.join()
    assert screen.ended() == 0
    assert "3/3" in rest
    assert "state: completed" in rest


def test_a_batch_without_payments_is_nothing_done_and_an_unknown_one_prints_nothing(
    billing: Billing,
) -> None:
    empty = billing("refund-batch", "start", "--event", "nobody-came", "--yes")
    assert (empty.returncode, empty.stdout) == (4, "")
    assert "nothing_to_refund" in empty.stderr
    unknown = billing("refund-batch", "report", "rb_unknown")
    assert (unknown.returncode, unknown.stdout) == (1, "")


@pytest.mark.parametrize(
    "command",
    [
        ("refund-batch", "show"),
        ("refund-batch", "pause"),
        ("refund-batch", "retry"),
        ("refund-batch", "report"),
        ("payment", "show"),
        ("events", "show"),
        ("events", "redrive"),
        ("refunds", "resolve", "--failed"),
    ],
)
@pytest.mark.parametrize("item", ["../../../ops/queues", "rb_1/refunds", "rb_1?limit=1", "..", ""])
def test_an_id_leads_to_no_other_route(
    billing: Billing, command: tuple[str, ...], item: str
) -> None:
    answer = billing(*command, item)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("No item has this id")


@pytest.mark.parametrize(
    "option",
    [("--idempotency-key", "k\u20ac"), ("--idempotency-key", "a\nb"), ("--account", "x\ny")],
)
def test_what_http_does_not_allow_is_said_to_be_a_wrong_command_line(
    billing: Billing, option: tuple[str, str]
) -> None:
    """Nothing was sent, so no batch may have started."""
    answer = billing("refund-batch", "start", "--event", "evening", "--yes", *option)
    assert answer.returncode == 2
    assert answer.stderr.startswith("Nothing was sent")
    assert "may have been done" not in answer.stderr


@pytest.mark.parametrize("fee", ["9" * 5000, "\u0663", "-1", "1e2"])
def test_a_fee_that_is_no_amount_is_refused_by_its_name(
    billing: Billing, payments: list[str], fee: str
) -> None:
    options = ("--event", "evening", "--dry-run", f"--keep-fee={fee}")
    answer = billing("refund-batch", "start", *options)
    assert (answer.returncode, answer.stderr.startswith("keep_fee")) == (1, True)


def repeatable(billing: Billing, *command: str) -> tuple[str, ...]:
    """Run a command that gets no answer; return it with the key that it names for a repeat.

    The key was made by the command: nobody else could know it.
    """
    lost = billing(*command, BILLING_URL="http://127.0.0.1:9")
    assert lost.returncode == 3
    key = lost.stderr.partition("--idempotency-key ")[2].partition(",")[0]
    assert key.startswith("cli-")
    return (*command, "--idempotency-key", key)


def test_a_start_without_an_answer_says_how_to_repeat_it(
    billing: Billing, payments: list[str]
) -> None:
    command = ("refund-batch", "start", "--event", "evening", "--percent", "50", "--yes")
    under_key = repeatable(billing, *command)
    starts = [billing(*under_key, "--json") for _ in range(2)]
    assert len({json.loads(start.stdout)["batch_id"] for start in starts}) == 1
    refusal = billing("refund-batch", "start", "--event", "nobody", "--percent", "0", "--yes")
    assert "--idempotency-key" not in refusal.stderr


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_turn_without_an_answer_is_repeated_although_others_turned_the_batch_meanwhile(
    billing: Billing, payments: list[str], verb: str
) -> None:
    started = billing("refund-batch", "start", "--event", "evening", "--yes", "--json")
    batch = json.loads(started.stdout)["batch_id"]
    if verb == "resume":
        billing("refund-batch", "pause", batch)
    under_key = repeatable(billing, "refund-batch", verb, batch)
    assert billing(*under_key).returncode == 0
    billing("refund-batch", "cancel", batch)
    again = billing(*under_key)
    assert (again.returncode, again.stderr) == (0, "")


def test_late_payments_are_refunded_once_when_the_command_is_repeated(
    hands: Hands, billing: Billing, payments: list[str]
) -> None:
    started = billing("refund-batch", "start", "--event", "evening", "--yes", "--json")
    batch = json.loads(started.stdout)["batch_id"]
    late = b.pay(hands, 1)
    b.run(hands, batch)
    under_key = repeatable(billing, "refund-batch", "retry", batch, "--late")
    for _ in range(2):
        assert billing(*under_key).returncode == 0
        b.run(hands, batch)
    assert b.refunded(hands, late[0]) == [1000]
    assert b.look(hands, batch)["counts"]["refunded"] == 4
