"""Find the outcome of a payment when Stripe answered with an error 5xx."""

from __future__ import annotations

from typing import Any

from api.idempotency import IdempotentRequest
from api.parts import parts
from shared.errors import PaymentDeclined, Unavailable
from shared.work.outcomes import Outcomes, object_in_events

Json = dict[str, Any]
# Stripe stores its errors 5xx with the idempotency key and repeats them for 24 hours.
REPEATED_BY_STRIPE = "stripe_error"


def made_after_all(
    keyed_request: IdempotentRequest, error: Unavailable, account: str | None
) -> Json | None:
    """Return the payment intent that Stripe made in spite of its error, if it has an outcome.

    None when there is none: the outcome stays unknown, and the same key may be sent again.
    Raises `PaymentDeclined` when the intent was made and the card declined; `Unavailable`.
    """
    if error.code != REPEATED_BY_STRIPE or error.outcome_known:
        return None
    store, gateway = parts().store, parts().gateway
    intent_id = Outcomes(store, parts().settings).remembered(keyed_request.stripe_key)
    if intent_id is None:
        begun_at_ms = parts().idempotency.begun_at_ms(keyed_request)
        intent_id = object_in_events(
            gateway, keyed_request.stripe_key, "payment_intent", begun_at_ms / 1000, account
        )
    if intent_id is None:
        return None
    intent = gateway.payment(intent_id, account)
    if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
        return intent
    if intent.get("last_payment_error"):
        raise _decline(intent)
    return None


def _decline(intent: Json) -> PaymentDeclined:
    failure = intent["last_payment_error"]
    return PaymentDeclined(
        failure.get("message") or "The card was declined.",
        code=failure.get("code"),
        decline_code=failure.get("decline_code"),
        advice_code=failure.get("advice_code"),
        payment_intent_id=intent["id"],
        payment_status=intent["status"],
        charge_id=failure.get("charge"),
    )
