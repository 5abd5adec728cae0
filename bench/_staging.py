"""Waiting notifications, staged by the scripts of the service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench._setting import settings_of
from chaos.stage import Stage
from shared.keys import Keys, State
from shared.store.connection import connect
from shared.store.scripts import Store
from shared.stripe.event import Event
from shared.work.items import Recording, Work
from shared.work.kinds import Kind
from shared.work.results import Done, Established
from worker.handlers.payment_intent import payment_fact
from worker.runtime import Runtime

# Events with a queue of their own, so that no worker claims them meanwhile.
STAGING = Kind("staging", "event", "billing.process_event")
STAGERS = 8


def stage_notifications(stage: Stage, event: Event, payments: int, of_each: int) -> None:
    """Stage `of_each` notifications, in order, for each of many payments."""
    settings = settings_of(stage)
    with connect(settings, "bench") as client, ThreadPoolExecutor(STAGERS) as stagers:
        runtime = Runtime(settings, Store(client))
        tails = [f"{payments:07d}{number:07d}" for number in range(payments)]
        for is_held in stagers.map(lambda tail: _stage(runtime, event, tail, of_each), tails):
            assert is_held, "the claim was lost"
    stage.redis.delete(Keys().queue(STAGING))


def _stage(runtime: Runtime, event: Event, tail: str, count: int) -> bool:
    """Settle an event of a new payment with `count` facts, each of which stages a notification."""
    payment_id, event_id = f"pi_{tail}", f"evt_{tail}"
    own = replace(event, id=event_id, object=event.object | {"id": payment_id})
    work = Work(runtime.store, STAGING)
    work.record(Recording(event_id, State.RECEIVED, {"type": event.type}, max_waiting=10**9))
    claim = work.claim(event_id)
    assert claim is not None
    fact = payment_fact(own, "succeeded")
    facts = [
        replace(fact, subject=f"{payment_id}:{n}", key=f"{payment_id}:{n}") for n in range(count)
    ]
    result = Done(State.PROCESSED, established=Established(payment_id, facts))
    return runtime.settlement.finish(claim, result)
