"""The limit of a caller's refunds within an hour, checked before a refund is queued."""

from __future__ import annotations

from collections.abc import Sequence

from flask import g

from api.idempotency import IdempotentRequest
from api.parts import parts
from api.payment_answers import payment_from_stripe
from shared.canonical_json import compact
from shared.errors import CallerError
from shared.store.scripts import Call
from shared.stripe.amounts import received
from shared.work.ceilings import COUNTED_MS, Ceiling, ceiling_reached, spending_keys
from shared.work.kinds import REFUNDS
from shared.work.refund_jobs import RefundRequest, job_id


def check_ceiling(attempt: IdempotentRequest, refund: RefundRequest) -> None:
    """Count a refund against its caller's ceiling, once for each `Idempotency-Key`.

    Only for a caller with a ceiling, Stripe is asked for the amount. A refund that Stripe refuses
    later stays counted for the hour. Raises `CallerError` 403, 404, 429; `Unavailable`.
    """
    if g.limits.refunds_per_hour is None:
        return
    intent = payment_from_stripe(refund.payment_id, refund.account)
    refunded = (intent.get("latest_charge") or {}).get("amount_refunded") or 0
    amount = refund.amount or max(0, received(intent) - refunded)
    spend(attempt, ceilings_of({str(intent["currency"]): amount}))


def ceilings_of(amounts: dict[str, int]) -> list[Ceiling]:
    """Return the ceilings that amounts by currency count against; none for a caller without.

    Raises `CallerError` 403 for a currency that has no ceiling.
    """
    limits = g.limits.refunds_per_hour
    if limits is None:
        return []
    for currency in amounts:
        if currency not in limits:
            raise CallerError(
                f"This key may not refund payments in {currency}.",
                status=403,
                code="currency_not_allowed",
            )
    return [Ceiling(g.caller, one, amount, limits[one]) for one, amount in amounts.items()]


def spend(attempt: IdempotentRequest, new: Sequence[Ceiling]) -> None:
    """Count the amounts of a request against their ceilings, all or none, once.

    Raises `CallerError` 429, `Unavailable`.
    """
    keys = parts().store.keys
    _run(
        "spend",
        new,
        item=keys.item(REFUNDS, job_id(attempt.scope, attempt.key)),
        idempotency=keys.idempotency(attempt.digest),
    )


def require_room(new: Sequence[Ceiling]) -> None:
    """Refuse amounts that would be above their ceilings now, and count none of them.

    Raises `CallerError` 429, `Unavailable`.
    """
    _run("fit", new)


def _run(script: str, new: Sequence[Ceiling], **names: str) -> None:
    if not new:
        return
    store = parts().store
    args = [compact([one.in_script for one in new]), COUNTED_MS]
    call = Call(script, names | {"spending": spending_keys(store.keys, new)}, args)
    if wait_ms := int(store.run(call)):
        raise ceiling_reached(new, wait_ms)
