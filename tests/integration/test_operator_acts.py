"""The API dies after any step of what an operator does: what took effect is in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from shared.store.scripts import Store
from tests.integration.hands import Hands
from tests.integration.mortal import Mortal
from tests.integration.test_dead_letters import bury, dead_refund
from worker.relay import ensure_duties

Json = dict[str, Any]
# A request: its path and its body.
Act = Callable[[Hands], tuple[str, Json]]
# More steps than any of these requests has.
MOST_STEPS = 20


def redrives_some(hands: Hands) -> tuple[str, Json]:
    bury(hands.runtime.store, "evt_1")
    return "/ops/dead-letters/redrive", {"ids": ["evt_1"]}


def redrives_one(hands: Hands) -> tuple[str, Json]:
    bury(hands.runtime.store, "evt_1")
    return "/ops/items/evt_1/redrive", {}


def fetches_one(hands: Hands) -> tuple[str, Json]:
    hands.pay()
    return f"/ops/items/{hands.events()[-1]['id']}/redrive", {}


def resolves(hands: Hands) -> tuple[str, Json]:
    _, job = dead_refund(hands, refund_exists=False)
    return f"/ops/refunds/{job}/resolve", {"failed": True}


def tries_the_event_service(_: Hands) -> tuple[str, Json]:
    return "/ops/notifications/test", {}


def reconciles(hands: Hands) -> tuple[str, Json]:
    ensure_duties(hands.runtime.store)
    return "/ops/reconcile", {}


# By the rule of their route. What operators do to batches is tried in test_batch_deaths.py.
ACTS: dict[str, list[Act]] = {
    "/ops/dead-letters/redrive": [redrives_some],
    "/ops/items/<item_id>/redrive": [redrives_one, fetches_one],
    "/ops/refunds/<job>/resolve": [resolves],
    "/ops/notifications/test": [tries_the_event_service],
    "/ops/reconcile": [reconciles],
}


def test_each_route_by_which_an_operator_changes_something_is_tried_here(hands: Hands) -> None:
    rules = hands.client.application.url_map.iter_rules()
    changing = {rule.rule for rule in rules if "POST" in (rule.methods or ())}
    assert {rule for rule in changing if rule.startswith("/ops")} == set(ACTS)


@pytest.mark.parametrize("act", [act for acts in ACTS.values() for act in acts])
def test_what_an_operator_does_is_audited_whenever_the_api_dies(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    store, mortal = hands.runtime.store, Mortal(monkeypatch)
    for last in range(1, MOST_STEPS):
        store.redis.flushall()
        path, body = act(hands)
        before = contents(store)
        mortal.dies_after(last)
        answer = hands.client.post(path, json=body | {"by": "kim"})
        steps = mortal.steps
        mortal.dies_after(None)
        after = contents(store)
        audit = after.pop(store.keys.audit(), None)
        assert audit or after == before, f"{steps} are in no audit log"
        if answer.status_code < 300:
            assert steps
            return
        assert answer.status_code == 500, answer.get_json()
    raise AssertionError("the request has more steps than this test tries")


def contents(store: Store) -> dict[str, Any]:
    """Return every key as Redis stores it, without the budget of calls to Stripe."""
    names = cast(list[str], store.redis.keys("*"))
    return {name: store.redis.dump(name) for name in names if ":budget:" not in name}
