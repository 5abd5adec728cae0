"""Payments for operators: lists, sums, and the work of each payment, from Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from api.list_models import WorkItem
from api.payment_models import (
    OperatorsPaymentQuery,
    PaymentRow,
    PaymentSum,
    PaymentSums,
    SettledSum,
)
from shared.errors import CallerError
from shared.payment_summary import PaymentSummary
from shared.store.scripts import Store, redis_errors
from shared.stripe.forms import ID
from shared.work.dead_letters import LETTER_KINDS, DeadLetters, ItemFilter
from shared.work.kinds import Kind
from shared.work.payment_index import CHUNK, ListedPayment, PaymentFilter, PaymentIndex
from shared.work.payments import ITEMS, Payments, moment

Json = dict[str, Any]
# Most payments that one search or one sum reads: about a second.
MOST_PAYMENTS = 10_000
# Most dead letters of a kind that are read to count them by payment.
MOST_DEAD = 1_000
PAYMENT_PREFIXES = ("pi_", "ch_", "py_", "cs_")


def payment_id_of(text: str) -> str:
    """Return the text if it can be a payment's id. Raises `CallerError` 404 for any other."""
    if not ID.fullmatch(text) or not text.startswith(PAYMENT_PREFIXES):
        raise CallerError("No payment has an id like this.", status=404, code="payment_not_found")
    return text


class KnownPayments:
    """List the payments that events reported, for operators."""

    def __init__(self, store: Store, payments: Payments, index: PaymentIndex) -> None:
        self._store = store
        self._payments = payments
        self._index = index
        self._letters = DeadLetters(store)

    def page(
        self, criteria: PaymentFilter, query: OperatorsPaymentQuery
    ) -> tuple[list[PaymentRow], bool]:
        """List the payments of a page, the newest first, and say whether it is the last page.

        Raises `CallerError` 400 when the payment to continue after is unknown, and `Unavailable`.
        """
        dead, after = self.dead(), query.starting_after
        if query.dead:
            payments = self._index.among(list(dead), criteria, after)
        else:
            payments = self._index.walk(criteria, after, min(query.limit + 1, CHUNK))
        scan = _Scan(payments)
        rows = (row_of(one, dead[one.record.id]) for one in scan)
        page = list(islice(filter(_test(query), rows), query.limit + 1))
        return page[: query.limit], len(page) <= query.limit and not scan.is_cut

    def sums(self, criteria: PaymentFilter) -> PaymentSums:
        """Sum the wanted payments up by status and currency. Raises `Unavailable`."""
        scan = _Scan(self._index.walk(criteria))
        summaries = [payment.summary for payment in scan]
        return PaymentSums(
            payments=len(summaries),
            sums=[_sum(*group) for group in _groups(summaries, lambda s: (s.status, s.currency))],
            settled=[
                _settled_sum(currency, group)
                for currency, group in _groups(summaries, lambda s: s.settlement_currency)
                if currency is not None
            ],
            complete=not scan.is_cut,
        )

    def dead(self) -> Counter[str]:
        """Count the newest dead letters by payment. Raises `Unavailable`."""
        counts: Counter[str] = Counter()
        for kind in LETTER_KINDS.values():
            index = self._store.keys.dead(kind)
            letters = self._letters.walk(
                kind, ItemFilter(), index=index, fields=("state", "payment_id")
            )
            counts.update(str(letter["payment_id"]) for letter in islice(letters, MOST_DEAD))
        return counts

    def work(self, payment_id: str) -> list[WorkItem]:
        """List the items of work of a payment, in the order they came. Raises `Unavailable`."""
        entries = self._payments.entries(payment_id)
        kinds = {e[ITEMS[e["kind"]][1]]: ITEMS[e["kind"]][0] for e in entries if e["kind"] in ITEMS}
        rows = self._read(list(kinds.items()))
        return [_work_item(row) for row in rows if row["state"]]

    def _read(self, items: Sequence[tuple[str, Kind]]) -> list[Json]:
        fields = ("state", "type", "attempts", "error", "not_before")
        with redis_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            for item_id, kind in items:
                pipe.hmget(self._store.keys.item(kind, item_id), *fields)
            rows = pipe.execute()
        return [
            {"kind": kind.name, "id": item_id} | dict(zip(fields, row, strict=True))
            for (item_id, kind), row in zip(items, rows, strict=True)
        ]


class _Scan:
    """Payments up to the most that one search reads; `is_cut` says whether there were more."""

    def __init__(self, payments: Iterator[ListedPayment]) -> None:
        self._payments = payments
        self.is_cut = False

    def __iter__(self) -> Iterator[ListedPayment]:
        for number, payment in enumerate(self._payments, start=1):
            if number > MOST_PAYMENTS:
                self.is_cut = True
                return
            yield payment


def _work_item(row: Json) -> WorkItem:
    due = row.pop("not_before")
    return WorkItem(
        **row | {"attempts": int(row["attempts"] or 0), "error": row["error"] or None},
        next_attempt_at=moment(due) if due else None,
    )


def row_of(payment: ListedPayment, dead: int) -> PaymentRow:
    """Shape a payment into a row of the operators' list."""
    summary = payment.summary
    dispute = summary.dispute or {}
    return PaymentRow.of(
        summary,
        payment_id=summary.id,
        event_id=summary.metadata.get("event_id"),
        user_id=summary.metadata.get("user_id"),
        heard_at=moment(payment.record.updated_at_ms or 0),
        dispute=dispute.get("status"),
        dispute_due_by=dispute.get("due_by"),
        dead=dead,
    )


def is_address(text: str) -> bool:
    """Say whether a text is a whole e-mail address, which the index can find."""
    name, at, host = text.partition("@")
    return bool(name and at and "." in host.strip("."))


def _test(query: OperatorsPaymentQuery) -> Callable[[PaymentRow], bool]:
    """Build the test for conditions without an index: a part of an address, dead letters."""
    part = (query.email or "").lower()

    def test(row: PaymentRow) -> bool:
        is_dead = query.dead in (None, row.dead > 0)
        return is_dead and part in (row.customer_email or "").lower()

    return test


Key = TypeVar("Key")


def _groups(
    summaries: list[PaymentSummary], key: Callable[[PaymentSummary], Key]
) -> list[tuple[Key, list[PaymentSummary]]]:
    """Group payments, the largest group first."""
    groups: dict[Key, list[PaymentSummary]] = {}
    for summary in summaries:
        groups.setdefault(key(summary), []).append(summary)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _sum(key: tuple[str | None, str | None], group: list[PaymentSummary]) -> PaymentSum:
    status, currency = key
    return PaymentSum(
        status=status,
        currency=currency,
        payments=len(group),
        disputed=sum(one.dispute is not None for one in group),
        amount=sum(one.amount or 0 for one in group),
        amount_received=sum(one.amount_received or 0 for one in group),
        amount_refunded=sum(one.amount_refunded for one in group),
    )


def _settled_sum(currency: str, group: list[PaymentSummary]) -> SettledSum:
    return SettledSum(
        settlement_currency=currency,
        payments=len(group),
        fee=sum(one.fee or 0 for one in group),
        net=sum(one.net or 0 for one in group),
    )
