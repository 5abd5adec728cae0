from __future__ import annotations

from typing import Any

import pytest

from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.purchases import authorize, pay
from tests.contract.side import Side


@pytest.fixture
def disputed(api: Api, side: Side) -> Any:
    """Pay with a card that causes a dispute; return the payment and the dispute."""

    def make(method: str = "pm_card_createDispute") -> tuple[dict[str, Any], dict[str, Any]]:
        intent = pay(api, method)
        return intent, dispute_of(api, side, intent)

    return make


def dispute_of(api: Api, side: Side, intent: dict[str, Any]) -> dict[str, Any]:
    """Wait for the dispute; the sandbox has it at once, Stripe after a second."""
    path = "/v1/disputes"
    disputes = side.eventually(
        lambda: api.find(path, {"payment_intent": intent["id"]})["data"],
        "the dispute",
    )
    return dict(disputes[0])


@pytest.mark.fake_only(reason="Stripe takes about a second")
def test_the_dispute_is_there_at_once(api: Api) -> None:
    intent = pay(api, "pm_card_createDispute")
    assert api.find("/v1/disputes", {"payment_intent": intent["id"]})["data"]
    by_charge = api.find("/v1/disputes", {"charge": intent["latest_charge"]})
    assert by_charge["count"] == 1


def test_a_chargeback_takes_the_money(api: Api, diary: Diary, disputed: Any) -> None:
    intent, dispute = disputed()
    assert dispute["id"].startswith("du_1")
    assert (dispute["status"], dispute["reason"]) == ("needs_response", "fraudulent")
    card = dispute["payment_method_details"]["card"]
    assert (card["case_type"], card["network_reason_code"]) == ("chargeback", "10.4")
    assert dispute["is_charge_refundable"] is False
    [transaction] = dispute["balance_transactions"]
    assert (transaction["type"], transaction["reporting_category"]) == ("adjustment", "dispute")
    assert (transaction["amount"], transaction["fee"]) == (-2000, 1500)
    assert dispute["evidence_details"]["has_evidence"] is False
    assert dispute["evidence_details"]["due_by"] > dispute["created"]
    assert api.find(f"/v1/charges/{intent['latest_charge']}")["disputed"] is True
    types = diary.types(dispute["id"])
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn"} <= set(types)


def test_another_reason_comes_with_another_card(disputed: Any) -> None:
    _, dispute = disputed("pm_card_createDisputeProductNotReceived")
    assert dispute["reason"] == "product_not_received"


def test_an_inquiry_takes_nothing(api: Api, diary: Diary, disputed: Any) -> None:
    intent, dispute = disputed("pm_card_createDisputeInquiry")
    assert dispute["status"] == "warning_needs_response"
    assert dispute["payment_method_details"]["card"]["case_type"] == "inquiry"
    assert dispute["balance_transactions"] == []
    assert dispute["is_charge_refundable"] is True
    assert "charge.dispute.funds_withdrawn" not in diary.types(dispute["id"])
    assert api.post("/v1/refunds", {"payment_intent": intent["id"]}).status == 200


def test_a_disputed_charge_cannot_be_refunded(api: Api, disputed: Any) -> None:
    intent, _ = disputed()
    answer = api.post("/v1/refunds", {"payment_intent": intent["id"]})
    assert (answer.status, answer.error["code"]) == (400, "charge_disputed")


def test_winning_evidence_wins_the_money_back(
    api: Api, side: Side, diary: Diary, disputed: Any
) -> None:
    _, dispute = disputed()
    path = f"/v1/disputes/{dispute['id']}"
    response = api.make(
        path, {"evidence[uncategorized_text]": "winning_evidence", "submit": "true"}
    )
    assert response["status"] in {"under_review", "won"}
    side.eventually(lambda: api.find(path)["status"] == "won", "the dispute to be won")
    won = api.find(path)
    assert len(won["balance_transactions"]) == 2
    assert sum(t["amount"] for t in won["balance_transactions"]) == 0
    for event_type in ("charge.dispute.funds_reinstated", "charge.dispute.closed"):
        assert diary.last(dispute["id"], event_type)["data"]["object"]["status"] == "won"


def test_losing_evidence_loses(api: Api, side: Side, diary: Diary, disputed: Any) -> None:
    _, dispute = disputed()
    path = f"/v1/disputes/{dispute['id']}"
    api.make(path, {"evidence[uncategorized_text]": "losing_evidence"})
    side.eventually(lambda: api.find(path)["status"] == "lost", "the dispute to be lost")
    assert diary.last(dispute["id"], "charge.dispute.closed")["data"]["object"]["status"] == "lost"
    assert "charge.dispute.funds_reinstated" not in diary.types(dispute["id"])


def test_evidence_can_be_staged_before_it_is_sent(api: Api, disputed: Any) -> None:
    _, dispute = disputed()
    staged = api.make(
        f"/v1/disputes/{dispute['id']}",
        {"evidence[customer_name]": "Jenny Rosen", "submit": "false"},
    )
    assert staged["evidence"]["customer_name"] == "Jenny Rosen"
    assert staged["evidence_details"]["has_evidence"] is True
    assert staged["evidence_details"]["submission_count"] == 0
    assert staged["status"] == "needs_response"


def test_closing_is_losing(api: Api, diary: Diary, disputed: Any) -> None:
    _, dispute = disputed()
    closed = api.make(f"/v1/disputes/{dispute['id']}/close")
    assert closed["status"] == "lost"
    diary.last(dispute["id"], "charge.dispute.closed")
    for path, form in (("/close", {}), ("", {"metadata[a]": "b"})):
        answer = api.post(f"/v1/disputes/{dispute['id']}{path}", form)
        assert answer.status == 400
        assert answer.error["message"].startswith("This dispute is already closed")


def test_a_metadata_change_is_an_update(api: Api, diary: Diary, disputed: Any) -> None:
    _, dispute = disputed("pm_card_createDisputeInquiry")
    api.make(f"/v1/disputes/{dispute['id']}", {"metadata[foo]": "bar"})
    event = diary.last(dispute["id"], "charge.dispute.updated")
    assert event["data"]["previous_attributes"] == {"metadata": {"foo": None}}


def test_an_inquiry_can_escalate(api: Api, side: Side, disputed: Any) -> None:
    _, dispute = disputed("pm_card_createDisputeInquiry")
    path = f"/v1/disputes/{dispute['id']}"
    api.make(path, {"evidence[uncategorized_text]": "escalate_inquiry_evidence"})
    side.eventually(
        lambda: api.find(path)["status"] == "needs_response",
        "the inquiry to become a chargeback",
    )
    assert len(api.find(path)["balance_transactions"]) == 1


def test_a_held_charge_is_disputed_after_capture(api: Api, side: Side) -> None:
    intent = authorize(api, "pm_card_createDispute")
    assert api.find("/v1/disputes", {"payment_intent": intent["id"]})["data"] == []
    api.make(f"/v1/payment_intents/{intent['id']}/capture")
    assert dispute_of(api, side, intent)["status"] == "needs_response"


def test_some_charges_are_disputed_more_than_once(api: Api, side: Side) -> None:
    intent = pay(api, "pm_card_createMultipleDisputes")
    side.eventually(
        lambda: len(api.find("/v1/disputes", {"payment_intent": intent["id"]})["data"]) > 1,
        "a second dispute",
    )


@pytest.mark.fake_only(reason="nobody can make Stripe dispute an ordinary charge")
def test_any_charge_can_be_disputed_later(api: Api, side: Side) -> None:
    intent = pay(api)
    side.control("disputes", payment_intent=intent["id"], kind="inquiry")
    assert dispute_of(api, side, intent)["status"] == "warning_needs_response"
