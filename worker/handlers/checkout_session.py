"""Events about a checkout session: how a hosted checkout ended."""

from __future__ import annotations

from shared.facts import Fact
from shared.stripe.amounts import UNKNOWN
from shared.stripe.event import Event, reference
from shared.stripe.gateway import StripeGateway
from worker.registry import handles

OUTCOMES = {
    "checkout.session.completed": "completed",
    "checkout.session.expired": "expired",
    "checkout.session.async_payment_succeeded": "payment_succeeded",
    "checkout.session.async_payment_failed": "payment_failed",
}
# A delayed payment succeeds or fails days after `completed`, with an event of its own.
STAGES = {"completed": 0, "expired": 0, "payment_failed": 1, "payment_succeeded": 2}


@handles(*OUTCOMES)  # why: the order is placed or abandoned, or its delayed payment has ended
def session_changed(event: Event, _: StripeGateway) -> list[Fact]:
    """Notify of each outcome of a session once; that of a delayed payment replaces `completed`."""
    session, outcome = event.object, OUTCOMES[event.type]
    metadata = session.get("metadata") or {}
    customer = session.get("customer_details") or {}
    return [
        Fact(
            subject=str(session["id"]),
            family="checkout",
            status=str(session.get("payment_status") or session.get("status") or UNKNOWN),
            rank=(STAGES[outcome], event.created),
            happened_at=event.created,
            snapshot={
                "amount": session.get("amount_total"),
                "currency": session.get("currency"),
                "session_status": session.get("status"),
            },
            type=f"checkout.{outcome}",
            key=str(session["id"]),
            data={
                "payment_intent_id": reference(session.get("payment_intent")),
                "checkout_session_id": session["id"],
                "amount": session.get("amount_total"),
                "currency": session.get("currency"),
                "customer_email": customer.get("email") or session.get("customer_email"),
                "event_id": metadata.get("event_id"),
                "user_id": metadata.get("user_id"),
                "metadata": metadata,
            },
            livemode=event.livemode,
            stripe_event_id=event.id,
        )
    ]
