"""Reviews: payments that Radar or a person marked for inspection.

open ──> approved | refunded | refunded_as_fraud | disputed | canceled
"""

from typing import Final

from sandbox.events_out import events
from sandbox.objects import charges
from sandbox.wire import lists
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, reacts_to

KIND: Final = "review"
OPENED_REASONS: Final = ("manual", "rule")
CLOSED_REASONS: Final = (
    "acknowledged",
    "approved",
    "canceled",
    "disputed",
    "payment_never_settled",
    "redacted",
    "refunded",
    "refunded_as_fraud",
)


def open_review(scope: Scope, charge: Json, reason: str = "rule") -> Json:
    """Put a charge and its payment intent under review."""
    review: Json = {
        "id": ids.new_id(KIND),
        "object": KIND,
        "billing_zip": charge["billing_details"]["address"]["postal_code"],
        "charge": charge["id"],
        "closed_reason": None,
        "created": scope.now,
        "ip_address": None,
        "ip_address_location": None,
        "livemode": False,
        "open": True,
        "opened_reason": reason,
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "session": None,
    }
    charge["review"] = review["id"]
    charge["outcome"]["type"] = "manual_review"
    scope.get("payment_intent", charge["payment_intent"])["review"] = review["id"]
    scope.put(KIND, review)
    events.emit(scope, "review.opened", review)
    return review


def close(scope: Scope, review: Json, reason: str) -> None:
    """End an open review, or raise Stripe's 400 if it is closed."""
    if not review["open"]:
        raise errors.impossible(f"Review {review['id']} has already been closed.")
    review.update(open=False, closed_reason=reason, reason=reason)
    events.emit(scope, "review.closed", review)


def _open_of(scope: Scope, review_id: str | None) -> Json | None:
    review = scope.find(KIND, review_id)
    return review if review is not None and review["open"] else None


@reacts_to("charge.refunded")
def _refund_closes(scope: Scope, charge: Json) -> None:
    review = _open_of(scope, charge["review"])
    if review is not None and charge["refunded"]:
        fraud = charges.refunds_of(scope, charge)[0]["reason"] == "fraudulent"
        close(scope.unasked(), review, "refunded_as_fraud" if fraud else "refunded")


@reacts_to("charge.dispute.created")
def _dispute_closes(scope: Scope, dispute: Json) -> None:
    review = _open_of(scope, scope.get("charge", dispute["charge"])["review"])
    if review is not None:
        close(scope.unasked(), review, "disputed")


@reacts_to("payment_intent.canceled")
def _cancellation_closes(scope: Scope, intent: Json) -> None:
    review = _open_of(scope, intent["review"])
    if review is not None:
        close(scope.unasked(), review, "canceled")


def _find(call: Call) -> Json:
    review = call.scope.find(KIND, call.ids[0])
    if review is None:
        raise errors.missing("review", call.ids[0], "review")
    return review


def _approve(call: Call) -> Json:
    review = _find(call)
    close(call.scope, review, "approved")
    return objects.copy_of(review)


_PATH: Final = "/v1/reviews"
ROUTES: Final = (
    Route("GET", _PATH, lambda call: lists.page(call, KIND), lists.params()),
    Route("GET", _PATH + "/{id}", _find),
    Route("POST", _PATH + "/{id}/approve", _approve),
)
