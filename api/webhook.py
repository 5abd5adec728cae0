"""Stripe's webhooks: verify, record, ring, answer. All other work happens after the answer.

This is the hot path: it runs in the event loop, without a thread, and sends waiting events to Redis
together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from limits import RateLimitItemPerSecond

from api.answers import mistake, problem_answer
from api.messages import Answer, Request
from api.models import Received
from api.refusal_limit import RefusalLimit
from api.request_context import Identity, RequestLines, identify
from shared.errors import BillingError, CallerError, Unavailable
from shared.hosts import is_known_host, own_names
from shared.settings import Settings
from shared.store.pipe import Pipe
from shared.stripe.endpoints import WEBHOOK_PATH
from shared.stripe.event import Event, parse_event
from shared.stripe.signature import BadlySigned, read_signature
from shared.telemetry.tally import (
    OTHER_MODE_EVENTS,
    OWN_ACCOUNT,
    Tally,
)
from shared.work.inbox import Inbox

# `Retry-After` when the inbox is full; Stripe ignores it and retries by its own schedule.
FULL_RETRY_SECONDS = 30
# Signatures checked per second and address above the limit; hashing 1 MB takes 1 ms.
STILL_CHECKED = RateLimitItemPerSecond(20)
# Values of `Host` whose check is cached; Stripe uses one.
HOSTS_REMEMBERED = 64
ANSWERS = {
    result: Received(received=True, result=result).model_dump_json().encode() + b"\n"
    for result in ("recorded", "duplicate", "other_mode")
}


@dataclass(slots=True)
class Visit:
    """One request to the webhook, with the function that takes its answer."""

    request: Request
    address: str
    identity: Identity
    answer: Callable[[Answer], None]


class BadSignatures(RefusalLimit):
    """Count badly signed webhooks by address; answer 429 instead of 400 above the limit.

    Webhooks from an address above the limit are refused before their signature is checked, except
    for a few per second. Stripe may use the same proxy as a forger, so webhooks from an address
    that has sent one good signature are always checked. Stripe's events can be answered 429 only
    before its first good one, and Stripe sends those again.
    """

    def __init__(self, per_minute: int) -> None:
        detail = "Too many badly signed requests came from this address; try again later."
        super().__init__(per_minute, detail, "too_many_bad_signatures")
        # Only addresses of Stripe and of proxies: a forger adds none.
        self._proven: set[str] = set()

    def admit(self, address: str) -> None:
        """Refuse an address above the limit before its signature is checked.

        Raises `CallerError` 429.
        """
        if address in self._proven or self._limiter.test(self._limit, address):
            return
        if not self._limiter.hit(STILL_CHECKED, address):
            raise self._refusal(address)

    def prove(self, address: str) -> None:
        """Remember that an address sent a good signature."""
        self._proven.add(address)


class WebhookDoor:
    """Receive events: verify the sender, and record each in one round trip to Redis."""

    def __init__(self, settings: Settings, inbox: Inbox, pipe: Pipe, tally: Tally) -> None:
        self._settings = settings
        self._livemode = settings.livemode
        self._secrets = [s.get_secret_value().encode() for s in settings.stripe_webhook_secret]
        names = own_names(settings.host, settings.allowed_hosts)
        ask = partial(is_known_host, allowed=names)
        self._is_known_host = lru_cache(HOSTS_REMEMBERED)(ask)
        self._inbox = inbox
        self._pipe = pipe
        self._tally = tally
        self._lines = RequestLines(settings)
        self._bad_signatures = BadSignatures(settings.bad_signatures_per_minute)

    def receive(self, request: Request, address: str, answer: Callable[[Answer], None]) -> None:
        """Answer one webhook, in every case: at once, or when Redis has stored the event.

        Calls `answer` once with the result; raises nothing.
        """
        headers = request.headers
        identity = identify(
            headers.get("x-request-id", ""), headers.get("traceparent", ""), f"POST {WEBHOOK_PATH}"
        )
        visit = Visit(request, address, identity, answer)
        self._go_on(visit, partial(self._admit, visit))

    def _go_on(self, visit: Visit, step: Callable[[], str | None]) -> None:
        """Run a step; answer with its result, if it has one, or with its error."""
        try:
            result = step()
            if result is None:
                return
            answer = visit.identity.answer(ANSWERS[result])
        except Exception as caught:  # noqa: BLE001  # the edge: every defect becomes an answer
            error = caught if isinstance(caught, BillingError) else mistake(caught)
            result, answer = error.code, problem_answer(visit.identity, error)
        self._tell(visit, answer.status, result)
        visit.answer(answer)

    def _admit(self, visit: Visit) -> str | None:
        """Verify and read the event; send it to Redis and return None, or return the result.

        Raises `CallerError`.
        """
        request = visit.request
        if not self._is_known_host(request.headers.get("host", "")):
            raise CallerError(
                "The service does not answer to this Host; add the name to ALLOWED_HOSTS.",
                status=421,
                code="host_not_allowed",
            )
        self._verify(request, visit.address)
        event = parse_event(request.body)
        if event.livemode != self._livemode:
            return self._other_mode(event)
        recording = self._inbox.recording(
            event, request.body.decode(), "webhook", visit.identity.trace
        )
        self._pipe.send(recording, lambda outcome: self._go_on(visit, partial(_result_of, outcome)))
        return None

    def _verify(self, request: Request, address: str) -> None:
        """Accept a signature by any of the secrets; do not hash for an address above the limit."""
        oldest = time.time() - self._settings.webhook_tolerance_seconds
        try:
            signature = read_signature(request.headers.get("stripe-signature", ""), oldest)
            self._bad_signatures.admit(address)
            signature.require(request.body, self._secrets)
        except BadlySigned:
            self._bad_signatures.count(address)
            raise
        self._bad_signatures.prove(address)

    def _other_mode(self, event: Event) -> str:
        """Count an event of another mode than our key's, without recording it.

        Stripe's design sends test events of connected accounts to live Connect endpoints, and an
        endpoint that refuses events for days is disabled.
        """
        mode = "live" if event.livemode else "test"
        self._tally.count(OTHER_MODE_EVENTS, mode=mode, account=event.account or OWN_ACCOUNT)
        return "other_mode"

    def _tell(self, visit: Visit, status: int, result: str) -> None:
        seconds = time.perf_counter() - visit.request.began_at
        self._tally.webhook(WEBHOOK_PATH, status, seconds, result)
        self._lines.end(visit.identity, WEBHOOK_PATH, status, seconds, result)


def _result_of(outcome: list[str] | Unavailable) -> str:
    """Name the result of a recording. Raises `Unavailable` when the event was not recorded."""
    if isinstance(outcome, Unavailable):
        raise outcome
    if outcome[0] == "full":
        raise Unavailable(
            "Too many events wait to be processed; send this one again.",
            code="too_many_waiting",
            retry_after_seconds=FULL_RETRY_SECONDS,
        )
    return "recorded" if outcome[0] == "recorded" else "duplicate"
