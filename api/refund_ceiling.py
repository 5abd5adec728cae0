"""The limit of a caller's refunds within an hour, checked before a refund is queued."""

from __future__ import annotations

from collections.abc import Sequence

from flask import g

from api.parts import parts
from api.payment_answers import payment_from_stripe
from shared.canonical_json import compact
from shared.errors import CallerError
from shared.store.scripts import Call
from shared.stripe.amounts import received
from shared.work.ceilings import COUNTED_MS, Ceiling, ceiling_reached, spending_keys
from shared.work.kinds import REFUNDS


def check_ceiling(job: str, payment_id: str, amount: int | None, account: str | None) -> None:
    """Count a refund against its caller's ceiling; a job that is already recorded counts once.

    Only for a caller with a ceiling, Stripe is asked for the amount. A refund that Stripe refuses
    later stays counted for the hour. `amount` None stands for all that is left. Raises
    `CallerError` 403, 404, 429; `Unavailable`.
    """
    if g.limits.refunds_per_hour is None:
        return
    intent = payment_from_stripe(payment_id, account)
    refunded = (intent.get("latest_charge") or {}).get("amount_refunded") or 0
    amount = amount or max(0, received(intent) - refunded)
    spend(job, ceilings_of({str(intent["currency"]): amount}))


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


def spend(once: str, new: Sequence[Ceiling]) -> None:
    """Count amounts against their ceilings, all or none, unless a refund job `once` is recorded.

    Raises `CallerError` 429, `Unavailable`.
    """
    if not new:
        return
    keys = parts().store.keys
    names: dict[str, str | Sequence[str]] = {
        "item": keys.item(REFUNDS, once),
        "spending": spending_keys(keys, new),
    }
    args = [compact([one.in_script for one in new]), COUNTED_MS]
    if wait_ms := int(parts().store.run(Call("spend", names, args))):
        raise ceiling_reached(new, wait_ms)
