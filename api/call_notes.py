"""Note the calls to Stripe that we made for a caller on the payment's timeline."""

from __future__ import annotations

from flask import g

from api.idempotency import IdempotentRequest
from api.parts import parts
from shared.errors import Unavailable


def note_call(
    payment_id: str, kind: str, keyed_request: IdempotentRequest, *, stripe_call: str, outcome: str
) -> None:
    """Note a call and its outcome; a note that cannot be written does not fail the request."""
    try:
        parts().payments.note(
            payment_id,
            kind,
            idempotency_key=keyed_request.key,
            caller=g.caller,
            request_id=g.request_id,
            stripe_call=stripe_call,
            outcome=outcome,
        )
    except Unavailable:
        return
