"""Stripe as an actor: it acts and answers, acts without an answer, refuses, repeats its errors.

It keeps Stripe's promise: under one idempotency key it acts once and repeats the same answer,
errors 500 included, and after 24 hours it may have forgotten the key
(https://docs.stripe.com/api/idempotent_requests).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import Any

from shared.errors import BillingError, CallerError, PaymentDeclined, Unavailable
from tests.explore.actors import Stage
from tests.explore.search import Option

Json = dict[str, Any]
# After this time Stripe may have forgotten a key; in a search it has.
FORGETS_MS = 24 * 3_600_000
ERRORS: dict[str, BillingError] = {
    "no answer": Unavailable(
        "Stripe did not answer.", code="stripe_unreachable", outcome_known=False
    ),
    "error 500": Unavailable("Stripe has a problem.", code="stripe_error", outcome_known=False),
    "limited": Unavailable("Stripe limits our rate.", code="stripe_rate_limited"),
    "refused": CallerError("The charge is disputed.", code="charge_disputed"),
    "failed": CallerError("The card's bank is closed.", code="expired_or_canceled_card"),
    "too much": CallerError("More than is left.", code="stripe_refused", param="amount"),
    "no balance": CallerError("The balance does not suffice.", code="balance_insufficient"),
    "declined": PaymentDeclined("The card was declined.", decline_code="generic_decline"),
}


@dataclass(frozen=True)
class StoredAnswer:
    """The answer that Stripe stores under an idempotency key, and its time."""

    key: str
    answer: str
    at_ms: int


@dataclass(frozen=True)
class Ledger:
    """The objects that Stripe made, by the key of their request, and the stored answers."""

    objects: tuple[tuple[str, str], ...] = ()
    stored_answers: tuple[StoredAnswer, ...] = ()

    def frozen(self) -> tuple[Any, ...]:
        """Convert it to a part of a state's world."""
        return astuple(self)

    @classmethod
    def of(cls, world: Any) -> Ledger:
        """Read it from a state's world."""
        objects, stored_answers = world
        return cls(objects, tuple(StoredAnswer(*one) for one in stored_answers))

    def answers(self, key: str, now_ms: int, prefix: str) -> Iterator[tuple[str, Ledger, str]]:
        """List the outcomes of a request that makes an object: description, ledger, cost."""
        stored = [
            one for one in self.stored_answers if one.key == key and now_ms - one.at_ms < FORGETS_MS
        ]
        if stored:
            yield stored[0].answer, self, ""
            return
        others = tuple(one for one in self.stored_answers if one.key != key)

        def keep(answer: str) -> Ledger:
            return replace(self, stored_answers=(*others, StoredAnswer(key, answer, now_ms)))

        name = f"{prefix}_{len(self.objects) + 1}"
        objects = (*self.objects, (name, key))
        acted = replace(keep(name), objects=objects)
        yield name, acted, ""
        yield "no answer", acted, "faults"
        yield "error 500", replace(keep("error 500"), objects=objects), "faults"
        yield "error 500", keep("error 500"), "faults"
        yield "no answer", self, "faults"
        for refusal in self.refusals(prefix):
            yield refusal, keep(refusal), "faults"

    @staticmethod
    def refusals(prefix: str) -> tuple[str, ...]:
        """List the possible refusals of Stripe; a batch tries some of them again."""
        if prefix.startswith("re_"):
            return ("refused", "failed", "too much", "no balance")
        return ("refused", "no balance") if prefix.startswith("re") else ("declined",)


class Gateway:
    """The gateway's calls of the settings, whose answers the search chooses."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def create_refund(self, *, idempotency_key: str, **_: Any) -> Json:
        return self._object("create_refund", idempotency_key)

    def refund(self, refund_id: str, _: str | None = None) -> Json:
        return self._object("refund", refund_id)

    def events(self, _: str | None = None, **__: Any) -> Iterator[list[Json]]:
        result: list[list[str]] = self._stage.peer("events")
        yield [
            {"request": {"idempotency_key": key}, "data": {"object": {"id": name}}}
            for name, key in result
        ]

    def payment(self, intent_id: str, _: str | None = None) -> Json:
        return self._object("payment", intent_id)

    def _object(self, call: str, argument: str) -> Json:
        result: Json = self._stage.peer(call, argument)
        return result


def translated(result: Any) -> Any:
    """Return Stripe's answer as the gateway does: an object, or raise an error."""
    if isinstance(result, dict) and (error := ERRORS.get(str(result.get("error")))):
        raise error
    return result


def option(words: str, result: Any, world: tuple[Any, ...], cost: str = "") -> Option:
    """Build an option with an answer of Stripe."""
    answer = {"error": words} if words in ERRORS else result
    return Option(words, json.dumps(answer), world, cost)
