"""Answers about a payment, built from Stripe's payment intent or from the stored state.

The stored state, or a charge without a payment intent, is first put into Stripe's form, so that one
function reads all three.
"""

from __future__ import annotations

from typing import Any

from api.access import require_account
from api.models import CanceledPayment, Dispute, Payment, PaymentDetails, PaymentVerdict
from api.parts import parts
from api.refund_answers import fee_answer, refund_with_job
from shared.errors import CallerError, Misconfigured, Unavailable
from shared.known_refunds import let_go
from shared.payment_summary import (
    amount_refunded,
    disputed,
    disputes,
    fees,
    refunds,
    remembered_intent,
    timestamp,
)
from shared.stripe import amounts
from shared.stripe.amounts import (
    as_intent,
    balance_change,
    captured,
    given_back,
    of_captured_money,
    received,
)
from shared.stripe.event import reference
from shared.stripe.translation import permission_missing
from shared.work.payments import PaymentRecord

Json = dict[str, Any]


def payment_from_stripe(payment_id: str, account: str | None, *, with_fees: bool = False) -> Json:
    """Ask Stripe for a payment, in the form of an intent, by its intent or its charge.

    Raises `CallerError` 404, `Unavailable`.
    """
    gateway = parts().gateway
    if payment_id.startswith("pi_"):
        return gateway.payment(payment_id, account, with_fees=with_fees)
    charge = gateway.charge(payment_id, account)
    intent_id = reference(charge.get("payment_intent"))
    if intent_id:
        return gateway.payment(intent_id, account, with_fees=with_fees)
    intent = as_intent(charge)
    return _let_go(intent) if intent["status"] == "requires_capture" else intent


def _let_go(intent: Json) -> Json:
    """Show a hold as canceled if an event said that it expired: Stripe's charge does not say so."""
    state = parts().payments.read(intent["id"]).known
    return amounts.let_go(intent) if let_go(state) else intent


def payment_answer(intent: Json) -> Payment:
    """Build the answer from a payment intent in Stripe's form, `latest_charge` expanded."""
    charge = intent.get("latest_charge") or {}
    status = str(intent["status"])
    return Payment(
        success=status == "succeeded",
        status=status,
        payment_intent_id=_intent_id(intent),
        client_secret=intent.get("client_secret"),
        requires_action=status == "requires_action",
        next_action=intent.get("next_action"),
        amount=intent["amount"],
        currency=intent["currency"],
        charge_id=charge.get("id"),
        receipt_url=charge.get("receipt_url"),
        created=intent["created"],
        livemode=intent["livemode"],
        metadata=intent.get("metadata") or {},
    )


def _intent_id(intent: Json) -> str | None:
    return intent["id"] if intent["id"].startswith("pi_") else None


def canceled_answer(intent: Json) -> CanceledPayment:
    """Build the answer to a cancellation from the canceled intent."""
    return CanceledPayment(
        **dict(payment_answer(intent)),
        amount_received=received(intent),
        cancellation_reason=intent.get("cancellation_reason"),
    )


def verdict(intent: Json, reason: str | None, account: str | None) -> PaymentVerdict:
    """Build the answer of a verification; `reason` says why it failed."""
    return PaymentVerdict(
        verified=reason is None,
        payment_intent_id=_intent_id(intent),
        status=intent["status"],
        reason=reason,
        amount=intent["amount"],
        amount_received=received(intent),
        amount_refunded=_amount_refunded(intent, account),
        currency=intent["currency"],
    )


def _amount_refunded(intent: Json, account: str | None) -> int:
    """Read what was given back of a payment, from its charge where that cannot be mistaken.

    The charge of an old version counts the released rest of a hold, too.
    """
    charge = intent.get("latest_charge") or {}
    may_count_the_rest = charge.get("amount_refunded") and captured(charge) < charge["amount"]
    refunds = _refunds(intent, account) if may_count_the_rest else None
    return _refunded_as_charge_says(charge) if refunds is None else given_back(charge, refunds)


def _refunded_as_charge_says(charge: Json) -> int:
    """Read the amount refunded of a charge: never more than was captured."""
    return min(int(charge.get("amount_refunded") or 0), captured(charge))


def details_from_stripe(
    payment_id: str, account: str | None, timeline: list[Json]
) -> PaymentDetails:
    """Read a payment from Stripe. Raises `CallerError` 404, `Unavailable`.

    Parts that our key may not read come from events.
    """
    intent = payment_from_stripe(payment_id, account, with_fees=True)
    charge = intent.get("latest_charge") or {}
    record = parts().payments.read(intent["id"])
    refunds = _refunds(intent, account)
    dispute_list = _disputes(intent, account) if charge.get("disputed") else []
    sum_refunded = (
        _refunded_as_charge_says(charge) if refunds is None else given_back(charge, refunds)
    )
    refund_list = (
        _remembered_refunds(record) if refunds is None else of_captured_money(charge, refunds)
    )
    return _details(
        intent,
        amount_refunded=sum_refunded,
        refunds=refund_list,
        disputes=disputes(record.known) if dispute_list is None else dispute_list,
        disputed=bool(charge.get("disputed")),
        sums=balance_change(charge.get("balance_transaction")) or fees(record.known),
        account=account,
        timeline=timeline,
        stale=False,
        as_of=timestamp(parts().store.now_ms() / 1000),
    )


def _refunds(intent: Json, account: str | None) -> list[Json] | None:
    """List a payment's refunds; None when our key may not read them."""
    try:
        return parts().gateway.refunds_of(account, **_owner(intent))
    except (CallerError, Misconfigured) as error:
        if not permission_missing(error):
            raise
        return None


def _disputes(intent: Json, account: str | None) -> list[Json] | None:
    """List a payment's disputes; None when our key may not read them."""
    try:
        return parts().gateway.disputes_of(account, **_owner(intent))
    except (CallerError, Misconfigured) as error:
        if not permission_missing(error):
            raise
        return None


def _owner(intent: Json) -> dict[str, str]:
    """Return the filter for refunds and disputes: the intent, or the charge without one."""
    intent_id = _intent_id(intent)
    return {"payment_intent": intent_id} if intent_id else {"charge": intent["id"]}


def _details(
    intent: Json, *, refunds: list[Json], disputes: list[Json], sums: Json, **rest: Any
) -> PaymentDetails:
    return PaymentDetails(
        **dict(payment_answer(intent)),
        **fee_answer(sums),
        amount_received=received(intent),
        amount_capturable=intent.get("amount_capturable") or 0,
        cancellation_reason=intent.get("cancellation_reason"),
        refunds=[refund_with_job(refund) for refund in refunds],
        disputes=[_dispute_answer(dispute) for dispute in disputes],
        **rest,
    )


def _dispute_answer(dispute: Json) -> Dispute:
    """Build the answer from a dispute in Stripe's form or in the stored form."""
    details = dispute.get("evidence_details") or dispute
    due_by = details.get("due_by")
    return Dispute(
        dispute_id=dispute["id"],
        status=dispute["status"],
        reason=dispute.get("reason"),
        amount=dispute.get("amount"),
        currency=dispute.get("currency"),
        due_by=timestamp(due_by) if due_by else None,
        created=dispute.get("created"),
        **fee_answer(balance_change(dispute.get("balance_transactions")) or dispute),
    )


def details_remembered(payment_id: str, timeline: list[Json]) -> PaymentDetails:
    """Return the last state known from webhooks.

    Raises `Unavailable` when nothing is known, `CallerError` 403 for another account's payment.
    """
    record = parts().payments.read(parts().payments.intent_of(payment_id) or payment_id)
    account = parts().payments.account_of(record.id)
    require_account(account)
    intent = remembered_intent(record.id, record.known)
    if any(intent.get(name) is None for name in ("status", "amount", "currency")):
        raise Unavailable(
            "Stripe does not answer, and no webhook has reported this payment yet; try again.",
            code="stripe_unreachable",
            retry_after_seconds=5,
        )
    charge, livemode = {"id": intent["charge_id"]}, bool(intent.get("livemode"))
    return _details(
        intent | {"latest_charge": charge, "livemode": livemode},
        amount_refunded=amount_refunded(record.known),
        refunds=_remembered_refunds(record),
        disputes=disputes(record.known),
        disputed=disputed(record.known),
        sums=fees(record.known),
        account=account,
        timeline=timeline,
        stale=True,
        as_of=timestamp((record.updated_at_ms or 0) / 1000),
    )


def _remembered_refunds(record: PaymentRecord) -> list[Json]:
    """Return the refunds that events reported, in Stripe's form without changes of the balance."""
    return [refund | {"payment_intent": record.id} for refund in refunds(record.known)]
