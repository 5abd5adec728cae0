"""Plan a batch of refunds: payments, amounts, balance needed, and who may start the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import g

from api.batch_models import StartBatch
from api.parts import parts
from shared.errors import CallerError
from shared.payment_summary import PaymentSummary, summarise
from shared.refund_terms import LeftOut, Rate, Terms, rates, share
from shared.work.batch import Member, MemberState
from shared.work.payment_index import PaymentFilter

Json = dict[str, Any]
# Payments read in one round trip.
CHUNK = 500
# Most members of one batch: writing them takes about 2 s, reading their payments several more, and
# a request has 25 s.
MOST_MEMBERS = 50_000


@dataclass(frozen=True)
class Plan:
    """The members of a batch as they would begin now, and the rates of settlement."""

    members: list[Member]
    rates: dict[str, Rate]

    @property
    def refunded(self) -> list[Member]:
        """Return the members that would be refunded."""
        return [member for member in self.members if member.state is MemberState.NOT_BEGUN]

    @property
    def left_out(self) -> list[Member]:
        """Return the members that would be left out."""
        return [member for member in self.members if member.state is MemberState.LEFT_OUT]

    def amounts(self) -> dict[str, int]:
        """Sum the refunds, by currency."""
        sums: dict[str, int] = {}
        for member in self.refunded:
            sums[member.currency] = sums.get(member.currency, 0) + member.amount
        return sums


def plan_batch(body: StartBatch, terms: Terms) -> Plan:
    """Plan a batch from the stored payments. Raises `CallerError`, `Unavailable`."""
    payments = list(_by_id(body.payments) if body.payments else _of_event(str(body.event_id)))
    if len(payments) > MOST_MEMBERS:
        raise CallerError(
            f"A batch has at most {MOST_MEMBERS} payments; refund these in several batches.",
            status=422,
            code="batch_too_large",
        )
    members = [_member(payment, terms) for payment in payments]
    plan = Plan(members, rates(payments))
    _require_one_meaning(plan, terms)
    return plan


def _by_id(payment_ids: Sequence[str]) -> Iterator[PaymentSummary]:
    """Read each named payment once; a charge stands for its payment intent."""
    store = parts().payments
    owners = (store.intent_of(one) or one if one[:3] != "pi_" else one for one in payment_ids)
    ids = list(dict.fromkeys(owners))
    for start in range(0, len(ids), CHUNK):
        for record in store.read_many(ids[start : start + CHUNK]):
            yield summarise(record.id, record.known)


def _of_event(event_id: str) -> Iterator[PaymentSummary]:
    """Read the payments of an event, of the accounts that this caller may act for."""
    accounts = g.limits.accounts
    criteria = PaymentFilter(metadata={"event_id": event_id}, accounts=accounts)
    for payment in parts().payment_index.walk(criteria, chunk_size=CHUNK):
        yield payment.summary


def _member(payment: PaymentSummary, terms: Terms) -> Member:
    part, currency = share(payment, terms), payment.currency or ""
    if part.left_out:
        return Member(payment.id, MemberState.LEFT_OUT, currency=currency, reason=part.left_out)
    return Member(payment.id, MemberState.NOT_BEGUN, part.amount, currency)


def _require_one_meaning(plan: Plan, terms: Terms) -> None:
    """Refuse one amount for payments of several currencies: its value would differ in each."""
    candidates = [one for one in plan.members if one.reason in ("", LeftOut.UNDER_MINIMUM)]
    currencies = sorted({one.currency for one in candidates})
    if terms.has_fixed_amounts and terms.currency is None and len(currencies) > 1:
        raise CallerError(
            f"These payments are in {', '.join(currencies)}: name one in expected_currency, or "
            "refund a percentage.",
            status=422,
            code="several_currencies",
            param="expected_currency",
        )


def needs_operator(plan: Plan) -> bool:
    """Say whether a batch is above the limits for a caller's key (settings)."""
    return is_above_limits(len(plan.refunded), plan.amounts())


def is_above_limits(payments: int, amounts: dict[str, int]) -> bool:
    """Say whether this number of payments, or these amounts, need an operator's key.

    With limits set, so does any amount in a currency without one: a guard must not be passed by a
    currency that nobody thought of.
    """
    settings = parts().settings
    limits = settings.batch_limits
    too_much = bool(limits) and any(sum_ > limits.get(name, 0) for name, sum_ in amounts.items())
    return too_much or payments > settings.refund_batch_max_payments
