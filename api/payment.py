"""Payments: take one, look at one, verify one."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, g, jsonify

from api.idempotency import Answer, IdempotentRequest
from api.idempotent import idempotently
from api.models import (
    PAYMENT_INTENT_ID,
    AccountHeader,
    MoneyHeaders,
    Payment,
    PaymentDetails,
    PaymentPath,
    PaymentVerdict,
    ProcessPayment,
    VerifyPayment,
)
from api.money import ALWAYS, ON_POST, money_blueprint
from api.outcome import made_after_all
from api.parts import parts
from api.problems import documented
from api.refund import shape_refund
from shared.errors import BillingError, CallerError, Unavailable
from shared.facts import amount_refunded, disputed, timestamp
from shared.work.payments import PaymentRecord

Json = dict[str, Any]
payments = money_blueprint("payment")


@payments.post(
    "/process",
    responses={200: Payment, **documented(402, 409), **ON_POST},
)
def process(header: MoneyHeaders, body: ProcessPayment) -> Response:
    """Take a payment. 3D Secure gives 200 with `requires_action`; a decline is a 402."""
    return idempotently(header, body.model_dump(), lambda asked: _charge(header, body, asked))


def _charge(header: MoneyHeaders, body: ProcessPayment, asked: IdempotentRequest) -> Answer:
    params: Json = {
        "amount": body.amount,
        "currency": body.currency,
        "payment_method": body.payment_method,
        "description": body.description,
        "receipt_email": body.customer_email,
        "metadata": body.metadata,
    }
    try:
        intent = _created(header, body, params, asked)
    except BillingError as error:
        _note(error.fields.get("payment_intent_id"), asked, error.code)
        raise
    _note(intent["id"], asked, str(intent["status"]))
    return Answer(200, shape(intent))


def _created(
    header: MoneyHeaders, body: ProcessPayment, params: Json, asked: IdempotentRequest
) -> Json:
    try:
        return parts().gateway.create_payment(
            params={name: value for name, value in params.items() if value},
            return_url=body.return_url,
            idempotency_key=asked.stripe_key,
            account=header.stripe_account,
        )
    except Unavailable as error:
        found = made_after_all(asked, error, header.stripe_account)
        if found is None:
            raise
        return found


def _note(payment_intent_id: str | None, asked: IdempotentRequest, outcome: str) -> None:
    """Tell the timeline of our call; its absence there must not undo a payment."""
    if payment_intent_id is None:
        return
    try:
        parts().payments.note(
            payment_intent_id,
            "payment_requested",
            idempotency_key=asked.key,
            caller=g.caller,
            request_id=g.request_id,
            stripe_call="payment_intents.create",
            outcome=outcome,
        )
    except Unavailable:
        return


@payments.get(
    "/<id:payment_intent_id>", responses={200: PaymentDetails, **documented(400, 404), **ALWAYS}
)
def details(header: AccountHeader, path: PaymentPath) -> Response:
    """Tell how a payment stands and all that happened to it."""
    payment_id = path.payment_intent_id
    if not re.fullmatch(PAYMENT_INTENT_ID, payment_id):
        raise CallerError("No such payment.", status=404, code="payment_not_found")
    try:
        answer = _asked(payment_id, header.stripe_account)
    except Unavailable:
        answer = _remembered(payment_id)
    return jsonify(answer | {"timeline": parts().payments.timeline(payment_id)})


def _asked(payment_id: str, account: str | None) -> Json:
    gateway = parts().gateway
    intent = gateway.payment(payment_id, account)
    refunds = gateway.refunds_of(account, payment_intent=payment_id)
    charge = intent.get("latest_charge") or {}
    return shape(intent) | {
        "amount_received": intent["amount_received"],
        "amount_refunded": charge.get("amount_refunded") or 0,
        "refunds": [shape_refund(refund) for refund in refunds],
        "disputed": bool(charge.get("disputed")),
        "stale": False,
        "as_of": timestamp(parts().store.now_ms() / 1000),
    }


def _remembered(payment_id: str) -> Json:
    """Give the last state known from webhooks. Raises `Unavailable` when nothing is known."""
    record = parts().payments.read(payment_id)
    snapshot = record.state.get("snapshot")
    if not snapshot:
        raise Unavailable(
            "Stripe does not answer and nothing is known of this payment yet; ask again.",
            code="stripe_unreachable",
            retry_after_seconds=5,
        )
    status = str(snapshot["status"])
    return {
        "success": status == "succeeded",
        "status": status,
        "payment_intent_id": payment_id,
        "client_secret": None,
        "requires_action": status == "requires_action",
        "next_action": None,
        "receipt_url": None,
        **{name: snapshot[name] for name in ("amount", "currency", "charge_id", "created")},
        "livemode": bool(snapshot["livemode"]),
        "metadata": snapshot["metadata"],
        "amount_received": snapshot.get("amount_received") or 0,
        "amount_refunded": amount_refunded(record.known),
        "refunds": _remembered_refunds(record),
        "disputed": disputed(record.known),
        "stale": True,
        "as_of": timestamp((record.updated_at_ms or 0) / 1000),
    }


def _remembered_refunds(record: PaymentRecord) -> list[Json]:
    return [
        shape_refund(
            state["snapshot"]
            | {"id": refund_id, "status": state["status"], "payment_intent": record.id}
        )
        for refund_id, state in record.known["subjects"].items()
        if state["family"] == "refund"
    ]


@payments.post(
    "/verify",
    responses={200: PaymentVerdict, **documented(404), **ON_POST},
)
def verify(header: AccountHeader, body: VerifyPayment) -> Response:
    """Say whether a payment succeeded, as expected: asks Stripe, never a cache."""
    intent = parts().gateway.payment(body.payment_intent_id, header.stripe_account)
    reason = _reason(intent, body)
    charge = intent.get("latest_charge") or {}
    return jsonify(
        {
            "verified": reason is None,
            "payment_intent_id": intent["id"],
            "status": intent["status"],
            "reason": reason,
            "amount": intent["amount"],
            "amount_received": intent["amount_received"],
            "amount_refunded": charge.get("amount_refunded") or 0,
            "currency": intent["currency"],
        }
    )


def _reason(intent: Json, body: VerifyPayment) -> str | None:
    if intent["status"] != "succeeded":
        return "not_succeeded"
    if body.expected_amount not in (None, intent["amount_received"]):
        return "amount_mismatch"
    if body.expected_currency not in (None, intent["currency"]):
        return "currency_mismatch"
    return None


def shape(intent: Json) -> Json:
    """Shape Stripe's payment intent (with `latest_charge` expanded) into our answer."""
    charge = intent.get("latest_charge") or {}
    status = str(intent["status"])
    return {
        "success": status == "succeeded",
        "status": status,
        "payment_intent_id": intent["id"],
        "client_secret": intent.get("client_secret"),
        "requires_action": status == "requires_action",
        "next_action": intent.get("next_action"),
        "amount": intent["amount"],
        "currency": intent["currency"],
        "charge_id": charge.get("id"),
        "receipt_url": charge.get("receipt_url"),
        "created": intent["created"],
        "livemode": intent["livemode"],
        "metadata": intent.get("metadata") or {},
    }
