"""The notifications of a batch of refunds: that it started, paused, or came to its end."""

from __future__ import annotations

from typing import Any

from shared.canonical_json import compact
from shared.facts import Fact
from shared.payment_summary import notification_body
from shared.work.batch import BatchRecord

Json = dict[str, Any]
STARTED, PAUSED, COMPLETED = (
    "refund_batch.started",
    "refund_batch.paused",
    "refund_batch.completed",
)


def batch_notification(batch: BatchRecord, type_: str, at: int, *, livemode: bool) -> Json:
    """Build a notification for a script to stage: its id and its fields; `at` in Unix seconds.

    In the outbox the batch takes the place of a payment, so that its notifications are in order.
    """
    fact = Fact(
        subject=batch.id,
        family="refund_batch",
        status=batch.fields["state"],
        rank=(at,),
        happened_at=at,
        snapshot={},
        type=type_,
        key=f"{batch.id}:{batch.fields.get('revision', '0')}",
        data=_data(batch, type_),
        livemode=livemode,
    )
    body = notification_body(fact, {}, batch.id)
    fields = {
        "type": type_,
        "payment_id": batch.id,
        "body": compact(body),
        "created": str(at),
        "request_id": batch.fields.get("request_id", ""),
    }
    return {"id": body["id"], "fields": {name: text for name, text in fields.items() if text}}


def _data(batch: BatchRecord, type_: str) -> Json:
    paused = type_ == PAUSED
    return {
        "refund_batch_id": batch.id,
        "counts": batch.counts,
        "amounts": batch.amounts,
        "paused_reason": batch.fields.get("paused_reason") if paused else None,
        "missing": batch.missing if paused else None,
        "account": batch.fields.get("account") or None,
        "event_id": batch.request["event_id"],
        "reason": batch.request["reason"],
        "metadata": batch.request["metadata"],
    }
