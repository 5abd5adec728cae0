from __future__ import annotations

from sandbox.world.world import JOBS, Scope, job
from tests.unit.sandbox.worlds import Bench

DAY = 24 * 3600


def test_jobs_on_the_way_run_at_their_own_time(bench: Bench) -> None:
    runs: list[tuple[str, int]] = []

    @job("test_note_time")
    def note(scope: Scope, args: dict[str, str]) -> None:
        runs.append((args["name"], scope.now))

    try:
        scope = bench.world.scope()
        start = scope.now
        scope.later(200, "test_note_time", name="second")
        scope.later(100, "test_note_time", name="first")
        scope.later(2 * DAY, "test_note_time", name="too late")
        bench.world.advance(DAY)
    finally:
        del JOBS["test_note_time"]
    assert [name for name, _ in runs] == ["first", "second"]
    assert 100 <= runs[0][1] - start <= 101
    assert bench.world.clock.now() >= start + DAY


def test_a_charge_is_settled_a_second_later(bench: Bench) -> None:
    bench.pay()
    assert bench.events == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    bench.world.advance(1)
    assert bench.events[-1] == "charge.updated"
    previous = bench.event("charge.updated")["data"]["previous_attributes"]
    assert previous == {"balance_transaction": None}


def test_an_uncaptured_hold_expires_after_a_week(bench: Bench) -> None:
    intent = bench.pay(capture_method="manual")
    bench.world.advance(7 * DAY)
    assert intent["status"] == "canceled"
    assert bench.events[-2:] == ["charge.expired", "payment_intent.canceled"]


def test_a_captured_hold_does_not_expire(bench: Bench) -> None:
    intent = bench.pay(capture_method="manual")
    bench.call("POST", f"/v1/payment_intents/{intent['id']}/capture")
    bench.world.advance(8 * DAY)
    assert intent["status"] == "succeeded"
    assert "charge.expired" not in bench.events


def test_events_are_forgotten_after_thirty_days(bench: Bench) -> None:
    bench.pay()
    bench.world.advance(30 * DAY - 60)
    assert bench.call("GET", "/v1/events")["data"] != []
    bench.world.advance(120)
    assert bench.call("GET", "/v1/events")["data"] == []
