"""The objects that a worker process uses while it lives, built once from one `Settings`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from threading import BoundedSemaphore

from standardwebhooks.webhooks import Webhook

from shared.settings import Settings
from shared.store.connection import open_store
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.batches import Batches
from shared.work.inbox import Inbox
from shared.work.items import Work
from shared.work.kinds import UPKEEP
from shared.work.outbox import Outbox
from shared.work.outcomes import Outcomes
from shared.work.payment_index import PaymentIndex
from shared.work.payments import Payments
from shared.work.refund_jobs import RefundJobs
from shared.work.settlement import Settlement
from shared.work.stripe_budget import Budget, Priority
from worker.event_service import EventService
from worker.stripe_lines import StripeLines
from worker.throttle import Throttle


@dataclass(frozen=True)
class Runtime:
    """Settings and the parts made from them; safe to share between the threads of a worker."""

    settings: Settings
    store: Store

    @classmethod
    def from_settings(cls, settings: Settings) -> Runtime:
        """Build a runtime; connects to nothing yet."""
        return cls(settings, open_store(settings, "billing-worker"))

    @cached_property
    def gateway(self) -> StripeGateway:
        """Return the gateway for events and upkeep; it leaves retries to the worker's policy."""
        return self._gateway(Priority.LOOK_UPS, self._lines.for_look_ups)

    @cached_property
    def refund_gateway(self) -> StripeGateway:
        """Return the gateway for refund jobs, whose calls have the lowest priority."""
        return self._gateway(Priority.REFUNDS, self._lines.for_refunds)

    @cached_property
    def _seats(self) -> BoundedSemaphore:
        """Limit the threads that wait for Stripe's rate limit; the others serve other work."""
        return BoundedSemaphore(max(1, self.settings.worker_concurrency // 2))

    @cached_property
    def _lines(self) -> StripeLines:
        """Limit the threads that are in a call to Stripe; the others serve other work."""
        return StripeLines(self.settings.worker_concurrency)

    def _gateway(self, priority: Priority, lines: int) -> StripeGateway:
        return StripeGateway(
            self.settings,
            max_network_retries=0,
            observe=self.store.tally.stripe_call,
            budget=Budget(self.store, self.settings, priority, self._seats),
            line=lambda: self._lines.hold(lines),
        )

    @cached_property
    def inbox(self) -> Inbox:
        """Return the inbox."""
        return Inbox(self.store, self.settings)

    @cached_property
    def outbox(self) -> Outbox:
        """Return the outbox."""
        return Outbox(self.store, self.settings)

    @cached_property
    def refund_jobs(self) -> RefundJobs:
        """Return the refund jobs."""
        return RefundJobs(self.store, self.settings)

    @cached_property
    def outcomes(self) -> Outcomes:
        """Return the record of objects that our calls made, by their idempotency keys."""
        return Outcomes(self.store, self.settings)

    @cached_property
    def batches(self) -> Batches:
        """Return the batches of refunds."""
        return Batches(self.store, self.settings)

    @cached_property
    def payment_index(self) -> PaymentIndex:
        """Return the index of payments."""
        return PaymentIndex(self.store, self.payments, self.settings.indexed_metadata)

    @cached_property
    def payments(self) -> Payments:
        """Return the records of payments."""
        return Payments(self.store, self.settings.payment_retention_seconds)

    @cached_property
    def settlement(self) -> Settlement:
        """Return the settlement of finished work."""
        return Settlement(self.store, self.settings)

    @cached_property
    def works(self) -> dict[str, Work]:
        """Return the items of each kind, by the name of its queue."""
        upkeep = Work(self.store, UPKEEP, UPKEEP.lease_ms(self.settings))
        works = (self.inbox.work, self.refund_jobs.work, self.outbox, upkeep)
        return {work.kind.name: work for work in works}

    @cached_property
    def throttle(self) -> Throttle:
        """Return what holds batches back while processors are short."""
        return Throttle()

    @cached_property
    def signers(self) -> list[Webhook]:
        """Return the signers of notifications, one for each secret of the settings."""
        return [Webhook(s.get_secret_value()) for s in self.settings.event_service_secret]

    @cached_property
    def event_service(self) -> EventService:
        """Return the client of the event service with its pooled connections."""
        return EventService(self.settings)
