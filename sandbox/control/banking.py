"""Actions of banks and Radar: disputes, warnings, reviews, failing refunds, an empty balance."""

from typing import Final

from sandbox.cards.test_data import DisputeKind
from sandbox.control.asking import charge_of, choice, only, scope_of
from sandbox.objects import balance, disputes, fraud_warnings, money, refunds, reviews
from sandbox.world import errors
from sandbox.world.objects import Json
from sandbox.world.world import PLATFORM, World

DISPUTE_KINDS: Final = tuple(
    kind.value for kind in DisputeKind if kind is not DisputeKind.FRAUD_WARNING
)


def open_dispute(world: World, body: Json, _: str) -> Json:
    """Dispute a charge; `amount` may be in another `currency` than the charge."""
    kind = DisputeKind(choice({"kind": "chargeback"} | body, "kind", DISPUTE_KINDS))
    scope, charge = charge_of(world, body)
    if not charge["captured"]:
        raise errors.impossible("Only a charge that succeeded and was captured can be disputed.")
    inputs: Json = {name: body[name] for name in ("amount", "currency", "reason") if name in body}
    _check_dispute(charge, inputs)
    return disputes.open_dispute(scope, charge, kind, inputs)


def _check_dispute(charge: Json, inputs: Json) -> None:
    choice({"reason": "general"} | inputs, "reason", (*disputes.REASON_CODES, "general"))
    if "currency" in inputs:
        inputs["currency"] = money.parse_currency(inputs["currency"], "currency")
    amount = inputs.get("amount", charge["amount_captured"])
    foreign = inputs.get("currency", charge["currency"]) != charge["currency"]
    if not isinstance(amount, int) or amount < 1:
        raise errors.invalid("amount must be a whole number above 0", "amount")
    if not foreign and amount > charge["amount_captured"]:
        raise errors.invalid("amount must be from 1 to the captured amount", "amount")


def warn_of_fraud(world: World, body: Json, _: str) -> Json:
    """Let the issuer report a charge as fraudulent."""
    only(body, "charge", "payment_intent", "fraud_type")
    fraud_type = choice({"fraud_type": "misc"} | body, "fraud_type", fraud_warnings.FRAUD_TYPES)
    scope, charge = charge_of(world, body)
    return fraud_warnings.warn(scope, charge, fraud_type)


def open_review(world: World, body: Json, _: str) -> Json:
    """Put a charge under review, by a rule or by hand."""
    only(body, "charge", "payment_intent", "reason")
    reason = choice({"reason": "rule"} | body, "reason", reviews.OPENED_REASONS)
    scope, charge = charge_of(world, body)
    if scope.find("review", charge["review"]) is not None:
        raise errors.impossible("This charge was under review before.")
    return reviews.open_review(scope, charge, reason)


def close_review(world: World, body: Json, review_id: str) -> Json:
    """Close a review for a reason."""
    reason = choice({"reason": "approved"} | body, "reason", reviews.CLOSED_REASONS)
    scope = scope_of(world, "review", review_id)
    review = scope.get("review", review_id)
    reviews.close(scope, review, reason)
    return review


def fail_refund(world: World, body: Json, refund_id: str) -> Json:
    """Let a refund fail, even after it succeeded."""
    scope = scope_of(world, "refund", refund_id)
    refund = scope.get("refund", refund_id)
    if refund["status"] not in ("succeeded", "pending"):
        raise errors.impossible(f"This refund has a status of {refund['status']}.")
    refunds.fail(scope, refund, body.get("reason", "expired_or_canceled_card"))
    return refund


def set_balance(world: World, body: Json, _: str) -> Json:
    """Set the available balance of a currency, from which refunds are paid from then on.

    `available` null removes the limit. Refunds that wait for balance continue if it suffices now.
    `settlement_currency` is the currency into which charges are converted; null: no conversion.
    """
    only(body, "available", "currency", "settlement_currency", "account")
    scope = world.scope(str(body.get("account", PLATFORM)))
    if "settlement_currency" in body:
        code = body["settlement_currency"]
        parsed = None if code is None else money.parse_currency(code, "settlement_currency")
        balance.settle_in(scope, parsed)
    if "available" in body:
        amount = body["available"]
        if amount is not None and type(amount) is not int:
            raise errors.invalid("available must be a whole number or null", "available")
        currency = money.parse_currency(body.get("currency", "usd"), "currency")
        balance.limit(scope, currency, amount)
        refunds.retry_waiting(scope)
    return balance.overview(scope)
