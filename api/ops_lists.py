"""Lists for operators: payments, refunds, notifications, search and rates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from flask import Response

from api.audit_note import audit_note
from api.blueprints import ON_GET, ON_POST, operations_blueprint
from api.find import Finder
from api.known_payments import KnownPayments, is_address, payment_id_of
from api.list_models import (
    Delay,
    FindQuery,
    MatchList,
    NotificationList,
    NotificationRow,
    NotificationSearch,
    PaymentWork,
    RateQuery,
    Rates,
    RefundList,
    RefundRow,
    RefundSearch,
    Staged,
)
from api.models import Output
from api.ops_models import OpsPaymentPath, Search, Signed
from api.parts import parts
from api.payment_list import wanted_metadata
from api.payment_models import OperatorsPaymentQuery, OperatorsTerms, PaymentList, PaymentSums
from api.problems import documented
from api.redrive import Redrive
from api.reply import reply
from api.request_context import trace
from api.trial_notification import NO_PAYMENT, stage, trial
from shared.known_refunds import latest
from shared.notification import TEST
from shared.payment_summary import summarise, timestamp
from shared.store import rates as stored_rates
from shared.stripe.amounts import refund_outcome
from shared.work.dead_letters import LETTER_KINDS, SCAN_LIMIT, DeadLetters, ItemFilter
from shared.work.payment_index import PaymentFilter
from shared.work.payments import moment

Json = dict[str, Any]
Row = TypeVar("Row", bound=Output)
lists = operations_blueprint("ops_lists")
BUCKETS_AN_HOUR = 3600 // stored_rates.BUCKET_SECONDS
# Refund jobs whose payments are read in one round trip.
CHUNK = 200
COMMON = ("state", "type", "payment_id", "error", "attempts")
TIMES = ("recorded_at", "not_before", "finished_at")
NOTIFICATION_FIELDS = (*COMMON, *TIMES, "sequence")
REFUND_FIELDS = (
    *COMMON,
    *TIMES,
    "request",
    "result",
    "refund_id",
    "failure_code",
    "pending_reason",
)


@lists.get("/notifications", responses={200: NotificationList, **ON_GET})
def notifications(query: NotificationSearch) -> Response:
    """List notifications of any state, the newest first."""
    criteria = _item_filter(query, state=query.state)
    scan = _walk("notifications", criteria, NOTIFICATION_FIELDS)
    rows = (_notification(item) for item in scan if criteria.matches(item))
    data, complete = _first_page(rows, query.limit)
    return reply(NotificationList(data=data, complete=complete and not scan.cut))


@lists.post("/notifications/test", responses={202: Staged, **ON_POST})
def test_notification(body: Signed) -> Response:
    """Send the event service a notification that is marked as a test and has no payment."""
    store, settings = parts().store, parts().settings
    notification = trial(store, settings, trace())
    # Before it is staged: what an operator did is audited, whenever this process dies.
    Redrive(store, settings, parts().gateway).note(
        audit_note(body), "test_notification", id=notification.id
    )
    stage(store, settings, notification)
    return reply(Staged(id=notification.id), 202)


@lists.get("/refunds", responses={200: RefundList, **ON_GET})
def refunds(query: RefundSearch) -> Response:
    """List refund jobs, the newest first, with their amounts."""
    filters = _item_filter(query)
    scan = _walk("refunds", filters, REFUND_FIELDS)
    rows = _refund_rows(item for item in scan if filters.matches(item))
    matches = (row for row in rows if query.status in (None, row.status))
    data, complete = _first_page(matches, query.limit)
    return reply(RefundList(data=data, complete=complete and not scan.cut))


@lists.get("/payments", responses={200: PaymentList, **documented(400), **ON_GET})
def payments(query: OperatorsPaymentQuery) -> Response:
    """List the stored payments, the newest first."""
    data, complete = _known_payments().page(_payment_filter(query), query)
    return reply(PaymentList(data=data, complete=complete))


@lists.get("/payment-sums", responses={200: PaymentSums, **ON_GET})
def payment_sums(query: OperatorsTerms) -> Response:
    """Sum up the payments that a search finds, by status and currency, with fees and net."""
    return reply(_known_payments().sums(_payment_filter(query)))


@lists.get(
    "/payments/<payment_id>/work",
    responses={200: PaymentWork, **documented(404), **ON_GET},
)
def work(path: OpsPaymentPath) -> Response:
    """List the events, refund jobs and notifications of a payment with their states."""
    return reply(PaymentWork(data=_known_payments().work(payment_id_of(path.payment_id))))


@lists.get("/find", responses={200: MatchList, **ON_GET})
def find(query: FindQuery) -> Response:
    """Find the items and payments that an id, an e-mail address or any other text belongs to."""
    finder = Finder(parts().store, parts().payments, parts().payment_index, parts().settings)
    data, complete = finder.find(query.text.strip())
    return reply(MatchList(data=data, complete=complete))


@lists.get("/rates", responses={200: Rates, **ON_GET})
def rates(query: RateQuery) -> Response:
    """Show the counts of each five minutes in the last hours, and the delays."""
    first, counts, delays = stored_rates.read(parts().store, query.hours * BUCKETS_AN_HOUR)
    return reply(
        Rates(
            bucket_seconds=stored_rates.BUCKET_SECONDS,
            since=timestamp(first),
            counts=counts,
            delays=[_delay(bucket) for bucket in delays],
            delay=_delay([sum(part) for part in zip(*delays, strict=True)]),
        )
    )


def _known_payments() -> KnownPayments:
    return KnownPayments(parts().store, parts().payments, parts().payment_index)


def _payment_filter(query: OperatorsTerms) -> PaymentFilter:
    return PaymentFilter(
        metadata=wanted_metadata(query),
        email=query.email if query.email and is_address(query.email) else None,
        status=query.status,
        disputed=query.disputed,
        since=None if query.since is None else round(query.since.timestamp()),
        until=None if query.until is None else round(query.until.timestamp()),
    )


def _item_filter(query: Search, *, state: str | None = None) -> ItemFilter:
    return ItemFilter(
        type=query.type,
        error=query.error,
        payment_id=query.payment_id,
        state=state,
        since_ms=_milliseconds(query.since),
        until_ms=_milliseconds(query.until),
    )


def _milliseconds(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


class _Scan:
    """Items of a walk up to a limit; `cut` says afterwards whether there were more."""

    def __init__(self, items: Iterator[Json], limit: int) -> None:
        self._items = items
        self._limit = limit
        self.cut = False

    def __iter__(self) -> Iterator[Json]:
        for number, item in enumerate(self._items, start=1):
            if number > self._limit:
                self.cut = True
                return
            yield item


def _walk(kind: str, criteria: ItemFilter, fields: tuple[str, ...]) -> _Scan:
    items = DeadLetters(parts().store).walk(LETTER_KINDS[kind], criteria, fields=fields)
    return _Scan(items, SCAN_LIMIT)


def _first_page(rows: Iterable[Row], limit: int) -> tuple[list[Row], bool]:
    """Take up to the requested number of rows; say whether these were all."""
    page = list(islice(rows, limit + 1))
    return page[:limit], len(page) <= limit


def _common(item: Json) -> Json:
    payment_id = item["payment_id"]
    return {
        "id": item["id"],
        "payment_id": None if payment_id == NO_PAYMENT else payment_id,
        "attempts": int(item["attempts"] or 0),
        "error": item["error"] or None,
        "recorded_at": moment(item["recorded_at"]),
        "next_attempt_at": moment(item["not_before"]) if item["not_before"] else None,
        "finished_at": moment(item["finished_at"]) if item["finished_at"] else None,
    }


def _notification(item: Json) -> NotificationRow:
    sequence = item["sequence"]
    return NotificationRow(
        **_common(item),
        type=item["type"],
        state=item["state"],
        sequence=int(sequence) if sequence else None,
        is_test=item["type"] == TEST,
    )


def _refund_rows(items: Iterable[Json]) -> Iterator[RefundRow]:
    """Build the rows of refund jobs with what is known of their payments, read a chunk at a time.

    Raises `Unavailable`.
    """
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        names = [item["payment_id"] or "" for item in chunk]
        records = {one.id: one.known for one in parts().payments.read_many(sorted(set(names)))}
        for name, item in zip(names, chunk, strict=True):
            yield _refund(item, name, records[name])


def _refund(item: Json, payment_id: str, payment: Json) -> RefundRow:
    request, refund = json.loads(item["request"]), json.loads(item["result"] or "{}")
    if refund:
        refund = latest(refund, payment)
    common = _common(item)
    error = item["failure_code"] or refund.get("failure_reason") or common["error"]
    return RefundRow(
        **common | {"error": error},
        status=_status(item, refund),
        refund_id=item["refund_id"],
        amount=refund.get("amount", request.get("amount")),
        currency=refund.get("currency") or summarise(payment_id, payment).currency,
        reason=refund.get("reason") or request.get("reason"),
        pending_reason=item["pending_reason"] or refund.get("pending_reason"),
    )


def _status(item: Json, refund: Json) -> str:
    """Return the state of a refund job until it ended, then the outcome of its refund."""
    if item["state"] != "finished":
        return str(item["state"])
    return "failed" if item["failure_code"] else refund_outcome(refund)


def _delay(counts: list[int]) -> Delay:
    return Delay(p50=stored_rates.quantile(counts, 0.5), p99=stored_rates.quantile(counts, 0.99))
