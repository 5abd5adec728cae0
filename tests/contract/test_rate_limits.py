"""Stripe's rate limits, which are off by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.contract.client import Answer, Api
from tests.contract.purchases import RETURN_URL
from tests.contract.side import Side
from tests.servers import wait_until

pytestmark = pytest.mark.fake_only(reason="floods are for our own machine")
Fresh = Callable[..., tuple[Side, Api]]
INTENTS = "/v1/payment_intents"
FORM = {"amount": 500, "currency": "usd", "return_url": RETURN_URL, "confirm": "true"}


def test_nothing_is_limited_unless_asked_for(api: Api) -> None:
    assert {api.get("/v1/refunds").status for _ in range(60)} == {200}


def test_an_endpoint_refuses_the_26th_call_of_a_second(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox(SANDBOX_RATE_LIMITS="stripe")
    answers = flood(api, [INTENTS] * 60)
    refusals = [answer for answer in answers if answer.status == 429]
    assert refusals
    assert answers[0].status == 200
    for answer in refusals:
        assert answer.error["code"] == "rate_limit"
        assert answer.error["type"] == "invalid_request_error"
        assert answer.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    counts = requests.get(f"{side.url}/_sandbox/rate_limits", timeout=5).json()
    assert counts["refused"] == {"endpoint-rate": len(refusals), "global-rate": 0}
    assert wait_until(lambda: api.get(INTENTS).status == 200, "the second to be over")


def test_an_account_is_limited_over_all_its_endpoints(side: Side, fresh_sandbox: Fresh) -> None:
    own, api = fresh_sandbox()
    own.control("rate_limits", per_endpoint=1000, per_account=20)
    paths = [INTENTS, "/v1/refunds", "/v1/disputes", "/v1/charges"] * 10
    reasons = Counter(
        answer.headers.get("Stripe-Rate-Limited-Reason") for answer in flood(api, paths)
    )
    assert reasons["global-rate"] > 0
    assert set(reasons) == {None, "global-rate"}
    own.forget("rate_limits")
    assert {answer.status for answer in flood(api, paths)} == {200}


def test_a_limited_call_leaves_its_key_free(fresh_sandbox: Fresh) -> None:
    side, api = fresh_sandbox()
    side.control("rate_limits", per_endpoint=1, per_account=None)
    form = FORM | {"payment_method": "pm_card_visa"}
    api.make(INTENTS, form, Idempotency_Key="first")
    limited = api.post(INTENTS, form, Idempotency_Key="second")
    assert limited.status == 429
    side.forget("rate_limits")
    payment = api.post(INTENTS, form, Idempotency_Key="second")
    assert (payment.status, "Idempotent-Replayed" in payment.headers) == (200, False)
    assert len(api.find(INTENTS)["data"]) == 2


@pytest.mark.parametrize("body", [{"per_endpoint": 0}, {"per_second": 5}, {"per_account": "5"}])
def test_limits_that_mean_nothing_are_refused(side: Side, body: dict[str, object]) -> None:
    answer = requests.post(f"{side.url}/_sandbox/rate_limits", json=body, timeout=5)
    assert answer.status_code == 400


def flood(api: Api, paths: list[str]) -> list[Answer]:
    """Read all paths, several at a time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(api.get, paths))
