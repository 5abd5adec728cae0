"""Idempotency keys: two callers pay under one key, and whatever dies, Stripe charges once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask import Flask, g

from api.access import require_caller
from api.idempotency import LEASE_MS
from api.idempotent import idempotently
from api.models import MoneyHeaders, ProcessPayment
from api.parts import EXTENSION, Parts
from api.payment import _charge
from tests.conftest import make_settings
from tests.explore.actors import PeerCall, Place, Spec
from tests.explore.events import raw_event
from tests.explore.invariants import argument, demand
from tests.explore.search import IDLE, Budget, Option, State
from tests.explore.service import Service
from tests.explore.snapshots import Command, Effect
from tests.explore.stripe_actor import Gateway, Ledger, option, translated
from tests.explore.views import View

# One caller with two API keys, as during a rotation.
API_KEYS = {"old": "old_key_0123456789", "new": "new_key_0123456789"}
INTENT = raw_event("evt_paid", "payment_intent.succeeded", latest_charge=None)["data"]["object"]
FINAL = (200, 402)
# The answer of `begin` to a request that holds the key, and where the scripts get its token.
UNANSWERED = '["begun"]'
TOKENS = {"begin": 1, "conclude": 0}
DAY_MS = 24 * 3_600_000 + 1_000


class Charging(Gateway):
    """The gateway's calls for payments."""

    def create_payment(self, *, idempotency_key: str, **_: Any) -> dict[str, Any]:
        return self._object("create_payment", idempotency_key)


class Idempotency(Service):
    """Pay under one key, at once and repeatedly, with either API key, and with another body."""

    name = "idempotency: one key, two callers, Stripe"
    slots = ("caller 1", "caller 2", "nobody", "nobody", "nobody")
    kinds = ()
    ages_ms = (0, 23 * 3_600_000, 24 * 3_600_000, 48 * 3_600_000)
    horizon_ms = 3 * 24 * 3_600_000
    budget = Budget(asks=3, faults=1, deaths=1, ticks=1, days=1)
    # A key ends after two days; then the same request is a new one.
    wide = Budget(asks=4, faults=2, deaths=2, ticks=3, days=1, breaks=1)

    def __init__(self) -> None:
        super().__init__()
        keys = ",".join(f"shop:{key}" for key in API_KEYS.values())
        self.settings = make_settings(api_keys=keys)
        parts = Parts.build(self.settings, self.stage.store)
        self._app = Flask("explore")
        self._app.extensions[EXTENSION] = replace(parts, gateway=Charging(self.stage))
        self.stage.actors["pay"] = self._pay
        for call in ("create_payment", "payment", "events"):
            self.stage.translate[call] = translated

    def _pay(self, _: str, api_key: str, amount: str) -> tuple[int, str]:
        """Answer one request as the API does; return the status and the id in the answer."""
        bearer = {"Authorization": f"Bearer {API_KEYS[api_key]}"}
        body = ProcessPayment(amount=int(amount), currency="sgd", payment_method="pm_card_visa")
        header = MoneyHeaders(**{"Idempotency-Key": "one"})
        where = "/api/payment/process"
        with self._app.test_request_context(where, method="POST", headers=bearer):
            require_caller()
            g.request_id = "req"
            answer = idempotently(header, body.model_dump(), lambda k: _charge(header, body, k))
        answer_body = answer.get_json()
        return answer.status_code, str(
            answer_body.get("payment_intent_id") or answer_body.get("code")
        )

    def world(self) -> tuple[Any, ...]:
        """Return the answers so far, and Stripe's ledger."""
        return (), Ledger().frozen()

    def begins(self, state: State) -> Iterator[tuple[int, str, Spec, str]]:
        idle = [slot for slot in range(self.workers) if state.actors[slot] == IDLE]
        if idle:
            start, token = str(state.now_ms), self.token(state)
            for api_key in API_KEYS:
                yield idle[0], "pays", Spec("pay", (start, api_key, "1000"), token), "asks"
            yield idle[0], "pays more", Spec("pay", (start, "new", "2000"), token), "asks"

    def is_late(self, state: State, place: Place) -> bool:
        longest = self.settings.request_timeout_seconds * 1000
        return state.now_ms - int(place.spec.args[0]) > longest

    def stripe(self, state: State, call: PeerCall) -> Iterator[Option]:
        answers, ledger = state.world[0], Ledger.of(state.world[1])
        if call.name == "create_payment":
            [key] = json.loads(call.args)
            for words, after, cost in ledger.answers(key, state.now_ms, "pi"):
                yield option(words, INTENT | {"id": words}, (answers, after.frozen()), cost)
        elif call.name == "payment":
            [name] = json.loads(call.args)
            yield option("shown", INTENT | {"id": name}, state.world)
        else:
            yield option("listed", ledger.objects, state.world)

    def ended(self, state: State, place: Place) -> tuple[Any, ...]:
        """Record each final answer to a caller, with the amount of its request."""
        status, answer_body = place.result
        answers, ledger = state.world
        demand(status != 500, 15, f"a caller was answered {status} {answer_body}")
        final = status in FINAL
        answer = (status, answer_body, place.spec.args[2])
        return (tuple(sorted({*answers, answer})) if final else answers), ledger

    def moments(self, state: State) -> Iterator[tuple[int, str]]:
        yield state.now_ms + LEASE_MS, "ticks"
        yield state.now_ms + DAY_MS, "days"

    def check(self, state: State) -> None:
        answers, ledger = state.world[0], Ledger.of(state.world[1])
        demand(len(ledger.objects) <= 1, 19, f"one key made the payments {ledger.objects}")
        demand(len(answers) <= 1, 20, f"one key was given the answers {answers}")

    def check_step(self, before: State, place: Place, effect: Effect, after: State) -> None:
        super().check_step(before, place, effect, after)
        call = place.call
        if not isinstance(call, Command) or call.name not in TOKENS:
            return
        key, then = ((self.view(s).read(call.keys[0]) or {}) for s in (before, after))
        is_own = key.get("token") == argument(call, TOKENS[call.name])
        if effect.answer == UNANSWERED:
            left_ms = float(key.get("lease_until") or 0) - before.now_ms
            demand(is_own or left_ms <= 0, 27, "two requests hold the key")
            ends_at = float(then.get("lease_until") or 0)
            demand(ends_at == before.now_ms + LEASE_MS, 27, "the key is held without a lease")
        if call.name == "conclude":
            demand(is_own or not effect.writes, 27, "a late request ended another's")

    def check_goal(self, view: View) -> None:
        """Do nothing: no work continues by itself, a caller has to repeat the request."""
