"""Idempotency keys of callers: a repeated request gets the same answer again.

The record is made before the call to Stripe and stores the answer afterwards. A crash in between
leaves a record without an answer; the next request with the key then calls Stripe again with the
same key, and Stripe returns the first result. Stripe may forget a key after 24 hours, so a request
with an older unfinished record is refused.

Source: the IETF draft "The Idempotency-Key HTTP Header Field" and Stripe's idempotent requests.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from shared.canonical_json import compact
from shared.digest_ids import digest_id
from shared.errors import CallerError
from shared.settings import Settings
from shared.store.scripts import Call, Store

Json = dict[str, Any]
# A process that dies leaves its lease behind, so the lease is only as long as an ordinary answer
# takes. Safety does not depend on it: Stripe's own idempotency prevents a second charge.
LEASE_MS = 10_000
# One hour less than the shortest time for which Stripe remembers a key.
RESUMABLE_MS = 23 * 3600 * 1000
MAX_KEY_LENGTH = 255
# 192 bits: enough that two requests never share a key at Stripe.
STRIPE_KEY_LENGTH = 48


@dataclass(frozen=True)
class KeptAnswer:
    """A finished answer as it is stored: HTTP status and JSON body."""

    status: int
    body: Json


@dataclass(frozen=True)
class IdempotentRequest:
    """One request with one key, in the scope of its caller and route.

    `notes` are written together with its end, which saves a payment a round trip to Redis.
    """

    scope: str
    key: str
    fingerprint: str
    token: str
    notes: list[Call] = field(default_factory=list, compare=False)

    @property
    def stripe_key(self) -> str:
        """Derive the key for Stripe: the same request always gives the same key."""
        return digest_id("billing-", f"{self.scope}\n{self.key}", STRIPE_KEY_LENGTH)

    @property
    def digest(self) -> str:
        """Name the record in Redis."""
        return hashlib.sha256(f"{self.scope}\n{self.key}".encode()).hexdigest()


def idempotent_request(scope: str, header: str | None, body: Json) -> IdempotentRequest:
    """Build the request's identity; a key is made when none was given.

    Raises `CallerError` for a key that is empty, longer than 255 characters or not printable.
    """
    if header is not None and not (0 < len(header) <= MAX_KEY_LENGTH and header.isprintable()):
        raise CallerError(
            "Idempotency-Key must have 1 to 255 printable characters.",
            code="invalid_idempotency_key",
            param="Idempotency-Key",
        )
    return IdempotentRequest(
        scope=scope,
        key=header if header is not None else f"auto-{secrets.token_hex(16)}",
        fingerprint=hashlib.sha256(compact(body).encode()).hexdigest(),
        token=secrets.token_hex(8),
    )


class IdempotencyKeys:
    """Begin and conclude requests that move money."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._retention_ms = settings.idempotency_retention_seconds * 1000

    def begin(self, request: IdempotentRequest) -> KeptAnswer | None:
        """Begin or resume a request: None means continue, a `KeptAnswer` is the answer to repeat.

        Raises `CallerError` 422 for another body with the key, 409 while the first request runs,
        409 for an unfinished request that is too old to be repeated; `Unavailable`.
        """
        args = [request.fingerprint, request.token, LEASE_MS, self._retention_ms, RESUMABLE_MS]
        outcome, *rest = self._store.run(Call("begin", self._record(request), args))
        if outcome == "replay":
            answer = json.loads(rest[0])
            return KeptAnswer(answer["status"], answer["body"])
        if outcome != "begun":
            raise _refusal(outcome, rest)
        return None

    def conclude(self, request: IdempotentRequest, answer: KeptAnswer | None) -> None:
        """Store the answer and the notes; None lets the caller try again at once.

        Raises `Unavailable`.
        """
        # The order of fields is kept, so that the repeated answer has the same bytes.
        record = json.dumps({"status": answer.status, "body": answer.body}) if answer else ""
        end = Call("conclude", self._record(request), [request.token, record])
        self._store.run_each([*request.notes, end])

    def is_done(self, request: IdempotentRequest) -> bool:
        """Say whether the request had its effect before, whose answer was lost.

        The scripts that note it are those of the batches and ceilings. Raises `Unavailable`.
        """
        name = self._store.keys.idempotency(request.digest)
        return self._store.fields(name, "done_at") != [None]

    def begun_at_ms(self, request: IdempotentRequest) -> int:
        """Read when the first request with the key began; now, when there is no record.

        Raises `Unavailable`.
        """
        name = self._store.keys.idempotency(request.digest)
        return int(self._store.fields(name, "begun_at")[0] or self._store.now_ms())

    def _record(self, request: IdempotentRequest) -> dict[str, str]:
        return {"idempotency": self._store.keys.idempotency(request.digest)}


def _refusal(outcome: str, rest: list[Any]) -> CallerError:
    if outcome == "mismatch":
        return CallerError(
            "This Idempotency-Key was used with another body; send a new request with a new key.",
            status=422,
            code="idempotency_key_reused",
        )
    if outcome == "running":
        return CallerError(
            "The first request with this Idempotency-Key is still running; send it again later.",
            status=409,
            code="idempotency_key_in_use",
            retry_after_seconds=int(rest[0]) / 1000,
        )
    return CallerError(
        "A request with this key began over 23 hours ago and never finished. Look the payment "
        "up before you try again with a new key.",
        status=409,
        code="idempotency_key_expired",
    )
