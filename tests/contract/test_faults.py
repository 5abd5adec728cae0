"""The sandbox's faults, as the official SDK sees them, and its state on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stripe

from tests.contract.client import Api
from tests.contract.purchases import pay
from tests.contract.side import Side
from tests.contract.test_cards import DECLINED, SUCCEED, THREE_D_SECURE, card
from tests.servers import wait_until

pytestmark = pytest.mark.fake_only(reason="Stripe does not fail on demand")
FORM: stripe.params.PaymentIntentCreateParams = {"amount": 500, "currency": "usd"}
NUMBERS = {*SUCCEED.values(), *(d[0] for d in DECLINED.values()), *THREE_D_SECURE.values()}


@pytest.fixture
def patient(side: Side) -> Iterator[stripe.StripeClient]:
    """Return an SDK client that retries and keeps no connection; remove all faults afterwards."""
    yield stripe.StripeClient(side.key, base_addresses={"api": side.url}, max_network_retries=2)
    side.forget("faults")


FAULTS = {
    "error": {"kind": "error", "status": 500},
    "limited": {"kind": "error", "status": 429, "should_retry": True, "retry_after": 0},
    "disconnect": {"kind": "disconnect"},
}


def intents(api: Api, mark: str) -> list[str]:
    listing = api.find("/v1/payment_intents", {"limit": 100})["data"]
    return [intent["id"] for intent in listing if intent["description"] == mark]


@pytest.mark.parametrize(
    ("fault", "phase"),
    [(f, p) for f in FAULTS for p in ("before", "after") if (f, p) != ("error", "after")],
)
def test_the_sdk_gets_over_a_fault_without_acting_twice(
    api: Api, side: Side, patient: stripe.StripeClient, fault: str, phase: str
) -> None:
    mark = f"{fault} {phase}"
    side.control("faults", phase=phase, path_prefix="/v1/payment_intents", **FAULTS[fault])
    intent = patient.v1.payment_intents.create({**FORM, "description": mark})
    assert intents(api, mark) == [intent.id]


def test_an_error_after_acting_outlives_the_retries_of_the_sdk(
    api: Api, side: Side, patient: stripe.StripeClient
) -> None:
    mark = "kept error"
    fault = {"kind": "error", "status": 500, "phase": "after"}
    side.control("faults", path_prefix="/v1/payment_intents", **fault)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as refusal:
            patient.v1.payment_intents.create(
                {**FORM, "description": mark}, {"idempotency_key": mark}
            )
        assert refusal.value.http_status == 500
        assert refusal.value.headers["Idempotent-Replayed"] == "true"
    assert len(intents(api, mark)) == 1


def test_what_is_kept_on_disk_holds_no_card_number(
    fresh_sandbox: Callable[..., tuple[Side, Api]], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    _, api = fresh_sandbox(SANDBOX_STATE=str(state))
    for number in ("4242424242424242", "4000000000000002"):
        method = card(api, number).body["id"]
        api.post(
            "/v1/payment_intents",
            {**FORM, "payment_method_types[]": "card", "payment_method": method, "confirm": "true"},
            Idempotency_Key=f"disk-{number[-4:]}",
        )
    wait_until(lambda: state.exists() and "generic_decline" in state.read_text(), "the state")
    text = state.read_text()
    assert not [number for number in NUMBERS if number in text]


def test_a_restart_goes_on_where_it_was(
    fresh_sandbox: Callable[..., tuple[Side, Api]], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    _, before = fresh_sandbox(SANDBOX_STATE=str(state))
    intent = pay(before)
    wait_until(lambda: state.exists() and intent["id"] in state.read_text(), "the state")
    _, after = fresh_sandbox(SANDBOX_STATE=str(state))
    assert after.find(f"/v1/payment_intents/{intent['id']}")["status"] == "succeeded"
    types = [e["type"] for e in after.find("/v1/events")["data"]]
    assert "payment_intent.succeeded" in types
