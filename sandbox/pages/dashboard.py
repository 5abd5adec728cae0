"""The dashboard: payments with charges, refunds and disputes; events; deliveries; receipts."""

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Final

from aiohttp import web

from sandbox.cards.test_data import DisputeKind
from sandbox.pages.rendering import PAGE_LENGTH, page, position, render
from sandbox.world import errors
from sandbox.world.objects import Json, indented
from sandbox.world.world import Account, World

REFUND_CAN_FAIL: Final = ("succeeded", "pending")
NOTES: Final = {
    "sent": "The event will be sent again.",
    "disputed": "The payment is disputed.",
    "failed": "The refund has failed.",
}
"""Messages after an action; the address has only the key."""
DISPUTE_KINDS: Final = {
    DisputeKind.CHARGEBACK.value: "Chargeback: fraudulent",
    DisputeKind.NOT_RECEIVED.value: "Chargeback: product not received",
    DisputeKind.INQUIRY.value: "Inquiry: no money is taken yet",
}


@page
async def _payments(request: web.Request, world: World) -> web.StreamResponse:
    rows = [
        {"intent": intent, "method": _method_of(account, intent)}
        for account, intent in _page_of(world, "payment_intent", position(request))
    ]
    sessions = [
        session
        for _, session in islice(_newest(world, "checkout.session"), PAGE_LENGTH)
        if session["status"] == "open"
    ]
    return render("payments.html", rows=rows, sessions=sessions, **_pages(request, len(rows)))


@page
async def _payment(request: web.Request, world: World) -> web.StreamResponse:
    account, intent = _find_owner(world, "payment_intent", request.match_info["id"])
    charges = _related_objects(account, "charge", intent["id"])
    return render(
        "payment.html",
        intent=intent,
        method=_method_of(account, intent),
        charges=charges,
        refunds=_related_objects(account, "refund", intent["id"]),
        disputes=_related_objects(account, "dispute", intent["id"]),
        events=_events_about(account, intent["id"]),
        disputable=[charge["id"] for charge in charges if charge["captured"]],
        dispute_kinds=DISPUTE_KINDS,
        can_fail=REFUND_CAN_FAIL,
        **_details(request, intent),
    )


@page
async def _events(request: web.Request, world: World) -> web.StreamResponse:
    rows = [event for _, event in _page_of(world, "event", position(request))]
    return render("events.html", rows=rows, **_pages(request, len(rows)))


@page
async def _event(request: web.Request, world: World) -> web.StreamResponse:
    _, event = _find_owner(world, "event", request.match_info["id"])
    deliveries = world.mail.of_event(event["id"])
    subject = event["data"]["object"]
    payment = subject["id"] if subject["object"] == "payment_intent" else None
    return render(
        "event.html",
        event=event,
        deliveries=deliveries,
        payment=payment or subject.get("payment_intent"),
        **_details(request, event),
    )


@page
async def _deliveries(request: web.Request, world: World) -> web.StreamResponse:
    start = (position(request) - 1) * PAGE_LENGTH
    newest = reversed(world.mail.deliveries.values())
    rows = list(islice(newest, start, start + PAGE_LENGTH))
    endpoints = [endpoint for _, endpoint in _newest(world, "webhook_endpoint")]
    listeners = len(world.mail.sinks)
    return render(
        "deliveries.html",
        rows=rows,
        endpoints=endpoints,
        listeners=listeners,
        **_pages(request, len(rows)),
    )


@page
async def _receipt(request: web.Request, world: World) -> web.StreamResponse:
    account, charge = _find_owner(world, "charge", request.match_info["id"])
    method = account.find("payment_method", charge["payment_method"])
    return render("receipt.html", charge=charge, method=method)


def _find_owner(world: World, kind: str, object_id: str) -> tuple[Account, Json]:
    account = world.owner_of(kind, object_id)
    if account is None:
        raise errors.missing(kind, object_id, "id")
    return account, account.table(kind)[object_id]


def _newest(world: World, kind: str) -> Iterator[tuple[Account, Json]]:
    """Yield the objects of all accounts, newest first, without copying or sorting all of them."""
    walks = [
        ((account, record) for record in reversed(account.table(kind).values()))
        for account in list(world.accounts.values())
    ]
    return heapq.merge(*walks, key=lambda pair: pair[1]["created"], reverse=True)


def _page_of(world: World, kind: str, number: int) -> list[tuple[Account, Json]]:
    start = (number - 1) * PAGE_LENGTH
    return list(islice(_newest(world, kind), start, start + PAGE_LENGTH))


def _pages(request: web.Request, page_number: int) -> Json:
    number = position(request)
    return {
        "newer": number - 1 if number > 1 else None,
        "older": number + 1 if page_number == PAGE_LENGTH else None,
        "note": NOTES.get(request.query.get("note", "")),
    }


def _details(request: web.Request, record: Json) -> Json:
    return {"raw": indented(record), "note": NOTES.get(request.query.get("note", ""))}


def _method_of(account: Account, intent: Json) -> Json | None:
    failure = intent["last_payment_error"] or {}
    method = failure.get("payment_method") or {}
    return account.find("payment_method", intent["payment_method"] or method.get("id"))


def _related_objects(account: Account, kind: str, intent_id: str) -> list[Json]:
    return [
        record for record in account.table(kind).values() if record["payment_intent"] == intent_id
    ]


def _events_about(account: Account, intent_id: str) -> list[Json]:
    return [event for event in account.table("event").values() if _concerns(event, intent_id)]


def _concerns(event: Json, intent_id: str) -> bool:
    subject = event["data"]["object"]
    return intent_id in (subject["id"], subject.get("payment_intent"))


ROUTES: Final = (
    web.get("/", _payments),
    web.get("/payments/{id}", _payment),
    web.get("/events", _events),
    web.get("/events/{id}", _event),
    web.get("/deliveries", _deliveries),
    web.get("/_sandbox/receipts/{id}", _receipt),
)
