"""The relay rings for an item when it is due, also between two of its runs."""

from __future__ import annotations

from math import inf

import pytest

from shared.stopping import StopRequest
from shared.store.scripts import Store
from shared.work.breaker import OPEN_MS
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS, Kind
from worker import relay

UNSET = StopRequest()


def put(store: Store, kind: Kind, items: str, in_ms: int) -> None:
    """Make items due at the same moment."""
    due_ms = store.now_ms() + in_ms
    for item in items.split():
        store.redis.hset(store.keys.item(kind, item), "state", "retrying")
    store.redis.zadd(store.keys.due(kind), dict.fromkeys(items.split(), due_ms))


def bells(store: Store, kind: Kind) -> int:
    return int(store.redis.llen(store.keys.queue(kind)))


def test_the_next_due_item_of_any_kind_counts_unless_it_is_due_already(real_store: Store) -> None:
    assert relay.next_due_seconds(real_store) == inf
    put(real_store, REFUNDS, "rr_held_back", -5_000)
    assert relay.next_due_seconds(real_store) == inf
    put(real_store, EVENTS, "evt_later", 60_000)
    put(real_store, NOTIFICATIONS, "ntf_sooner", 30_000)
    assert relay.next_due_seconds(real_store) == pytest.approx(30, abs=1)


def test_an_item_put_off_for_a_moment_is_rung_for_before_the_next_run(real_store: Store) -> None:
    put(real_store, REFUNDS, "rr_soon", 200)
    put(real_store, REFUNDS, "rr_late", 60_000)

    relay.wait(real_store, 0.8, UNSET)

    assert bells(real_store, REFUNDS) == 1


def test_a_relay_with_nothing_due_only_waits(
    real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(real_store, REFUNDS, "rr_late", 60_000)
    put(real_store, REFUNDS, "rr_held_back", -1)
    monkeypatch.setattr(relay, "sweep", lambda *_: pytest.fail("swept for nothing"))
    relay.wait(real_store, 0.2, UNSET)


def test_a_stopped_relay_waits_no_longer(real_store: Store) -> None:
    stop = StopRequest()
    stop.set()
    put(real_store, REFUNDS, "rr_soon", 10)
    relay.wait(real_store, 3600, stop)
    assert bells(real_store, REFUNDS) == 0


def test_between_two_runs_an_ill_event_service_gets_no_more_than_its_probes(
    real_store: Store,
) -> None:
    real_store.redis.set(real_store.keys.breaker(), "1", px=OPEN_MS)
    put(real_store, NOTIFICATIONS, "ntf_1 ntf_2 ntf_3 ntf_4 ntf_5", 200)

    relay.wait(real_store, 0.8, UNSET)

    assert bells(real_store, NOTIFICATIONS) == relay.PROBES
