"""A restricted key that lacks one right: the doctor names it, and nothing is lost meanwhile.

The sandbox refuses calls as Stripe does (`POST /_sandbox/keys`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from api.redrive import AuditNote, Redrive
from doctor.rights import RIGHTS, examine_key
from shared.errors import Misconfigured
from shared.settings import Settings
from shared.stripe.gateway import StripeGateway
from shared.work.dead_letters import ItemFilter
from shared.work.kinds import EVENTS, REFUNDS
from tests.integration.hands import Hands
from worker import reconcile

Json = dict[str, Any]
# The rights of docs/going-live.md as the sandbox names them; write includes read.
RAK = {
    "PaymentIntents: write": "rak_payment_intent_write",
    "Charges and Refunds: write": "rak_charge_write",
    "Events: read": "rak_event_read",
    "Disputes: read": "rak_dispute_read",
    "Balance transaction sources: read": "rak_balance_transaction_source_read",
    "Balance: read": "rak_balance_read",
    "Checkout Sessions: read": "rak_checkout_session_read",
    "Webhook Endpoints: read": "rak_webhook_read",
}
NEEDED_FOR_REFUNDS = "Charges and Refunds: write"
NEEDED_FOR_RECONCILE = "Events: read"
NEEDED_FOR_PAYING = "PaymentIntents: write"
KIM = AuditNote("abc123def456", name="Kim", reason="the right was given")


class Key:
    """The restricted key of a test, with all rights that the service needs, or without one."""

    def __init__(self, sandbox: str) -> None:
        self.text = f"rk_test_tests_{secrets.token_hex(6)}"
        self._url = f"{sandbox}/_sandbox/keys"
        self.give_all()

    def give_all(self) -> None:
        """Grant the key all rights."""
        self.lack("")

    def lack(self, name: str) -> None:
        """Grant the key all rights but one."""
        rights = [right for subject, right in RAK.items() if subject != name]
        body = {"api_key": self.text, "rights": rights}
        requests.post(self._url, json=body, timeout=5).raise_for_status()


@pytest.fixture
def key(sandbox: str) -> Iterator[Key]:
    yield Key(sandbox)
    requests.delete(f"{sandbox}/_sandbox/keys", timeout=5).raise_for_status()


@pytest.fixture
def settings(settings: Settings, key: Key) -> Settings:
    return settings.model_copy(update={"stripe_secret_key": SecretStr(key.text)})


def findings_about(hands: Hands) -> list[tuple[str, str]]:
    settings = hands.runtime.settings
    return [(f.level, f.what) for f in examine_key(settings, StripeGateway(settings))]


def refund(hands: Hands, payment: str) -> str:
    answer = hands.client.post("/api/refund/process", json={"payment_intent_id": payment})
    assert answer.status_code == 202
    return str(answer.get_json()["refund_request_id"])


def redrive_all(hands: Hands) -> list[str]:
    redrive = Redrive(hands.runtime.store, hands.runtime.settings, hands.runtime.gateway)
    kinds = (EVENTS, REFUNDS)
    return [one for kind in kinds for one in redrive.many(ItemFilter(kind=kind), KIM, 100).ids]


def reconciled(hands: Hands) -> str:
    return reconcile.run_once(hands.runtime, None, budget_seconds=20).outcome


def test_the_rights_in_the_guide_are_enough(hands: Hands) -> None:
    assert findings_about(hands) == [
        ("ok", "the restricted key has every right that this service needs")
    ]
    payment = hands.pay().get_json()["payment_intent_id"]
    job = refund(hands, payment)
    hands.work()
    assert reconciled(hands) == "complete"
    hands.work()
    assert {"payment.succeeded", "refund.succeeded"} <= set(hands.notified_types())
    assert hands.client.get(f"/api/refund/{job}").get_json()["status"] == "succeeded"
    answer = hands.client.get(f"/api/payment/{payment}").get_json()
    assert (answer["amount_refunded"], answer["stale"]) == (1000, False)


@pytest.mark.parametrize("name", RAK)
def test_the_doctor_names_the_one_right_that_is_missing(hands: Hands, key: Key, name: str) -> None:
    key.lack(name)
    about = findings_about(hands)
    assert f"the right {name}," in about[0][1]
    # Without write the key cannot read either, where no right to read was given.
    assert {what.split(",")[0].split(":")[0] for _, what in about} == {
        f"the restricted key lacks the right {name.split(':', maxsplit=1)[0]}"
    }


def test_every_right_that_the_doctor_tries_is_tried_here() -> None:
    assert {right.name.split(":")[0] for right in RIGHTS} == {name.split(":")[0] for name in RAK}


@pytest.mark.parametrize("name", RAK)
def test_without_one_right_nothing_is_lost_until_it_is_given(
    hands: Hands, key: Key, name: str
) -> None:
    payment = hands.pay().get_json()["payment_intent_id"]
    key.lack(name)
    answer = hands.pay()
    if name == NEEDED_FOR_PAYING:
        assert (answer.status_code, answer.get_json()["code"]) == (500, "stripe_permission_missing")
    else:
        assert answer.status_code == 200
    hands.deliver_events()
    job = refund(hands, payment)
    hands.work()
    assert "payment.succeeded" in hands.notified_types()
    if name == NEEDED_FOR_RECONCILE:
        with pytest.raises(Misconfigured, match="lacks a permission"):
            reconciled(hands)
    key.give_all()
    assert redrive_all(hands) == ([job] if name == NEEDED_FOR_REFUNDS else [])
    hands.work()
    assert reconciled(hands) == "complete"
    hands.work()
    assert hands.client.get(f"/api/refund/{job}").get_json()["status"] == "succeeded"
    assert hands.notified_types().count("refund.succeeded") == 1
    assert sum(event["type"] == "refund.created" for event in hands.events()) == 1
