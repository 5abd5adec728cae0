"""The operators' command line, against the API over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from api.app import create_app
from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.kinds import EVENTS
from tests.conftest import make_settings
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury, bury_notifications
from tests.servers import ROOT

Billing = Callable[..., subprocess.CompletedProcess[str]]
KEY = "operator-key-0123456789"


@pytest.fixture
def billing(settings: Settings, real_store: Store) -> Iterator[Billing]:
    """Run `./billing` as a person would, against this test's service."""
    guarded = settings.model_copy(update=make_keys())
    server = make_server("127.0.0.1", 0, create_app(guarded, real_store), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "BILLING_URL": f"http://127.0.0.1:{server.port}",
            "BILLING_OPERATOR_KEY": KEY,
            "LOGNAME": "kim",
            "NO_COLOR": "1",
        }
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=variables | environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    yield run
    server.shutdown()
    thread.join()
    server.server_close()


def make_keys() -> dict[str, Any]:
    """Give settings with an operator key and an API key."""
    keys = make_settings(operator_keys=KEY, api_keys="api-key-0123456789")
    return {"operator_keys": keys.operator_keys, "api_keys": keys.api_keys}


def test_dead_letters_are_listed_for_a_person_and_for_a_script(
    billing: Billing, real_store: Store
) -> None:
    bury(real_store, "evt_1", error="no payment")
    told = billing("dead-letters", "list")
    assert told.returncode == 0, told.stderr
    assert "evt_1" in told.stdout
    assert "no payment" in told.stdout
    found = json.loads(billing("dead-letters", "list", "--kind", "events", "--json").stdout)
    assert [item["id"] for item in found["data"]] == ["evt_1"]


def test_a_dry_run_touches_nothing_and_yes_redrives(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1", error="timeout")
    search = ("dead-letters", "redrive", "--kind", "events", "--error", "timeout")
    assert "would redrive  evt_1" in billing(*search, "--dry-run").stdout
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 1
    done = billing(*search, "--yes", "--reason", "fixed")
    assert "redriven  evt_1" in done.stdout, done.stderr
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 0
    (audit,) = json.loads(billing("audit", "--json").stdout)["data"]
    assert (audit["by"], audit["reason"], len(audit["key"])) == ("kim", "fixed", 16)


def test_a_redrive_that_nobody_confirmed_does_nothing(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    done = billing("dead-letters", "redrive", "evt_1")
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert real_store.redis.zcard(real_store.keys.dead(EVENTS)) == 1


def test_several_ids_are_redriven_at_once(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    bury_notifications(real_store, "pi_1", "ntf_1")
    done = json.loads(
        billing("dead-letters", "redrive", "evt_1", "ntf_1", "evt_9", "--yes", "--json").stdout
    )
    assert done["redriven"] == ["evt_1", "ntf_1"]
    assert done["skipped"] == {"evt_9": "unknown"}


def test_an_item_is_shown_with_its_attempts(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1", error="no payment")
    told = billing("dead-letters", "show", "evt_1").stdout
    assert "state: dead" in told
    assert '"error": "no payment"' in told


def test_a_payments_story_is_told(billing: Billing, hands: Hands) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    told = billing("payment", "show", payment).stdout
    assert f"{payment}: payment succeeded" in told
    assert "delivery_attempt" in told
    listed = billing("events", "list", "--payment", payment, "--json").stdout
    assert json.loads(listed)["matched"] > 0


def test_queues_are_told_in_columns(billing: Billing, real_store: Store) -> None:
    bury(real_store, "evt_1")
    lines = billing("queues").stdout.splitlines()
    assert lines[0].split()[:3] == ["NAME", "DEPTH", "OPEN"]
    assert [line.split()[0] for line in lines[1:5]] == [
        "events",
        "refunds",
        "notifications",
        "upkeep",
    ]


def test_reconcile_is_asked_for(billing: Billing) -> None:
    assert billing("reconcile").stdout.strip() == "outcome: due"


def test_what_is_refused_is_said_with_its_code_and_status_1(billing: Billing) -> None:
    done = billing("events", "show", "evt_unknown")
    assert (done.returncode, done.stdout) == (1, "")
    assert "item_not_found" in done.stderr


def test_a_wrong_key_is_said_without_the_key(billing: Billing) -> None:
    done = billing("queues", BILLING_OPERATOR_KEY="wrong-key-0123")
    assert done.returncode == 1
    assert "unauthorized" in done.stderr
    assert "wrong-key" not in done.stderr


def test_a_service_that_is_away_is_said_with_status_2(billing: Billing) -> None:
    done = billing("queues", BILLING_URL="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "Is it running?" in done.stderr
    assert "Traceback" not in done.stderr
