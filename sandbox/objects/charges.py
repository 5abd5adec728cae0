"""Charges: the attempts to move money, successful, pending or failed, and their settlement."""

import uuid
from dataclasses import dataclass
from typing import Final

from sandbox.cards.declines import Decline
from sandbox.events_out import events
from sandbox.objects import balance, payment_methods
from sandbox.objects.balance import Movement
from sandbox.wire import expand, lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, job

SETTLEMENT_SECONDS: Final = 1.0
"""`automatic_async` charges get their balance transaction "seconds later"."""
HOLD_SECONDS: Final = 7 * 24 * 3600
"""An authorisation that is not captured expires after seven days."""
APPROVED: Final = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 21,
    "seller_message": "Payment complete.",
    "type": "authorized",
}
ELEVATED: Final = {"risk_level": "elevated", "risk_score": 65}


@dataclass(frozen=True)
class Attempt:
    """The result of an attempt to charge."""

    status: str
    captured: bool = True
    decline: Decline | None = None
    three_ds_result: str | None = None


def create(scope: Scope, intent: Json, method: Json, attempt: Attempt) -> Json:
    """Store the charge of one attempt, without an event."""
    succeeded = attempt.status == "succeeded"
    failed = attempt.status == "failed"
    charge: Json = {
        "id": ids.new_id("charge"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if attempt.captured and not failed else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": None,
        "billing_details": objects.copy_of(method["billing_details"]),
        "calculated_statement_descriptor": intent["statement_descriptor"] or "SANDBOX",
        "captured": attempt.captured and not failed,
        "created": scope.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": attempt.decline.code if attempt.decline else None,
        "failure_message": attempt.decline.message if attempt.decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": _outcome(scope, method, attempt),
        "paid": succeeded,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(scope, intent, method, attempt),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": attempt.status,
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }
    if succeeded:
        show_receipt(scope, charge)
    return scope.put("charge", charge)


def show_receipt(scope: Scope, charge: Json) -> None:
    """Add the receipt page to a paid charge."""
    charge["receipt_url"] = f"{scope.world.base_url}/_sandbox/receipts/{charge['id']}"


def _details(scope: Scope, intent: Json, method: Json, attempt: Attempt) -> Json:
    if method["type"] == "sepa_debit":
        debit = {
            key: value for key, value in method["sepa_debit"].items() if key != "generated_from"
        }
        return {"sepa_debit": {**debit, "mandate": ids.new_id("mandate")}, "type": "sepa_debit"}
    card_fields = method["card"]
    approved = attempt.status == "succeeded"
    card: Json = {
        "amount_authorized": intent["amount"] if approved else None,
        "authorization_code": ids.random_text(6).upper() if approved else None,
        "checks": payment_methods.checked(scope, method),
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card_fields["brand"],
        "network_token": {"used": False},
        "network_transaction_id": ids.random_text(15).upper() if approved else None,
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "three_d_secure": _three_d_secure(attempt),
        "wallet": None,
    }
    shared = "brand country exp_month exp_year fingerprint funding last4 regulated_status"
    card.update({key: card_fields[key] for key in shared.split()})
    if not attempt.captured:
        card["capture_before"] = scope.now + HOLD_SECONDS
    return {"card": card, "type": "card"}


def _outcome(scope: Scope, method: Json, attempt: Attempt) -> Json:
    if attempt.decline is not None:
        return attempt.decline.outcome()
    risky = method["type"] == "card" and payment_methods.card_of(scope, method).elevated_risk
    return {**APPROVED, **ELEVATED} if risky else dict(APPROVED)


def _three_d_secure(attempt: Attempt) -> Json | None:
    if attempt.three_ds_result is None:
        return None
    authenticated = attempt.three_ds_result == "authenticated"
    return {
        "authentication_flow": "challenge" if authenticated else None,
        "electronic_commerce_indicator": "05" if authenticated else None,
        "exemption_indicator": None,
        "result": attempt.three_ds_result,
        "result_reason": None if authenticated else "protocol_error",
        "transaction_id": str(uuid.uuid4()),
        "version": "2.2.0",
    }


def settle(scope: Scope, charge: Json) -> None:
    """Record the charge in the balance, without an event."""
    method = scope.find("payment_method", charge["payment_method"])
    at_once = (
        method is not None
        and method["type"] == "card"
        and payment_methods.card_of(scope, method).available_at_once
    )
    movement = Movement(
        charge,
        charge["amount_captured"],
        "charge",
        "charge",
        processed=True,
        at_once=at_once,
        description=charge["description"],
    )
    charge["balance_transaction"] = balance.record(scope, movement)["id"]


@job("settle_charge")
def _settle_later(scope: Scope, args: Json) -> None:
    charge = scope.get("charge", args["charge"])
    if charge["balance_transaction"] is None:
        before = objects.copy_of(charge)
        settle(scope, charge)
        events.emit(scope, "charge.updated", charge, before)


def find(scope: Scope, charge_id: object, param: str = "id") -> Json:
    """Return a charge, or raise Stripe's 404."""
    charge = scope.find("charge", charge_id)
    if charge is None:
        raise errors.missing("charge", charge_id, param)
    return charge


@expand.includable("charge", "refunds", "/v1/charges/{id}/refunds")
def refunds_of(scope: Scope, charge: Json) -> list[Json]:
    """Return the refunds of a charge, newest first."""
    refunds = scope.account.table("refund").values()
    return [refund for refund in refunds if refund["charge"] == charge["id"]][::-1]


def _retrieve(call: Call) -> Json:
    return find(call.scope, call.ids[0])


def _update(call: Call) -> Json:
    charge, inputs = find(call.scope, call.ids[0]), dict(call.params)
    before = objects.copy_of(charge)
    if "metadata" in inputs:
        objects.merge_metadata(charge, inputs.pop("metadata"))
    if "shipping" in inputs:
        charge["shipping"] = objects.shipping(inputs.pop("shipping"))
    charge.update(inputs)
    events.emit(call.scope, "charge.updated", charge, before)
    return charge


def _list(call: Call) -> Json:
    return lists.page(
        call, "charge", lists.matching(call, "customer", "payment_intent", "transfer_group")
    )


def _list_refunds(call: Call) -> Json:
    charge = find(call.scope, call.ids[0])
    return lists.page_of(call, refunds_of(call.scope, charge)[::-1])


def _refuse_create(_: Call) -> Json:
    message = (
        "Direct creation of charges is not supported for new accounts. Create a PaymentIntent "
        "instead."
    )
    raise errors.impossible(message)


CREATE_PARAMS: Final = """
    amount application_fee application_fee_amount capture card currency customer description
    destination metadata on_behalf_of radar_options receipt_email shipping source
    statement_descriptor statement_descriptor_suffix transfer_data transfer_group
""".split()
_PATH: Final = "/v1/charges"
_LIST: Final = lists.params(
    customer=params.text(), payment_intent=params.text(), transfer_group=params.text()
)
ROUTES: Final = (
    Route("GET", _PATH, _list, _LIST),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route("GET", _PATH + "/{id}/refunds", _list_refunds, lists.params()),
    Route(
        "POST",
        _PATH,
        _refuse_create,
        dict.fromkeys(CREATE_PARAMS, params.RefusedLater()),
    ),
    Route(
        "POST",
        _PATH + "/{id}",
        _update,
        {
            "customer": params.text(),
            "description": params.unset_or(params.text()),
            "fraud_details": params.fields(
                {"user_report": params.unset_or(params.one_of("fraudulent", "safe"))}
            ),
            "metadata": params.metadata(),
            "receipt_email": params.email(),
            "shipping": params.SHIPPING,
            "transfer_group": params.text(),
        },
    ),
)
