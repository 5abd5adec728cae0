"""Dead letters: a person lists, reads and redrives them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from api.redrive import AuditNote, Redrive
from shared.errors import CallerError
from shared.keys import Keys, State
from shared.store.scripts import Store
from shared.stripe.gateway import StripeGateway
from shared.work.dead_letters import LETTER_KINDS, DeadLetters, ItemFilter
from shared.work.items import Claim, Recording, Work
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS
from shared.work.outbox import Outbox
from shared.work.refund_jobs import stripe_key
from shared.work.results import Dead, Done, Retry
from shared.work.settlement import Settlement
from tests.conftest import make_settings
from tests.integration.hands import Hands
from worker.jobs import JOBS
from worker.run import run

Json = dict[str, Any]
SETTINGS = make_settings()
KIM = AuditNote(key="0123456789abcdef", name="kim", reason="the event service is well again")


def redrive(store: Store) -> Redrive:
    """Build a `Redrive` on this store; a call to Stripe fails the test."""
    return Redrive(store, SETTINGS, StripeGateway(SETTINGS))


def claimed(work: Work, item_id: str) -> Claim:
    """Claim an item; fail when it cannot be claimed."""
    matches = work.claim(item_id)
    assert matches is not None
    return matches


def bury(store: Store, event_id: str, event_type: str = "charge.updated", error: str = "x") -> None:
    """Record an event and make it a dead letter."""
    work = Work(store, EVENTS)
    body = json.dumps({"id": event_id})
    work.record(Recording(event_id, "received", {"type": event_type}, 10_000, body=body))
    work.bury(claimed(work, event_id), Dead(error))


def bury_notifications(store: Store, payment: str, *ids: str) -> Outbox:
    """Stage notifications of one payment and make all of them dead letters, in order."""
    outbox = Outbox(store, SETTINGS)
    for number, item in enumerate(ids, start=1):
        fields = {"id": item, "payment_id": payment, "recorded_at": "1", "sequence": str(number)}
        fields |= {"state": "waiting" if number > 1 else "queued", "type": "payment.succeeded"}
        store.redis.hset(store.keys.item(NOTIFICATIONS, item), mapping=fields | {"body": "{}"})
        store.redis.rpush(store.keys.outbox(payment), item)
    store.redis.zadd(store.keys.due(NOTIFICATIONS), {ids[0]: 1})
    for item in ids:
        outbox.bury(claimed(outbox, item), Dead("72 hours"))
    return outbox


def test_a_dead_letter_is_listed_with_its_last_error(store: Store) -> None:
    bury(store, "evt_1", error="no payment")
    (item,) = DeadLetters(store).find(ItemFilter(), 10).items
    assert (item["kind"], item["id"], item["error"]) == ("events", "evt_1", "no payment")
    assert item["dead_at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("target", "matches"),
    [
        (ItemFilter(), {"evt_1", "evt_2", "ntf_1"}),
        (ItemFilter(kind=EVENTS), {"evt_1", "evt_2"}),
        (ItemFilter(kind=REFUNDS), set()),
        (ItemFilter(type="charge.*"), {"evt_1"}),
        (ItemFilter(error="TIMEOUT"), {"evt_2"}),
        (ItemFilter(payment_id="pi_1"), {"ntf_1"}),
        (ItemFilter(since_ms=2**45), set()),
        (ItemFilter(until_ms=2**45), {"evt_1", "evt_2", "ntf_1"}),
        (ItemFilter(until_ms=1), set()),
    ],
)
def test_each_filter_narrows_the_search(
    store: Store, target: ItemFilter, matches: set[str]
) -> None:
    bury(store, "evt_1", "charge.updated", "inconsistent")
    bury(store, "evt_2", "refund.created", "unavailable: Timeout")
    bury_notifications(store, "pi_1", "ntf_1")
    assert {item["id"] for item in DeadLetters(store).find(target, 10).items} == matches


def test_all_that_match_are_counted_and_so_many_as_asked_for_are_given(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.dead_letters.CHUNK", 10)
    for number in range(24):
        bury(store, f"evt_{number}")
    matches = DeadLetters(store).find(ItemFilter(), 3)
    assert (len(matches.items), matches.matched, matches.complete) == (3, 24, True)


def test_an_item_is_shown_with_its_payload_and_every_attempt(store: Store) -> None:
    work = Work(store, EVENTS)
    work.record(Recording("evt_1", "received", {"type": "t"}, 10, body='{"a":1}'))
    work.postpone(claimed(work, "evt_1"), Retry("first", 0))
    work.bury(claimed(work, "evt_1"), Dead("second"))
    answer = DeadLetters(store).inspect("evt_1")
    assert (answer["payload"], answer["state"], answer["attempts"]) == ({"a": 1}, "dead", 2)
    assert [attempt["error"] for attempt in answer["history"]] == ["first", "second"]
    assert not {"fence", "token", "body"} & set(answer)


def test_what_is_unknown_is_not_found(store: Store) -> None:
    with pytest.raises(CallerError) as error:
        DeadLetters(store).inspect("evt_none")
    assert error.value.status == 404


def test_a_redriven_event_is_rung_for_and_begins_with_a_fresh_budget(store: Store) -> None:
    bury(store, "evt_1")
    store.redis.delete(store.keys.queue(EVENTS))
    assert redrive(store).many(ItemFilter(kind=EVENTS), KIM, 10).ids == ["evt_1"]
    assert store.redis.llen(store.keys.queue(EVENTS)) == 1
    assert store.redis.zcard(store.keys.dead(EVENTS)) == 0
    again = claimed(Work(store, EVENTS), "evt_1")
    assert (again.attempts, again.body) == (1, '{"id": "evt_1"}')


def test_a_redriven_refund_job_no_longer_follows_an_earlier_decision(store: Store) -> None:
    job, work = f"rr_{'0' * 32}", Work(store, REFUNDS)
    work.record(Recording(job, State.QUEUED, {"payment_id": "pi_1"}, 10))
    work.bury(claimed(work, job), Dead("unknown outcome"))
    redrive(store).resolve(job, KIM, None)
    resolved = claimed(work, job)
    assert json.loads(resolved.fields["decision"])["refund_id"] is None
    work.bury(resolved, Dead("Stripe is away"))
    assert redrive(store).one(job, KIM) == "redriven"
    assert "decision" not in claimed(work, job).fields


def test_who_redrove_when_and_why_is_kept_with_the_item_and_in_the_audit(store: Store) -> None:
    bury(store, "evt_1")
    redrive(store).these(["evt_1"], KIM)
    (audit,) = redrive(store).audit(10)
    assert (audit["kind"], audit["id"], audit["by"]) == ("redriven", "evt_1", "kim")
    assert (audit["key"], audit["reason"]) == (KIM.key, KIM.reason)
    assert audit["at"].startswith("20")
    assert DeadLetters(store).inspect("evt_1")["history"][-1]["by"] == "kim"


def test_a_dry_run_says_which_and_does_nothing(store: Store) -> None:
    bury(store, "evt_1")
    bury(store, "evt_2")
    before = store.redis.lrange(store.keys.queue(EVENTS), 0, -1)
    dry = redrive(store).many(ItemFilter(kind=EVENTS), KIM, 1, dry_run=True)
    assert (dry.ids, dry.matched) == (["evt_1"], 2)
    by_id = redrive(store).these(["evt_2", "evt_9"], KIM, dry_run=True)
    assert (by_id.ids, by_id.skipped) == (["evt_2"], {"evt_9": "unknown"})
    assert store.redis.zcard(store.keys.dead(EVENTS)) == 2
    assert store.redis.lrange(store.keys.queue(EVENTS), 0, -1) == before
    assert redrive(store).audit(10) == []


def test_no_more_than_the_cap_are_redriven_the_oldest_first(store: Store) -> None:
    for number in range(5):
        bury(store, f"evt_{number}")
        store.redis.zadd(store.keys.dead(EVENTS), {f"evt_{number}": 100 + number})
    report = redrive(store).many(ItemFilter(kind=EVENTS), KIM, 2)
    assert (report.ids, report.matched) == (["evt_0", "evt_1"], 5)
    assert store.redis.zcard(store.keys.dead(EVENTS)) == 3


def test_what_is_at_work_is_skipped_and_its_state_told(store: Store) -> None:
    Work(store, EVENTS).record(Recording("evt_1", "received", {"type": "t"}, 10))
    report = redrive(store).these(["evt_1"], KIM)
    assert (report.ids, report.skipped) == ([], {"evt_1": "received"})


def test_a_redrive_sent_twice_by_the_client_library_redrives_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury_notifications(store, "pi_1", "ntf_1")
    plain = store.run

    def twice(name: str, *rest: Any) -> Any:
        plain(name, *rest)
        return plain(name, *rest)

    monkeypatch.setattr(store, "run", twice)
    assert redrive(store).these(["ntf_1"], KIM).ids == ["ntf_1"]
    assert store.redis.lrange(store.keys.outbox("pi_1"), 0, -1) == ["ntf_1"]
    assert store.redis.llen(store.keys.audit()) == 1


def test_redriven_notifications_of_a_payment_go_in_the_order_they_died(store: Store) -> None:
    outbox = bury_notifications(store, "pi_1", "ntf_1", "ntf_2", "ntf_3")
    for died, item in enumerate(["ntf_1", "ntf_2", "ntf_3"]):
        store.redis.zadd(store.keys.dead(NOTIFICATIONS), {item: 100 + died})
    redrive(store).many(ItemFilter(kind=NOTIFICATIONS), KIM, 10)
    assert outbox.claim("ntf_2") is None
    for item in ("ntf_1", "ntf_2", "ntf_3"):
        assert outbox.finish(claimed(outbox, item), Done(State.DELIVERED))


def test_a_redriven_notification_waits_behind_what_its_payment_has_under_way(store: Store) -> None:
    outbox = bury_notifications(store, "pi_1", "ntf_1")
    store.redis.hset(
        Keys().item(NOTIFICATIONS, "ntf_2"),
        mapping={"id": "ntf_2", "payment_id": "pi_1", "state": "queued", "recorded_at": "1"},
    )
    store.redis.rpush(store.keys.outbox("pi_1"), "ntf_2")
    store.redis.zadd(store.keys.due(NOTIFICATIONS), {"ntf_2": 1})
    redrive(store).these(["ntf_1"], KIM)
    assert outbox.claim("ntf_1") is None
    outbox.finish(claimed(outbox, "ntf_2"), Done(State.DELIVERED))
    assert claimed(outbox, "ntf_1").fields["sequence"] == "1"


def test_a_redriven_notification_has_its_72_hours_anew(store: Store) -> None:
    outbox = bury_notifications(store, "pi_1", "ntf_1")
    redrive(store).these(["ntf_1"], KIM)
    assert claimed(outbox, "ntf_1").age_seconds < 60


def test_a_tombstone_that_is_redriven_no_longer_expires(store: Store) -> None:
    work = Work(store, EVENTS)
    work.record(Recording("evt_1", "received", {"type": "t"}, 10, body="{}"))
    claim = claimed(work, "evt_1")
    Settlement(store, SETTINGS).finish(claim, Done(State.IGNORED))
    assert store.redis.ttl(store.keys.item(EVENTS, "evt_1")) > 0
    assert redrive(store).one("evt_1", KIM) == "redriven"
    names = (
        Keys().item(EVENTS, "evt_1"),
        Keys().body(EVENTS, "evt_1"),
        Keys().attempts(EVENTS, "evt_1"),
    )
    assert [store.redis.ttl(name) for name in names] == [-1, -1, -1]


def test_a_finished_refund_job_is_never_run_again(store: Store) -> None:
    store.redis.hset(store.keys.item(REFUNDS, "rr_1"), mapping={"id": "rr_1", "state": "finished"})
    with pytest.raises(CallerError) as error:
        redrive(store).one("rr_1", KIM)
    assert error.value.status == 409
    assert store.redis.llen(store.keys.queue(REFUNDS)) == 0


def test_every_kind_of_work_that_can_die_can_be_redriven() -> None:
    assert {k.name for k in (EVENTS, REFUNDS, NOTIFICATIONS)} == set(LETTER_KINDS)


# Tests with the sandbox and the receiver.


def test_a_notification_that_died_is_heard_after_its_redrive(hands: Hands) -> None:
    hands.runtime.settings.__dict__["notification_max_age_seconds"] = 0
    fault = {"status": 500, "count": None}
    requests.post(f"{hands.receiver}/_control/faults", json=fault, timeout=5).raise_for_status()
    hands.pay()
    hands.deliver_events()
    hands.work()
    (letter,) = DeadLetters(hands.runtime.store).find(ItemFilter(kind=NOTIFICATIONS), 10).items
    assert "500" in letter["error"]
    requests.delete(f"{hands.receiver}/_control/faults", timeout=5).raise_for_status()
    Redrive(hands.runtime.store, hands.runtime.settings, hands.runtime.gateway).many(
        ItemFilter(kind=NOTIFICATIONS), KIM, 10
    )
    hands.work()
    assert [item["id"] for item in hands.notifications() if item["answered"] == 200] == [
        letter["id"]
    ]


def test_an_event_whose_payload_is_gone_is_fetched_from_stripe(hands: Hands) -> None:
    hands.pay()
    events = hands.deliver_events("payment_intent.succeeded")
    hands.work()
    store, event_id = hands.runtime.store, events[0]["id"]
    store.redis.delete(store.keys.body(EVENTS, event_id))
    for name in store.redis.scan_iter("{billing}:notification:*"):
        store.redis.delete(name)
    assert redriver(hands).one(event_id, KIM) == "redriven"
    hands.work()
    notifications = hands.notifications()
    assert len(notifications) == 2
    assert notifications[0]["id"] == notifications[1]["id"]


def test_an_event_unknown_here_is_fetched_and_recorded(hands: Hands) -> None:
    hands.pay()
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    assert redriver(hands).one(event["id"], KIM) == "recorded"
    assert (
        hands.runtime.store.hash(hands.runtime.store.keys.item(EVENTS, event["id"]))["source"]
        == "redrive"
    )
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]
    assert redriver(hands).audit(1)[0]["id"] == event["id"]


def test_an_event_that_nobody_knows_is_not_found(hands: Hands) -> None:
    with pytest.raises(CallerError) as error:
        redriver(hands).one("evt_nobody", KIM)
    assert error.value.status == 404


def test_redriving_a_processed_event_tells_nothing_twice(hands: Hands) -> None:
    hands.pay()
    for event in hands.deliver_events():
        hands.work()
        assert redriver(hands).one(event["id"], KIM) == "redriven"
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def dead_refund(hands: Hands, *, refund_exists: bool) -> tuple[str, str]:
    """Make a refund job a dead letter whose outcome at Stripe is unknown; return its ids."""
    payment = hands.pay().get_json()["payment_intent_id"]
    hands.deliver_events()
    hands.work()
    job = hands.client.post(
        "/api/refund/process", json={"payment_intent_id": payment, "amount": 300}
    ).get_json()["refund_request_id"]
    if refund_exists:
        params = json.loads(hands.runtime.refund_jobs.read(job)["request"])
        hands.runtime.gateway.create_refund(params=params, idempotency_key=stripe_key(job))
    work = hands.runtime.refund_jobs.work
    work.bury(claimed(work, job), Dead("refund_outcome_unknown: look it up"))
    return payment, job


@pytest.mark.parametrize("refund_exists", [True, False], ids=["it was made", "it was not made"])
def test_a_redriven_refund_job_refunds_once_whatever_stripe_had_done(
    hands: Hands, refund_exists: bool
) -> None:
    payment, job = dead_refund(hands, refund_exists=refund_exists)
    redriver(hands).these([job], KIM)
    hands.work()
    refunds = hands.runtime.gateway.refunds_of(payment_intent=payment)
    assert [refund["amount"] for refund in refunds] == [300]
    assert hands.runtime.refund_jobs.read(job)["state"] == "finished"


def test_a_refund_found_at_stripe_ends_its_job_with_it(hands: Hands) -> None:
    payment, job = dead_refund(hands, refund_exists=True)
    (refund,) = hands.runtime.gateway.refunds_of(payment_intent=payment)
    redriver(hands).resolve(job, KIM, refund["id"])
    hands.work()
    answer = hands.client.get(f"/api/refund/{job}").get_json()
    assert (answer["status"], answer["refund_id"]) == ("succeeded", refund["id"])
    assert len(hands.runtime.gateway.refunds_of(payment_intent=payment)) == 1


def test_a_refund_that_was_never_made_ends_its_job_as_failed_and_is_told(hands: Hands) -> None:
    payment, job = dead_refund(hands, refund_exists=False)
    redriver(hands).resolve(job, KIM, None)
    hands.work()
    assert hands.client.get(f"/api/refund/{job}").get_json()["status"] == "failed"
    assert hands.notified_types() == ["payment.succeeded", "refund.failed"]
    assert hands.runtime.gateway.refunds_of(payment_intent=payment) == []
    assert redriver(hands).audit(1)[0]["kind"] == "resolved"


def test_a_refund_of_another_payment_resolves_nothing(hands: Hands) -> None:
    _, job = dead_refund(hands, refund_exists=False)
    other = hands.pay().get_json()["payment_intent_id"]
    params = {"payment_intent": other, "amount": 5}
    refund = hands.runtime.gateway.create_refund(params=params, idempotency_key="k-2")
    with pytest.raises(CallerError, match="another payment"):
        redriver(hands).resolve(job, KIM, refund["id"])
    assert hands.runtime.refund_jobs.read(job)["state"] == "dead"


def redriver(hands: Hands) -> Redrive:
    """Build a `Redrive` for the running service."""
    return Redrive(hands.runtime.store, hands.runtime.settings, hands.runtime.gateway)


def test_an_event_at_work_is_not_redriven_under_its_worker(hands: Hands) -> None:
    hands.pay()
    (event,) = hands.deliver_events("payment_intent.succeeded")
    with pytest.raises(CallerError) as error:
        redriver(hands).one(event["id"], KIM)
    assert (error.value.status, error.value.fields["state"]) == (409, "received")
    run(JOBS["events"], hands.runtime, event["id"])
    assert redriver(hands).one(event["id"], KIM) == "redriven"
