"""Routes for operators: inspect work and redrive it; the audit log records every change."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from flask import Response

from api.audit_note import audit_note
from api.blueprints import ON_GET, ON_POST, operations_blueprint
from api.known_payments import payment_id_of
from api.models import AccountHeader, Refund
from api.ops_models import (
    ITEM_ID,
    AuditList,
    Comparison,
    EventSearch,
    Item,
    ItemDetails,
    ItemList,
    ItemPath,
    JobPath,
    KnownPayment,
    LetterSearch,
    Limit,
    OpsPaymentPath,
    OpsRefundPath,
    Outcome,
    QueueList,
    RedriveMany,
    RedriveOne,
    RedriveResult,
    Resolve,
    Search,
    ServiceInfo,
    Signed,
    StoreFinding,
)
from api.parts import parts
from api.problems import documented
from api.redrive import Redrive, Redriven
from api.refund import look_up
from api.reply import reply
from shared.errors import CallerError
from shared.settings import Settings
from shared.store.durability import alarming
from shared.stripe.gateway import API_VERSION
from shared.work.dead_letters import LETTER_KINDS, DeadLetters, ItemFilter, SearchResult
from shared.work.queues import queues as read_queues
from shared.work.reconciliation import Reconciliation

ops = operations_blueprint("ops")
STRIPE_DASHBOARD = "https://dashboard.stripe.com"


@ops.get("/service", responses={200: ServiceInfo, **ON_GET})
def service() -> Response:
    """Answer with the mode and version of the service, also when Redis is down."""
    settings = parts().settings
    mode = "simulated" if settings.stripe_api_base else "live" if settings.livemode else "test"
    return reply(
        ServiceInfo(
            mode=mode,
            open=not settings.operator_keys,
            dashboard=_dashboard(settings),
            stripe_api_version=API_VERSION,
        )
    )


def _dashboard(settings: Settings) -> str:
    """Return the base address of Stripe's dashboard, or of the sandbox's."""
    if settings.stripe_api_base:
        return str(settings.stripe_api_base).rstrip("/")
    return STRIPE_DASHBOARD if settings.livemode else f"{STRIPE_DASHBOARD}/test"


@ops.get("/dead-letters", responses={200: ItemList, **ON_GET})
def dead_letters(query: LetterSearch) -> Response:
    """List dead letters, the newest first."""
    kind = LETTER_KINDS[query.kind] if query.kind else None
    criteria = ItemFilter(kind=kind, **_common(query))
    return _item_list(DeadLetters(parts().store).find(criteria, query.limit))


@ops.post("/dead-letters/redrive", responses={200: RedriveResult, **documented(404), **ON_POST})
def redrive_many(body: RedriveMany) -> Response:
    """Redrive dead letters by id or by a search; a dry run changes nothing."""
    if (body.ids is None) == (body.kind is None):
        raise CallerError("Send either ids or kind, not both.", status=422, code="ids_or_kind")
    audit, redrive = audit_note(body), _redrive()
    if body.ids is not None:
        result = redrive.these([_item(i) for i in body.ids], audit, dry_run=body.dry_run)
    else:
        criteria = ItemFilter(kind=LETTER_KINDS[str(body.kind)], **_common(body))
        result = redrive.many(criteria, audit, body.limit, dry_run=body.dry_run)
    return _redrive_answer(result, dry_run=body.dry_run)


@ops.get("/items/<item_id>", responses={200: ItemDetails, **documented(400, 404), **ON_GET})
def inspect(path: ItemPath) -> Response:
    """Show an event, a refund job or a notification with all its fields."""
    return reply(ItemDetails.of(DeadLetters(parts().store).inspect(_item(path.item_id))))


@ops.post("/items/<item_id>/redrive", responses={200: Outcome, **documented(404, 409), **ON_POST})
def redrive_one(path: ItemPath, body: RedriveOne) -> Response:
    """Redrive one dead or finished item; an event that is unknown here is fetched from Stripe."""
    outcome = _redrive().one(_item(path.item_id), audit_note(body), body.account)
    return reply(Outcome(outcome=outcome))


@ops.post("/refunds/<job>/resolve", responses={200: Outcome, **documented(404, 409), **ON_POST})
def resolve(path: JobPath, body: Resolve) -> Response:
    """End a dead refund job as Stripe's dashboard shows: with a refund, or as failed."""
    if body.failed == (body.refund_id is not None):
        raise CallerError("Send either refund_id or failed: true.", status=422, code="one_finding")
    _redrive().resolve(_item(path.job, "rr_"), audit_note(body), body.refund_id)
    return reply(Outcome(outcome="resolved"))


@ops.get("/events", responses={200: ItemList, **ON_GET})
def events(query: EventSearch) -> Response:
    """List events of any state, the newest first."""
    criteria = ItemFilter(state=query.state, **_common(query))
    return _item_list(DeadLetters(parts().store).events(criteria, query.limit))


@ops.get("/payments/<payment_id>", responses={200: KnownPayment, **documented(400, 404), **ON_GET})
def payment(path: OpsPaymentPath) -> Response:
    """Show the stored state and timeline of a payment, without a call to Stripe."""
    payment_id = payment_id_of(path.payment_id)
    record = parts().payments.read(payment_id)
    timeline = parts().payments.timeline(payment_id)
    if not record.known and not timeline:
        raise CallerError(
            "This service has no data about this payment: no webhook has come "
            "yet, or its data expired.",
            status=404,
            code="payment_not_found",
        )
    return reply(
        KnownPayment(
            payment_id=payment_id,
            revision=record.revision,
            updated_at_ms=record.updated_at_ms,
            known=record.known,
            timeline=timeline,
        )
    )


@ops.get("/refunds/<refund_id>", responses={200: Refund, **documented(400, 404), **ON_GET})
def refund(header: AccountHeader, path: OpsRefundPath) -> Response:
    """Show a refund, as `GET /api/refund/…` does for a caller."""
    return reply(look_up(path.refund_id, header.stripe_account))


@ops.get("/queues", responses={200: QueueList, **ON_GET})
def queues() -> Response:
    """Show how much work waits in each queue, and which workers serve it."""
    store = parts().store
    findings = [
        StoreFinding(
            level="error" if one.level == "error" else "warning", what=one.what, fix=one.fix
        )
        for one in alarming(store)
    ]
    return reply(QueueList(**read_queues(store), store_findings=findings))


@ops.get("/reconcile", responses={200: Comparison, **ON_GET})
def reconciliation() -> Response:
    """Show the state of the comparison with Stripe's archive."""
    return reply(Comparison(**Reconciliation(parts().store).report()))


@ops.post("/reconcile", responses={202: Outcome, **ON_POST})
def reconcile(body: Signed) -> Response:
    """Compare with Stripe's archive now; `running` means that it runs again after this round."""
    _redrive().note(audit_note(body), "reconcile")
    outcome = Reconciliation(parts().store).demand()
    return reply(Outcome(outcome=outcome), 202)


@ops.get("/audit", responses={200: AuditList, **ON_GET})
def audit(query: Limit) -> Response:
    """List the decisions of operators, the newest first."""
    return reply(AuditList(data=_redrive().audit(query.limit)))


def _redrive() -> Redrive:
    return Redrive(parts().store, parts().settings, parts().gateway)


def _item(item_id: str, prefix: str = "") -> str:
    if not re.fullmatch(ITEM_ID, item_id) or not item_id.startswith(prefix):
        raise CallerError(
            "An item's id begins with evt_, rr_ or ntf_.", status=404, code="item_not_found"
        )
    return item_id


def _common(filters: Search | RedriveMany) -> dict[str, Any]:
    return {
        "type": filters.type,
        "error": filters.error,
        "payment_id": filters.payment_id,
        "since_ms": _milliseconds(filters.since),
        "until_ms": _milliseconds(filters.until),
    }


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _item_list(result: SearchResult) -> Response:
    items = [Item(**item) for item in result.items]
    return reply(ItemList(data=items, matched=result.matched, complete=result.complete))


def _redrive_answer(result: Redriven, *, dry_run: bool) -> Response:
    return reply(
        RedriveResult(
            dry_run=dry_run,
            matched=result.matched,
            redriven=result.ids,
            skipped=result.skipped,
            complete=result.complete,
        )
    )
