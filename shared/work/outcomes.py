"""Outcomes: find the object that our call made at Stripe, by its idempotency key.

A call that timed out is repeated with the same key. That does not help when Stripe answers 500
after it acted: it stores that answer, too, and repeats it for 24 hours. But every event names the
key of the request that caused it, so an event proves what our call made.
"""

from __future__ import annotations

from shared.errors import Unavailable
from shared.refund_metadata import job_in
from shared.settings import Settings
from shared.store.scripts import Store
from shared.stripe.event import Event
from shared.stripe.gateway import StripeGateway
from shared.telemetry.logging import get_logger
from shared.work.refund_jobs import RefundJobs, job_of_key

log = get_logger(__name__)

# Prefix of every idempotency key of this service.
OUR_KEYS = "billing-"
MAKING_TYPES = {"refund": "refund.created", "payment_intent": "payment_intent.created"}
# Milliseconds: twice the time for which Stripe may repeat an answer.
REMEMBERED_SECONDS = 2 * 86_400
# Seconds: clocks may differ, but an event is never older than its call by this much.
SKEW_SECONDS = 300
# Most pages of 100 events: reading more would take longer than a worker's lease.
MAX_PAGES = 25


class Outcomes:
    """Remember which refund each of our calls made, and find what a call made.

    A payment's intent is remembered in the step that settles its event (`Settlement`).
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._jobs = RefundJobs(store, settings)

    def remember_refund(self, event: Event) -> None:
        """Remember the refund that our call made, if its event names our idempotency key.

        A refund job that waits for its next try becomes due now: it will find the object. A job
        that Redis lost is restored. A finished job knows its refund. Raises `Unavailable`.
        """
        object_id, key = str(event.object.get("id") or ""), event.request_key or ""
        job = job_in(event.object.get("metadata"))
        if job and self._jobs.has_made(job, object_id):
            return
        self._restore(event, job)
        if not key.startswith(OUR_KEYS):
            return
        self._store.put(self._store.keys.made(key), object_id, REMEMBERED_SECONDS)
        caller = job_of_key(key)
        if caller:
            self._jobs.remember(object_id, caller)
            self._jobs.work.wake(caller)

    def _restore(self, event: Event, job: str | None) -> None:
        refund = event.object
        if job and self._jobs.restore(job, refund, event.account):
            log.warning("refund_job_restored", id=job, refund_id=refund["id"])

    def remembered(self, stripe_key: str) -> str | None:
        """Return the id of the object that our call with this key made, if we processed its event.

        Raises `Unavailable`.
        """
        return self._store.get(self._store.keys.made(stripe_key))


def object_in_events(
    stripe: StripeGateway, stripe_key: str, kind: str, since: float, account: str | None = None
) -> str | None:
    """Find the object of a kind (`refund`, `payment_intent`) that our call made, by the events.

    Reads Stripe's events since shortly before the first call. None means that Stripe lists no such
    object: that proves it for a call of an hour ago, not for one of the last seconds. Raises
    `Unavailable`, also when there are more events than can be read.
    """
    window = {"gte": int(since) - SKEW_SECONDS}
    pages = stripe.events(account, type=MAKING_TYPES[kind], created=window)
    for number, page in enumerate(pages, start=1):
        for raw in page:
            if (raw.get("request") or {}).get("idempotency_key") == stripe_key:
                return str(raw["data"]["object"]["id"])
        if number == MAX_PAGES:
            raise Unavailable(
                "Too many events to search for the result of our call; look it up at Stripe.",
                code="outcome_unknown",
                outcome_known=False,
            )
    return None
