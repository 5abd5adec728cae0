"""Faults and keys, over HTTP in one process, which the contract suite cannot test at Stripe."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from sandbox.app import create_app
from sandbox.world.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = {"Authorization": "Bearer sk_test_transport"}
INTENT = {"amount": "500", "currency": "usd"}
PATH = "/v1/payment_intents"


class Stripe:
    """A client of the sandbox."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def create(self, key: str = "k", headers: dict[str, str] | None = None) -> Any:
        request_headers = KEY | {"Idempotency-Key": key} | (headers or {})
        return await self.client.post(PATH, data=INTENT, headers=request_headers)

    async def fault(self, **fault: Any) -> None:
        match = {"method": "POST", "path_prefix": PATH}
        answer = await self.client.post("/_sandbox/faults", json={"match": match, **fault})
        assert answer.status == 200, await answer.text()

    async def books(self) -> Any:
        return await (await self.client.get("/_sandbox/books")).json()


def play(story: Callable[[Stripe], Awaitable[None]]) -> None:
    async def playing() -> None:
        async with TestClient(TestServer(create_app(World()))) as client:
            await story(Stripe(client))

    asyncio.run(playing())


def test_one_key_makes_one_object_however_many_ask() -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="delay", delay_seconds=0.2)
        answers = await asyncio.gather(*(stripe.create() for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200, *[409] * 7]
        again = await stripe.create()
        assert again.headers["Idempotent-Replayed"] == "true"
        books = await stripe.books()
        assert len(books["payment_intents"]) == 1
        assert books["calls"]["acted"] == 1
        assert books["idempotency"] == {"replays": 1, "conflicts": 7, "mismatches": 0}

    play(story)


def test_a_decline_is_kept_for_its_key_and_a_typo_is_not() -> None:
    async def story(stripe: Stripe) -> None:
        card = {"payment_method": "pm_card_chargeDeclined", "confirm": "true"}
        bad = INTENT | card | {"payment_method_types[]": "card"}
        headers = KEY | {"Idempotency-Key": "declined"}
        first = await stripe.client.post(PATH, data=bad, headers=headers)
        again = await stripe.client.post(PATH, data=bad, headers=headers)
        assert (first.status, again.status) == (402, 402)
        assert await first.json() == await again.json()
        assert len((await stripe.books())["charges"]) == 1
        typo = await stripe.client.post(
            PATH, data={"amout": "1"}, headers=KEY | {"Idempotency-Key": "t"}
        )
        assert typo.status == 400
        assert (await stripe.create("t")).status == 200

    play(story)


def test_a_failure_before_acting_leaves_nothing() -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="error", status=503, phase="before")
        assert (await stripe.create()).status == 503
        assert (await stripe.books())["payment_intents"] == []
        assert (await stripe.create()).status == 200

    play(story)


@pytest.mark.parametrize("kind", ["timeout", "disconnect"])
def test_a_connection_lost_after_acting_hides_what_was_done(kind: str) -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind=kind, phase="after", delay_seconds=0.01)
        with pytest.raises(aiohttp.ClientError):
            await stripe.create()
        again = await stripe.create()
        assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
        assert len((await stripe.books())["payment_intents"]) == 1

    play(story)


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_after_acting_is_what_the_key_remembers(status: int) -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="error", status=status, phase="after", delay_seconds=0.01)
        first = await stripe.create()
        for _ in range(2):
            again = await stripe.create()
            assert (again.status, again.headers["Idempotent-Replayed"]) == (status, "true")
            assert await again.json() == await first.json()
        assert "Idempotent-Replayed" not in first.headers
        assert len((await stripe.books())["payment_intents"]) == 1
        assert (await stripe.create("another key")).status == 200

    play(story)


def test_an_error_while_acting_is_remembered_though_nothing_was_done() -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="error", status=500, phase="during")
        for replayed in (None, "true"):
            answer = await stripe.create()
            assert (answer.status, answer.headers.get("Idempotent-Replayed")) == (500, replayed)
        assert (await stripe.books())["payment_intents"] == []

    play(story)


def test_a_limit_told_after_acting_is_not_kept() -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="error", status=429, phase="after")
        assert (await stripe.create()).status == 429
        again = await stripe.create()
        assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")

    play(story)


def test_an_error_in_place_of_a_refusal_leaves_the_key_free() -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="error", phase="after")
        headers = KEY | {"Idempotency-Key": "k"}
        wrong = await stripe.client.post(PATH, data={"amount": "1"}, headers=headers)
        assert wrong.status == 500
        right = await stripe.create()
        assert (right.status, "Idempotent-Replayed" in right.headers) == (200, False)

    play(story)


def test_an_error_hides_a_refusal_once_and_does_not_replace_it() -> None:
    async def story(stripe: Stripe) -> None:
        match = {"match": {"path_prefix": "/v1/refunds"}, "kind": "error", "phase": "after"}
        await stripe.client.post("/_sandbox/faults", json=match)
        headers = KEY | {"Idempotency-Key": "k"}
        for status, replayed in ((500, None), (404, "true")):
            answer = await stripe.client.post(
                "/v1/refunds", data={"charge": "ch_nope"}, headers=headers
            )
            reply = answer.status, answer.headers.get("Idempotent-Replayed")
            assert reply == (status, replayed)

    play(story)


def test_a_fault_for_one_clients_key_leaves_the_others_alone() -> None:
    async def story(stripe: Stripe) -> None:
        mine = {"Authorization": "Bearer sk_test_mine"}
        match = {"path_prefix": PATH, "api_key": "sk_test_mine"}
        fault = {"match": match, "kind": "error", "times": 1}
        response = await stripe.client.post("/_sandbox/faults", json=fault)
        assert "sk_test_mine" not in await response.text()
        assert (await stripe.create("theirs")).status == 200
        assert (await stripe.create("mine", mine)).status == 500
        assert (await stripe.create("again", mine)).status == 200

    play(story)


def test_too_many_requests_say_when_to_come_again() -> None:
    async def story(stripe: Stripe) -> None:
        await stripe.fault(kind="error", status=429, retry_after=7, should_retry=True)
        answer = await stripe.create()
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "7"
        assert answer.headers["Stripe-Should-Retry"] == "true"
        assert (await answer.json())["error"]["code"] == "rate_limit"

    play(story)


def test_a_live_key_is_refused() -> None:
    async def story(stripe: Stripe) -> None:
        answer = await stripe.create(headers={"Authorization": "Bearer sk_live_abcdefgh1234"})
        assert answer.status == 401
        message = (await answer.json())["error"]["message"]
        assert "offline" in message
        assert "abcdefgh" not in message

    play(story)


def test_connected_accounts_are_worlds_of_their_own() -> None:
    async def story(stripe: Stripe) -> None:
        other = await stripe.create(headers={"Stripe-Account": "acct_1Other"})
        mine = await stripe.create()
        assert (await other.json())["id"] != (await mine.json())["id"]
        events = (await stripe.books())["events"]
        assert {event["account"] for event in events} == {None, "acct_1Other"}

    play(story)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"kind": "explode"}),
        ("faults", {"kind": "error", "statuses": 1}),
        ("deliveries", {"mode": "sideways"}),
        ("clock", {"advance_seconds": -1}),
        ("clock", {}),
        ("disputes", {"charge": "ch_none"}),
        ("refunds/re_none/fail", {}),
        ("payment_intents/pi_none/authenticate", {"outcome": "complete"}),
    ],
)
def test_a_wrong_control_call_says_what_is_wrong(path: str, body: dict[str, Any]) -> None:
    async def story(stripe: Stripe) -> None:
        answer = await stripe.client.post(f"/_sandbox/{path}", json=body)
        assert answer.status in (400, 404)
        assert (await answer.json())["error"]["message"]

    play(story)
