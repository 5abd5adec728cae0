"""The parts of an API process: built once by `create_app`, shared by its threads."""

from __future__ import annotations

from dataclasses import dataclass
from threading import BoundedSemaphore, Event
from typing import cast

from flask import current_app

from api.idempotency import IdempotencyKeys
from api.refusal_limit import BadKeys
from shared.settings import Settings
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.batches import Batches
from shared.work.inbox import Inbox
from shared.work.payment_index import PaymentIndex
from shared.work.payments import Payments
from shared.work.refund_jobs import RefundJobs
from shared.work.stripe_budget import PromptBudget

EXTENSION = "billing"


@dataclass(frozen=True)
class Parts:
    """Settings and the parts made from them."""

    settings: Settings
    store: Store
    gateway: StripeGateway
    inbox: Inbox
    refund_jobs: RefundJobs
    payments: Payments
    payment_index: PaymentIndex
    batches: Batches
    idempotency: IdempotencyKeys
    # Limits the requests that wait for a result at one time (`Prefer: wait`): the other threads
    # must stay free for other refunds.
    waiting_room: BoundedSemaphore
    # Set when the process is about to end, so that requests stop waiting for results.
    draining: Event
    bad_keys: BadKeys

    @classmethod
    def build(cls, settings: Settings, store: Store) -> Parts:
        """Build the parts; connects to nothing yet."""
        payments = Payments(store, settings.payment_retention_seconds)
        return cls(
            settings=settings,
            store=store,
            gateway=StripeGateway(
                settings, observe=store.tally.stripe_call, budget=PromptBudget(store, settings)
            ),
            inbox=Inbox(store, settings),
            refund_jobs=RefundJobs(store, settings),
            payments=payments,
            payment_index=PaymentIndex(store, payments, settings.indexed_metadata),
            batches=Batches(store, settings),
            idempotency=IdempotencyKeys(store, settings),
            waiting_room=BoundedSemaphore(max(1, settings.api_threads // 2)),
            draining=Event(),
            bad_keys=BadKeys(settings.bad_keys_per_minute),
        )


def parts() -> Parts:
    """Return the parts of the application that answers this request."""
    return cast(Parts, current_app.extensions[EXTENSION])
