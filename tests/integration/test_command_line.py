"""The operators' command line with the API over HTTP."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import termios
import threading
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.kinds import EVENTS
from tests.conftest import make_settings
from tests.integration.doors import application
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury, bury_notifications
from tests.integration.test_payment_index import pay
from tests.servers import PATIENCE_SECONDS, ROOT
from tests.warm import Forked, WarmPython

KEY = "operator-key-0123456789"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Billing:
    """Run `./billing` as a script would, or on a terminal with the same environment."""

    def __init__(self, url: str, python: WarmPython) -> None:
        self._python = python
        self.environment = {
            "BILLING_URL": url,
            "BILLING_OPERATOR_KEY": KEY,
            "LOGNAME": "kim",
            "PATH": os.environ["PATH"],
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = self.environment | environment
        return self._python.run("-m", "cli", *arguments, environment=variables)

    def on_screen(self, *arguments: str, columns: int = 100, **environment: str) -> Screen:
        """Run it on a terminal with this many columns."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (40, columns))
        process = self._python.start(
            *("-m", "cli", *arguments),
            environment=self.environment | {"TERM": "xterm-256color"} | environment,
            source=theirs,
            out=theirs,
        )
        os.close(theirs)
        return Screen(process, ours)


class Screen:
    """A terminal on which `./billing` runs."""

    def __init__(self, process: Forked, terminal: int) -> None:
        self._process = process
        self._terminal = terminal

    def read_until(self, words: str) -> str:
        """Read until these words are on the screen."""
        text = ""
        while words not in text and (more := self._more()):
            text += more
        assert words in text
        return text

    def rest(self, *, plain: bool = True) -> str:
        """Read to the end; return the text without colours."""
        text = ""
        while more := self._more():
            text += more
        text = text.replace("\r\n", "\n")
        return ESCAPES.sub("", text) if plain else text

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def ended(self) -> int:
        """Wait for the end and return the exit status."""
        self.rest()
        os.close(self._terminal)
        return self._process.wait(PATIENCE_SECONDS)

    def _more(self) -> str:
        ready, _, _ = select.select([self._terminal], [], [], PATIENCE_SECONDS)
        assert ready, "the terminal is silent"
        try:
            return os.read(self._terminal, 65536).decode()
        except OSError:  # the other end is closed
            return ""


@pytest.fixture
def billing(settings: Settings, real_store: Store, python: WarmPython) -> Iterator[Billing]:
    """Run `./billing` as a person would, against this test's service."""
    guarded = settings.model_copy(update=make_keys())
    server = make_server("127.0.0.1", 0, application(guarded, real_store), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    yield Billing(f"http://127.0.0.1:{server.port}", python)
    server.shutdown()
    thread.join()
    server.server_close()


def make_keys() -> dict[str, Any]:
    """Return settings with an operator key and an API key."""
    keys = make_settings(operator_keys=KEY, api_keys="api-key-0123456789")
    return {"operator_keys": keys.operator_keys, "api_keys": keys.api_keys}


def test_the_settings_file_may_be_elsewhere(billing: Billing, tmp_path: Path) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text(f"OPERATOR_KEYS=kim:{KEY}\n")
    del billing.environment["BILLING_OPERATOR_KEY"]
    assert billing("queues").returncode == 1
    assert billing("queues", BILLING_ENV_FILE=str(settings)).returncode == 0


def test_every_command_says_what_it_does(billing: Billing) -> None:
    """Also those that are made in a loop, and have no docstring."""
    page = billing("refund-batch", "--help").stdout
    helps = dict(re.findall(r"│ ([a-z]+) +(\S.*?) *│", page))
    assert {"start", "pause", "resume", "cancel", "retry"} <= set(helps)


@pytest.mark.parametrize("command", ["doctor", "stripe register", "dead-letters redrive"])
@pytest.mark.parametrize("columns", [60, 80])
def test_a_help_text_fills_its_lines(billing: Billing, command: str, columns: int) -> None:
    page = billing(*command.split(), "--help", COLUMNS=str(columns)).stdout
    text = re.split(r"Usage:.*\n", page.partition("╭")[0])[1]
    lines = [line.strip() for line in text.splitlines()]
    pairs = [(line, below) for line, below in pairwise(lines) if line and below]
    assert pairs
    for line, below in pairs:
        assert len(f" {line} {below.split()[0]} ") > columns, line


def test_dead_letters_are_listed_for_a_person_and_for_a_script(
    billing: Billing, real_store: Store
) -> None:
    bury(real_store, "evt_1", error="no payment")
    output = billing("dead-letters", "list")
    assert output.returncode == 0, output.stderr
    assert "evt_1" in output.stdout
    assert "no payment" in output.stdout
    items = json.loads(billing("dead-letters", "list", "--kind", "events", "--json").stdout)
    assert [item["id"] for item in items["data"]] == ["evt_1"]


def test_a_dry_run_touches_nothing_and_yes_redrives(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1", error="timeout")
    search = ("dead-letters", "redrive", "--kind", "events", "--error", "timeout")
    assert "would redrive  evt_1" in billing(*search, "--dry-run").stdout
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 1
    result = billing(*search, "--yes", "--reason", "fixed")
    assert "redriven  evt_1" in result.stdout, result.stderr
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 0
    (audit,) = json.loads(billing("audit", "--json").stdout)["data"]
    assert (audit["by"], audit["reason"], len(audit["key"])) == ("kim", "fixed", 16)


def test_a_redrive_that_nobody_confirmed_does_nothing(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    result = billing("dead-letters", "redrive", "evt_1")
    assert result.returncode == 4
    assert "--yes" in result.stderr
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 1


def test_several_ids_are_redriven_and_an_unknown_one_is_an_error(
    billing: Billing, real_store: Store
) -> None:
    bury(real_store, "evt_1")
    bury_notifications(real_store, "pi_1", "ntf_1")
    process = billing("dead-letters", "redrive", "evt_1", "ntf_1", "evt_9", "--yes", "--json")
    result = json.loads(process.stdout)
    assert result["redriven"] == ["evt_1", "ntf_1"]
    assert result["skipped"] == {"evt_9": "unknown"}
    assert process.returncode == 1
    assert "No item has this id: evt_9" in process.stderr


def test_a_redrive_that_did_nothing_says_so_with_its_own_status(billing: Billing) -> None:
    for search in (("--kind", "events"), ("--kind", "refunds", "--dry-run")):
        result = billing("dead-letters", "redrive", *search, "--yes")
        assert (result.returncode, result.stderr) == (
            4,
            "Nothing was redriven: no dead letter matches.\n",
        )


def test_what_was_shown_is_redriven_and_nothing_that_died_meanwhile(
    billing: Billing, real_store: Store
) -> None:
    bury(real_store, "evt_shown", error="timeout")
    screen = billing.on_screen("dead-letters", "redrive", "--kind", "events")
    assert "would redrive  evt_shown" in screen.read_until("Redrive these 1 of 1?")
    bury(real_store, "evt_meanwhile", error="timeout")
    screen.type("y\n")
    assert screen.ended() == 0
    dead = real_store.redis.zrange(real_store.keys.dead(EVENTS), 0, -1)
    assert dead == ["evt_meanwhile"]


def test_a_redrive_that_is_declined_does_nothing(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    screen = billing.on_screen("dead-letters", "redrive", "evt_1")
    screen.read_until("Redrive these 1 of 1?")
    screen.type("n\n")
    assert screen.ended() == 4
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead-letters", "redrive"),
        ("dead-letters", "redrive", "evt_1", "--kind", "events"),
        ("dead-letters", "list", "--kind", "letters"),
        ("refunds", "resolve", "rr_1"),
        ("events", "list", "--limit", "0"),
        ("evnts",),
    ],
)
def test_a_command_line_that_is_wrong_ends_with_status_2(
    billing: Billing, arguments: tuple[str, ...]
) -> None:
    result = billing(*arguments)
    assert (result.returncode, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("dead-letters", "list"), "No dead letters found.\n"),
        (("events", "list", "--type", "charge.*"), "No events found.\n"),
        (("audit",), "No operator has done anything yet.\n"),
    ],
)
def test_an_empty_list_is_said_in_words(
    billing: Billing, command: tuple[str, ...], words: str
) -> None:
    result = billing(*command)
    assert (result.returncode, result.stdout) == (0, words)


def test_the_version_is_that_of_the_project(billing: Billing) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert billing("--version").stdout == f"billing {project['version']}\n"


HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m [bold red] \u202egnp.exe\nforged: line"


def test_nothing_that_others_sent_steers_the_terminal(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1", event_type="charge.\x1b[31mupdated", error=HOSTILE)
    commands = (("dead-letters", "list"), ("dead-letters", "show", "evt_1"), ("events", "list"))
    for command in commands:
        for arguments in (command, (*command, "--json")):
            output = billing(*arguments).stdout
            assert "evt_1" in output
            assert not set(output) & set("\x1b\x07\x9b\u202e")
            assert "\nforged" not in output
    report = billing("dead-letters", "list").stdout
    assert "\\u001b[2J" in report
    assert "[bold red]" in report
    assert (
        json.loads(billing("dead-letters", "list", "--json").stdout)["data"][0]["error"] == HOSTILE
    )


LONG_ID = "evt_1TnbZLKdfU3hXEhNB0a2CqRy"
LISTS = (("dead-letters", "list"), ("events", "list"), ("payments", "list"))


@pytest.mark.parametrize(
    "columns",
    [40, pytest.param(60, marks=pytest.mark.long), pytest.param(80, marks=pytest.mark.long), 200],
)
def test_a_table_fits_the_terminal_and_ids_are_whole(
    billing: Billing, real_store: Store, hands: Hands, columns: int
) -> None:
    bury(real_store, LONG_ID, error="the event service answered with status 500 " * 5)
    payment = pay(hands, customer_email="a.long.address@a-long-domain.example.com")
    for arguments in LISTS:
        screen = billing.on_screen(*arguments, columns=columns)
        text = screen.rest()
        lines = [line for line in text.splitlines() if "go on with" not in line]
        assert max(map(len, lines)) <= columns, text
        expected = payment if "payments" in arguments else LONG_ID
        # In 40 columns, an id of 28 characters leaves no room for the longest titles.
        assert columns < 60 or expected in text, text
        assert screen.ended() == 0


def test_where_no_table_fits_each_row_is_a_block(billing: Billing, real_store: Store) -> None:
    for number in (1, 2):
        bury(real_store, f"{LONG_ID}{number}", error="gone")
    screen = billing.on_screen("events", "list", columns=60)
    text = screen.rest()
    assert screen.ended() == 0
    blocks = [block.split() for block in text.strip().split("\n\n")]
    assert [LONG_ID + "2" in blocks[0], LONG_ID + "1" in blocks[1]] == [True, True]
    assert all(block.count("STATE") == 1 for block in blocks)


def test_states_have_colours_on_a_terminal_only(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    arguments = ("events", "list")
    red = "\x1b[1;31mdead"
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        screen = billing.on_screen(*arguments, **environment)
        assert (red in screen.rest(plain=False)) is coloured
        assert screen.ended() == 0
    assert "\x1b[" not in billing(*arguments).stdout


def test_an_item_is_shown_with_its_attempts(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1", error="no payment")
    output = billing("dead-letters", "show", "evt_1").stdout
    assert "state: dead" in output
    assert '"error": "no payment"' in output


def test_the_payments_of_an_event_are_listed_and_summed_up(billing: Billing, hands: Hands) -> None:
    metadata = {"event_id": "7", "user_id": "u-1"}
    payments = [
        pay(hands, amount=amount, metadata=metadata, customer_email="kim@example.com")
        for amount in (1000, 250)
    ]
    pay(hands, metadata={"event_id": "8"})
    report = billing("payment", "show", payments[0]).stdout
    assert report.startswith(f"{payments[0]}: payment succeeded"), "the payment goes first"
    output = billing("payments", "list", "--event", "7").stdout.splitlines()
    assert output[0].split()[:3] == ["CREATED", "PAYMENT", "ID"]
    assert [line.split()[1:5] for line in output[1:]] == [
        [payments[1], "succeeded", "2.50", "SGD"],
        [payments[0], "succeeded", "10.00", "SGD"],
    ]
    page = json.loads(billing("payments", "list", "--event", "7", "--limit", "1", "--json").stdout)
    assert [row["payment_id"] for row in page["data"]] == [payments[1]]
    assert "continue with --after" in billing("payments", "list", "--limit", "1").stdout
    after = billing("payments", "list", "--event", "7", "--after", payments[1]).stdout
    assert payments[0] in after
    assert payments[1] not in after
    sums = billing("payments", "sums", "--email", "kim@example.com").stdout.splitlines()
    assert sums[1].split() == ["succeeded", "2", "0", "12.50", "SGD", "0.00", "SGD"]
    assert billing("payments", "list", "--user", "nobody").stdout == "No payments found.\n"
    assert billing("payments", "list", "--metadata", "seat").returncode == 2
    refusal = billing("payments", "list", "--metadata", "seat=12")
    assert (refusal.returncode, "INDEXED_METADATA" in refusal.stderr) == (1, True)


def test_a_payments_story_is_told(billing: Billing, hands: Hands) -> None:
    payment = hands.pay(metadata={"event_id": "7"}).get_json()["payment_intent_id"]
    body = {"payment_intent_id": payment, "amount": 300}
    assert hands.client.post("/api/refund/process", json=body).status_code == 202
    hands.work()
    hands.deliver_events()
    hands.work()
    output = billing("payment", "show", payment).stdout
    assert f"{payment}: payment succeeded\n  amount: 10.00 SGD\n" in output
    assert "  amount_received: 10.00 SGD\n" in output
    assert "metadata:\n  event_id: 7\n" in output
    assert ": refund succeeded\n  amount: 3.00 SGD\n" in output
    assert "delivery_attempt" in output
    listing = billing("events", "list", "--payment", payment, "--json").stdout
    assert json.loads(listing)["matched"] > 0


def test_queues_are_told_in_columns(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    lines = billing("queues").stdout.splitlines()
    assert lines[0].split()[:3] == ["NAME", "DEPTH", "OPEN"]
    assert "CONSUMERS" in lines[0]
    assert [line.split()[0] for line in lines[1:5]] == [
        "events",
        "refunds",
        "notifications",
        "upkeep",
    ]


def test_reconcile_is_asked_for(billing: Billing) -> None:
    assert billing("reconcile").stdout.strip() == "outcome: due"


def test_what_is_refused_is_said_with_its_code_and_status_1(billing: Billing) -> None:
    result = billing("events", "show", "evt_unknown")
    assert (result.returncode, result.stdout) == (1, "")
    assert "item_not_found" in result.stderr


def test_a_wrong_key_is_said_without_the_key(billing: Billing) -> None:
    result = billing("queues", BILLING_OPERATOR_KEY="wrong-key-0123")
    assert result.returncode == 1
    assert "unauthorized" in result.stderr
    assert "wrong-key" not in result.stderr


def test_a_service_that_is_away_is_said_with_status_3(billing: Billing) -> None:
    result = billing("queues", BILLING_URL="http://kim:hunter2@127.0.0.1:9/?key=hunter3")
    assert result.returncode == 3
    assert "hunter" not in result.stderr
    assert "Is it running?" in result.stderr
    assert "Traceback" not in result.stderr
