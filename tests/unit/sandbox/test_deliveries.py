"""Deliveries over real sockets, by the sandbox's clock, so that no test waits for a retry."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.events_out.deliveries import RETRY_DELAYS_SECONDS
from sandbox.events_out.neighbourhood import may_be_called, may_be_registered
from sandbox.events_out.postman import Postman
from sandbox.events_out.webhook_endpoints import register, rotate
from sandbox.world.delivery_modes import DeliveryMode
from sandbox.world.errors import StripeError
from tests.unit.sandbox.worlds import Bench

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECRET = "whsec_deliveries"
LIMIT_SECONDS = 5.0  # seconds on a busy machine; the tests need milliseconds


class Endpoint:
    """An endpoint that records requests and gives its answers in turn."""

    def __init__(self, bench: Bench, answers: list[int]) -> None:
        self.bench = bench
        self.postman = Postman(bench.world)
        self.answers = answers
        self.came: list[tuple[str, bytes, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event_type = (await request.json())["type"]
        self.came.append((event_type, body, request.headers["Stripe-Signature"]))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def quiet(self) -> None:
        """Run what is due, and wait until all attempts in progress have ended."""
        self.bench.world.run_due_jobs()
        async with asyncio.timeout(LIMIT_SECONDS):
            while self.postman._tasks:
                await asyncio.gather(*list(self.postman._tasks))

    @property
    def types(self) -> list[str]:
        return [event_type for event_type, _, _ in self.came]


async def elsewhere(_: web.Request) -> web.Response:
    return web.Response()


def with_endpoint(
    bench: Bench, story: Callable[[Endpoint], Awaitable[None]], answers: list[int] | None = None
) -> Any:
    """Run a scenario with an endpoint for events of intents; return its registration."""

    async def play() -> Any:
        endpoint = Endpoint(bench, answers or [])
        app = web.Application()
        app.router.add_post("/hook", endpoint.take)
        app.router.add_get("/elsewhere", elsewhere)
        async with TestServer(app) as server:
            form = {"url": str(server.make_url("/hook")), "enabled_events": ["*"]}
            registered = register(bench.world.scope(), form, SECRET)
            try:
                await story(endpoint)
            finally:
                await endpoint.postman.close()
        return registered

    return asyncio.run(play())


def opened(bench: Bench) -> Any:
    return bench.call("POST", "/v1/payment_intents", {"amount": "500", "currency": "usd"})


def test_a_delivery_is_signed_over_its_bytes(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        opened(bench)
        await endpoint.quiet()
        ((_, body, header),) = endpoint.came
        stamp, signature = (part.partition("=")[2] for part in header.split(","))
        signed = stamp.encode() + b"." + body
        assert hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest() == signature

    with_endpoint(bench, story)


def test_a_failed_delivery_comes_again_when_time_has_passed(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        opened(bench)
        await endpoint.quiet()
        assert len(endpoint.came) == 1
        for tries, delay in enumerate(RETRY_DELAYS_SECONDS, start=2):
            bench.world.advance(delay)
            await endpoint.quiet()
            assert len(endpoint.came) == tries
        bench.world.advance(7 * 24 * 3600)
        await endpoint.quiet()
        assert len(endpoint.came) == 1 + len(RETRY_DELAYS_SECONDS)

    with_endpoint(bench, story, [503] * 20)
    (delivery,) = bench.world.mail.deliveries.values()
    assert delivery["state"] == "failed"
    assert bench.event("payment_intent.created")["pending_webhooks"] == 1


def test_success_counts_the_endpoint_off_once(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        deaf = {"url": "http://127.0.0.1:1/", "enabled_events": ["*"]}
        register(bench.world.scope(), deaf)
        bench.world.mail.modes.add(DeliveryMode("doubled"))
        opened(bench)
        event = bench.event("payment_intent.created")
        assert event["pending_webhooks"] == 2
        await endpoint.quiet()
        bench.world.advance(1)
        await endpoint.quiet()
        assert len(endpoint.came) == 2
        assert event["pending_webhooks"] == 1

    with_endpoint(bench, story)


def test_redirects_are_failures(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        opened(bench)
        await endpoint.quiet()

    with_endpoint(bench, story, [302])
    (delivery,) = bench.world.mail.deliveries.values()
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("pending", 302)


def test_out_of_order_means_the_last_comes_first(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        bench.world.mail.modes.add(DeliveryMode("out_of_order", count=3))
        bench.pay()
        for _ in range(20):
            bench.world.advance(0.05)
            await endpoint.quiet()
        assert endpoint.types[:3] == [
            "payment_intent.succeeded",
            "charge.succeeded",
            "payment_intent.created",
        ]

    with_endpoint(bench, story)


def test_dropped_is_never_sent_but_can_be_sent_again(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        bench.world.mail.modes.add(DeliveryMode("dropped", types=["payment_intent.*"]))
        opened(bench)
        await endpoint.quiet()
        assert endpoint.came == []
        event = bench.event("payment_intent.created")
        bench.call("POST", f"/v1/events/{event['id']}/retry")
        await endpoint.quiet()
        assert endpoint.types == ["payment_intent.created"]

    with_endpoint(bench, story)


def test_for_a_day_after_a_roll_both_secrets_sign(bench: Bench) -> None:
    async def story(endpoint: Endpoint) -> None:
        scope = bench.world.scope()
        (registered,) = scope.account.table("webhook_endpoint").values()
        rotate(scope, registered)
        opened(bench)
        await endpoint.quiet()
        bench.world.advance(24 * 3600)
        opened(bench)
        await endpoint.quiet()
        assert [header.count("v1=") for _, _, header in endpoint.came] == [2, 1]

    with_endpoint(bench, story)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:5001", "127.9.9.9", "localhost:1", "[::1]:1", "[::ffff:127.0.0.1]", "api:1"]
)
def test_this_machine_and_named_hosts_are_called(host: str) -> None:
    assert may_be_called(f"http://{host}/x", {"api"})
    assert may_be_registered(f"http://{host}/x", {"api"})


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "hooks.internal"])
def test_strangers_may_be_registered_and_are_never_called(host: str) -> None:
    assert may_be_registered(f"https://{host}/x", {"api"})
    assert not may_be_called(f"https://{host}/x", {"api"})


NEIGHBOURS = ["10.0.0.7", "192.168.1.1", "169.254.169.254", "[fe80::1]", "[::]", "db"]


@pytest.mark.parametrize("host", NEIGHBOURS)
def test_neighbours_are_refused_at_once(bench: Bench, host: str) -> None:
    url = f"http://{host}/x"
    form = {"url": url, "enabled_events": ["*"]}
    with pytest.raises(StripeError, match="SANDBOX_WEBHOOK_HOSTS"):
        bench.call("POST", "/v1/webhook_endpoints", form)
    assert not may_be_called(url, {"api"})
