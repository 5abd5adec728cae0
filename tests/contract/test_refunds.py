from __future__ import annotations

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import pay
from tests.contract.side import Side


def test_a_full_refund_gives_all_back(api: Api, diary: Diary) -> None:
    intent = pay(api)
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    assert refund["id"].startswith("re_3")
    assert (refund["status"], refund["amount"]) == ("succeeded", 2000)
    assert refund["charge"] == intent["latest_charge"]
    assert refund["payment_intent"] == intent["id"]
    assert refund["destination_details"]["card"]["reference_status"] == "pending"
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["refunded"], charge["amount_refunded"]) == (True, 2000)
    events = diary.about(intent["id"])
    assert [e["type"] for e in events if "refund" in e["type"]][:2] == [
        "charge.refunded",
        "refund.created",
    ]
    refunded = next(e for e in events if e["type"] == "charge.refunded")
    assert refunded["data"]["object"]["object"] == "charge"
    assert refunded["data"]["previous_attributes"]["amount_refunded"] == 0
    assert refunded["data"]["previous_attributes"]["refunded"] is False


def test_partial_refunds_add_up(api: Api, diary: Diary) -> None:
    intent = pay(api)
    for amount, full in ((500, False), (1500, True)):
        refund = api.make("/v1/refunds", {"charge": intent["latest_charge"], "amount": amount})
        assert refund["amount"] == amount
        charge = api.find(f"/v1/charges/{intent['latest_charge']}")
        assert charge["refunded"] is full
    assert diary.types(intent["id"]).count("charge.refunded") == 2
    second = diary.last(intent["id"], "charge.refunded")
    assert second["data"]["previous_attributes"]["amount_refunded"] == 500


@pytest.mark.parametrize("reason", ["duplicate", "fraudulent", "requested_by_customer"])
def test_a_refund_remembers_its_reason(api: Api, reason: str) -> None:
    form = {"payment_intent": pay(api)["id"], "reason": reason, "metadata[order]": "7"}
    refund = api.make("/v1/refunds", form)
    assert (refund["reason"], refund["metadata"]) == (reason, {"order": "7"})


def test_an_unknown_reason_is_refused(api: Api) -> None:
    answer = api.post("/v1/refunds", {"payment_intent": pay(api)["id"], "reason": "rain"})
    assert (answer.status, answer.error["param"]) == (400, "reason")


def test_a_metadata_change_is_an_update(api: Api, diary: Diary) -> None:
    intent = pay(api)
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    api.make(f"/v1/refunds/{refund['id']}", {"metadata[order_id]": "6735"})
    for event_type in ("refund.updated", "charge.refund.updated"):
        event = next(
            e
            for e in diary.about(refund["id"])
            if e["type"] == event_type and "metadata" in e["data"]["previous_attributes"]
        )
        assert event["data"]["object"]["metadata"] == {"order_id": "6735"}
        assert event["data"]["previous_attributes"] == {"metadata": {"order_id": None}}


def test_the_reference_becomes_available_later(api: Api, diary: Diary, side: Side) -> None:
    refund = api.make("/v1/refunds", {"payment_intent": pay(api)["id"]})

    def available() -> bool:
        details = api.find(f"/v1/refunds/{refund['id']}")["destination_details"]
        return bool(details["card"]["reference_status"] == "available")

    side.eventually(available, "the refund's reference")
    types = diary.types(refund["id"])
    assert types == ["refund.created", "refund.updated", "charge.refund.updated"]


def test_a_pending_refund_succeeds_later(api: Api, side: Side) -> None:
    intent = pay(api, "pm_card_pendingRefund")
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    assert refund["status"] == "pending"
    side.eventually(
        lambda: api.find(f"/v1/refunds/{refund['id']}")["status"] == "succeeded",
        "the pending refund",
    )


def test_a_refund_can_fail_after_it_succeeded(api: Api, diary: Diary, side: Side) -> None:
    intent = pay(api, "pm_card_refundFail")
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    assert refund["status"] in {"succeeded", "pending"}
    side.eventually(
        lambda: api.find(f"/v1/refunds/{refund['id']}")["status"] == "failed",
        "the refund to fail",
    )
    failed = diary.last(refund["id"], "refund.failed")["data"]["object"]
    assert failed["failure_reason"]
    assert {"refund.updated", "charge.refund.updated"} <= set(diary.types(refund["id"]))
    charge = api.find(f"/v1/charges/{intent['latest_charge']}")
    assert (charge["refunded"], charge["amount_refunded"]) == (False, 0)


@pytest.mark.fake_only(reason="nobody can make Stripe fail an ordinary refund")
def test_any_refund_can_be_made_to_fail(api: Api, side: Side, diary: Diary) -> None:
    intent = pay(api)
    refund = api.make("/v1/refunds", {"payment_intent": intent["id"]})
    side.control(f"refunds/{refund['id']}/fail", reason="lost_or_stolen_card")
    failed = api.find(f"/v1/refunds/{refund['id']}")
    assert (failed["status"], failed["failure_reason"]) == ("failed", "lost_or_stolen_card")
    diary.last(refund["id"], "refund.failed")
