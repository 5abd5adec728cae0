"""Disputes: opened by the holder's bank, answered with evidence, then won, lost or closed.

chargeback  needs_response ──> under_review ──> won | lost
inquiry     warning_needs_response ──> warning_under_review ──> chargeback, or warning_closed
"""

from typing import Any, Final

from sandbox.cards.test_data import DisputeKind
from sandbox.events_out import events
from sandbox.objects import balance, payment_methods
from sandbox.objects.balance import Movement
from sandbox.objects.dispute_evidence import EVIDENCE, blank
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, job, reacts_to

FEE: Final = 1500
"""The fee of a lost or pending chargeback besides the amount: 15.00."""
DAYS_TO_RESPOND: Final = 9
REVIEW_SECONDS: Final = 2.0
"""Seconds until the bank decides, which takes a real bank months."""
CLOSED: Final = ("won", "lost", "warning_closed", "prevented")
OUTCOMES: Final = {
    "winning_evidence": "won",
    "losing_evidence": "lost",
    "escalate_inquiry_evidence": "escalated",
}
"""Texts that decide a test dispute when sent as `uncategorized_text`."""
REASON_CODES: Final = {
    "duplicate": "12.6",
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "product_unacceptable": "13.3",
    "credit_not_processed": "13.6",
    "subscription_canceled": "13.2",
    "unrecognized": "10.4",
}
"""Visa's codes for the reasons a dispute can have;"""
OTHER_REASON_CODE: Final = "12.5"
"""and for the reason `general`."""


def open_dispute(scope: Scope, charge: Json, kind: DisputeKind, inputs: Json | None = None) -> Json:
    """Open a dispute on a charge: an inquiry, or a chargeback, which takes the money at once.

    `inputs` may have `amount` (default: the captured amount), the `currency` of that amount if the
    holder's bank disputes in its own, and `reason`.
    """
    inquiry = kind is DisputeKind.INQUIRY
    usual = "product_not_received" if kind is DisputeKind.NOT_RECEIVED else "fraudulent"
    inputs = {
        "amount": charge["amount_captured"],
        "currency": charge["currency"],
        "reason": usual,
    } | (inputs or {})
    reason = inputs["reason"]
    details = charge["payment_method_details"]
    dispute: Json = {
        "id": ids.new_id("dispute"),
        "object": "dispute",
        "amount": inputs["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": scope.now,
        "currency": inputs["currency"],
        "enhanced_eligibility_types": [],
        "evidence": blank(charge),
        "evidence_details": {
            "due_by": scope.now + DAYS_TO_RESPOND * 24 * 3600,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": details.get("card", {}).get("brand", "visa"),
                "case_type": "inquiry" if inquiry else "chargeback",
                "network_reason_code": REASON_CODES.get(reason, OTHER_REASON_CODE),
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    scope.put("dispute", dispute)
    charge["disputed"] = True
    if not inquiry:
        _withdraw(scope, dispute, charge)
    events.emit(scope, "charge.dispute.created", dispute)
    if not inquiry:
        events.emit(scope, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def _withdraw(scope: Scope, dispute: Json, charge: Json) -> None:
    scope.note(charge["id"])["charged_back"] = True
    description = f"Chargeback withdrawal for {charge['id']}"
    _move(
        scope,
        dispute,
        Movement(
            dispute, -dispute["amount"], "adjustment", "dispute", FEE, description=description
        ),
    )


def _move(scope: Scope, dispute: Json, movement: Movement) -> None:
    transaction = balance.record(scope, movement)
    dispute["balance_transactions"].append(objects.copy_of(transaction))


@reacts_to("payment_intent.succeeded")
def _test_card_disputes(scope: Scope, intent: Json) -> None:
    """Dispute a charge on a disputing test card as soon as it is captured."""
    charge = scope.get("charge", intent["latest_charge"])
    method = scope.get("payment_method", charge["payment_method"])
    if method["type"] != "card":
        return
    kind = payment_methods.card_of(scope, method).dispute
    if kind is DisputeKind.MULTIPLE:
        first = charge["amount_captured"] // 2
        open_dispute(scope.unasked(), charge, kind, {"amount": first})
        open_dispute(scope.unasked(), charge, kind, {"amount": charge["amount_captured"] - first})
    elif kind is not None and kind is not DisputeKind.FRAUD_WARNING:
        open_dispute(scope.unasked(), charge, kind)


@reacts_to("charge.refunded")
def _refund_settles_inquiry(scope: Scope, charge: Json) -> None:
    if not charge["refunded"] or not charge["disputed"]:
        return
    for dispute in scope.account.table("dispute").values():
        if dispute["charge"] == charge["id"] and dispute["status"].startswith("warning_"):
            scope.account.touch(dispute["id"])
            _close(scope, dispute, "warning_closed")


def _submit(scope: Scope, dispute: Json) -> None:
    details = dispute["evidence_details"]
    details["submission_count"] += 1
    inquiry = dispute["status"].startswith("warning_")
    dispute["status"] = "warning_under_review" if inquiry else "under_review"
    outcome = OUTCOMES.get(dispute["evidence"]["uncategorized_text"] or "")
    if outcome is not None:
        scope.later(REVIEW_SECONDS, "decide_dispute", dispute=dispute["id"], outcome=outcome)


@job("decide_dispute")
def _decide(scope: Scope, args: Json) -> None:
    dispute, outcome = scope.get("dispute", args["dispute"]), args["outcome"]
    if dispute["status"] in CLOSED:
        return
    if dispute["status"].startswith("warning_"):
        if outcome == "escalated":
            _escalate(scope, dispute)
        else:
            _close(scope, dispute, "warning_closed")
    elif outcome in ("won", "lost"):
        _close(scope, dispute, outcome)


def _escalate(scope: Scope, dispute: Json) -> None:
    before = objects.copy_of(dispute)
    dispute.update(status="needs_response", is_charge_refundable=False)
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    dispute["evidence_details"]["due_by"] = scope.now + DAYS_TO_RESPOND * 24 * 3600
    _withdraw(scope, dispute, scope.get("charge", dispute["charge"]))
    events.emit(scope, "charge.dispute.updated", dispute, before)
    events.emit(scope, "charge.dispute.funds_withdrawn", dispute)


def _close(scope: Scope, dispute: Json, status: str) -> None:
    """End a dispute; if it is won, the money returns."""
    dispute.update(status=status, is_charge_refundable=False)
    if status == "won":
        description = f"Chargeback reversal for {dispute['charge']}"
        _move(
            scope,
            dispute,
            Movement(
                dispute,
                dispute["amount"],
                "adjustment",
                "dispute_reversal",
                -FEE,
                description=description,
            ),
        )
        dispute["is_charge_refundable"] = True
        scope.note(dispute["charge"])["charged_back"] = False
    events.emit(scope, "charge.dispute.closed", dispute)
    if status == "won":
        events.emit(scope, "charge.dispute.funds_reinstated", dispute)


def find(scope: Scope, dispute_id: str) -> Json:
    """Return a dispute, or raise Stripe's 404."""
    dispute = scope.find("dispute", dispute_id)
    if dispute is None:
        raise errors.missing("dispute", dispute_id, "dispute")
    return dispute


def _open_only(dispute: Json) -> None:
    if dispute["status"] in CLOSED:
        raise errors.impossible("This dispute is already closed")


def _retrieve(call: Call) -> Json:
    return find(call.scope, call.ids[0])


def _update(call: Call) -> Json:
    dispute, inputs = find(call.scope, call.ids[0]), call.params
    _open_only(dispute)
    before = objects.copy_of(dispute)
    if "metadata" in inputs:
        objects.merge_metadata(dispute, inputs["metadata"])
    if "evidence" in inputs:
        dispute["evidence"].update(inputs["evidence"])
        dispute["evidence_details"]["has_evidence"] = True
    if inputs.get("submit", "evidence" in inputs):
        _submit(call.scope, dispute)
    events.emit(call.scope, "charge.dispute.updated", dispute, before)
    return dispute


def _close_call(call: Call) -> Json:
    dispute = find(call.scope, call.ids[0])
    _open_only(dispute)
    inquiry = dispute["status"].startswith("warning_")
    _close(call.scope, dispute, "warning_closed" if inquiry else "lost")
    return dispute


def _list(call: Call) -> Json:
    answer = lists.page(call, "dispute", lists.matching(call, "charge", "payment_intent"))
    if "charge" in call.params:
        table = call.scope.account.table("dispute").values()
        answer["count"] = sum(item["charge"] == call.params["charge"] for item in table)
    return answer


_UPDATE: Final[dict[str, Any]] = {
    "evidence": EVIDENCE,
    "metadata": params.metadata(),
    "submit": params.boolean(),
}
_PATH: Final = "/v1/disputes"
ROUTES: Final = (
    Route("GET", _PATH, _list, lists.params(charge=params.text(), payment_intent=params.text())),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route("POST", _PATH + "/{id}", _update, _UPDATE),
    Route("POST", _PATH + "/{id}/close", _close_call),
)
