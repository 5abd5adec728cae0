"""The webhook: which requests are accepted, what is recorded, and what a refusal leaves behind."""

import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe
from limits import RateLimitItemPerSecond
from redis import Redis

from api.webhook import STILL_CHECKED
from shared.store.scripts import Store
from shared.stripe.signature import Signature
from shared.work.kinds import EVENTS
from tests.conftest import SIGNING_SECRET, make_settings
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.servers import wait_until
from tests.stopwatch import Stopwatch

FORGED = "whsec_somebody_elses"


@pytest.fixture
def event(hands: Hands) -> dict[str, object]:
    """Make a real event at the sandbox, not yet delivered; Redis is otherwise empty."""
    hands.pay()
    succeeded = next(item for item in hands.events() if item["type"] == "payment_intent.succeeded")
    hands.runtime.store.redis.flushall()
    return succeeded


def test_a_signed_event_is_recorded(hands: Hands, event: dict[str, object]) -> None:
    answer = hands.post_event(event)
    assert (answer.status_code, answer.get_json()) == (
        200,
        {"received": True, "result": "recorded"},
    )
    again = hands.post_event(event)
    assert (again.status_code, again.get_json()) == (200, {"received": True, "result": "duplicate"})


@pytest.mark.parametrize(
    "options",
    [
        {"secret": FORGED},
        {"timestamp": int(time.time()) - 301},
        {"headers": {"Stripe-Signature": ""}},
        {"headers": {"Stripe-Signature": "t=1,v1=00"}},
        {"headers": {"Stripe-Signature": "nonsense"}},
    ],
)
def test_a_bad_signature_gets_400_and_leaves_no_trace(
    hands: Hands, event: dict[str, object], options: dict[str, object]
) -> None:
    answer = hands.post_event(event, **options)
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "invalid_signature"
    assert hands.traces() == []


def test_an_altered_body_gets_400_and_leaves_no_trace(
    hands: Hands, event: dict[str, object]
) -> None:
    payload = json.dumps(event)
    header = stripe.WebhookSignature.generate_signature_header(payload, SIGNING_SECRET)
    altered = payload.replace("1000", "9999")
    answer = hands.client.post("/api/webhook", data=altered, headers={"Stripe-Signature": header})
    assert answer.status_code == 400
    assert hands.traces() == []


@pytest.mark.parametrize("body", ["not json", "[]", "{}", '{"id": 1}', '"text"', "null", "\x00"])
def test_an_unreadable_body_gets_400_though_it_is_signed(hands: Hands, body: str) -> None:
    answer = hands.post_event(body)
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "unreadable_body"


def test_an_event_of_the_other_mode_is_acknowledged_counted_and_not_recorded(
    hands: Hands, event: dict[str, object]
) -> None:
    answer = hands.post_event(event | {"livemode": True, "account": "acct_1"})
    assert (answer.status_code, answer.get_json()["result"]) == (200, "other_mode")
    assert hands.traces() == []
    assert ("billing_events_other_mode", ("live", "acct_1"), "") in tally(hands)


def tally(hands: Hands) -> dict[tuple[str, tuple[str, ...], str], float]:
    return dict(hands.client.application.extensions["billing"].store.tally.take())


@pytest.mark.parametrize(
    "change",
    [
        {"account": "acct_1\r\nX: y"},
        {"account": {"id": "acct_1"}},
        {"account": ""},
        {"account": 7},
        {"created": float("inf")},
        {"created": "soon"},
        {"created": True},
        {"created": -1},
        {"created": 10**30},
        {"id": "evt_\ud800"},
        {"id": "evt 1"},
        {"id": "e" * 200},
        {"type": "payment_intent.succeeded\x1b[2J"},
        {"type": "\udc00"},
        {"type": ["payment_intent.succeeded"]},
        {"api_version": {"a": 1}},
        {"api_version": "2026\n"},
        {"livemode": "false"},
        {"data": {"object": {"object": "payment_intent", "id": "pi 1"}}},
        {"data": {"object": {"amount": float("inf")}}},
        {"data": {"object": {}, "previous_attributes": "all"}},
        {"data": {"object": {"object": "refund", "charge": {"amount_captured": "x"}}}},
        {"data": {"object": {"object": "payment_intent", "latest_charge": {"amount": []}}}},
        {"data": {"object": {"object": "refund", "id": {"id": "re_1"}}}},
        {"data": {"object": {"object": "charge", "id": "ch_1", "metadata": {"a": 5}}}},
        {
            "data": {
                "object": {"object": "charge", "id": "ch_1", "refunds": [{"id": {"id": "re_1"}}]}
            }
        },
        *(
            {"data": {"object": {"object": "charge", "refunds": [{"id": "re_1"} | odd]}}}
            for odd in (
                {"currency": 1.5},
                {"failure_reason": []},
                {"charge": "ch 1"},
                {"balance_transaction": {"fee": "1"}},
                {"metadata": {"a": 1}},
            )
        ),
        {"data": {"object": {"object": "payment_intent", "charges": {"data": [{"id": 5}]}}}},
    ],
)
def test_a_signed_event_that_no_worker_could_read_is_refused(
    hands: Hands, event: dict[str, object], change: dict[str, object]
) -> None:
    text = json.dumps(event | change).replace("Infinity", "1e400")
    answer = hands.post_event(text)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "unreadable_body")
    assert hands.traces() == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_an_event_in_another_encoding_is_refused(
    hands: Hands, event: dict[str, object], encoding: str
) -> None:
    body = (json.dumps(event | {"note": "caf\u00e9"}, ensure_ascii=False)).encode(encoding)
    stamp = int(time.time())
    mac = hmac.new(SIGNING_SECRET.encode(), f"{stamp}.".encode() + body, "sha256").hexdigest()
    headers = {"Stripe-Signature": f"t={stamp},v1={mac}"}
    answer = hands.client.post("/api/webhook", data=body, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "unreadable_body")
    assert hands.traces() == []


def test_a_signature_header_longer_than_stripes_is_not_looked_at(
    hands: Hands, event: dict[str, object]
) -> None:
    began = time.process_time()
    answer = hands.post_event(event, headers={"Stripe-Signature": "," * 20_000})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_signature")
    assert time.process_time() - began < 0.1


def test_during_a_rotation_both_secrets_are_good(
    hands: Hands, event: dict[str, object], real_store: Store
) -> None:
    settings = make_settings(stripe_webhook_secret=f"{SIGNING_SECRET},whsec_the_new_one_abc")
    hands.client = open_door(settings, real_store)
    assert hands.post_event(event).status_code == 200
    assert hands.post_event(event, secret="whsec_the_new_one_abc").status_code == 200
    assert hands.post_event(event, secret=FORGED).status_code == 400


def test_an_event_sent_ten_times_in_parallel_is_told_once(
    hands: Hands, event: dict[str, object]
) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: hands.post_event(event), range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert [a.get_json()["result"] for a in answers].count("recorded") == 1
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def test_an_unknown_type_is_acknowledged_and_kept_as_ignored(
    hands: Hands, event: dict[str, object]
) -> None:
    assert hands.post_event(event | {"type": "invoice.paid"}).status_code == 200
    hands.work()
    assert hands.notified_types() == []
    assert hands.runtime.store.hash(f"{{billing}}:event:{event['id']}")["state"] == "ignored"
    payment = str(event["data"]["object"]["id"])  # type: ignore[index]  # Stripe's JSON
    kinds = [entry["kind"] for entry in hands.runtime.payments.timeline(payment)]
    assert kinds == ["event_received", "event_ignored"]


def test_with_redis_gone_the_webhook_answers_503_quickly(event: dict[str, object]) -> None:
    from tests.servers import free_port

    settings = make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    client = open_door(settings)
    hands = Hands(client, None, "", "")  # type: ignore[arg-type]  # it only delivers
    with Stopwatch() as watch:
        answer = hands.post_event(event)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert watch.seconds < 5


def test_a_full_inbox_pushes_back_and_loses_nothing(
    hands: Hands, event: dict[str, object], real_store: Store
) -> None:
    settings = make_settings(max_waiting_events=1)
    hands.client = open_door(settings, real_store)
    other = event | {"id": "evt_another"}
    assert hands.post_event(event).status_code == 200
    refusal = hands.post_event(other)
    assert (refusal.status_code, refusal.get_json()["code"]) == (503, "too_many_waiting")
    hands.work()
    assert hands.post_event(other).status_code == 200


def test_a_lost_doorbell_is_rung_again(
    hands: Hands, event: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.work.items.GUARD_MS", 50)
    hands.post_event(event)
    client: Redis = hands.runtime.store.redis
    assert client.delete(hands.runtime.store.keys.queue(EVENTS)) == 1
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]


def test_a_forger_is_slowed_down_and_stripe_is_not(
    hands: Hands, event: dict[str, object], real_store: Store
) -> None:
    settings = make_settings(bad_signatures_per_minute=2)
    hands.client = open_door(settings, real_store)
    answers = [hands.post_event(event, secret=FORGED) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 400, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert hands.post_event(event).status_code == 200


def test_without_the_required_replicas_nothing_is_promised(
    hands: Hands, event: dict[str, object]
) -> None:
    alone = Store(hands.runtime.store.redis, replicas_required=1)
    hands.client = open_door(make_settings(), alone)
    answer = hands.post_event(event)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "store_not_replicated")


def test_a_known_forger_is_refused_before_anything_is_hashed(
    hands: Hands, event: dict[str, object], real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = note_checks(monkeypatch)
    hands.client = open_door(make_settings(bad_signatures_per_minute=2), real_store)
    answers = [hands.post_event(event, secret=FORGED) for _ in range(200)]
    assert {answer.status_code for answer in answers[2:]} == {429}
    assert int(answers[-1].headers["Retry-After"]) >= 1
    seconds = 1 + int(time.monotonic() - hashed[0])
    assert len(hashed) <= 2 + STILL_CHECKED.amount * (seconds + 1) < len(answers)


def test_where_a_good_signature_came_from_forgers_keep_nobody_out(
    hands: Hands, event: dict[str, object], real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.client = open_door(make_settings(bad_signatures_per_minute=2), real_store)
    monkeypatch.setattr("api.webhook.STILL_CHECKED", RateLimitItemPerSecond(1))
    assert hands.post_event(event).status_code == 200
    for number in range(30):
        assert hands.post_event(event, secret=FORGED).status_code == (400 if number < 2 else 429)
    for _ in range(30):
        assert hands.post_event(event).status_code == 200


def test_stripe_gets_in_for_the_first_time_behind_a_forger(
    hands: Hands, event: dict[str, object], real_store: Store
) -> None:
    hands.client = open_door(make_settings(bad_signatures_per_minute=2), real_store)
    for _ in range(60):
        hands.post_event(event, secret=FORGED)
    wait_until(lambda: hands.post_event(event).status_code == 200, "one is checked")
    assert hands.post_event(event).status_code == 200


def note_checks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the times at which signatures are checked."""
    moments: list[float] = []
    check = Signature.require

    def counting(*arguments: Any) -> None:
        moments.append(time.monotonic())
        check(*arguments)

    monkeypatch.setattr(Signature, "require", counting)
    return moments
