"""Note the calls to Stripe that we made for a caller on the payment's timeline."""

from __future__ import annotations

from flask import g

from api.idempotency import IdempotentRequest
from api.parts import parts


def note_call(
    payment_id: str, kind: str, keyed_request: IdempotentRequest, *, stripe_call: str, outcome: str
) -> None:
    """Note a call and its outcome, at the end of the request that made it."""
    note = parts().payments.note(
        payment_id,
        kind,
        idempotency_key=keyed_request.key,
        caller=g.caller,
        request_id=g.request_id,
        stripe_call=stripe_call,
        outcome=outcome,
    )
    keyed_request.notes.append(note)
