"""The result of a delivery for each answer of the event service, and the request that is sent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pytest
from standardwebhooks.webhooks import Webhook

from shared.errors import Unavailable
from shared.keys import State
from shared.telemetry.tally import DELIVERY_SECONDS
from shared.work.items import Claim
from shared.work.kinds import NOTIFICATIONS
from shared.work.results import Dead, Done, Retry, Snooze
from tests.conftest import NOTIFICATION_SECRET, make_settings
from worker import delivery
from worker.delivery import PAUSE_SECONDS, UNSURE_SECONDS, deliver, pause_ms
from worker.event_service import Answer

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
LIFE_SECONDS = 1000
ILL = Answer(failure="status", status=503, text="busy")
GONE_ANSWER = Answer(failure="status", status=410, text="gone")
SILENT = Answer(failure="no_answer_in_time", detail="no head")
CLAIMED_AT_MS = 1_764_000_000_000


class Peer:
    """An event service that gives one answer and records the requests."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.posts: list[tuple[bytes, dict[str, str]]] = []

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Accept a notification."""
        self.posts.append((body, headers))
        return self.answer


class Runtime:
    """The part of a worker's runtime that a delivery needs."""

    def __init__(self, answer: Answer, secrets: tuple[str, ...] = (NOTIFICATION_SECRET,)) -> None:
        self.settings = make_settings(
            notification_max_age_seconds=LIFE_SECONDS, retry_base_seconds=2, retry_cap_seconds=500
        )
        self.store = MagicMock()
        self.event_service = Peer(answer)
        self.signers = [Webhook(secret) for secret in secrets]


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Return the breaker to which deliveries report."""
    one_breaker = MagicMock()

    def of(store: Any) -> MagicMock:
        assert store is not None
        return one_breaker

    monkeypatch.setattr(delivery, "Breaker", of)
    return one_breaker


@pytest.fixture(autouse=True)
def _longest_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = MagicMock(uniform=lambda least, most: least + most)
    monkeypatch.setattr("worker.policy._dice", dice)


def claim(attempts: int = 1, age_seconds: float = 0, **fields: str) -> Claim:
    """Build a claim of a notification with an age and a number of attempts."""
    defaults = {
        "recorded_at": str(CLAIMED_AT_MS - round(age_seconds * 1000)),
        "payment_id": "pi_1",
        "sequence": "3",
        "body": json.dumps({"id": "ntf_1", "data": {"amount": 1}}),
    }
    return Claim(
        NOTIFICATIONS, "ntf_1", defaults | fields, None, "1", attempts, 0, CLAIMED_AT_MS, {}, ""
    )


def delivered(answer: Answer, one: Claim | None = None) -> Any:
    """Make one attempt that gets this answer; return the result."""
    return deliver(Runtime(answer), one or claim())  # type: ignore[arg-type]  # all it uses


def test_what_is_accepted_is_delivered_and_kept_with_its_answer(breaker: MagicMock) -> None:
    runtime = Runtime(Answer(status=202, text="thanks"))
    result = deliver(runtime, claim())  # type: ignore[arg-type]  # all it uses
    assert result == Done(State.DELIVERED, details={"status": 202, "answer": "thanks"})
    assert not breaker.failed.called
    [(name, seconds)] = [call.args for call in runtime.store.tally.observe.call_args_list]
    assert name == DELIVERY_SECONDS
    assert 0 <= seconds < 60


def test_an_ill_peer_is_tried_again_and_trips_the_breaker(breaker: MagicMock) -> None:
    details = {"status": 503, "answer": "busy", "failure": "status"}
    assert delivered(ILL) == Retry("status: the event service answered 503", 2, details)
    assert [call.args for call in breaker.failed.call_args_list] == [("pi_1",)]
    assert not breaker.answered.called


def test_a_peer_that_dislikes_one_notification_is_not_ill(breaker: MagicMock) -> None:
    result = delivered(Answer(failure="status", status=400))
    assert isinstance(result, Retry)
    assert breaker.answered.called
    assert not breaker.failed.called


@pytest.mark.parametrize(("attempts", "pause"), [(1, 2), (2, 4), (5, 32), (9, 500)])
def test_pauses_grow(breaker: MagicMock, attempts: int, pause: float) -> None:
    assert delivered(SILENT, claim(attempts)).delay_seconds == pause


def test_retry_after_is_obeyed(breaker: MagicMock) -> None:
    busy = Answer(failure="status", status=429, retry_after_seconds=77)
    assert delivered(busy).delay_seconds == 77


def test_what_is_gone_is_given_up(breaker: MagicMock) -> None:
    details = {"status": 410, "answer": "gone", "failure": "status"}
    assert delivered(GONE_ANSWER) == Dead("status: the event service answered 410", details)


@pytest.mark.parametrize("age", [LIFE_SECONDS, LIFE_SECONDS + 1])
def test_what_is_too_old_is_given_up(breaker: MagicMock, age: float) -> None:
    result = delivered(SILENT, claim(3, age))
    details = {"status": None, "answer": "", "failure": "no_answer_in_time"}
    assert result == Dead("no_answer_in_time: no head", details)


def test_the_last_try_is_at_the_end_of_its_life(breaker: MagicMock) -> None:
    assert delivered(SILENT, claim(9, LIFE_SECONDS - 0.5)).delay_seconds == 0.5


@pytest.mark.parametrize("attempts", [1, 2])
def test_the_first_try_waits_until_the_replicas_have_its_number(
    breaker: MagicMock, attempts: int
) -> None:
    runtime = Runtime(Answer(status=200))
    runtime.store.confirm.side_effect = Unavailable("No replica.")
    result = deliver(runtime, claim(attempts))  # type: ignore[arg-type]  # all it uses
    if attempts == 1:
        assert result == Snooze(UNSURE_SECONDS, "unavailable: No replica.")
    else:
        assert isinstance(result, Done)
    assert len(runtime.event_service.posts) == attempts - 1


def delivery_of(runtime: Runtime, one: Claim) -> tuple[bytes, dict[str, str]]:
    """Return the request of one attempt."""
    deliver(runtime, one)  # type: ignore[arg-type]  # all it uses
    [result] = runtime.event_service.posts
    return result


def test_what_is_sent_is_signed_with_every_secret(breaker: MagicMock) -> None:
    other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"
    secrets = (NOTIFICATION_SECRET, other)
    one = claim(1, 5, request_id="req_1", traceparent=TRACE)
    body, headers = delivery_of(Runtime(Answer(status=200), secrets), one)
    assert json.loads(body) == {"id": "ntf_1", "sequence": 3, "data": {"amount": 1}}
    at, signatures = headers.pop("webhook-timestamp"), headers.pop("webhook-signature")
    assert abs(int(at) - CLAIMED_AT_MS // 1000) < 60
    now = datetime.fromtimestamp(int(at), UTC)
    expected = [Webhook(secret).sign("ntf_1", now, body.decode()) for secret in secrets]
    assert signatures == " ".join(expected)
    assert headers == {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "billing-service/1 (+standard-webhooks)",
        "webhook-id": "ntf_1",
        "traceparent": TRACE,
        "X-Request-Id": "req_1",
    }


def test_without_a_secret_nothing_is_signed_and_a_trace_is_begun(breaker: MagicMock) -> None:
    _, headers = delivery_of(Runtime(Answer(status=200), ()), claim())
    assert "webhook-signature" not in headers
    assert "X-Request-Id" not in headers
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", headers["traceparent"])


def test_the_trace_of_the_attempt_is_told_before_the_payments(
    breaker: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "traceparent", MagicMock(return_value="00-now"))
    _, headers = delivery_of(Runtime(Answer(status=200)), claim(traceparent=TRACE))
    assert headers["traceparent"] == "00-now"


def test_a_pause_while_the_breaker_is_open_is_in_milliseconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_dice", MagicMock(uniform=lambda least, most: most))
    assert pause_ms() == PAUSE_SECONDS[1] * 1000


def test_a_pause_while_the_breaker_is_open_lies_in_its_bounds() -> None:
    least, most = PAUSE_SECONDS
    pauses = {pause_ms() for _ in range(300)}
    assert least * 1000 <= min(pauses) < max(pauses) <= most * 1000
    assert max(pauses) - min(pauses) > (most - least) * 1000 / 2
