"""Routes of payments: take one, read one, verify one."""

from __future__ import annotations

import re
from typing import Any

from flask import Response

from api.access import account_of
from api.blueprints import ON_GET, ON_POST, money_blueprint
from api.call_notes import note_call
from api.idempotency import IdempotentRequest, KeptAnswer
from api.idempotent import idempotently
from api.models import (
    PAYMENT_ID,
    AccountHeader,
    MoneyHeaders,
    Payment,
    PaymentDetails,
    PaymentPath,
    PaymentVerdict,
    ProcessPayment,
    VerifyPayment,
)
from api.outcome import made_after_all
from api.parts import parts
from api.payment_answers import (
    details_from_stripe,
    details_remembered,
    payment_answer,
    payment_from_stripe,
    verdict,
)
from api.problems import documented
from api.reply import reply
from shared.errors import BillingError, CallerError, Unavailable
from shared.stripe.amounts import received

Json = dict[str, Any]
payments = money_blueprint("payment")


@payments.post(
    "/process",
    responses={200: Payment, **documented(402, 409), **ON_POST},
)
def process(header: MoneyHeaders, body: ProcessPayment) -> Response:
    """Take a payment. 3D Secure gives 200 with `requires_action`; a decline is a 402."""
    return idempotently(
        header, body.model_dump(), lambda keyed_request: _charge(header, body, keyed_request)
    )


def _charge(
    header: MoneyHeaders, body: ProcessPayment, keyed_request: IdempotentRequest
) -> KeptAnswer:
    params: Json = {
        "amount": body.amount,
        "currency": body.currency,
        "payment_method": body.payment_method,
        "description": body.description,
        "receipt_email": body.customer_email,
        "metadata": body.metadata,
        "application_fee_amount": body.application_fee_amount,
        "transfer_data": body.transfer_data and body.transfer_data.model_dump(exclude_none=True),
        "on_behalf_of": body.on_behalf_of,
    }
    try:
        intent = _create(header, body, params, keyed_request)
    except BillingError as error:
        _note(
            error.fields.get("payment_intent_id"),
            keyed_request,
            header.stripe_account,
            error.fields.get("decline_code") or error.code,
        )
        raise
    _note(intent["id"], keyed_request, header.stripe_account, str(intent["status"]))
    return KeptAnswer(200, payment_answer(intent).model_dump(mode="json"))


def _create(
    header: MoneyHeaders, body: ProcessPayment, params: Json, keyed_request: IdempotentRequest
) -> Json:
    try:
        return parts().gateway.create_payment(
            params={name: value for name, value in params.items() if value},
            return_url=body.return_url,
            idempotency_key=keyed_request.stripe_key,
            account=header.stripe_account,
        )
    except Unavailable as error:
        intent = made_after_all(keyed_request, error, header.stripe_account)
        if intent is None:
            raise
        return intent


def _mark(payment_intent_id: str, account: str | None) -> None:
    """Mark the payment as made here, because its events and later requests may not show it."""
    if account or parts().settings.others_payments != "tell":
        parts().payments.remember_made_here(payment_intent_id, account)


def _note(
    payment_intent_id: str | None,
    keyed_request: IdempotentRequest,
    account: str | None,
    outcome: str,
) -> None:
    """Mark and note the payment; a failed write does not fail the request."""
    if payment_intent_id is None:
        return
    try:
        _mark(payment_intent_id, account)
    except Unavailable:
        return
    note_call(
        payment_intent_id,
        "payment_requested",
        keyed_request,
        stripe_call="payment_intents.create",
        outcome=outcome,
    )


@payments.get(
    "/<id:payment_intent_id>", responses={200: PaymentDetails, **documented(400, 404), **ON_GET}
)
def details(header: AccountHeader, path: PaymentPath) -> Response:
    """Read a payment with its refunds, disputes and timeline."""
    payment_id = path.payment_intent_id
    if not re.fullmatch(PAYMENT_ID, payment_id):
        raise CallerError("No payment has this id.", status=404, code="payment_not_found")
    payment_id = parts().payments.intent_of(payment_id) or payment_id
    timeline = parts().payments.timeline(payment_id)
    try:
        return reply(
            details_from_stripe(payment_id, account_of(payment_id, header.stripe_account), timeline)
        )
    except Unavailable:
        return reply(details_remembered(payment_id, timeline))


@payments.post(
    "/verify",
    responses={200: PaymentVerdict, **documented(404), **ON_POST},
)
def verify(header: AccountHeader, body: VerifyPayment) -> Response:
    """Check whether a payment succeeded as expected; asks Stripe, never a cache."""
    payment_id = body.payment_intent_id
    account = account_of(payment_id, header.stripe_account)
    intent = payment_from_stripe(payment_id, account)
    return reply(verdict(intent, _reason(intent, body), account))


def _reason(intent: Json, body: VerifyPayment) -> str | None:
    if intent["status"] != "succeeded":
        return "not_succeeded"
    if body.expected_amount not in (None, received(intent)):
        return "amount_mismatch"
    if body.expected_currency not in (None, intent["currency"]):
        return "currency_mismatch"
    return None
