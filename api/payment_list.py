"""`GET /api/payments`: a caller's list of payments, read from Redis without a call to Stripe."""

from __future__ import annotations

from flask import Response, g

from api.blueprints import ON_GET, callers_blueprint
from api.models import AccountHeader
from api.parts import parts
from api.payment_models import (
    CallersPayment,
    CallersPaymentList,
    CallersPaymentQuery,
    PaymentTerms,
)
from api.problems import documented
from api.reply import reply
from shared.errors import CallerError
from shared.work.payment_index import ListedPayment, PaymentFilter

payment_list = callers_blueprint("payments", "/api/payments", "payments")


@payment_list.get("", responses={200: CallersPaymentList, **documented(400), **ON_GET})
def page(header: AccountHeader, query: CallersPaymentQuery) -> Response:
    """List the payments that events reported, the newest first, in their current state.

    Lists those of the account in `Stripe-Account`; without it, those of every account that this
    key may act for.
    """
    criteria = PaymentFilter(
        metadata=wanted_metadata(query),
        email=query.email,
        status=query.status,
        disputed=query.disputed,
        since=query.since,
        until=query.until,
        accounts=_accounts(header.stripe_account),
    )
    rows, has_more = parts().payment_index.page(criteria, query.limit, query.starting_after)
    return reply(CallersPaymentList(data=[_row(one) for one in rows], has_more=has_more))


def wanted_metadata(query: PaymentTerms) -> dict[str, str]:
    """Return the metadata in a query. Raises `CallerError` 422 for a key without an index."""
    metadata, keys = query.metadata(), parts().settings.indexed_metadata
    for name in metadata:
        if name not in keys:
            raise CallerError(
                f"{name}: Payments cannot be listed by this metadata key; INDEXED_METADATA "
                "names the keys that can be used.",
                status=422,
                code="invalid_parameter",
                param=name,
            )
    return metadata


def _accounts(account: str | None) -> frozenset[str] | None:
    """Return the accounts whose payments to list: this one, or all that the key may act for."""
    return g.limits.accounts if account is None else frozenset((account,))


def _row(payment: ListedPayment) -> CallersPayment:
    payment_id, summary = payment.record.id, payment.summary
    return CallersPayment.of(
        summary,
        id=payment_id,
        payment_intent_id=payment_id if payment_id.startswith("pi_") else None,
        disputed=summary.dispute is not None,
    )
