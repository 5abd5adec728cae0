"""Refunds of a charge, in full or in part: they succeed at once or later, or fail."""

import secrets
from typing import Any, Final

from sandbox.cards.test_data import RefundCourse
from sandbox.events_out import events
from sandbox.objects import balance, charges, money, payment_methods
from sandbox.objects.balance import Movement
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, job, reacts_to

REFERENCE_SECONDS: Final = 3.0
"""Seconds until the acquirer's reference number is known; at Stripe days."""
OUTCOME_SECONDS: Final = 5.0
"""Seconds until a pending refund succeeds, or a succeeded one fails."""
FUNDS_SECONDS: Final = 3600.0
"""Seconds between two checks whether the balance covers a waiting refund."""
REFERENCE_DIGITS: Final = 18
REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")


def create(scope: Scope, charge: Json, inputs: Json) -> Json:
    """Refund a charge. Raises Stripe's refusal."""
    rest = refundable(scope, charge)
    _check_refundable(scope, charge, rest)
    amount = inputs.get("amount", rest)
    if amount > rest:
        amount_text = money.format_amount(amount, charge["currency"])
        left = money.format_amount(rest, charge["currency"])
        whole = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        message = f"Refund amount ({amount_text}) is greater than {whole} ({left})"
        raise errors.impossible(message, param="amount")
    refund = scope.put("refund", _build(scope, charge, inputs | {"amount": amount}))
    _pay_out(scope, refund, charge)
    before = objects.copy_of(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = refundable(scope, charge) == 0
    events.emit(scope, "charge.refunded", charge, before)
    events.emit(scope, "refund.created", refund)
    _plan(scope, refund, charge)
    return refund


def _pay_out(scope: Scope, refund: Json, charge: Json) -> None:
    """Pay the refund from the balance, or let it wait for its charge or for balance."""
    if charge["status"] == "pending":
        refund.update(status="pending", pending_reason="charge_pending")
        return
    if not balance.covers(scope, refund["amount"], refund["currency"]):
        refund.update(status="pending", pending_reason="insufficient_funds")
        return
    description = "REFUND FOR CHARGE"
    movement = Movement(refund, -refund["amount"], "refund", "refund", description=description)
    refund["balance_transaction"] = balance.record(scope, movement)["id"]
    if _course(scope, charge) is RefundCourse.PENDING:
        refund.update(status="pending", pending_reason="processing")
    else:
        refund.pop("pending_reason", None)
        refund["status"] = "succeeded"


def retry_waiting(scope: Scope) -> None:
    """Pay the refunds that wait for balance, oldest first, as far as it suffices."""
    for refund in list(scope.account.table("refund").values()):
        if refund.get("pending_reason") == "insufficient_funds":
            _retry(scope, refund)


def _retry(scope: Scope, refund: Json) -> None:
    scope.account.touch(refund["id"])
    before, charge = objects.copy_of(refund), scope.get("charge", refund["charge"])
    _pay_out(scope, refund, charge)
    if refund != before:
        _emit_change(scope, refund, before)
    _plan(scope, refund, charge)


@job("refund_funds")
def _look_for_funds(scope: Scope, args: Json) -> None:
    refund = scope.get("refund", args["refund"])
    if refund.get("pending_reason") == "insufficient_funds":
        _retry(scope, refund)


@reacts_to("charge.succeeded")
def _charge_arrives(scope: Scope, charge: Json) -> None:
    for refund in _waiting_for(scope, charge):
        _retry(scope.unasked(), refund)


@reacts_to("charge.failed")
def _charge_fails(scope: Scope, charge: Json) -> None:
    for refund in _waiting_for(scope, charge):
        fail(scope.unasked(), refund, "unknown")


def _waiting_for(scope: Scope, charge: Json) -> list[Json]:
    refunds = charges.refunds_of(scope, charge) if charge["amount_refunded"] else []
    return [refund for refund in refunds if refund.get("pending_reason") == "charge_pending"]


def refundable(scope: Scope, charge: Json) -> int:
    """Return how much of the captured amount is not refunded yet."""
    returned: int = charge["amount_refunded"] - scope.note(charge["id"]).get("released", 0)
    return int(charge["amount_captured"]) - returned


def keep_released(scope: Scope, charge: Json, amount: int) -> None:
    """Store the Refund that versions before basil create for held money that was not captured."""
    scope.put("refund", _build(scope, charge, {"amount": amount}))
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    scope.note(charge["id"])["released"] = amount


def _check_refundable(scope: Scope, charge: Json, rest: int) -> None:
    if charge["status"] == "failed" or not charge["captured"]:
        message = (
            f"Charge {charge['id']} has not been captured: there is nothing to refund. Cancel its "
            "PaymentIntent instead."
        )
        raise errors.impossible(message)
    if scope.note(charge["id"]).get("charged_back"):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise errors.impossible(message, "charge_disputed")
    if rest <= 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise errors.impossible(message, "charge_already_refunded")


def _course(scope: Scope, charge: Json) -> RefundCourse | None:
    method = scope.get("payment_method", charge["payment_method"])
    return payment_methods.card_of(scope, method).refund if method["type"] == "card" else None


def _build(scope: Scope, charge: Json, inputs: Json) -> Json:
    return {
        "id": ids.new_id("refund"),
        "object": "refund",
        "amount": inputs["amount"],
        "balance_transaction": None,
        "charge": charge["id"],
        "created": scope.now,
        "currency": charge["currency"],
        "destination_details": _destination(charge),
        "metadata": inputs.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "reason": inputs.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def _destination(charge: Json) -> Json:
    if charge["payment_method_details"]["type"] != "card":
        return {"type": charge["payment_method_details"]["type"]}
    card = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return {"card": card, "type": "card"}


def _plan(scope: Scope, refund: Json, charge: Json) -> None:
    course = _course(scope, charge)
    if refund["status"] == "pending" and refund["pending_reason"] != "processing":
        if refund["pending_reason"] == "insufficient_funds":
            scope.later(FUNDS_SECONDS, "refund_funds", refund=refund["id"])
    elif course is RefundCourse.PENDING:
        scope.later(OUTCOME_SECONDS, "refund_succeeds", refund=refund["id"])
    elif course is RefundCourse.FAILS:
        scope.later(OUTCOME_SECONDS, "refund_fails", refund=refund["id"])
    elif refund["destination_details"]["type"] == "card":
        scope.later(REFERENCE_SECONDS, "refund_reference", refund=refund["id"])


def _emit_change(scope: Scope, refund: Json, before: Json) -> None:
    events.emit(scope, "refund.updated", refund, before)
    events.emit(scope, "charge.refund.updated", refund, before)


@job("refund_reference")
def _reference_arrives(scope: Scope, args: Json) -> None:
    refund = scope.get("refund", args["refund"])
    if refund["status"] != "succeeded":
        return
    before = objects.copy_of(refund)
    reference = f"{secrets.randbelow(10**REFERENCE_DIGITS):0{REFERENCE_DIGITS}}"
    refund["destination_details"]["card"].update(reference=reference, reference_status="available")
    _emit_change(scope, refund, before)


@job("refund_succeeds")
def _succeeds(scope: Scope, args: Json) -> None:
    refund = scope.get("refund", args["refund"])
    if refund["status"] != "pending":
        return
    before = objects.copy_of(refund)
    refund["status"] = "succeeded"
    del refund["pending_reason"]
    _emit_change(scope, refund, before)


@job("refund_fails")
def _fails(scope: Scope, args: Json) -> None:
    refund = scope.get("refund", args["refund"])
    if refund["status"] in ("succeeded", "pending"):
        fail(scope, refund)


def fail(scope: Scope, refund: Json, reason: str = "expired_or_canceled_card") -> None:
    """Let a refund fail: the money returns to the account, and the charge no longer counts it."""
    scope.account.touch(refund["id"])
    before = objects.copy_of(refund)
    refund.pop("pending_reason", None)
    refund.update(status="failed", failure_reason=reason)
    if refund["balance_transaction"] is not None:
        kind, description = "refund_failure", "REFUND FAILURE"
        movement = Movement(refund, refund["amount"], kind, kind, description=description)
        refund["failure_balance_transaction"] = balance.record(scope, movement)["id"]
    charge = scope.get("charge", refund["charge"])
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    events.emit(scope, "refund.failed", refund)
    _emit_change(scope, refund, before)


def find(scope: Scope, refund_id: str) -> Json:
    """Return a refund, or raise Stripe's 404."""
    refund = scope.find("refund", refund_id)
    if refund is None:
        raise errors.missing("refund", refund_id, "refund")
    return refund


def _charge_of(call: Call) -> Json:
    inputs = call.params
    if "charge" in inputs:
        return charges.find(call.scope, inputs["charge"])
    if "payment_intent" not in inputs:
        message = (
            "One of the following params should be provided for this request: payment_intent or "
            "charge."
        )
        raise errors.invalid(message)
    intent = call.scope.find("payment_intent", inputs["payment_intent"])
    if intent is None:
        raise errors.missing("payment_intent", inputs["payment_intent"], "payment_intent")
    if intent["status"] not in ("succeeded", "processing"):
        message = (
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        )
        raise errors.impossible(message, "payment_intent_unexpected_state")
    return charges.find(call.scope, intent["latest_charge"])


def _create(call: Call) -> Json:
    return create(call.scope, _charge_of(call), call.params)


def _retrieve(call: Call) -> Json:
    return find(call.scope, call.ids[0])


def _update(call: Call) -> Json:
    refund = find(call.scope, call.ids[0])
    before = objects.copy_of(refund)
    if "metadata" in call.params:
        objects.merge_metadata(refund, call.params["metadata"])
    _emit_change(call.scope, refund, before)
    return refund


def _cancel(call: Call) -> Json:
    find(call.scope, call.ids[0])
    raise errors.impossible("Canceling this refund is unsupported.")


def _list(call: Call) -> Json:
    answer = lists.page(call, "refund", lists.matching(call, "charge", "payment_intent"))
    if "charge" in call.params:
        all_of_it = call.scope.account.table("refund").values()
        answer["count"] = sum(item["charge"] == call.params["charge"] for item in all_of_it)
    return answer


_CREATE: Final[dict[str, Any]] = {
    "amount": params.positive(),
    "charge": params.text(),
    **params.not_simulated("currency customer instructions_email origin"),
    "metadata": params.metadata(),
    "payment_intent": params.text(),
    "reason": params.one_of(*REASONS),
    **params.not_simulated("refund_application_fee reverse_transfer", "false"),
}
_PATH: Final = "/v1/refunds"
ROUTES: Final = (
    Route("POST", _PATH, _create, _CREATE),
    Route("GET", _PATH, _list, lists.params(charge=params.text(), payment_intent=params.text())),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route("POST", _PATH + "/{id}", _update, {"metadata": params.metadata()}),
    Route("POST", _PATH + "/{id}/cancel", _cancel),
)
