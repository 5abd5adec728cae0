"""Cancel a payment, so that nobody can pay it; when it was paid before, say so."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, request
from pydantic import ValidationError

from api.access import account_of
from api.blueprints import ON_POST
from api.call_notes import note_call
from api.idempotency import IdempotentRequest, KeptAnswer
from api.idempotent import idempotently
from api.models import PAYMENT_INTENT_ID, CanceledPayment, CancelPayment, MoneyHeaders, PaymentPath
from api.parts import parts
from api.payment import payments
from api.payment_answers import canceled_answer
from api.problems import documented, from_validation
from shared.errors import CallerError
from shared.stripe.amounts import received

Json = dict[str, Any]
# Stripe's code for an intent in a state that cannot be canceled.
ENDED = "payment_intent_unexpected_state"
# The body is optional, which the library cannot document; so it is documented by hand.
DOCUMENTED: Json = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": CancelPayment.model_json_schema()}},
    }
}


@payments.post(
    "/<id:payment_intent_id>/cancel",
    responses={200: CanceledPayment, **documented(404, 409), **ON_POST},
    openapi_extensions=DOCUMENTED,
)
def cancel(header: MoneyHeaders, path: PaymentPath) -> Response:
    """Cancel an unpaid or authorised payment; 409 with its state when it has succeeded."""
    payment_id = path.payment_intent_id
    if not re.fullmatch(PAYMENT_INTENT_ID, payment_id):
        raise CallerError("No payment intent has this id.", status=404, code="payment_not_found")
    try:
        body = CancelPayment.model_validate(request.get_json(silent=True) or {})
    except ValidationError as error:
        return from_validation(error)
    account = account_of(payment_id, header.stripe_account)

    def act(keyed_request: IdempotentRequest) -> KeptAnswer:
        intent = _cancel(payment_id, account, body, keyed_request)
        note_call(
            payment_id,
            "payment_cancel_requested",
            keyed_request,
            stripe_call="payment_intents.cancel",
            outcome=str(intent["status"]),
        )
        return KeptAnswer(200, canceled_answer(intent).model_dump(mode="json"))

    return idempotently(header, body.model_dump() | {"cancel": payment_id}, act)


def _cancel(
    payment_id: str, account: str | None, body: CancelPayment, keyed_request: IdempotentRequest
) -> Json:
    """Cancel at Stripe; look a payment up that had already ended. Raises `CallerError` 409."""
    try:
        return parts().gateway.cancel_payment(
            payment_id,
            reason=body.reason,
            idempotency_key=keyed_request.stripe_key,
            account=account,
        )
    except CallerError as error:
        if error.code != ENDED:
            raise
        intent = parts().gateway.payment(payment_id, account)
        if intent["status"] == "canceled":
            return intent
        raise CallerError(
            "This payment can no longer be canceled; refund it instead.",
            status=409,
            code="payment_not_cancelable",
            payment_intent_id=payment_id,
            payment_status=intent["status"],
            amount_received=received(intent),
            currency=intent["currency"],
        ) from error
