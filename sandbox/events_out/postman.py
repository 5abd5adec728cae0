"""Send deliveries: signed, concurrent and in the background, so that no API call waits for them."""

import asyncio
import time
from typing import Final

import aiohttp

from sandbox.events_out import deliveries, neighbourhood, signing
from sandbox.events_out.webhook_endpoints import valid_secrets
from sandbox.world.objects import Json
from sandbox.world.world import World

TIMEOUT_SECONDS: Final = 20.0
"""Seconds within which an endpoint must answer."""
MAX_CONCURRENT: Final = 32
"""Most attempts at a time; more would only measure the local machine."""
KEPT_BODY_CHARACTERS: Final = 500
USER_AGENT: Final = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


class Postman:
    """Send the world's deliveries as they become due."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_CONCURRENT)
        world.send = self.start

    def start(self, record: Json) -> None:
        """Begin an attempt in the background."""
        task = asyncio.get_running_loop().create_task(self._attempt(record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop all attempts; those in progress are repeated after a restart."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _attempt(self, record: Json) -> None:
        owner = self._world.account(record["endpoint_account"])
        endpoint = owner.find("webhook_endpoint", record["endpoint"])
        if endpoint is None or endpoint["status"] != "enabled":
            record["state"] = "abandoned"
            self._world.mail.keep(record)
            return
        record["next_attempt_at"] = None
        self._world.mail.keep(record)
        async with self._places:
            outcome = await self._send(record, valid_secrets(owner, endpoint, self._world.clock))
        deliveries.conclude(self._world, record, outcome)

    async def _send(self, record: Json, secrets: list[str]) -> Json:
        payload = record["payload"].encode()
        started, now = time.monotonic(), self._world.clock.now()
        outcome: Json = {"at": now, "status": None, "error": None, "body": None}
        if not neighbourhood.may_be_called(record["url"], self._world.webhook_hosts):
            outcome["error"] = neighbourhood.REFUSAL
            return outcome
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
            "Accept": "*/*; q=0.5, application/xml",
            "Cache-Control": "no-cache",
            # Real time, because the receiver compares it with its own clock.
            "Stripe-Signature": signing.signature_header(payload, secrets, int(time.time())),
        }
        try:
            posting = self._http().post(
                record["url"], data=payload, headers=headers, allow_redirects=False
            )
            async with posting as answer:
                outcome["status"] = answer.status
                body = await answer.content.read(KEPT_BODY_CHARACTERS)
                outcome["body"] = body.decode(errors="replace")
        except (TimeoutError, aiohttp.ClientError) as problem:
            outcome["error"] = f"{type(problem).__name__}: {problem}"
        outcome["duration_ms"] = round((time.monotonic() - started) * 1000)
        return outcome

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            connector = aiohttp.TCPConnector(limit=MAX_CONCURRENT)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
        return self._session
