"""What is left for a batch of a payment that another refund was faster at, as Stripe shows it.

Several batches, and people at Stripe's dashboard, may refund one payment at the same time, and the
events about it come later. So a member's amount may be more than is left. A batch refunds "never
more than is left": then its member is refunded with the rest, or left out if there is none.
"""

from __future__ import annotations

import json
from dataclasses import replace

from shared.errors import BillingError
from shared.payment_summary import summarise
from shared.refund_terms import Share, share
from shared.stripe.amounts import received
from shared.stripe.event import newest_charge
from shared.work.items import Claim
from worker.look_ups import payment_as_intent
from worker.runtime import Runtime


def is_too_much(claim: Claim, error: BillingError) -> bool:
    """Say whether Stripe refused the amount of a member of a batch; it has no code for that."""
    return "batch_id" in claim.fields and error.fields.get("param") == "amount"


def rest_of(runtime: Runtime, claim: Claim) -> Share | None:
    """Compute the refund of a batch's member from what Stripe shows of its payment.

    None when that is not less than the amount that Stripe refused, or cannot be said: the refusal
    has another cause. Raises `Unavailable`, and `CallerError` for a refusal of the look-up.
    """
    payment_id, account = claim.fields["payment_id"], claim.fields.get("account")
    batch = runtime.batches.find(claim.fields["batch_id"])
    intent = payment_as_intent(runtime.refund_gateway, payment_id, account)
    charge = newest_charge(intent)
    if batch is None or not charge:
        return None
    summary = replace(
        summarise(payment_id, runtime.payments.read(payment_id).known),
        status=str(intent.get("status")),
        currency=str(intent["currency"]),
        account=account,
        amount_received=received(intent),
        amount_refunded=int(charge.get("amount_refunded") or 0),
    )
    rest = share(summary, batch.terms)
    return rest if rest.amount < json.loads(claim.fields["request"])["amount"] else None
